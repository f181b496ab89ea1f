//! The options of the `prometheus_client` output.

use std::time::Duration;

use hyper::HeaderMap;

use super::ip_range::IpRange;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::exposition::{self, Kinds, Layout, Names, Sanitization};
use crate::net::http;
use crate::net::stream::HostPort;
use crate::net::tls_server::ServerTls;
use crate::paths::HostPaths;

/// What `[[outputs.prometheus_client]]` sets.
pub(super) struct Options {
    pub(super) listen: HostPort,
    pub(super) path: String,
    pub(super) exposition: exposition::Options,
    pub(super) export_timestamp: bool,
    /// A series that nobody adds to is forgotten after so long; `None` is never.
    pub(super) expiration: Option<Duration>,
    /// Whether the page tells about this process as well.
    pub(super) process: bool,
    /// Empty allows everybody.
    pub(super) ip_ranges: Vec<IpRange>,
    /// The value of `Authorization` that is asked for.
    pub(super) authorization: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) read_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) tls: Option<ServerTls>,
    /// Where this process is described.
    pub(super) paths: HostPaths,
}

impl Options {
    pub(super) fn from_section(section: &mut Section, context: &Context) -> Result<Self, ConfigError> {
        let listen = section.string("listen")?.filter(|text| !text.is_empty());
        let listen =
            address(listen.as_deref().unwrap_or(":9273")).map_err(|why| section.bad("listen", why))?;
        let path = section.string("path")?.filter(|path| !path.is_empty());
        let path = path.unwrap_or_else(|| "/metrics".to_owned());
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        let layout = match section.integer("metric_version")? {
            None | Some(0 | 1) => Layout::One,
            Some(2) => Layout::Two,
            Some(other) => return Err(section.bad("metric_version", format!("{other} is neither 1 nor 2"))),
        };
        let sanitization = match section.string("name_sanitization")?.as_deref() {
            None | Some("" | "legacy") => Sanitization::Legacy,
            Some("utf8") => Sanitization::Utf8,
            Some(other) => {
                let reason = format!("{other:?} is neither \"legacy\" nor \"utf8\"");
                return Err(section.bad("name_sanitization", reason));
            }
        };
        let exposition = exposition::Options {
            layout,
            string_as_label: section.boolean("string_as_label")?.unwrap_or(true),
            names: Names { sanitization, layout },
            kinds: Kinds::from_section(section, "metric_types")?,
        };
        let excluded = section.strings("collectors_exclude")?.unwrap_or_default();
        if let Some(unknown) =
            excluded.iter().find(|name| !matches!(name.as_str(), "gocollector" | "process"))
        {
            let reason = format!("{unknown:?} is neither \"gocollector\" nor \"process\"");
            return Err(section.bad("collectors_exclude", reason));
        }
        let ranges = section.strings("ip_range")?.unwrap_or_default();
        let ip_ranges = ranges
            .iter()
            .map(|text| IpRange::parse(text).map_err(|why| section.bad("ip_range", why)))
            .collect::<Result<_, _>>()?;
        let username = section.string("basic_username")?.unwrap_or_default();
        let password = section.string("basic_password")?.unwrap_or_default();
        let headers = section.string_table("http_headers")?.unwrap_or_default();
        let headers =
            http::headers("http_headers", &headers).map_err(|why| section.bad("http_headers", why))?;
        let expiration = section.duration("expiration_interval")?.unwrap_or(60_000_000_000).unsigned_abs();
        let mut timeout = |key| {
            let nanos = section.duration(key)?.filter(|&nanos| nanos > 0).unwrap_or(10_000_000_000);
            Ok::<_, ConfigError>(Duration::from_nanos(nanos.unsigned_abs()))
        };
        let (read_timeout, write_timeout) = (timeout("read_timeout")?, timeout("write_timeout")?);
        Ok(Self {
            listen,
            path,
            exposition,
            export_timestamp: section.boolean("export_timestamp")?.unwrap_or(false),
            expiration: (expiration > 0).then(|| Duration::from_nanos(expiration)),
            process: !excluded.iter().any(|name| name == "process"),
            ip_ranges,
            authorization: (!username.is_empty() || !password.is_empty())
                .then(|| http::basic_authorization(&username, &password)),
            headers,
            read_timeout,
            write_timeout,
            tls: ServerTls::from_section(section)?,
            paths: context.paths.clone(),
        })
    }
}

/// `:9273`, `host:9273` or `tcp://host:9273`.
fn address(text: &str) -> Result<HostPort, String> {
    let text = text.strip_prefix("tcp://").unwrap_or(text);
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("{scheme:?} is not supported; write host:port"));
    }
    HostPort::parse(text, None)
}
