//! `skywatch data`: a data node. Until it is a member of a cluster it listens for other nodes only and waits for
//! `ctl add-data`; when it is removed it empties its disk and waits again.

use std::{
    future::Future,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use axum::{Json, routing::get};
use serde::Serialize;
use skywatch_cluster::{Membership, Node, WriteThrough};
use skywatch_http::MetricsSource;
use skywatch_kafka::KafkaLog;
use skywatch_model::SystemClock;
use skywatch_replication::{
    Catalogues, EntropySettings,
    seat::{Profile, Seat, Status},
};
use skywatch_rpc::{
    Identity, Router, Secret, ServeOptions, ServerCounters, TcpTransport, TransportOptions, serve,
};
use skywatch_storage::fs::OsFs;
use skywatch_tls::ClientTls;
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

use crate::{
    bind_address::with_port,
    cli::DataArgs,
    config::{ClusterSettings, RunSettings},
    kafka_metrics::LogMetrics,
    logging,
    node_metrics::CallMetrics,
    node_tls,
    pid_file::PidFile,
    run::{Place, closed, start_and_wait},
    service_manager::{self, Watched},
    signals,
};

/// How long the meta nodes may take to tell what is new before the node serves with what it knew last.
const CATALOGUE_LIMIT: Duration = Duration::from_secs(3);

pub(crate) fn run(args: &DataArgs) -> Result<ExitCode> {
    let (settings, cluster) = RunSettings::resolve_data(args)?;
    logging::start(&settings.log, settings.log_format)?;
    settings.ignored.log();
    let _pid_file = PidFile::write(args.pidfile.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(stay(settings, cluster));
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

/// Why a membership ended.
enum Ended {
    /// The process is to stop.
    Stopped,
    /// The node was removed from its cluster.
    Removed,
}

async fn stay(settings: RunSettings, cluster: ClusterSettings) -> Result<()> {
    let (stop, stopped) = watch::channel(());
    tokio::spawn(async move {
        if let Err(error) = signals::stop_requested().await {
            tracing::error!(%error, "cannot listen for signals; stopping");
        }
        drop(stop);
    });
    loop {
        match Box::pin(once(settings.clone(), &cluster, stopped.clone())).await? {
            Ended::Stopped => return Ok(()),
            Ended::Removed => {
                empty(&settings.data.dir)?;
                tracing::warn!(dir = %settings.data.dir.display(), "this node was removed from its cluster; its disk is empty");
            }
        }
    }
}

/// Removes everything but the copy of the catalogue, which is overwritten, and the directory itself.
fn empty(dir: &Path) -> Result<()> {
    for part in ["data", "hh", "alerts"] {
        let path = dir.join(part);
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// From the start, or the end of the membership before, to the end of a membership.
async fn once(
    settings: RunSettings,
    cluster: &ClusterSettings,
    stopped: watch::Receiver<()>,
) -> Result<Ended> {
    let address = cluster.bind.to_listen();
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| cluster.bind.cannot_listen("other nodes", "bind-address"))?;
    let port = listener.local_addr().context("asking for the own address")?.port();
    let identity = Identity {
        secret: cluster.secret.as_deref().and_then(Secret::new),
        ..Identity::new(env!("CARGO_PKG_VERSION"))
    };
    let tls = cluster.tls.as_ref().map(node_tls::client).transpose()?;
    let to_data = transport(&identity, tls, cluster);
    let tls = cluster.meta_tls.as_ref().map(ClientTls::load).transpose().context("TLS to meta nodes")?;
    let to_meta = transport(&identity, tls, cluster);
    let profile = profile(&settings, cluster, port);
    let name = profile.tcp_addr.clone();
    let meta = settings.data.dir.join("meta");
    let seat = Seat::open(Arc::new(OsFs), &meta, Arc::clone(&to_meta) as _, Arc::new(SystemClock), profile)
        .with_context(|| format!("cannot read {}", meta.display()))?;

    let later = Arc::new(OnceLock::new());
    let (stop_calls, calls_stopped) = watch::channel(());
    let answered = Arc::default();
    let options = serve_options(&identity, cluster, &answered)?;
    let shards = settings.data.dir.join("data");
    let calls = answer_calls(listener, options, &seat, shards, Arc::clone(&later), calls_stopped);
    let tasks = Tasks::default();
    let announcing = Arc::clone(&seat);
    let every = cluster.gossip_frequency;
    tasks.spawn(async move { announcing.announce(every).await });

    let waiting = seat.identity().is_none().then(|| wait_to_be_joined(&name, calls.abort_handle()));
    let me = tokio::select! {
        me = seat.joined() => me,
        () = closed(stopped.clone()) => return Ok(Ended::Stopped),
    };
    drop(waiting);
    service_manager::status("joined: learning what the cluster holds");
    let follower = Arc::clone(seat.follower());
    let following = Arc::clone(&follower);
    tasks.spawn(async move { following.follow().await });
    let known = follower.index() + 1;
    if !follower.reach(known, CATALOGUE_LIMIT).await && follower.age().is_none() {
        tracing::warn!("no meta node answers; serving with what was known last");
    }
    identity.cluster.set(follower.current().cluster_id());

    let log = write_log(&settings, cluster).await?;
    let membership = Membership {
        me,
        transport: Arc::clone(&to_data) as _,
        catalogues: follower,
        runtime: Handle::current(),
        settings: cluster.member.clone(),
        entropy: EntropySettings { seed: rand::random(), ..cluster.entropy.clone() },
        write_timeout: cluster.write_timeout,
        log: log.as_ref().map(|(log, _)| log.clone()),
    };
    let left = {
        let seat = Arc::clone(&seat);
        async move { seat.left().await }
    };
    let is_removed = Arc::new(OnceLock::new());
    let noted = Arc::clone(&is_removed);
    let place = Place {
        membership,
        opened: Box::new(move |node, more| answer_more(node, more, &later)),
        to_meta: (Arc::clone(&to_meta) as _, cluster.meta_tls.is_some()),
        metrics: vec![Arc::new(CallMetrics { transports: vec![to_data, to_meta], answered }) as _]
            .into_iter()
            .chain(log.map(|(_, metrics)| metrics))
            .collect(),
        stop: Box::pin(async move {
            tokio::select! {
                () = closed(stopped) => {}
                () = left => drop(noted.set(())),
            }
        }),
    };
    let served = Box::pin(start_and_wait(settings, Some(place))).await;
    drop(stop_calls);
    if calls.await.is_err() {
        tracing::error!("answering calls panicked");
    }
    served?;
    if is_removed.get().is_none() {
        return Ok(Ended::Stopped);
    }
    seat.forget().context("cannot forget the membership")?;
    Ok(Ended::Removed)
}

/// The log that writes go through, if the node is set to one, and what `/metrics` tells of it.
async fn write_log(
    settings: &RunSettings,
    cluster: &ClusterSettings,
) -> Result<Option<(WriteThrough, Arc<dyn MetricsSource>)>> {
    let Some(reading) = &cluster.replication.log else { return Ok(None) };
    let Some(kafka) = settings.kafka.clone() else {
        bail!("[replication] mode is \"kafka\", and [kafka] brokers names none: say which brokers there are");
    };
    let name = kafka.topic.name.clone();
    let log = KafkaLog::open(kafka).await.with_context(|| format!("cannot write through topic {name:?}"))?;
    let metrics = Arc::new(LogMetrics(Arc::clone(&log)));
    Ok(Some((WriteThrough { name, log, settings: reading.clone() }, metrics)))
}

/// Says that the node can be joined from now on: to wait for that is its work until then.
fn wait_to_be_joined(name: &str, answering: AbortHandle) -> Watched {
    let waits = format!("waits to be made a member of a cluster: skywatch ctl add-data {name}");
    tracing::warn!("{waits}");
    service_manager::ready(&waits);
    Watched::start(move || {
        let now = match answering.is_finished() {
            true => Err("answering other nodes has ended".to_owned()),
            false => Ok(waits.clone()),
        };
        std::future::ready(now)
    })
}

/// The calls that only a member answers: those of the node, and more.
fn answer_more(node: &Arc<Node>, more: Router, later: &OnceLock<Router>) {
    if later.set(node.calls().and(more)).is_err() {
        tracing::error!("the calls of a member are answered already");
    }
}

fn profile(settings: &RunSettings, cluster: &ClusterSettings, tcp_port: u16) -> Profile {
    let hostname = cluster.hostname.clone().unwrap_or_else(system_hostname);
    let named = |host: Option<&str>, port: u16| match (&cluster.hostname, host) {
        (None, Some(host)) => with_port(host, port),
        _ => with_port(&hostname, port),
    };
    Profile {
        tcp_bind: cluster.bind.as_str().to_owned(),
        tcp_addr: named(cluster.bind.host(), tcp_port),
        http_addr: named(settings.http.bind.host(), settings.http.bind.port()),
        https: settings.http.tls.is_some(),
        labels: cluster.labels.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hostname,
    }
}

/// What the system calls this host.
pub(crate) fn system_hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn transport(identity: &Identity, tls: Option<ClientTls>, cluster: &ClusterSettings) -> Arc<TcpTransport> {
    let options = TransportOptions {
        tls,
        dial_timeout: cluster.dial_timeout,
        ..TransportOptions::new(identity.clone())
    };
    Arc::new(TcpTransport::new(options))
}

fn serve_options(
    identity: &Identity,
    cluster: &ClusterSettings,
    counters: &Arc<ServerCounters>,
) -> Result<ServeOptions> {
    let tls = cluster.tls.as_ref().map(node_tls::server).transpose()?;
    Ok(ServeOptions { tls, counters: Arc::clone(counters), ..ServeOptions::new(identity.clone()) })
}

fn answer_calls(
    listener: TcpListener,
    options: ServeOptions,
    seat: &Arc<Seat>,
    shards: PathBuf,
    later: Arc<OnceLock<Router>>,
    stopped: watch::Receiver<()>,
) -> JoinHandle<()> {
    let router = seat.router().and_later(later);
    let asked = Arc::clone(seat);
    let http = axum::Router::new()
        .route(
            "/status",
            get(move || {
                let status = StatusOnDisk { status: asked.status(), shards: shards_in(&shards) };
                std::future::ready(Json(status))
            }),
        )
        .fallback(|| std::future::ready(()));
    tokio::spawn(serve(listener, options, router, Some(http), closed(stopped)))
}

/// What `GET /status` says: also how many shards lie in the data directory, so that whoever adds a node sees that it is
/// not empty.
#[derive(Serialize)]
struct StatusOnDisk {
    #[serde(flatten)]
    status: Status,
    shards: u64,
}

/// Directories of shards are called by their numbers.
fn shards_in(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u64>().is_ok())).count()
        as u64
}

/// Tasks that end with this.
#[derive(Default)]
struct Tasks(parking_lot::Mutex<Vec<JoinHandle<()>>>);

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().push(tokio::spawn(task));
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.lock().iter().for_each(JoinHandle::abort);
    }
}
