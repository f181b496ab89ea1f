//! What inputs that listen have in common: options, and serving HTTP.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{ConfigError, Section};
use crate::input::GatherError;
use crate::net::address::{Address, StreamListener};
use crate::net::http_server::{Handler, HttpServer, Limits};
use crate::net::request::Credentials;
use crate::net::tls_server::ServerTls;
use crate::service::Feed;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 1024;

/// Where an input serves HTTP, and how long its clients may take.
#[derive(Debug)]
pub(super) struct HttpEntrance {
    address: Address,
    socket_mode: Option<u32>,
    tls: Option<ServerTls>,
    read_timeout: Duration,
    write_timeout: Duration,
}

impl HttpEntrance {
    /// Takes `service_address`, `socket_mode`, `read_timeout`, `write_timeout` and the options of TLS out of a table.
    pub(super) fn from_section(section: &mut Section, default: &str) -> Result<Self, ConfigError> {
        let address = section.string("service_address")?.filter(|text| !text.is_empty());
        let address = Address::parse(address.as_deref().unwrap_or(default))
            .map_err(|why| section.bad("service_address", why))?;
        Ok(Self {
            address,
            socket_mode: socket_mode(section)?,
            read_timeout: duration(section, "read_timeout")?,
            write_timeout: duration(section, "write_timeout")?,
            tls: ServerTls::from_section(section)?,
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// How long a body may take.
    pub(super) fn read_timeout(&self) -> Duration {
        self.read_timeout
    }

    /// Serves until the end of the agent.
    pub(super) async fn serve(&self, feed: &mut Feed, handler: impl Handler) -> Result<(), GatherError> {
        let failed = |reason| GatherError::Service { service: self.address.to_string(), reason };
        let tls = self.tls.as_ref().map(ServerTls::acceptor).transpose().map_err(failed)?;
        let listener = StreamListener::bind(&self.address, self.socket_mode)
            .await
            .map_err(|error| failed(format!("cannot listen: {error}")))?;
        let limits = Limits {
            connections_max: CONNECTIONS_MAX,
            read_timeout: self.read_timeout,
            write_timeout: self.write_timeout,
        };
        let server = HttpServer::start(listener, tls, limits, Arc::new(handler))
            .map_err(|error| failed(error.to_string()))?;
        feed.stopped().await;
        server.stop().await;
        Ok(())
    }
}

/// `read_timeout` or `write_timeout`: at least a second, ten without one.
fn duration(section: &mut Section, key: &'static str) -> Result<Duration, ConfigError> {
    let nanos = section.duration(key)?.unwrap_or(0);
    Ok(if nanos < 1_000_000_000 {
        Duration::from_secs(10)
    } else {
        Duration::from_nanos(nanos.unsigned_abs())
    })
}

/// A number of bytes that has to fit this machine's memory.
pub(super) fn bytes(section: &mut Section, key: &'static str) -> Result<Option<usize>, ConfigError> {
    match section.size(key)?.map(usize::try_from) {
        None => Ok(None),
        Some(Ok(bytes)) => Ok(Some(bytes)),
        Some(Err(_)) => Err(section.bad(key, "more than there can be")),
    }
}

/// `basic_username` and `basic_password`; both or none.
pub(super) fn credentials(section: &mut Section) -> Result<Option<Credentials>, ConfigError> {
    let username = section.string("basic_username")?.unwrap_or_default();
    let password = section.string("basic_password")?.unwrap_or_default();
    match (username.is_empty(), password.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(Credentials { username, password })),
        _ => Err(section.bad("basic_password", "basic_username and basic_password belong together")),
    }
}

/// `socket_mode`: permissions in octal digits.
pub(super) fn socket_mode(section: &mut Section) -> Result<Option<u32>, ConfigError> {
    match section.string("socket_mode")?.filter(|mode| !mode.is_empty()) {
        None => Ok(None),
        Some(text) => match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(Some(mode)),
            _ => Err(section.bad("socket_mode", format!("{text:?} are no permissions such as \"0660\""))),
        },
    }
}
