//! `socket_listener`: metrics that come over connections or in datagrams, in any data format.

mod framing;
mod options;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::GatherError;
use crate::net::address::{Address, DatagramSocket, NOWHERE, Stream, StreamListener};
use crate::net::request::{BodyError, unpack};
use crate::net::tls_server::ServerTls;
use crate::parser::{Defaults, Parser};
use crate::service::{Feed, Service, ServiceFuture};
use framing::Deframer;
use options::Options;

/// Largest datagram there is.
const DATAGRAM_MAX: usize = 64 * 1024;
/// Bytes read from a connection at once.
const CHUNK: usize = 64 * 1024;
/// For the handshake of TLS.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Until connections are accepted again after that failed, as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The input.
#[derive(Debug)]
struct SocketListener {
    options: Arc<Options>,
    tls: Option<ServerTls>,
    parser: Box<dyn Parser>,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Service>, ConfigError> {
    let options = Arc::new(Options::from_section(section)?);
    let tls = ServerTls::from_section(section)?;
    let parser = crate::parsers::from_section(section, context, "influx")?;
    Ok(Box::new(SocketListener { options, tls, parser }))
}

impl Service for SocketListener {
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a> {
        Box::pin(async move {
            let options = Arc::clone(&self.options);
            let address = &options.address;
            let failed = |reason| GatherError::Service { service: address.to_string(), reason };
            let bound = |error| failed(format!("cannot listen: {error}"));
            let mode = options.socket_mode;
            match address {
                Address::Tcp(_) | Address::Unix(_) => {
                    let tls = self.tls.as_ref().map(ServerTls::acceptor).transpose().map_err(failed)?;
                    let listener = StreamListener::bind(address, mode).await.map_err(bound)?;
                    self.connections(listener, tls, feed).await;
                }
                Address::Udp(_) | Address::Unixgram(_) => {
                    let socket =
                        DatagramSocket::bind(address, mode, options.read_buffer).await.map_err(bound)?;
                    self.datagrams(&socket, feed).await;
                }
            }
            Ok(())
        })
    }
}

impl SocketListener {
    async fn connections(&mut self, listener: StreamListener, tls: Option<TlsAcceptor>, feed: &mut Feed) {
        let places = Arc::new(Semaphore::new(self.options.connections_max));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            // Connections beyond the limit wait in the system's queue.
            let accepted = tokio::select! {
                accepted = async {
                    let place = Arc::clone(&places).acquire_owned().await;
                    (place, listener.accept().await)
                } => accepted,
                // Connections end with the task that owns them; what they have read is handed on.
                () = feed.stopped() => return,
            };
            let (stream, peer) = match accepted {
                (place, Ok((stream, peer))) if self.options.allows(peer) => ((stream, place), peer),
                (_, Ok(_)) => continue,
                (_, Err(error)) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let intake = Intake::new(&self.options, self.parser.fresh(), feed.clone(), peer);
            let tls = tls.clone();
            connections.spawn(async move {
                let (stream, _place) = stream;
                intake.connection(stream, tls).await;
            });
        }
    }

    async fn datagrams(&mut self, socket: &DatagramSocket, feed: &mut Feed) {
        let mut intake = Intake::new(&self.options, self.parser.fresh(), feed.clone(), NOWHERE);
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            let received = tokio::select! {
                received = socket.receive(&mut buffer) => received,
                () = feed.stopped() => return,
            };
            match received {
                Ok((length, peer)) if self.options.allows(peer) => {
                    intake.peer = peer;
                    let data = Bytes::copy_from_slice(&buffer[..length]);
                    intake.take(data).await;
                    intake.hand_on().await;
                }
                Ok(_) => {}
                Err(error) => {
                    intake.complain(&error.to_string()).await;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// What comes from one peer: unpacked, parsed, handed on.
struct Intake {
    options: Arc<Options>,
    parser: Box<dyn Parser>,
    feed: Feed,
    peer: SocketAddr,
    metrics: Vec<crate::metric::Metric>,
}

impl Intake {
    fn new(options: &Arc<Options>, parser: Box<dyn Parser>, feed: Feed, peer: SocketAddr) -> Self {
        Self { options: Arc::clone(options), parser, feed, peer, metrics: Vec::new() }
    }

    async fn connection(mut self, stream: Stream, tls: Option<TlsAcceptor>) {
        if let (Some(period), Stream::Tcp(tcp)) = (self.options.keep_alive, &stream) {
            // A system that refuses keeps its own period.
            rustix::net::sockopt::set_socket_keepalive(tcp, !period.is_zero()).ok();
            if !period.is_zero() {
                rustix::net::sockopt::set_tcp_keepidle(tcp, period).ok();
            }
        }
        match tls {
            None => self.read(stream).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.read(stream).await,
                Ok(Err(error)) => self.complain(&format!("TLS: {error}")).await,
                Err(_) => self.complain("no TLS handshake in time").await,
            },
        }
    }

    async fn read(&mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut deframer = Deframer::new(self.options.framing.clone(), self.options.message_max);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match self.options.read_timeout {
                None => stream.read(&mut chunk).await,
                Some(limit) => match tokio::time::timeout(limit, stream.read(&mut chunk)).await {
                    Ok(read) => read,
                    Err(_) => return self.complain("silent for too long; the connection is closed").await,
                },
            };
            match read {
                Ok(0) => break,
                Ok(length) => deframer.add(&chunk[..length]),
                Err(error) => {
                    self.complain(&error.to_string()).await;
                    break;
                }
            }
            while let Some(message) = deframer.next() {
                match message {
                    Ok(data) => self.take(data).await,
                    Err(reason) => self.complain(&reason).await,
                }
            }
            self.hand_on().await;
        }
        if let Some(rest) = deframer.finish() {
            self.take(rest).await;
        }
        self.hand_on().await;
        // Says goodbye to a peer that waits for it, as TLS has it.
        tokio::time::timeout(HANDSHAKE_MAX, stream.shutdown()).await.ok();
    }

    /// One message.
    async fn take(&mut self, data: Bytes) {
        let data = match unpack(data, &self.options.encoding, self.options.unpacked_max) {
            Ok(data) => data,
            Err(BodyError::TooLarge) => return self.complain("a message unpacks to more than allowed").await,
            Err(BodyError::Broken(why) | BodyError::Encoding(why)) => return self.complain(&why).await,
        };
        let now_ns = crate::agent::wall_clock_ns();
        let defaults = Defaults { name: "socket_listener".into(), now_ns };
        let before = self.metrics.len();
        let parsed = self.parser.parse(&data, &defaults, &mut self.metrics);
        for metric in &mut self.metrics[before..] {
            if self.options.receive_time {
                metric.time_ns = now_ns;
            }
        }
        if let Err(error) = parsed {
            self.complain(&error.to_string()).await;
        }
    }

    async fn hand_on(&mut self) {
        self.feed.send(std::mem::take(&mut self.metrics)).await;
    }

    async fn complain(&mut self, reason: &str) {
        let service = match self.peer {
            NOWHERE => self.options.address.to_string(),
            peer => format!("{} from {}", self.options.address, peer.ip()),
        };
        self.feed.report(GatherError::Service { service, reason: reason.to_owned() }).await;
    }
}

#[cfg(test)]
mod tests;
