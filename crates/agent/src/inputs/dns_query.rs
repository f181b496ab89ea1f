//! `dns_query`: whether name servers answer, what, and how fast.
//!
//! Every domain is asked of every server, all at the same time and each with its time limit. [`answer`] makes fields of
//! what comes.

mod answer;

use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::net_response::connected_udp;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::net::parallel::{Asked, Parallel};
use answer::Include;

/// Types of records that Telegraf asks for; SPF was the 99th until it was given up.
const TYPES: [(&str, RecordType); 11] = [
    ("A", RecordType::A),
    ("AAAA", RecordType::AAAA),
    ("ANY", RecordType::ANY),
    ("CNAME", RecordType::CNAME),
    ("MX", RecordType::MX),
    ("NS", RecordType::NS),
    ("PTR", RecordType::PTR),
    ("SOA", RecordType::SOA),
    ("SPF", RecordType::Unknown(99)),
    ("SRV", RecordType::SRV),
    ("TXT", RecordType::TXT),
];

/// The input.
#[derive(Debug)]
struct DnsQuery {
    options: Options,
    parallel: Parallel,
}

/// What `[[inputs.dns_query]]` sets.
#[derive(Debug)]
struct Options {
    servers: Vec<String>,
    tcp: bool,
    domains: Vec<(String, Name)>,
    record_type: (String, RecordType),
    port: u16,
    timeout: Duration,
    include: Include,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(DnsQuery { options: Options::from_section(section)?, parallel: Parallel::default() }))
}

impl Options {
    fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let servers = section.strings("servers")?.unwrap_or_default();
        if servers.is_empty() {
            return Err(section.bad("servers", "there is no server to ask; list at least one"));
        }
        let tcp = match section.string("network")?.as_deref() {
            None | Some("" | "udp" | "udp4" | "udp6") => false,
            Some("tcp" | "tcp4" | "tcp6") => true,
            Some(other) => {
                return Err(section.bad("network", format!("{other:?} is neither \"udp\" nor \"tcp\"")));
            }
        };
        let domains = section.strings("domains")?.filter(|list| !list.is_empty());
        // Without domains the root is asked, of which there are name servers only.
        let kind = section.string("record_type")?.filter(|text| domains.is_some() && !text.is_empty());
        let record_type =
            record_type(kind.as_deref().unwrap_or("NS")).map_err(|why| section.bad("record_type", why))?;
        let domains = domains
            .unwrap_or_else(|| vec![".".to_owned()])
            .into_iter()
            .map(|text| match fully_qualified(&text) {
                Ok(name) => Ok((text, name)),
                Err(why) => Err(section.bad("domains", why)),
            })
            .collect::<Result<_, _>>()?;
        let port = section.count("port")?.filter(|&port| port > 0).unwrap_or(53);
        let port = u16::try_from(port).map_err(|_| section.bad("port", format!("{port} is no port")))?;
        // A bare number is seconds here as everywhere.
        let timeout = section.duration("timeout")?.filter(|&nanos| nanos > 0).unwrap_or(2_000_000_000);
        let mut include = Include::default();
        for field in section.strings("include_fields")?.unwrap_or_default() {
            match field.as_str() {
                "first_ip" => include.first_ip = true,
                "all_ips" => include.all_ips = true,
                other => {
                    let reason = format!("{other:?} is neither \"first_ip\" nor \"all_ips\"");
                    return Err(section.bad("include_fields", reason));
                }
            }
        }
        let timeout = Duration::from_nanos(timeout.unsigned_abs());
        Ok(Self { servers, tcp, domains, record_type, port, timeout, include })
    }
}

fn record_type(text: &str) -> Result<(String, RecordType), String> {
    let wanted = text.to_ascii_uppercase();
    let known = TYPES.iter().find(|(name, _)| *name == wanted);
    known.map(|(name, kind)| ((*name).to_owned(), *kind)).ok_or_else(|| {
        let names: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
        format!("{text:?} is none of {}", names.join(", "))
    })
}

fn fully_qualified(text: &str) -> Result<Name, String> {
    let mut name = Name::from_str(text).map_err(|error| format!("{text:?}: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}

impl Input for DnsQuery {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let Self { options, parallel } = self;
        let (options, now_ns) = (&*options, acc.now_ns());
        let pairs = options
            .domains
            .iter()
            .flat_map(|domain| options.servers.iter().map(move |server| (domain, server)));
        let targets = pairs.map(|((domain, name), server)| {
            let metric = Metric::new("dns_query", now_ns)
                .tag("server", server)
                .tag("domain", domain)
                .tag("record_type", &options.record_type.0);
            let asked = async move { ask(options, metric, server, name).await };
            (format!("{} of {domain} from {server}", options.record_type.0), asked)
        });
        // The time limit of a query is its own and makes a metric; this one is for what cannot be waited for otherwise.
        parallel.ask(acc, options.timeout + Duration::from_secs(1), targets)
    }
}

async fn ask(options: &Options, metric: Metric, server: &str, name: &Name) -> Asked {
    let start = Instant::now();
    let exchange = exchange(options, server, name);
    let Ok(answer) = tokio::time::timeout(options.timeout, exchange).await else {
        let metric = metric.tag("result", "timeout").field("result_code", 1_u64);
        return Asked { metrics: vec![metric], problem: None };
    };
    match answer {
        Ok(message) => answer::finished(metric, &message, start.elapsed(), options.include),
        Err(reason) => {
            let metric = metric.tag("result", "error").field("result_code", 2_u64);
            Asked { metrics: vec![metric], problem: Some(reason) }
        }
    }
}

async fn exchange(options: &Options, server: &str, name: &Name) -> Result<Message, String> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), options.record_type.1));
    let query = message.to_vec().map_err(|error| format!("cannot write the question: {error}"))?;
    let said = |error: io::Error| error.to_string();
    if options.tcp {
        let answer = over_tcp(server, options.port, &query).await.map_err(said)?;
        return Message::from_vec(&answer).map_err(|error| format!("cannot understand the answer: {error}"));
    }
    let socket = connected_udp(server, options.port).await.map_err(said)?;
    socket.send(&query).await.map_err(said)?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(said)?;
        let answer = Message::from_vec(buffer.get(..length).unwrap_or_default());
        let answer = answer.map_err(|error| format!("cannot understand the answer: {error}"))?;
        // One to a question of before, or somebody's guess.
        if answer.metadata.id == message.metadata.id {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: &str, port: u16, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((server, port)).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests;
