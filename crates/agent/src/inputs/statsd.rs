//! `statsd`: counters, gauges, sets and timings that applications send, summed up for every interval.
//!
//! ```text
//!   datagrams, connections -> lines ([`line`]) -> Store ([`store`]) --tick--> metrics
//! ```

mod datadog;
mod line;
mod name;
mod options;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::GatherError;
use crate::metric::Metric;
use crate::net::address::{Address, DatagramSocket, NOWHERE, Stream, StreamListener};
use crate::service::{Feed, Service, ServiceFuture};
use options::Options;
use store::Store;

/// Largest datagram there is.
const DATAGRAM_MAX: usize = 64 * 1024;
/// Bytes of a line over TCP.
const LINE_MAX: usize = 64 * 1024;
/// Until connections are accepted again after that failed, as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The input.
#[derive(Debug)]
struct Statsd {
    options: Arc<Options>,
    store: Arc<Mutex<Store>>,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Service>, ConfigError> {
    let options = Arc::new(Options::from_section(section, context)?);
    let store = Arc::new(Mutex::new(Store::new(options.store.clone(), crate::agent::wall_clock_ns())));
    Ok(Box::new(Statsd { options, store }))
}

impl Service for Statsd {
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a> {
        Box::pin(async move {
            let address = &self.options.address;
            let bound = |error| GatherError::Service {
                service: address.to_string(),
                reason: format!("cannot listen: {error}"),
            };
            let intake = Intake {
                options: Arc::clone(&self.options),
                store: Arc::clone(&self.store),
                feed: feed.clone(),
            };
            let mut receiving = JoinSet::new();
            match address {
                Address::Udp(_) | Address::Unixgram(_) => {
                    let socket =
                        DatagramSocket::bind(address, None, self.options.read_buffer).await.map_err(bound)?;
                    receiving.spawn(intake.datagrams(socket));
                }
                Address::Tcp(_) | Address::Unix(_) => {
                    let listener = StreamListener::bind(address, None).await.map_err(bound)?;
                    receiving.spawn(intake.connections(listener));
                }
            }
            loop {
                let mut ticks = feed.clone();
                tokio::select! {
                    now_ns = feed.tick() => feed.send_collected(self.flushed(now_ns)).await,
                    () = ticks.stopped() => {
                        // What came since the last tick is told as well, at its very time: rounded it might take the
                        // place of what the tick told.
                        feed.send(self.flushed(crate::agent::wall_clock_ns())).await;
                        return Ok(());
                    }
                }
            }
        })
    }
}

impl Statsd {
    fn flushed(&self, now_ns: i64) -> Vec<Metric> {
        let mut metrics = Vec::new();
        self.store.lock().flush(now_ns, &mut metrics);
        metrics
    }
}

/// What takes lines in.
#[derive(Clone)]
struct Intake {
    options: Arc<Options>,
    store: Arc<Mutex<Store>>,
    feed: Feed,
}

impl Intake {
    async fn datagrams(self, socket: DatagramSocket) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            match socket.receive(&mut buffer).await {
                Ok((length, peer)) => self.take(&buffer[..length], peer).await,
                Err(error) => {
                    self.complain(&error.to_string()).await;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connections(self, listener: StreamListener) {
        let places = Arc::new(Semaphore::new(self.options.connections_max));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let intake = self.clone();
                    connections.spawn(async move {
                        intake.connection(stream, peer).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    self.complain(&error.to_string()).await;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(&self, mut stream: Stream, peer: SocketAddr) {
        if let (Some(period), Stream::Tcp(tcp)) = (self.options.keep_alive, &stream) {
            // A system that refuses keeps its own period.
            rustix::net::sockopt::set_socket_keepalive(tcp, true).ok();
            if !period.is_zero() {
                rustix::net::sockopt::set_tcp_keepidle(tcp, period).ok();
            }
        }
        let mut buffer = Vec::new();
        loop {
            match stream.read_buf(&mut buffer).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    self.complain(&format!("{peer}: {error}")).await;
                    break;
                }
            }
            if let Some(end) = memchr::memrchr(b'\n', &buffer) {
                self.take(&buffer[..end], peer).await;
                buffer.drain(..=end);
            } else if buffer.len() > LINE_MAX {
                self.complain(&format!("{peer}: a line of more than {LINE_MAX} bytes")).await;
                return;
            }
        }
        self.take(&buffer, peer).await;
    }

    /// Takes lines; a bad one costs only itself.
    async fn take(&self, data: &[u8], peer: SocketAddr) {
        let peer = if peer == NOWHERE { String::new() } else { peer.ip().to_string() };
        let mut events = Vec::new();
        let mut first_fault = None;
        {
            let mut store = self.store.lock();
            let now_ns = crate::agent::wall_clock_ns();
            for line in data.split(|byte| *byte == b'\n') {
                let text = String::from_utf8_lossy(line);
                let text = text.trim();
                if text.is_empty() {
                    continue;
                }
                if let Err(reason) = self.take_line(&mut store, text, &peer, now_ns, &mut events) {
                    first_fault.get_or_insert_with(|| format!("{text:?}: {reason}"));
                }
            }
        }
        if !events.is_empty() {
            self.feed.send(events).await;
        }
        if let Some(fault) = first_fault {
            self.complain(&fault).await;
        }
    }

    fn take_line(
        &self,
        store: &mut Store,
        text: &str,
        peer: &str,
        now_ns: i64,
        events: &mut Vec<Metric>,
    ) -> Result<(), String> {
        if self.options.datadog
            && let Some(event) = datadog::event_or_check(text, peer, now_ns)?
        {
            events.push(event);
            return Ok(());
        }
        for sample in line::parse(text, self.options.datadog, self.options.datadog_distributions)? {
            let (measurement, field, mut tags) = self.options.names.resolve(&sample.bucket);
            sample.tags.into_iter().for_each(|(key, value)| {
                tags.insert(key, value);
            });
            if !self.options.keep_container_tag {
                tags.remove("container");
            }
            store.add(measurement, field, tags, sample.value, now_ns)?;
        }
        Ok(())
    }

    async fn complain(&self, reason: &str) {
        let service = self.options.address.to_string();
        self.feed.report(GatherError::Service { service, reason: reason.to_owned() }).await;
    }
}

#[cfg(test)]
mod tests;
