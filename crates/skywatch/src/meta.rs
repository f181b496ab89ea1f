//! `skywatch meta`: a meta node. It listens for other meta nodes on one port, for data nodes and operators on another.

mod authority;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use skywatch_meta_node::{Directory, MetaNode, Transports};
use skywatch_model::SystemClock;
use skywatch_rpc::{
    Identity, Router, Secret, ServeOptions, TcpTransport, Transport, TransportOptions, serve,
};
use skywatch_tls::{ClientTls, ClientTlsConfig, ServerTls};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

use crate::{
    bind_address::BindAddress, cli::MetaArgs, config::MetaSettings, logging, pid_file::PidFile, run::closed,
    service_manager, signals,
};

/// Threads: one works while the other waits for the disk.
const THREADS: usize = 2;
/// The catalogue is small, and so is what is said about it.
const BYTES_IN_FLIGHT_MAX: usize = 128 << 20;
/// How often is looked whether the node can go on.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &MetaArgs) -> Result<ExitCode> {
    let settings = MetaSettings::resolve(args)?;
    logging::start(&settings.log, settings.log_format)?;
    settings.ignored.log();
    let _pid_file = PidFile::write(args.pidfile.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(stay(settings));
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn stay(settings: MetaSettings) -> Result<()> {
    // Heard from now on: a signal during the start is not lost.
    let signals = signals::StopSignals::listen().context("cannot listen for signals")?;
    let (http, http_port) =
        listen(&settings.http_bind, "data nodes and operators", "[meta] http-bind-address").await?;
    let (raft, raft_port) = listen(&settings.raft_bind, "other meta nodes", "[meta] bind-address").await?;
    let identity = identity(&settings);
    let transports = transports(&settings)?;
    let own = settings.at(http_port, raft_port);
    let (http_addr, raft_addr) = (own.http_addr.clone(), own.raft_addr.clone());
    let node =
        MetaNode::start(own, transports, Arc::new(SystemClock), &Directory::new(&settings.dir)).await?;
    let passwords = Arc::new(authority::Bcrypt::default());
    let authority = settings
        .auth
        .then(|| authority::Users::new(settings.shared_secret.clone(), Arc::clone(&passwords)))
        .map(|users| Arc::new(users) as _);

    let (stop, stopped) = watch::channel(());
    let api = node.http(passwords, authority);
    let serving = [
        answer(http, &identity, &settings, (node.router_data(), Some(api)), stopped.clone())?,
        answer(raft, &identity, &settings, (node.router_raft(), None), stopped)?,
    ];
    tracing::info!(http = http_addr, raft = raft_addr, dir = %settings.dir.display(), "a meta node listens");
    if node.status().peers.is_empty() {
        tracing::warn!("waits to be made a member of a cluster: skywatch ctl add-meta {http_addr}");
    }
    if settings.internal_secret.is_none() && settings.server_tls.is_none() {
        tracing::warn!(
            "neither internal-shared-secret nor TLS is set: whoever reaches {http_addr} or {raft_addr} can change the cluster"
        );
    }

    service_manager::ready(doing(&node));
    let answering = serving.each_ref().map(JoinHandle::abort_handle);
    let looking = node.clone();
    let watched = service_manager::Watched::start(move || look(looking.clone(), answering.clone()));

    let failure = tokio::select! {
        () = signals.requested() => None,
        reason = failed(&node) => Some(reason),
    };
    drop(watched);
    drop(stop);
    for task in serving {
        if task.await.is_err() {
            tracing::error!("answering calls panicked");
        }
    }
    node.stop().await;
    match failure {
        Some(reason) => bail!("the meta node cannot go on: {reason}"),
        None => Ok(()),
    }
}

/// What the service manager is told the node does.
fn doing(node: &MetaNode) -> String {
    let status = node.status();
    let members = status.peers.len();
    match status.leader.as_str() {
        _ if members == 0 => {
            format!("waits to be made a member of a cluster: skywatch ctl add-meta {}", status.http_addr)
        }
        "" => format!("looks for a leader among {members} meta nodes"),
        leader if leader == status.raft_addr => format!("leads a cluster of {members} meta nodes"),
        leader => format!("follows {leader}, one of {members} meta nodes"),
    }
}

/// Whether the node works: it answers on both ports, and Raft's loop answers it.
async fn look(node: MetaNode, answering: [AbortHandle; 2]) -> Result<String, String> {
    if answering.iter().any(AbortHandle::is_finished) {
        return Err("answering calls has ended".to_owned());
    }
    node.is_alive().await?;
    Ok(doing(&node))
}

/// Waits until the node cannot go on, and tells why.
async fn failed(node: &MetaNode) -> String {
    loop {
        if let Some(reason) = node.failure() {
            return reason;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn listen(bind: &BindAddress, whom: &str, key: &str) -> Result<(TcpListener, u16)> {
    let listener =
        TcpListener::bind(bind.to_listen()).await.with_context(|| bind.cannot_listen(whom, key))?;
    let port = listener.local_addr().context("asking for the own address")?.port();
    Ok((listener, port))
}

/// How this node shows itself to others.
fn identity(settings: &MetaSettings) -> Identity {
    Identity {
        secret: settings.internal_secret.as_deref().and_then(Secret::new),
        ..Identity::new(env!("CARGO_PKG_VERSION"))
    }
}

/// How other nodes are called.
pub(crate) fn transports(settings: &MetaSettings) -> Result<Transports> {
    let identity = identity(settings);
    Ok(Transports {
        meta: transport(&identity, settings.meta_tls.as_ref(), "meta nodes")?,
        data: transport(&identity, settings.data_tls.as_ref(), "data nodes")?,
    })
}

fn transport(identity: &Identity, tls: Option<&ClientTlsConfig>, whom: &str) -> Result<Arc<dyn Transport>> {
    let tls = tls.map(ClientTls::load).transpose().with_context(|| format!("TLS to {whom}"))?;
    let options = TransportOptions {
        tls,
        bytes_in_flight_max: BYTES_IN_FLIGHT_MAX,
        ..TransportOptions::new(identity.clone())
    };
    Ok(Arc::new(TcpTransport::new(options)))
}

fn answer(
    listener: TcpListener,
    identity: &Identity,
    settings: &MetaSettings,
    (router, http): (Router, Option<axum::Router>),
    stopped: watch::Receiver<()>,
) -> Result<JoinHandle<()>> {
    let tls = settings.server_tls.as_ref().map(ServerTls::load).transpose().context("TLS for other nodes")?;
    let options =
        ServeOptions { tls, bytes_in_flight_max: BYTES_IN_FLIGHT_MAX, ..ServeOptions::new(identity.clone()) };
    Ok(tokio::spawn(serve(listener, options, router, http, closed(stopped))))
}
