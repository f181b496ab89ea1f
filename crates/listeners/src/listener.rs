//! Listeners from their binding to their end.

use std::{io, sync::Arc};

use skywatch_monitor::Monitor;
use skywatch_tls::ServerTls;
use tokio::{
    net::{TcpListener, UdpSocket, lookup_host},
    sync::watch,
    task::JoinSet,
};

use crate::{
    batch::{Gatherer, write_batches},
    collectd_socket::{self, AuthFile, CollectdConfig},
    connections, datagrams,
    graphite_socket::{self, GraphiteConfig, GraphiteLines, Protocol},
    opentsdb_socket::{OpenTsdb, OpenTsdbConfig},
    sink::PointSink,
    statistics::Counters,
    udp_socket::{self, UdpConfig},
};

/// Why a listener cannot have its address.
#[derive(Debug, thiserror::Error)]
#[error("[[{section}]] cannot listen on {address} ({protocol})")]
pub struct BindError {
    section: &'static str,
    address: String,
    protocol: &'static str,
    #[source]
    source: io::Error,
}

/// A socket that is bound and not read yet.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    counters: Arc<Counters>,
}

#[derive(Debug)]
enum Kind {
    Udp(UdpSocket, UdpConfig),
    GraphiteTcp(TcpListener, GraphiteConfig),
    GraphiteUdp(UdpSocket, GraphiteConfig),
    Collectd(UdpSocket, CollectdConfig),
    OpenTsdb(TcpListener, OpenTsdbConfig, Option<ServerTls>),
}

/// Listeners that are running.
#[derive(Debug)]
pub struct Listeners {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Listener {
    /// Takes the address of a listener for line protocol.
    pub async fn bind_udp(config: UdpConfig) -> Result<Self, BindError> {
        let socket = datagrams::bind(&config.bind, config.read_buffer_bytes).await;
        let socket = socket.map_err(|source| bind_error("udp", &config.bind, "udp", source))?;
        let counters = Counters::new("udp", vec![("bind", config.bind.clone())]);
        Ok(Self { kind: Kind::Udp(socket, config), counters: Arc::new(counters) })
    }

    /// Takes the address of a Graphite listener.
    pub async fn bind_graphite(config: GraphiteConfig) -> Result<Self, BindError> {
        let name = config.protocol.name();
        let tags = vec![("proto", name.to_owned()), ("bind", config.bind.clone())];
        let failed = |source| bind_error("graphite", &config.bind, name, source);
        let kind = match config.protocol {
            Protocol::Tcp => {
                let candidates = addresses(&config.bind).await.map_err(failed)?;
                let listener = TcpListener::bind(candidates.as_slice()).await.map_err(failed)?;
                Kind::GraphiteTcp(listener, config)
            }
            Protocol::Udp => {
                let socket = datagrams::bind(&config.bind, config.read_buffer_bytes).await;
                Kind::GraphiteUdp(socket.map_err(failed)?, config)
            }
        };
        Ok(Self { kind, counters: Arc::new(Counters::new("graphite", tags)) })
    }

    /// Takes the address of a listener for collectd.
    pub async fn bind_collectd(config: CollectdConfig) -> Result<Self, BindError> {
        let socket = datagrams::bind(&config.bind, config.read_buffer_bytes).await;
        let socket = socket.map_err(|source| bind_error("collectd", &config.bind, "udp", source))?;
        let counters = Counters::new("collectd", vec![("bind", config.bind.clone())]);
        Ok(Self { kind: Kind::Collectd(socket, config), counters: Arc::new(counters) })
    }

    /// Takes the address of a listener for OpenTSDB, whose certificate is read if there is to be one.
    pub async fn bind_opentsdb(config: OpenTsdbConfig) -> Result<Self, BindError> {
        let failed = |source| bind_error("opentsdb", &config.bind, "tcp", source);
        let tls = config.tls.as_ref().map(ServerTls::load).transpose();
        let tls = tls.map_err(|error| failed(io::Error::other(error)))?;
        let candidates = addresses(&config.bind).await.map_err(failed)?;
        let listener = TcpListener::bind(candidates.as_slice()).await.map_err(failed)?;
        let counters = Counters::new("opentsdb", vec![("bind", config.bind.clone())]);
        Ok(Self { kind: Kind::OpenTsdb(listener, config, tls), counters: Arc::new(counters) })
    }

    fn start(self, sink: &Arc<dyn PointSink>, running: &mut Listeners) {
        let Self { kind, counters } = self;
        let batches = match &kind {
            Kind::Udp(_, config) => config.batch.clone(),
            Kind::GraphiteTcp(_, config) | Kind::GraphiteUdp(_, config) => config.batch.clone(),
            Kind::Collectd(_, config) => config.batch.clone(),
            Kind::OpenTsdb(_, config, _) => config.batch.clone(),
        };
        let (gatherer, waiting) = Gatherer::new(batches.clone());
        let stop = running.stop.subscribe();
        let writing = write_batches(batches, waiting, Arc::clone(sink), Arc::clone(&counters), stop.clone());
        running.tasks.spawn(writing);
        match kind {
            Kind::Udp(socket, config) => {
                running.tasks.spawn(udp_socket::read(socket, config.precision, gatherer, counters, stop));
            }
            Kind::GraphiteTcp(listener, config) => {
                let lines = GraphiteLines::new(config.parser, counters);
                running.tasks.spawn(connections::accept(listener, lines, gatherer, stop));
            }
            Kind::OpenTsdb(listener, config, tls) => {
                let lines = OpenTsdb::new(config, tls, Arc::clone(sink), counters);
                running.tasks.spawn(connections::accept(listener, lines, gatherer, stop));
            }
            Kind::Collectd(socket, CollectdConfig { parser, auth_file, .. }) => {
                let passwords = AuthFile::new(auth_file);
                let reading = collectd_socket::read(socket, parser, passwords, gatherer, counters, stop);
                running.tasks.spawn(reading);
            }
            Kind::GraphiteUdp(socket, config) => {
                running.tasks.spawn(graphite_socket::read(socket, config.parser, gatherer, counters, stop));
            }
        }
    }
}

impl Listeners {
    /// Begins to read from all of them; what they count is told to `monitor`.
    pub fn start(listeners: Vec<Listener>, sink: &Arc<dyn PointSink>, monitor: &Monitor) -> Self {
        let (stop, _) = watch::channel(false);
        let mut running = Self { stop, tasks: JoinSet::new() };
        for listener in listeners {
            monitor.add(Arc::clone(&listener.counters) as _);
            listener.start(sink, &mut running);
        }
        running
    }

    /// Reads no more, writes what was read, and returns.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if ended.is_err() {
                tracing::error!("a listener panicked");
            }
        }
    }
}

/// The addresses that a setting stands for; without a host all of this machine's.
pub(crate) async fn addresses(bind: &str) -> io::Result<Vec<std::net::SocketAddr>> {
    let Some(port) = bind.strip_prefix(':') else { return Ok(lookup_host(bind).await?.collect()) };
    let mut found: Vec<_> = lookup_host(format!("[::]:{port}")).await?.collect();
    found.extend(lookup_host(format!("0.0.0.0:{port}")).await?);
    Ok(found)
}

fn bind_error(section: &'static str, address: &str, protocol: &'static str, source: io::Error) -> BindError {
    BindError { section, address: address.to_owned(), protocol, source }
}

/// Completes when the listeners are told to stop, or are gone.
pub(crate) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stopping| *stopping).await);
}
