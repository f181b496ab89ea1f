//! Where copies go: an HTTP API that takes InfluxDB's `/write`, or a UDP port that takes line protocol.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use reqwest::Url;
use tokio::{
    net::{UdpSocket, lookup_host},
    sync::Mutex,
};

use crate::lane::Copy;

/// Bytes of a refusal that are told in the log.
const REASON_BYTES_MAX: usize = 200;

/// Why a URL is no destination.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadDestination {
    #[error("{0:?} is no URL")]
    NoUrl(String),
    #[error("{0:?} has neither of the schemes http, https and udp")]
    Scheme(String),
    #[error("{0:?} lacks a host or a port")]
    Address(String),
}

/// Why a copy was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("{}", cause(.0))]
    Http(#[from] reqwest::Error),
    #[error("answered {status}: {reason}")]
    Refused { status: reqwest::StatusCode, reason: String },
    #[error("cannot send to {address}: {source}")]
    Udp { address: String, source: std::io::Error },
}

/// A destination and what has become of the copies sent there.
#[derive(Debug)]
pub(crate) struct Destination {
    /// As the subscription names it.
    pub(crate) url: String,
    way: Way,
    pub(crate) points_written: AtomicU64,
    pub(crate) write_failures: AtomicU64,
    /// Whether the latest copy failed; told once, not with each.
    is_failing: AtomicBool,
}

#[derive(Debug)]
enum Way {
    /// The URL of its `/write`.
    Http(Url),
    /// `host:port`, and a socket once the host was found.
    Udp(String, Mutex<Option<UdpSocket>>),
}

impl Destination {
    /// Reads a URL, as `CREATE SUBSCRIPTION` takes it.
    pub(crate) fn parse(url: &str) -> Result<Self, BadDestination> {
        // Without a host it is this machine, as in Go.
        let in_full = url.replacen("://:", "://localhost:", 1);
        let parsed = Url::parse(&in_full).map_err(|_| BadDestination::NoUrl(url.to_owned()))?;
        let way = match parsed.scheme() {
            "http" | "https" => Way::Http(write_url(parsed)),
            "udp" => {
                let address = parsed.host_str().zip(parsed.port());
                let (host, port) = address.ok_or_else(|| BadDestination::Address(url.to_owned()))?;
                Way::Udp(format!("{host}:{port}"), Mutex::new(None))
            }
            _ => return Err(BadDestination::Scheme(url.to_owned())),
        };
        Ok(Self {
            url: url.to_owned(),
            way,
            points_written: AtomicU64::new(0),
            write_failures: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        })
    }

    /// For the log: the URL may hold a password.
    fn place(&self) -> &str {
        let (_, behind_scheme) = self.url.split_once("://").unwrap_or_default();
        behind_scheme.rsplit_once('@').map_or(behind_scheme, |(_, address)| address)
    }

    /// Sends a copy and counts what became of it; whether it was taken.
    pub(crate) async fn deliver(&self, http: &reqwest::Client, copy: &Copy) -> bool {
        let sent = match &self.way {
            Way::Http(url) => post(http, url.clone(), copy).await,
            Way::Udp(address, socket) => send_datagrams(address, socket, copy).await,
        };
        let was_failing = self.is_failing.swap(sent.is_err(), Ordering::Relaxed);
        match sent {
            Ok(()) => {
                self.points_written.fetch_add(copy.points(), Ordering::Relaxed);
                if was_failing {
                    tracing::info!(destination = self.place(), "a subscriber takes writes again");
                }
                true
            }
            Err(error) => {
                self.write_failures.fetch_add(1, Ordering::Relaxed);
                if !was_failing {
                    tracing::warn!(destination = self.place(), %error, "a subscriber does not take writes");
                }
                false
            }
        }
    }
}

/// What lies at the bottom of a failed request: the text of the top names the URL again.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

/// `/write` below the path of the URL; its query goes, as in InfluxDB.
fn write_url(mut url: Url) -> Url {
    let path = format!("{}/write", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

async fn post(http: &reqwest::Client, mut url: Url, copy: &Copy) -> Result<(), SendError> {
    url.query_pairs_mut()
        .append_pair("consistency", "")
        .append_pair("db", &copy.database)
        .append_pair("precision", "ns")
        .append_pair("rp", &copy.retention_policy);
    let answer = http.post(url).body(copy.lines.clone()).send().await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let mut reason = answer.text().await.unwrap_or_default();
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    Err(SendError::Refused { status, reason: reason.trim_end().to_owned() })
}

/// One datagram a point, without a line feed, as InfluxDB sends them.
async fn send_datagrams(
    address: &str,
    socket: &Mutex<Option<UdpSocket>>,
    copy: &Copy,
) -> Result<(), SendError> {
    let failed = |source| SendError::Udp { address: address.to_owned(), source };
    let mut socket = socket.lock().await;
    let connected = match socket.take() {
        Some(connected) => connected,
        None => connect(address).await.map_err(failed)?,
    };
    for line in copy.each_line() {
        connected.send(line).await.map_err(failed)?;
    }
    // After a failure the host is looked up anew.
    *socket = Some(connected);
    Ok(())
}

async fn connect(address: &str) -> std::io::Result<UdpSocket> {
    let mut found = lookup_host(address).await?;
    let no_address = || std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
    let target = found.next().ok_or_else(no_address)?;
    let own: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(target).await?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(url: &str) -> String {
        match Destination::parse(url).map(|destination| destination.way) {
            Ok(Way::Http(url)) => url.to_string(),
            Ok(Way::Udp(address, _)) => address,
            Err(error) => format!("refused: {error}"),
        }
    }

    #[test]
    fn urls_become_places_to_write_to() {
        for (url, expected) in [
            ("http://h:8086", "http://h:8086/write"),
            ("https://u:p@h:443/proxy/?x=1#y", "https://u:p@h/proxy/write"),
            ("http://:9999", "http://localhost:9999/write"),
            ("udp://h:9000", "h:9000"),
            ("udp://[::1]:9000/x", "[::1]:9000"),
        ] {
            assert_eq!(way(url), expected, "{url}");
        }
        for url in ["ftp://h:1", "udp://h", "nothing"] {
            assert!(way(url).starts_with("refused"), "{url}");
        }
    }

    #[test]
    fn the_log_does_not_tell_passwords() {
        let place = |url: &str| Destination::parse(url).unwrap().place().to_owned();
        assert_eq!(place("https://user:p@ss@h:8086/a"), "h:8086/a");
        assert_eq!(place("udp://h:9000"), "h:9000");
    }
}
