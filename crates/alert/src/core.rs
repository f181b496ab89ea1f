//! The engine without its runtime: rules, groups and channels behind one `step`. Pure.
//!
//! Events come in with the time, commands come out; the runtime queries, posts and stores. The runtime stores
//! [`Core::snapshot`] before it carries out the commands of a step that left [`Core::take_dirty`] true: what has been
//! decided is on disk before anybody hears of it.

mod views;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    Edition, Time,
    evaluate::{Evaluation, evaluate},
    labels::{hash, shorten},
    limits::{DELIVERY_LOG_MAX, ERROR_TEXT_MAX},
    metrics::Metrics,
    notify::{
        Notice,
        discord::{self, Context},
        groups::{Group, Groups},
        queue::{Answer, Attempt, Channel, ChannelStatus, DeliveryRecord},
    },
    rule::{AlertConfig, Integration, Rule},
    secret::WebhookUrl,
    source::Series,
    state::{self, Instance, RuleState},
    view::Transition,
};

/// State changes that are remembered for the console.
const TRANSITIONS_MAX: usize = 200;

/// What the core is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// Time has passed.
    Tick,
    /// The queries of a rule have been answered.
    Evaluated {
        uid: String,
        at: Time,
        took: Duration,
        outcome: Result<BTreeMap<String, Vec<Series>>, String>,
    },
    /// A message has been posted, or not. `jitter` is random in 0..1.
    Answered { channel: String, answer: Answer, jitter: f64 },
    /// The files have changed.
    Configured(Arc<AlertConfig>),
}

/// What the core wants done.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run the queries of this rule as of `at`, and answer with [`Event::Evaluated`].
    Evaluate { rule: Arc<Rule>, at: Time },
    /// Post this, and answer with [`Event::Answered`].
    Post { channel: String, url: WebhookUrl, body: serde_json::Value },
}

/// What is kept across restarts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Which state this is. States of before there were editions are older than all.
    #[serde(default)]
    pub(crate) edition: Edition,
    saved_at: Time,
    rules: Vec<RuleSnapshot>,
    groups: Vec<Group>,
    channels: Vec<Channel>,
    deliveries: VecDeque<DeliveryRecord>,
}

impl Snapshot {
    /// The same as this edition.
    pub(crate) fn of(self, edition: Edition) -> Self {
        Self { edition, ..self }
    }

    pub(crate) fn saved_at(&self) -> Time {
        self.saved_at
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct RuleSnapshot {
    uid: String,
    /// Of the rule that these instances belong to.
    fingerprint: u64,
    instances: Vec<Instance>,
}

/// A rule and how it is doing.
#[derive(Debug)]
struct Running {
    /// `None` for states that were stored, until the configuration is applied.
    rule: Option<Arc<Rule>>,
    fingerprint: u64,
    state: RuleState,
    next: Time,
    /// When the evaluation that is under way was due.
    under_way: Option<Time>,
    last: Option<Time>,
    took: Duration,
    error: Option<String>,
}

/// The whole engine, but for I/O.
#[derive(Debug)]
pub(crate) struct Core {
    config: Arc<AlertConfig>,
    console_url: Option<String>,
    rules: BTreeMap<String, Running>,
    groups: Groups,
    channels: BTreeMap<String, Channel>,
    deliveries: VecDeque<DeliveryRecord>,
    transitions: VecDeque<Transition>,
    metrics: Metrics,
    dirty: bool,
    /// The latest time that was seen.
    last_now: Time,
}

impl Core {
    /// Begins with what was stored, under a configuration that may have changed meanwhile.
    pub(crate) fn new(
        config: Arc<AlertConfig>,
        console_url: Option<String>,
        stored: Snapshot,
        now: Time,
    ) -> Self {
        let rules = stored
            .rules
            .into_iter()
            .map(|stored| {
                let running = Running {
                    rule: None,
                    fingerprint: stored.fingerprint,
                    state: RuleState::restore(stored.instances),
                    next: now,
                    under_way: None,
                    last: None,
                    took: Duration::ZERO,
                    error: None,
                };
                (stored.uid, running)
            })
            .collect();
        let channels =
            stored.channels.into_iter().map(|channel| (channel.id().to_owned(), channel)).collect();
        let mut core = Self {
            config: Arc::new(AlertConfig::default()),
            console_url,
            rules,
            groups: Groups::restore(stored.groups),
            channels,
            deliveries: stored.deliveries,
            transitions: VecDeque::new(),
            metrics: Metrics::default(),
            dirty: false,
            last_now: stored.saved_at,
        };
        core.follow_clock(now);
        core.configure(config, now);
        // A restart is the moment to try again what seemed broken.
        core.channels.values_mut().filter(|channel| is_broken(channel)).for_each(Channel::repaired);
        debug_assert_eq!(core.check(), Ok(()));
        core
    }

    /// Takes in an event; what is to be done is added to `commands`.
    pub(crate) fn step(&mut self, now: Time, event: Event, commands: &mut Vec<Command>) {
        self.follow_clock(now);
        match event {
            Event::Tick => {}
            Event::Evaluated { uid, at, took, outcome } => self.evaluated(&uid, at, took, outcome),
            Event::Answered { channel, answer, jitter } => self.answered(now, &channel, &answer, jitter),
            Event::Configured(config) => {
                self.metrics.reloads += 1;
                self.configure(config, now);
            }
        }
        self.start_evaluations(now, commands);
        for notice in self.groups.flush(&self.config.mute_timings, now) {
            self.enqueue(&notice);
            self.dirty = true;
        }
        self.start_deliveries(now, commands);
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// When [`Event::Tick`] is wanted next; `None` if only another event can bring work.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        let rules = self.rules.values().filter(|running| is_active(running)).map(|running| running.next);
        let channels = self.channels.values().filter_map(Channel::next_wake);
        rules.chain(channels).chain(self.groups.next_wake()).min()
    }

    /// Whether something has changed that must be stored before commands are carried out.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// What is to be stored; whoever stores it says which edition it is.
    pub(crate) fn snapshot(&self, now: Time) -> Snapshot {
        let rules = self.rules.iter().filter(|(_, running)| running.state.instances().len() > 0);
        Snapshot {
            edition: Edition::default(),
            saved_at: now,
            rules: rules
                .map(|(uid, running)| RuleSnapshot {
                    uid: uid.clone(),
                    fingerprint: running.fingerprint,
                    instances: running.state.instances().cloned().collect(),
                })
                .collect(),
            groups: self.groups.to_vec(),
            channels: self.channels.values().cloned().collect(),
            deliveries: self.deliveries.clone(),
        }
    }

    /// Counters, with gauges filled in.
    pub(crate) fn metrics(&self) -> Metrics {
        let mut metrics = self.metrics.clone();
        metrics.rules = self.rules.len() as u64;
        metrics.notices_waiting = self.channels.values().map(|channel| channel.len() as u64).sum();
        metrics.channels_broken = self.channels.values().filter(|channel| is_broken(channel)).count() as u64;
        let muted = self.muted();
        for instance in self.rules.values().flat_map(|running| running.state.instances()) {
            match instance.state {
                state::State::Normal { .. } => metrics.instances_normal += 1,
                state::State::Pending { .. } => metrics.instances_pending += 1,
                state::State::Firing { .. } | state::State::Recovering { .. } => {
                    metrics.instances_firing += 1;
                    metrics.instances_muted += u64::from(views::muted_by(&muted, instance).is_some());
                }
            }
        }
        metrics
    }

    pub(crate) fn metrics_mut(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    pub(crate) fn deliveries(&self) -> impl Iterator<Item = &DeliveryRecord> {
        self.deliveries.iter()
    }

    pub(crate) fn transitions(&self) -> impl Iterator<Item = &Transition> {
        self.transitions.iter()
    }

    pub(crate) fn warnings(&self) -> &[String] {
        &self.config.warnings
    }

    /// A clock that was set back takes everything that waits with it: nobody waits for the old time to come again.
    fn follow_clock(&mut self, now: Time) {
        let back = self.last_now.since(now);
        self.last_now = now;
        if back < Duration::from_secs(1) {
            return;
        }
        for running in self.rules.values_mut() {
            running.next = running.next.minus(back);
        }
        self.groups.set_back(back);
        self.channels.values_mut().for_each(|channel| channel.set_back(back));
        self.dirty = true;
    }

    // ---- configuration ----

    fn configure(&mut self, config: Arc<AlertConfig>, now: Time) {
        let mut old = std::mem::take(&mut self.rules);
        let before = std::mem::replace(&mut self.config, config);
        let config = Arc::clone(&self.config);
        for rule in &config.rules {
            let rule = Arc::new(rule.clone());
            let fingerprint = rule.fingerprint();
            let known = old.remove(&rule.uid);
            let same = known.as_ref().is_some_and(|known| known.fingerprint == fingerprint);
            let mut running = known.unwrap_or_else(|| Running {
                rule: None,
                fingerprint,
                state: RuleState::default(),
                next: now,
                under_way: None,
                last: None,
                took: Duration::ZERO,
                error: None,
            });
            let reset = match (rule.paused, same) {
                (true, _) => Some("Paused"),
                (false, false) => Some("Updated"),
                (false, true) => None,
            };
            if let Some(reason) = reset {
                self.reset(&rule.uid, &rule.title, &mut running.state, now, reason);
                running.under_way = None;
                running.error = None;
            }
            let same_pace = running.rule.as_ref().is_some_and(|known| known.interval == rule.interval);
            if !same || !same_pace {
                running.next = first_evaluation(&rule, now);
            }
            running.fingerprint = fingerprint;
            running.rule = Some(Arc::clone(&rule));
            self.rules.insert(rule.uid.clone(), running);
        }
        for (uid, mut gone) in old {
            let title = gone.rule.take().map_or_else(|| uid.clone(), |rule| rule.title.clone());
            self.reset(&uid, &title, &mut gone.state, now, "RuleDeleted");
        }
        self.groups.reconfigure(&config, now);
        self.configure_channels(&before, &config, now);
        self.dirty = true;
    }

    /// Ends all instances of a rule.
    fn reset(&mut self, uid: &str, title: &str, state: &mut RuleState, now: Time, reason: &'static str) {
        let mut commands = Vec::new();
        state.reset(now, reason, &mut commands);
        self.carry_out(uid, title, now, commands);
    }

    fn configure_channels(&mut self, before: &AlertConfig, config: &AlertConfig, now: Time) {
        let mut old = std::mem::take(&mut self.channels);
        for integration in integrations(config) {
            let mut channel = old.remove(&integration.id).unwrap_or_else(|| Channel::new(&integration.id));
            let moved = integrations(before)
                .any(|known| known.id == integration.id && known.discord.url != integration.discord.url);
            if moved {
                channel.repaired();
            }
            self.channels.insert(integration.id.clone(), channel);
        }
        for (id, gone) in old {
            if gone.len() > 0 {
                let detail = format!("{} notices waited when the contact point was removed", gone.len());
                self.record(DeliveryRecord {
                    at: now,
                    channel: id,
                    about: String::new(),
                    attempt: Attempt::Rejected,
                    status: None,
                    detail,
                    next: None,
                });
            }
        }
    }

    // ---- evaluation ----

    fn start_evaluations(&mut self, now: Time, commands: &mut Vec<Command>) {
        for running in self.rules.values_mut().filter(|running| is_active(running) && running.next <= now) {
            let Some(rule) = &running.rule else { continue };
            let due = running.next;
            let interval = i64::try_from(rule.interval.as_millis()).unwrap_or(i64::MAX).max(1);
            // The phase is kept; what could not be done in time is skipped and counted.
            let behind = (now.millis() - due.millis()) / interval;
            let at = Time::from_millis(due.millis() + behind * interval);
            running.next = at.plus(rule.interval);
            self.metrics.evaluations_missed += u64::try_from(behind).unwrap_or(0);
            if running.under_way.is_some() {
                self.metrics.evaluations_missed += 1;
                continue;
            }
            running.under_way = Some(at);
            commands.push(Command::Evaluate { rule: Arc::clone(rule), at });
        }
    }

    fn evaluated(
        &mut self,
        uid: &str,
        at: Time,
        took: Duration,
        outcome: Result<BTreeMap<String, Vec<Series>>, String>,
    ) {
        let Some(running) = self.rules.get_mut(uid).filter(|running| running.under_way == Some(at)) else {
            return;
        };
        let Some(rule) = running.rule.clone() else { return };
        running.under_way = None;
        running.last = Some(at);
        running.took = took;
        self.metrics.evaluations += 1;
        self.metrics.evaluation_seconds += took.as_secs_f64();
        let result = outcome.and_then(|results| {
            evaluate(&rule, &results, &|labels| running.state.is_firing(labels), at)
                .map_err(|error| error.to_string())
        });
        running.error = result.as_ref().err().map(|error| shorten(error, ERROR_TEXT_MAX));
        let event = match result {
            Ok(evaluation) => state::Event::Evaluated(evaluation),
            Err(error) => {
                self.metrics.evaluation_failures += 1;
                state::Event::Failed(shorten(&error, ERROR_TEXT_MAX))
            }
        };
        if event == state::Event::Evaluated(Evaluation::NoData) {
            self.metrics.evaluations_without_data += 1;
        }
        let mut commands = Vec::new();
        running.state.step(&rule, at, &event, &mut commands);
        self.carry_out(uid, &rule.title, at, commands);
    }

    fn carry_out(&mut self, uid: &str, title: &str, now: Time, commands: Vec<state::Command>) {
        for command in commands {
            match command {
                state::Command::Fire(alert) => self.dirty |= self.groups.fire(&self.config, &alert, now),
                state::Command::Resolve(alert) => {
                    self.dirty = true;
                    self.groups.resolve(&alert);
                }
                state::Command::Changed { labels, from, to, reason } => {
                    // A new instance that is normal can be found again by the next evaluation.
                    self.dirty |= from.is_some() || to != Some("normal");
                    self.remember(Transition {
                        at: now,
                        rule_uid: uid.to_owned(),
                        title: title.to_owned(),
                        labels,
                        from: from.map(str::to_owned),
                        to: to.map(str::to_owned),
                        reason,
                    });
                }
            }
        }
    }

    fn remember(&mut self, transition: Transition) {
        if transition.from.is_none() && transition.to.as_deref() == Some("normal") {
            return;
        }
        self.transitions.push_back(transition);
        while self.transitions.len() > TRANSITIONS_MAX {
            self.transitions.pop_front();
        }
    }

    // ---- delivery ----

    fn enqueue(&mut self, notice: &Notice) {
        let Some(point) = self.config.contact_point(&notice.receiver) else { return };
        for integration in &point.integrations {
            let mut notice = notice.clone();
            let had_endings = notice.resolved().next().is_some();
            if !integration.send_resolved {
                notice.alerts.retain(|entry| !entry.alert.is_resolved());
                // Nothing but endings was new, and those are not wanted here.
                if notice.alerts.is_empty()
                    || (had_endings && notice.alerts.iter().all(|entry| !entry.changed))
                {
                    continue;
                }
            }
            if let Some(channel) = self.channels.get_mut(&integration.id) {
                self.metrics.notices += 1;
                channel.push(notice);
            }
        }
    }

    fn start_deliveries(&mut self, now: Time, commands: &mut Vec<Command>) {
        let context = Context { console_url: self.console_url.as_deref(), now };
        for integration in integrations(&self.config) {
            let Some(channel) = self.channels.get_mut(&integration.id) else { continue };
            let render = |notice: &Notice| discord::render(notice, &integration.discord, context);
            if let Some(body) = channel.poll(now, render) {
                let url = integration.discord.url.clone();
                commands.push(Command::Post { channel: integration.id.clone(), url, body });
                // Rendered parts are stored before the first of them is posted.
                self.dirty = true;
            }
        }
    }

    fn answered(&mut self, now: Time, id: &str, answer: &Answer, jitter: f64) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        let was_broken = is_broken(channel);
        let Some(record) = channel.answered(now, answer, jitter) else { return };
        let broken = match channel.status() {
            ChannelStatus::Broken { error, .. } if !was_broken => Some(error.clone()),
            _ => None,
        };
        self.dirty = true;
        self.metrics.attempts += 1;
        match record.attempt {
            Attempt::Delivered => self.metrics.delivered += 1,
            Attempt::RateLimited => self.metrics.rate_limited += 1,
            Attempt::Retry => self.metrics.retries += 1,
            Attempt::Shortened => self.metrics.shortened += 1,
            Attempt::Rejected => self.metrics.rejected += 1,
            Attempt::PartDelivered | Attempt::Broken => {}
        }
        self.record(record);
        if let Some(error) = broken {
            self.report_broken(now, id, &error);
        }
    }

    /// Tells of a broken channel through another one that works.
    fn report_broken(&mut self, now: Time, id: &str, error: &str) {
        let other = integrations(&self.config).find(|other| {
            other.id != id && self.channels.get(&other.id).is_some_and(|channel| !is_broken(channel))
        });
        let Some(other) = other.map(|other| other.id.clone()) else { return };
        let text = format!(
            "Contact point {id} does not work: {error}. Its alerts wait until its webhook is mended."
        );
        if let Some(channel) = self.channels.get_mut(&other) {
            channel.push(Notice::note(&other, now, text));
        }
    }

    fn record(&mut self, record: DeliveryRecord) {
        self.deliveries.push_back(record);
        while self.deliveries.len() > DELIVERY_LOG_MAX {
            self.deliveries.pop_front();
        }
    }

    /// What must always be true.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.groups.check()?;
        for running in self.rules.values() {
            running.state.check()?;
        }
        for channel in self.channels.values() {
            channel.check()?;
        }
        Ok(())
    }
}

fn is_active(running: &Running) -> bool {
    running.rule.as_ref().is_some_and(|rule| !rule.paused)
}

fn is_broken(channel: &Channel) -> bool {
    matches!(channel.status(), ChannelStatus::Broken { .. })
}

fn integrations(config: &AlertConfig) -> impl Iterator<Item = &Integration> {
    config.contact_points.iter().flat_map(|point| &point.integrations)
}

/// Within the first second (or interval), each rule at a moment of its own, so that they do not all ask at once.
fn first_evaluation(rule: &Rule, now: Time) -> Time {
    let spread = rule.interval.min(Duration::from_secs(1)).as_millis().max(1);
    let offset = u128::from(hash([rule.uid.as_str()])) % spread;
    now.plus(Duration::from_millis(u64::try_from(offset).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
