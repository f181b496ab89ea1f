//! `zookeeper`: the figures of ZooKeeper servers, by the four-letter word `mntr`.
//!
//! All servers are asked at the same time within one deadline; [`mntr`] reads what they answer.

mod mntr;

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::net::parallel::Parallel;
use crate::net::stream::{self, Connector, HostPort};
use crate::net::tls::ClientTls;

/// The port of a server whose address has none.
const PORT: u16 = 2181;
/// The answer of one server, at most: a few hundred lines.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The time for all servers, unless the options have one of at least a second.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The input.
#[derive(Debug)]
struct ZooKeeper {
    servers: Vec<HostPort>,
    timeout: Duration,
    /// Whether numbers with a fraction become numbers; as texts they came for years.
    parse_floats: bool,
    tls: Option<Connector>,
    parallel: Parallel,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let mut servers = section.strings("servers")?.unwrap_or_default();
    if servers.is_empty() {
        servers.push(format!(":{PORT}"));
    }
    let servers = servers
        .iter()
        .map(|text| HostPort::parse(text, Some(PORT)).map_err(|why| section.bad("servers", why)))
        .collect::<Result<_, _>>()?;
    let timeout = Duration::from_nanos(section.duration("timeout")?.unwrap_or(0).unsigned_abs());
    let parse_floats = match section.string("parse_floats")?.as_deref() {
        None | Some("" | "string") => false,
        Some("float") => true,
        Some(other) => {
            return Err(section.bad("parse_floats", format!("{other:?} is neither \"string\" nor \"float\"")));
        }
    };
    // The names of `tls_enable` before it was common to all plugins.
    let old_names = [section.boolean("enable_tls")?, section.boolean("enable_ssl")?];
    let mut tls = ClientTls::from_section(section)?;
    tls.enabled = old_names.into_iter().flatten().next().unwrap_or(tls.enabled);
    Ok(Box::new(ZooKeeper {
        servers,
        timeout: if timeout < Duration::from_secs(1) { TIMEOUT } else { timeout },
        parse_floats,
        tls: Connector::new(&tls).map_err(|why| section.bad("tls_ca", why))?,
        parallel: Parallel::default(),
    }))
}

impl Input for ZooKeeper {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let Self { servers, timeout, parse_floats, tls, parallel } = self;
        let (tls, parse_floats, now_ns) = (tls.as_ref(), *parse_floats, acc.now_ns());
        let targets = servers.iter().map(|server| {
            let host = if server.host.is_empty() { "localhost" } else { &server.host };
            let asked = async move {
                let answer = ask(server, tls).await;
                answer
                    .and_then(|text| mntr::parse(&text, parse_floats, now_ns))
                    .map(|metric| vec![metric.tag("server", host).tag("port", server.port.to_string())])
                    .into()
            };
            (format!("ZooKeeper at {host} port {}", server.port), asked)
        });
        parallel.ask(acc, *timeout, targets)
    }
}

async fn ask(server: &HostPort, tls: Option<&Connector>) -> Result<Vec<u8>, String> {
    let mut stream = stream::tcp(server, tls).await?;
    stream.write_all(b"mntr\n").await.map_err(|error| format!("cannot send the command: {error}"))?;
    stream.flush().await.map_err(|error| format!("cannot send the command: {error}"))?;
    stream::read_to_end(&mut stream, ANSWER_BYTES_MAX).await
}

#[cfg(test)]
mod tests;
