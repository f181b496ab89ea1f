//! `skywatch run`: every role in one process; and the data node of `skywatch data`, which is the same without console and
//! agent, with a place in a cluster.
//!
//! Start: store, HTTP API, alerts, console, agent; each takes its address before anything is said to be running.
//! Stop: the agent first, so that what it holds is still stored; then alerts, console, HTTP, continuous
//! queries, statistics and
//! subscriptions; the store last.

use std::{
    future::Future,
    io::{self, Write},
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use skywatch_agent::{Agent, Config, DefaultConfig, Sources, default_toml};
use skywatch_cluster::{Membership, Node, NodeConfig};
use skywatch_console::{AlertsView, ClusterView, ConsoleConfig, NoAlerts, NoCluster};
use skywatch_http::{HttpConfig, InProcessUser, MetricsSource, ServeError, Server};
use skywatch_listeners::Listeners;
use skywatch_monitor::Monitor;
use skywatch_rpc::{Router, Transport};
use skywatch_storage::{CardinalityLimits, Durability, MemoryBudget};
use skywatch_subscriber::Subscriber;
use tokio::{
    runtime::Handle,
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

use crate::{
    agent_control::{self, Origin},
    alerts::{self, Alerts, Desk, LeasedAlerts},
    allocator,
    bind_address::who_has,
    cli::{DurabilityMode, RunArgs},
    cluster_view::Surroundings,
    config::{AgentChoice, RunSettings, SubscriberSettings},
    console_server::{self, ConsoleListener},
    continuous, exposure, kafka_ingest, listeners, logging, monitor,
    pid_file::PidFile,
    service_manager::{self, Watched},
    signals,
};

/// How often the log is synced with `--durability interval`.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// Where agents write and rules look unless told otherwise.
const AGENT_DATABASE: &str = "telegraf";

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let settings = RunSettings::resolve(args)?;
    logging::start(&settings.log, settings.log_format)?;
    settings.ignored.log();
    let _pid_file = PidFile::write(args.pidfile.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(start_and_wait(settings, None));
    // A hung libvirtd may hold a thread; it must not hold the process.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

/// What is done with a node that has opened, and with the calls of other nodes that are answered here, beside its own.
pub(crate) type Opened = Box<dyn FnOnce(&Arc<Node>, Router) + Send>;

/// What makes a server a member of a cluster.
pub(crate) struct Place {
    /// Its membership.
    pub(crate) membership: Membership,
    /// Called with the node once it is open, before clients are served.
    pub(crate) opened: Opened,
    /// What `/metrics` tells of calls between nodes, and of the log that writes go through.
    pub(crate) metrics: Vec<Arc<dyn MetricsSource>>,
    /// How it reaches the meta nodes, and whether their API wants TLS.
    pub(crate) to_meta: (Arc<dyn Transport>, bool),
    /// Completes when the node is to stop.
    pub(crate) stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Adds how to find who is in the way.
fn explain(error: ServeError) -> anyhow::Error {
    match error {
        ServeError::AddressInUse { port, .. } => anyhow::anyhow!("{error}: {}", who_has(port)),
        other => other.into(),
    }
}

/// Serves until it is told to stop.
pub(crate) async fn start_and_wait(settings: RunSettings, place: Option<Place>) -> Result<()> {
    let memory = Arc::new(settings.data.memory());
    allocator::trim_beside(Arc::downgrade(&memory)).context("cannot start a thread")?;
    // Addresses first: a port in use is told before recovery of much data takes its time.
    let monitor = monitor::monitor(&settings);
    let agent_user = agent_user(&settings);
    let mut config = http_config(&settings, &memory, &monitor);
    if let Some(auth) = &mut config.auth {
        auth.in_process.clone_from(&agent_user);
    }
    let server = Server::bind(config).await.map_err(explain)?;
    let console = match &settings.console.bind {
        Some(address) => {
            let tls = settings.http.tls.as_ref().filter(|_| settings.console.https);
            Some(console_server::listen(address, tls).await?)
        }
        None => None,
    };
    let scheme = if settings.http.tls.is_some() { "https" } else { "http" };
    let api_url = format!("{scheme}://{}", reachable(server.local_addr()));
    let listeners = listeners::bind(&settings.listeners).await?;
    let agent = agent(&settings.agent, &api_url, agent_user)?;
    exposure::warn(&settings, server.local_addr(), console.as_ref().map(|console| console.address));
    if let Some(rules) = &settings.alerts {
        alerts::check(rules)?;
    }

    let config = node_config(&settings, memory, &monitor);
    let (membership, opened, to_meta, stop) = match place {
        Some(Place { membership, opened, metrics, to_meta, stop }) => {
            metrics.into_iter().for_each(|source| server.metrics().add(source));
            (Some(membership), Some(opened), Some(to_meta), Some(stop))
        }
        None => (None, None, None, None),
    };
    let is_member = membership.is_some();
    service_manager::status("opening the store");
    let opening = tokio::task::spawn_blocking(move || match membership {
        Some(membership) => Node::enter(config, membership),
        None => Node::open(config),
    });
    let node = opening.await.context("opening the store")??;
    let desk = node.member().map(|member| Desk::new(member, settings.data.dir.join("alerts")));
    if let Some(opened) = opened {
        opened(&node, desk.as_ref().map(Desk::router).unwrap_or_default());
    }

    if !is_member && settings.alerts.is_some() || matches!(settings.agent, AgentChoice::ThisHost) {
        // Rules look at it before the first metric arrives, and a database that is missing is an error.
        // With a policy by name: the agent's points name none, also where databases begin without.
        node.ensure_database(AGENT_DATABASE, "autogen").context("creating the agent's database")?;
    }

    let mut banner = Banner::new();
    let console_url = console.as_ref().map(|console| console_url(&settings, console.address));
    if let Some(url) = &console_url {
        banner.line("Console", url);
    }
    banner.line(
        "HTTP API",
        format!("{api_url}   as InfluxDB 1.8: influx -port {}", server.local_addr().port()),
    );
    banner.line("Data", std::path::absolute(&settings.data.dir)?.display());
    if let Some(addresses) = listeners::describe(&settings.listeners) {
        banner.line("Listeners", addresses);
    }
    if let Some(topics) = kafka_ingest::describe(&settings.ingests) {
        banner.line("Kafka", topics);
    }
    banner.line("Agent", agent.as_ref().map_or("off", |agent| agent.description));

    let subscriber = start_subscriber(&settings.subscriber, &monitor, &node)?;
    let continuous = continuous::start(&settings, &monitor, &node).context("cannot start a thread")?;
    let listeners = Listeners::start(listeners, &(Arc::clone(&node) as _), &monitor);
    let ingests = kafka_ingest::start(&settings.ingests, &node, server.metrics())?;
    let recorder = monitor::record(&settings.monitor, monitor, &node).context("cannot start a thread")?;

    let registry = Arc::clone(server.metrics());
    let (stop_http, http_stopped) = watch::channel(());
    let http = tokio::spawn(server.serve(Arc::clone(&node) as _, closed(http_stopped.clone())));
    let leased_alerts =
        desk.as_ref().and_then(|desk| LeasedAlerts::start(&settings, &node, desk, console_url.clone()));
    let alerts = match settings.alerts.clone().filter(|_| leased_alerts.is_none()) {
        Some(rules) => {
            let state = settings.data.dir.join("alerts");
            Some(Arc::new(Alerts::start(rules, Arc::clone(&node), &state, console_url, None).await?))
        }
        None => None,
    };
    let described = match &alerts {
        Some(alerts) => alerts.describe(),
        None if settings.alerts.is_some() => "on one of the nodes".to_owned(),
        None => "none (--alerts FILE)".to_owned(),
    };
    banner.line("Alerts", described);
    let (alerts_view, alert_metrics) = match (&alerts, &desk) {
        (Some(alerts), _) => (alerts.view(), Some(alerts.metrics())),
        (None, Some(desk)) => (desk.view(), Some(desk.metrics())),
        (None, None) => (Arc::new(NoAlerts) as Arc<dyn AlertsView>, None),
    };
    if let Some(source) = alert_metrics {
        registry.add(source);
    }
    let console = console.map(|listener| {
        let cluster = match to_meta {
            Some((to_meta, meta_tls)) => {
                Arc::new(Surroundings { node: Arc::clone(&node), to_meta, meta_tls }) as _
            }
            None => Arc::new(NoCluster) as Arc<dyn ClusterView>,
        };
        start_console(listener, &settings, &api_url, (alerts_view, cluster), http_stopped)
    });
    banner.print()?;
    service_manager::ready(serving(&node));
    let looking = (Arc::clone(&node), http.abort_handle());
    let watched = Watched::start(move || look(looking.clone()));

    match agent {
        Some(started) => {
            let stop = async {
                if let Err(error) = signals::stop_requested().await {
                    tracing::error!(%error, "cannot listen for signals; stopping");
                }
            };
            match started.origin {
                Some(origin) => {
                    agent_control::run(started.agent, origin, None, agent_control::Place::Part).await?
                }
                None => started.agent.run(stop).await?,
            };
        }
        None => match stop {
            Some(stop) => stop.await,
            None => signals::stop_requested().await.context("cannot listen for signals")?,
        },
    }
    drop(watched);
    // Load balancers are given the time to notice.
    node.drain();
    tokio::time::sleep(settings.http.shutdown_delay).await;
    if let Some(alerts) = leased_alerts {
        alerts.stop().await;
    }
    if let Some(alerts) = alerts {
        alerts.stop().await;
    }
    ingests.stop().await;
    listeners.stop().await;
    drop(stop_http);
    http.await.context("the HTTP server failed")?;
    if let Some(console) = console {
        // A page that keeps its connection open is no reason to stay.
        console.abort();
    }
    // What these write is forwarded too.
    tokio::task::spawn_blocking(move || drop((continuous, recorder)))
        .await
        .context("stopping the services")?;
    if let Some(subscriber) = subscriber {
        subscriber.close().await;
    }
    tokio::task::spawn_blocking(move || node.close()).await.context("closing the store")?;
    Ok(())
}

/// What the service manager is told the node does.
fn serving(node: &Node) -> String {
    let shards = node.shard_count();
    match node.readiness() {
        Ok(()) => format!("serving {shards} shards"),
        Err(why) => format!("serving {shards} shards; {why}"),
    }
}

/// Whether the node works: HTTP is served, threads for blocking work are to be had, and the node answers on one.
async fn look((node, http): (Arc<Node>, AbortHandle)) -> Result<String, String> {
    if http.is_finished() {
        return Err("serving HTTP has ended".to_owned());
    }
    let asked = tokio::task::spawn_blocking(move || serving(&node));
    asked.await.map_err(|error| format!("the node cannot be asked what it does: {error}"))
}

fn http_config(settings: &RunSettings, memory: &Arc<MemoryBudget>, monitor: &Arc<Monitor>) -> HttpConfig {
    HttpConfig { memory: Arc::clone(memory), monitor: Arc::clone(monitor), ..settings.http.server() }
}

fn node_config(settings: &RunSettings, memory: Arc<MemoryBudget>, monitor: &Arc<Monitor>) -> NodeConfig {
    NodeConfig {
        data_dir: settings.data.dir.clone(),
        durability: match settings.data.durability {
            DurabilityMode::Fsync => Durability::Fsync,
            DurabilityMode::Interval => Durability::Interval(SYNC_EVERY),
            DurabilityMode::None => Durability::None,
        },
        memory,
        cardinality: CardinalityLimits {
            max_series_per_database: settings.data.max_series_per_database,
            max_values_per_tag: settings.data.max_values_per_tag,
        },
        limits: settings.coordinator.limits(settings.http.query_timeout_secs),
        autogen: settings.autogen,
        upkeep: settings.upkeep.clone(),
        monitor: Arc::clone(monitor),
    }
}

/// Begins to forward writes, if they are to be forwarded.
fn start_subscriber(
    settings: &SubscriberSettings,
    monitor: &Monitor,
    node: &Node,
) -> Result<Option<Arc<Subscriber>>> {
    if !settings.enabled {
        return Ok(None);
    }
    let subscriber = Arc::new(Subscriber::start(&settings.config()?, Handle::current())?);
    node.forward_to(Arc::clone(&subscriber) as _);
    monitor.add(Arc::clone(&subscriber) as _);
    Ok(Some(subscriber))
}

struct StartedAgent {
    agent: Agent,
    /// What SIGHUP loads anew; the built-in configuration stays as it is.
    origin: Option<Origin>,
    description: &'static str,
}

/// Who the agent of this process is to its own API, with authentication on: nobody else knows the password, and it
/// ends with the process. An agent with a configuration of its own brings its own user.
fn agent_user(settings: &RunSettings) -> Option<InProcessUser> {
    (settings.http.auth.is_some() && settings.agent == AgentChoice::ThisHost).then(|| InProcessUser {
        name: "skywatch-agent".to_owned(),
        password: format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()),
    })
}

/// The agent to run, its configuration checked.
fn agent(choice: &AgentChoice, api_url: &str, user: Option<InProcessUser>) -> Result<Option<StartedAgent>> {
    match choice {
        AgentChoice::Off => Ok(None),
        AgentChoice::ThisHost => {
            let mut options = DefaultConfig::detect(api_url);
            options.user = user.map(|user| (user.name, user.password));
            options.any_certificate = api_url.starts_with("https:");
            let description = if options.libvirt {
                "this host and its virtual machines (libvirt), every 10 s"
            } else {
                "this host, every 10 s"
            };
            let config = Config::parse(&default_toml(&options), "the built-in agent configuration")?;
            Ok(Some(StartedAgent { agent: Agent::new(config)?, description, origin: None }))
        }
        AgentChoice::File(path) => {
            let sources = Sources { files: vec![path.display().to_string()], ..Sources::default() };
            let origin = Origin { sources, log: None };
            let agent = Agent::new(origin.load()?)?;
            Ok(Some(StartedAgent { agent, description: "as its configuration says", origin: Some(origin) }))
        }
    }
}

fn start_console(
    listener: ConsoleListener,
    settings: &RunSettings,
    api_url: &str,
    (alerts, cluster): (Arc<dyn AlertsView>, Arc<dyn ClusterView>),
    stopped: watch::Receiver<()>,
) -> JoinHandle<()> {
    let config = ConsoleConfig {
        dashboards_dir: settings.console.dashboards_dir.clone(),
        any_certificate: api_url.starts_with("https:"),
        asks_for_user: settings.http.auth.is_some(),
        ..ConsoleConfig::new(api_url)
    };
    let router = skywatch_console::router(config, alerts, cluster);
    tokio::spawn(async move {
        if let Err(error) = console_server::serve(listener, router, closed(stopped)).await {
            tracing::error!(%error, "the console stopped");
        }
    })
}

fn console_url(settings: &RunSettings, address: std::net::SocketAddr) -> String {
    let scheme = if settings.console.https { "https" } else { "http" };
    format!("{scheme}://{}", reachable(address))
}

/// Completes when the sender of the channel is gone.
pub(crate) async fn closed(mut channel: watch::Receiver<()>) {
    while channel.changed().await.is_ok() {}
}

/// The address as a client on this machine can reach it: `0.0.0.0` and `::` are not places.
pub(crate) fn reachable(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// What a person sees when everything runs.
struct Banner {
    text: String,
}

impl Banner {
    fn new() -> Self {
        Self { text: format!("Skywatch {} is running.\n\n", env!("CARGO_PKG_VERSION")) }
    }

    fn line(&mut self, what: &str, value: impl std::fmt::Display) {
        self.text += &format!("  {what:<10}{value}\n");
    }

    fn print(mut self) -> Result<()> {
        self.text += "\nCtrl-C stops it.\n";
        match io::stdout().write_all(self.text.as_bytes()) {
            // Started from a script that does not listen: no reason not to run.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("cannot print"),
        }
    }
}
