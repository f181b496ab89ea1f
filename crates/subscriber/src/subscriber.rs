//! All subscriptions of a node, kept in step with the catalogue.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use skywatch_cluster::{Copied, Forwarded, Forwarder, Subscribed};
use skywatch_monitor::{Selection, Statistic, StatisticsSource};
use tokio::{runtime::Handle, sync::watch, task::JoinSet};

use crate::{
    lane::{Copy, Shared, Totals},
    route::Route,
};

/// How long destinations may take to get what waits for them when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How copies are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberConfig {
    /// How long a destination may take to answer.
    pub http_timeout: Duration,
    /// Take any certificate.
    pub insecure_skip_verify: bool,
    /// Certificates in PEM that are trusted beside the usual ones.
    pub ca_certificates: Option<Vec<u8>>,
    /// Copies on their way at once to each destination, at least 1.
    pub write_concurrency: usize,
    /// Copies that may wait for each destination, at least 1.
    pub write_buffer_size: usize,
}

/// Why forwarding did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client of subscriptions: {0}")]
pub struct StartError(#[from] reqwest::Error);

/// See the crate's header. Dropping it drops what has not been sent; [`Subscriber::close`] sends it.
#[derive(Debug)]
pub struct Subscriber {
    runtime: Handle,
    shared: Arc<Shared>,
    routes: RwLock<Arc<Routes>>,
    tasks: Mutex<JoinSet<()>>,
    closing: watch::Sender<bool>,
}

/// By database, then by retention policy.
type Routes = HashMap<String, HashMap<String, Vec<Arc<Route>>>>;

impl Subscriber {
    /// Forwards nothing yet; its tasks will run on `runtime`.
    pub fn start(config: &SubscriberConfig, runtime: Handle) -> Result<Self, StartError> {
        let (closing, is_closing) = watch::channel(false);
        let shared = Shared {
            http: http_client(config)?,
            totals: Totals::default(),
            concurrency: config.write_concurrency.max(1),
            buffer: config.write_buffer_size.max(1),
            closing: is_closing,
        };
        Ok(Self {
            runtime,
            shared: Arc::new(shared),
            routes: RwLock::default(),
            tasks: Mutex::default(),
            closing,
        })
    }

    /// Takes no more copies, and gives destinations some seconds to take what waits for them.
    pub async fn close(&self) {
        self.closing.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        let all_done = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, all_done).await.is_err() {
            tracing::warn!("a subscriber does not take what waits for it; it is dropped");
        }
        *self.routes.write() = Arc::default();
    }

    /// The routes of a policy that has any.
    fn routes_of(&self, database: &str, retention_policy: &str) -> Option<Arc<Routes>> {
        let routes = self.routes.read();
        let found = routes.get(database).is_some_and(|policies| policies.contains_key(retention_policy));
        found.then(|| Arc::clone(&routes))
    }

    /// The route of a subscription: the one there is, or a new one.
    fn route(&self, before: &Routes, subscribed: &Subscribed, tasks: &mut JoinSet<()>) -> Option<Arc<Route>> {
        let known = before.get(&subscribed.database).and_then(|it| it.get(&subscribed.retention_policy));
        let same = known.into_iter().flatten().find(|route| route.subscribed == *subscribed);
        if let Some(route) = same {
            return Some(Arc::clone(route));
        }
        match Route::start(subscribed, &self.shared, tasks, &self.runtime) {
            Ok(route) => Some(Arc::new(route)),
            Err(error) => {
                self.shared.totals.create_failures.fetch_add(1, Ordering::Relaxed);
                let Subscribed { database, retention_policy, name, .. } = subscribed;
                tracing::error!(database, retention_policy, name, %error, "a subscription cannot work");
                None
            }
        }
    }
}

impl Forwarder for Subscriber {
    fn reconcile(&self, subscriptions: &[Subscribed]) {
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        let before = Arc::clone(&self.routes.read());
        let mut routes = Routes::new();
        for subscribed in subscriptions {
            let Some(route) = self.route(&before, subscribed, &mut tasks) else { continue };
            let policies = routes.entry(subscribed.database.clone()).or_default();
            policies.entry(subscribed.retention_policy.clone()).or_default().push(route);
        }
        *self.routes.write() = Arc::new(routes);
    }

    fn wants(&self, database: &str, retention_policy: &str) -> bool {
        self.routes_of(database, retention_policy).is_some()
    }

    fn forward(&self, copied: Copied) -> Forwarded {
        let Some(routes) = self.routes_of(&copied.database, &copied.retention_policy) else {
            return Forwarded::Taken;
        };
        let Copied { database, retention_policy, lines, line_ends } = copied;
        let copy = Arc::new(Copy { database, retention_policy, lines: lines.into(), line_ends });
        let of_policy = &routes[&copy.database][&copy.retention_policy];
        let dropped: u64 = of_policy.iter().map(|route| route.offer(&copy)).sum();
        self.shared.totals.write_failures.fetch_add(dropped, Ordering::Relaxed);
        if dropped == 0 { Forwarded::Taken } else { Forwarded::Dropped }
    }
}

impl StatisticsSource for Subscriber {
    fn collect(&self, selection: Selection<'_>, statistics: &mut Vec<Statistic>) {
        if !selection.includes("subscriber") {
            return;
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let totals = &self.shared.totals;
        statistics.push(Statistic::new("subscriber").values([
            ("createFailures", count(&totals.create_failures)),
            ("pointsWritten", count(&totals.points_written)),
            ("writeFailures", count(&totals.write_failures)),
        ]));
        let routes = Arc::clone(&self.routes.read());
        let mut routes: Vec<&Arc<Route>> = routes.values().flat_map(HashMap::values).flatten().collect();
        routes.sort_by(|a, b| a.order().cmp(&b.order()));
        statistics.extend(routes.into_iter().flat_map(|route| route.statistics()));
    }
}

fn http_client(config: &SubscriberConfig) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .timeout(config.http_timeout)
        .user_agent("InfluxDBClient")
        .danger_accept_invalid_certs(config.insecure_skip_verify);
    if let Some(pem) = &config.ca_certificates {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)?;
        builder = certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    builder.build()
}
