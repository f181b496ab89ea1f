//! The engine on tokio: a loop around [`Core`], with evaluations and deliveries as tasks of their own.
//!
//! Order of things: an event is taken in, what changed is stored, then what follows is carried out. Cancelling is
//! safe at every await; [`AlertHandle::shutdown`] waits for messages that are being posted, so that none is sent
//! twice for want of a few seconds.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use crate::{
    Clock, Edition, Time,
    config::{ConfigError, Environment, ProcessEnvironment, Sources},
    core::{Command, Core, Event},
    evaluate::query_text,
    limits::{DELIVERY_TIMEOUT, EVALUATION_ATTEMPTS_MAX, EVALUATION_TIMEOUT, EVALUATIONS_CONCURRENT_MAX},
    metrics::Metrics,
    rule::{NodeKind, Rule},
    sender,
    source::{QueryFailure, QuerySource, Series},
    store::{StateFile, StoreError},
    view::{RuleView, StatusView},
};

/// What an engine needs to know.
#[derive(Clone)]
pub struct EngineOptions {
    /// Rules file, or a directory of them.
    pub rules: PathBuf,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// Database of rules that name none.
    pub database: String,
    /// The count with which the lease was granted under which it evaluates; `None` on a server that needs no lease. See
    /// [`Edition`].
    pub term: Option<u64>,
    /// Address of the console for links in messages.
    pub console_url: Option<String>,
    /// How often the files are looked at.
    pub reload_every: Duration,
    /// Where `$VAR` in the files gets its values.
    pub environment: Arc<dyn Environment>,
}

impl EngineOptions {
    /// Options with defaults: database `telegraf`, files looked at every 2 s, variables of this process.
    pub fn new(rules: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            rules: rules.into(),
            state_dir: state_dir.into(),
            database: "telegraf".to_owned(),
            term: None,
            console_url: None,
            reload_every: Duration::from_secs(2),
            environment: Arc::new(ProcessEnvironment),
        }
    }
}

impl std::fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineOptions")
            .field("rules", &self.rules)
            .field("state_dir", &self.state_dir)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Why an engine cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The rules files are wrong.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The state cannot be read.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is no HTTP client.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Starts engines.
#[derive(Debug)]
pub struct AlertEngine;

/// A running engine. Dropping it stops the engine without waiting.
#[derive(Debug)]
pub struct AlertHandle {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    core: Mutex<Core>,
    /// Of rules that name none.
    database: String,
    /// Everything of the status that is not the core's.
    status: Mutex<StatusView>,
    /// What is on disk.
    saved: watch::Sender<Edition>,
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> MutexGuard<'_, StatusView> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AlertEngine {
    /// Reads rules and state, and starts evaluating on the current tokio runtime.
    pub async fn start<S: QuerySource, C: Clock>(
        options: EngineOptions,
        source: Arc<S>,
        clock: C,
    ) -> Result<AlertHandle, StartError> {
        let now = clock.now();
        let client = sender::client().map_err(StartError::Client)?;
        let path = options.rules.clone();
        let state_dir = options.state_dir.clone();
        let (sources, store, loaded) = blocking(move || {
            let sources = Sources::read(&path)?;
            let store = StateFile::open(&state_dir)?;
            let loaded = store.load(now)?;
            Ok::<_, StartError>((sources, store, loaded))
        })
        .await?;
        let config = sources.parse(options.environment.as_ref())?;
        if let Some(problem) = &loaded.problem {
            tracing::error!("{problem}");
        }
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(
            rules = config.rules.len(),
            stored_at = %loaded.snapshot.saved_at(),
            "alert rules loaded from {}",
            options.rules.display()
        );
        let stored = loaded.snapshot.edition;
        let core = Core::new(Arc::new(config), options.console_url.clone(), loaded.snapshot, now);
        let status = StatusView { state_problem: loaded.problem, ..StatusView::default() };
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            database: options.database.clone(),
            status: Mutex::new(status),
            saved: watch::Sender::new(stored),
        });
        let loaded = sources.fingerprint(options.environment.as_ref());
        let (stop, stopped) = watch::channel(false);
        let (events, inbox) = mpsc::unbounded_channel();
        let runtime = Runtime {
            shared: Arc::clone(&shared),
            edition: options.term.map_or(stored, |granted| stored.succeeded_by(granted)),
            options,
            source,
            clock,
            client,
            store,
            loaded,
            slots: Arc::new(Semaphore::new(EVALUATIONS_CONCURRENT_MAX)),
            evaluations: JoinSet::new(),
            posts: JoinSet::new(),
            events,
        };
        let task = tokio::spawn(runtime.run(inbox, stopped));
        Ok(AlertHandle { shared, stop, task: Mutex::new(Some(task)) })
    }
}

impl AlertHandle {
    /// Every rule with its instances, in the order of the files.
    pub fn rules(&self) -> Vec<RuleView> {
        self.shared.core().rule_views(&self.shared.database)
    }

    /// Contact points, delivery log, state changes and problems.
    pub fn status(&self) -> StatusView {
        let status = self.shared.status().clone();
        let core = self.shared.core();
        StatusView {
            warnings: core.warnings().to_vec(),
            channels: core.channel_views(),
            deliveries: core.deliveries().cloned().collect(),
            transitions: core.transitions().cloned().collect(),
            ..status
        }
    }

    /// Counters and gauges.
    pub fn metrics(&self) -> Metrics {
        self.shared.core().metrics()
    }

    /// Which state is on disk; tells of every newer one.
    pub fn saved(&self) -> watch::Receiver<Edition> {
        self.shared.saved.subscribe()
    }

    /// Stops evaluating, waits for messages that are being posted, stores the state.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the alert engine ended badly");
        }
    }
}

/// Runs what blocks on a thread of its own; a panic there goes on here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down: nobody waits for this any more.
            Err(_) => std::future::pending().await,
        },
    }
}

struct Runtime<S, C> {
    shared: Arc<Shared>,
    /// Of what was stored last, or was to be.
    edition: Edition,
    options: EngineOptions,
    source: Arc<S>,
    clock: C,
    client: reqwest::Client,
    store: StateFile,
    /// Fingerprint of the files that were last looked at.
    loaded: u64,
    slots: Arc<Semaphore>,
    evaluations: JoinSet<()>,
    posts: JoinSet<()>,
    /// Bounded by the tasks there can be: one evaluation per rule, one post per channel.
    events: mpsc::UnboundedSender<Event>,
}

impl<S: QuerySource, C: Clock> Runtime<S, C> {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Event>, mut stop: watch::Receiver<bool>) {
        let mut reload = interval(self.options.reload_every);
        reload.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.step(Event::Tick).await;
        loop {
            let wake = self.next_wake();
            tokio::select! {
                biased;
                () = asked_to_stop(&mut stop) => break,
                Some(event) = inbox.recv() => self.step(event).await,
                _ = reload.tick() => {
                    if let Some(event) = self.reload().await {
                        self.step(event).await;
                    }
                }
                () = sleep_until(wake) => self.step(Event::Tick).await,
            }
            while self.evaluations.try_join_next().is_some() {}
            while self.posts.try_join_next().is_some() {}
        }
        self.finish(&mut inbox).await;
    }

    fn next_wake(&self) -> Instant {
        let wait = match self.shared.core().next_wake() {
            Some(at) => at.since(self.clock.now()),
            None => Duration::from_secs(3_600),
        };
        // A clock that jumps is noticed within a minute.
        Instant::now() + wait.min(Duration::from_secs(60))
    }

    async fn step(&mut self, event: Event) {
        let now = self.clock.now();
        let mut commands = Vec::new();
        let to_save = {
            let mut core = self.shared.core();
            let log_from = core.deliveries().last().cloned();
            core.step(now, event, &mut commands);
            log_deliveries(&core, log_from.as_ref());
            core.take_dirty().then(|| core.snapshot(now))
        };
        if let Some(snapshot) = to_save {
            self.save(snapshot).await;
        }
        for command in commands {
            self.carry_out(command);
        }
    }

    async fn save(&mut self, snapshot: crate::core::Snapshot) {
        self.edition = self.edition.next();
        let snapshot = snapshot.of(self.edition);
        let store = self.store.clone();
        let result = blocking(move || store.save(&snapshot)).await;
        let mut core = self.shared.core();
        let mut status = self.shared.status();
        match result {
            Ok(()) => {
                core.metrics_mut().saves += 1;
                status.save_error = None;
                self.shared.saved.send_replace(self.edition);
            }
            Err(error) => {
                core.metrics_mut().save_failures += 1;
                let text = error.to_string();
                // Alerts go out all the same: to be silent because the disk is full would be worse.
                if status.save_error.as_ref() != Some(&text) {
                    tracing::error!("the alert state cannot be stored: {text}");
                }
                status.save_error = Some(text);
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        let events = self.events.clone();
        match command {
            Command::Evaluate { rule, at } => {
                let source = Arc::clone(&self.source);
                let slots = Arc::clone(&self.slots);
                let database = self.options.database.clone();
                self.evaluations.spawn(async move {
                    let Ok(_slot) = slots.acquire().await else { return };
                    let started = Instant::now();
                    let query = AssertUnwindSafe(query_all(&*source, &rule, &database, at)).catch_unwind();
                    let outcome = match timeout(EVALUATION_TIMEOUT, query).await {
                        Ok(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
                        // The rule must be evaluated again, whatever the query engine did.
                        Ok(Err(_)) => Err("the query engine panicked; its log says why".to_owned()),
                        Err(_) => Err(format!("no answer within {} s", EVALUATION_TIMEOUT.as_secs())),
                    };
                    let event =
                        Event::Evaluated { uid: rule.uid.clone(), at, took: started.elapsed(), outcome };
                    // A closed inbox means that the engine stops.
                    drop(events.send(event));
                });
            }
            Command::Post { channel, url, body } => {
                let client = self.client.clone();
                self.posts.spawn(async move {
                    let answer = sender::post(&client, &url, &body).await;
                    drop(events.send(Event::Answered { channel, answer, jitter: rand::random() }));
                });
            }
        }
    }

    /// Looks at the files; an event if they have changed and can be used.
    async fn reload(&mut self) -> Option<Event> {
        let path = self.options.rules.clone();
        let environment = Arc::clone(&self.options.environment);
        let loaded = self.loaded;
        let result = blocking(move || {
            let sources = Sources::read(&path)?;
            let fingerprint = sources.fingerprint(environment.as_ref());
            if fingerprint == loaded {
                return Ok(None);
            }
            Ok(Some((fingerprint, sources.parse(environment.as_ref()))))
        })
        .await;
        let config = match result {
            Ok(None) => {
                return None;
            }
            Ok(Some((fingerprint, config))) => {
                self.loaded = fingerprint;
                config
            }
            Err(error) => {
                // Whatever comes back is looked at anew.
                self.loaded = 0;
                Err(error)
            }
        };
        match config {
            Ok(config) => {
                self.shared.status().config_error = None;
                tracing::info!(rules = config.rules.len(), "alert rules loaded again");
                Some(Event::Configured(Arc::new(config)))
            }
            Err(error) => {
                self.refuse(&error);
                None
            }
        }
    }

    fn refuse(&self, error: &ConfigError) {
        let text = error.to_string();
        let mut status = self.shared.status();
        if status.config_error.as_ref() != Some(&text) {
            tracing::error!("the changed alert rules cannot be used, those of before go on:\n{text}");
            drop(status);
            self.shared.core().metrics_mut().reload_failures += 1;
            status = self.shared.status();
        }
        status.config_error = Some(text);
    }

    /// Takes in the answers to messages that are being posted, then stores the state.
    async fn finish(&mut self, inbox: &mut mpsc::UnboundedReceiver<Event>) {
        self.evaluations.abort_all();
        let deadline = Instant::now() + DELIVERY_TIMEOUT;
        while !self.posts.is_empty() {
            tokio::select! {
                done = self.posts.join_next() => drop(done),
                () = sleep_until(deadline) => break,
            }
        }
        let now = self.clock.now();
        let snapshot = {
            let mut core = self.shared.core();
            // What follows from the answers is carried out after the next start.
            let mut later = Vec::new();
            while let Ok(event) = inbox.try_recv() {
                if matches!(event, Event::Answered { .. }) {
                    core.step(now, event, &mut later);
                }
            }
            core.snapshot(now)
        };
        self.save(snapshot).await;
    }
}

/// Ends when the engine is to stop, or when its handle is gone.
async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    // An error says that the handle is gone, which means the same.
    drop(stop.wait_for(|stopped| *stopped).await);
}

/// Logs what became of deliveries since the entry `from`.
fn log_deliveries(core: &Core, from: Option<&crate::notify::queue::DeliveryRecord>) {
    use crate::notify::queue::Attempt;
    let fresh = core.deliveries().collect::<Vec<_>>();
    let start = from.and_then(|from| fresh.iter().rposition(|record| *record == from)).map_or(0, |at| at + 1);
    for record in &fresh[start.min(fresh.len())..] {
        let (channel, about, detail) = (&record.channel, &record.about, &record.detail);
        match record.attempt {
            Attempt::Delivered => tracing::info!(channel, about, "alert delivered"),
            Attempt::PartDelivered => tracing::debug!(channel, about, "part of an alert delivered"),
            Attempt::RateLimited => tracing::debug!(channel, about, detail, "rate limited; waiting"),
            Attempt::Retry => tracing::warn!(channel, about, detail, "alert not delivered; trying again"),
            Attempt::Shortened => {
                tracing::warn!(channel, about, detail, "message refused; sending a short one");
            }
            Attempt::Rejected => tracing::error!(channel, about, detail, "alert refused; given up"),
            Attempt::Broken => tracing::error!(channel, about, detail, "contact point does not work"),
        }
    }
}

/// Runs all queries of a rule, each with a few attempts.
async fn query_all<S: QuerySource>(
    source: &S,
    rule: &Rule,
    database: &str,
    at: Time,
) -> Result<BTreeMap<String, Vec<Series>>, QueryFailure> {
    let mut results = BTreeMap::new();
    for node in &rule.nodes {
        let NodeKind::Query(query) = &node.kind else { continue };
        let text = query_text(query, at);
        let database = query.database.as_deref().unwrap_or(database);
        let policy = query.retention_policy.as_deref();
        let mut attempt = 1;
        let series = loop {
            match source.query(database, policy, &text, at).await {
                Ok(series) => break series,
                Err(QueryFailure::Unavailable(_)) if attempt < EVALUATION_ATTEMPTS_MAX => {
                    tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        };
        results.insert(node.ref_id.clone(), series);
    }
    Ok(results)
}

#[cfg(test)]
mod tests;
