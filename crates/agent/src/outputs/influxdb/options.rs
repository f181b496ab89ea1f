//! The options of the `influxdb` output.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::config::{ConfigError, Section};
use crate::net::http::{Connecting, shown, unix_url};
use crate::net::tls::ClientTls;
use crate::serializers::influx::InfluxSerializer;

/// What `[[outputs.influxdb]]` sets.
pub(super) struct Options {
    pub(super) api: Api,
    pub(super) servers: Vec<Server>,
    pub(super) database: String,
    pub(super) database_tag: Option<String>,
    pub(super) exclude_database_tag: bool,
    pub(super) skip_database_creation: bool,
    /// Empty is the database's default.
    pub(super) retention_policy: String,
    pub(super) retention_policy_tag: Option<String>,
    pub(super) exclude_retention_policy_tag: bool,
    /// Sent as it is unless it is `one`, the default of a cluster.
    pub(super) write_consistency: Option<String>,
    pub(super) timeout: Duration,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) user_agent: String,
    pub(super) http_headers: BTreeMap<String, String>,
    pub(super) gzip: bool,
    pub(super) lines: InfluxSerializer,
    pub(super) rate_limit: Option<RateLimit>,
    /// Most bytes of a datagram.
    pub(super) udp_payload: usize,
    pub(super) tls: ClientTls,
    pub(super) connecting: Connecting,
}

/// How a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Api {
    /// `/write` with database and retention policy.
    V1,
    /// `/api/v2/write` with organization and bucket.
    V2 { organization: String, token: Option<String> },
}

/// So many bytes in every period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateLimit {
    pub(super) bytes: u64,
    pub(super) period: Duration,
}

/// What fits into a datagram of IPv4.
pub(super) const UDP_PAYLOAD_MAX: usize = 65_507;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    Http(Url),
    /// HTTP over a socket in the file system; the URL's path is that below which the API is.
    Unix {
        socket: PathBuf,
        url: Url,
    },
    /// Host and port.
    Udp(String),
}

impl Server {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(unix) = unix_url(text) {
            return unix.map(|(socket, url)| Self::Unix { socket, url });
        }
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        match (url.scheme(), url.host_str()) {
            ("http" | "https", Some(_)) => Ok(Self::Http(url)),
            ("udp", Some(host)) => Ok(Self::Udp(format!("{host}:{}", url.port().unwrap_or(8089)))),
            (scheme, _) => Err(format!("{scheme:?} is none of http, https, unix, http+unix, udp")),
        }
    }
}

/// For messages, without a password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => write!(f, "{}", shown(url)),
            Self::Unix { socket, .. } => write!(f, "unix://{}", socket.display()),
            Self::Udp(address) => write!(f, "udp://{address}"),
        }
    }
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let servers = servers(section, true)?;
        let consistency = section.string("write_consistency")?.filter(|c| !c.is_empty());
        if let Some(unknown) =
            consistency.as_deref().filter(|c| !matches!(*c, "any" | "one" | "quorum" | "all"))
        {
            return Err(
                section.bad("write_consistency", format!("{unknown:?} is none of any, one, quorum, all"))
            );
        }
        section.without_effect(
            "precision",
            "the agent's precision rounds timestamps; they are sent in nanoseconds",
        );
        Ok(Self {
            api: Api::V1,
            servers,
            udp_payload: section
                .size("udp_payload")?
                .and_then(|bytes| usize::try_from(bytes).ok())
                .filter(|&bytes| bytes > 0)
                .unwrap_or(512)
                .min(UDP_PAYLOAD_MAX),
            database: section
                .string("database")?
                .filter(|d| !d.is_empty())
                .unwrap_or_else(|| "telegraf".to_owned()),
            database_tag: section.string("database_tag")?.filter(|tag| !tag.is_empty()),
            exclude_database_tag: section.boolean("exclude_database_tag")?.unwrap_or(false),
            skip_database_creation: section.boolean("skip_database_creation")?.unwrap_or(false),
            retention_policy: section.string("retention_policy")?.unwrap_or_default(),
            retention_policy_tag: section.string("retention_policy_tag")?.filter(|tag| !tag.is_empty()),
            exclude_retention_policy_tag: section.boolean("exclude_retention_policy_tag")?.unwrap_or(false),
            write_consistency: consistency.filter(|c| c != "one"),
            timeout: timeout(section)?,
            username: section.string("username")?.filter(|name| !name.is_empty()),
            password: section.string("password")?,
            user_agent: user_agent(section)?,
            http_headers: section.string_table("http_headers")?.unwrap_or_default(),
            gzip: encoding(section)?,
            rate_limit: None,
            lines: InfluxSerializer::from_section(section)?,
            tls: ClientTls::from_section(section)?,
            connecting: Connecting::from_section(section, "http_proxy")?,
        })
    }
}

/// `urls`.
pub(super) fn servers(section: &mut Section, datagrams: bool) -> Result<Vec<Server>, ConfigError> {
    let mut urls = section.strings("urls")?.unwrap_or_default();
    if datagrams {
        // Its name before 0.1.9, still accepted.
        urls.extend(section.string("url")?);
    }
    if urls.is_empty() {
        urls.push("http://localhost:8086".to_owned());
    }
    let server = |url: &String| match Server::parse(url) {
        Ok(Server::Udp(_)) if !datagrams => Err(section.bad("urls", format!("{url:?}: UDP is not possible"))),
        server => server.map_err(|why| section.bad("urls", format!("{url:?}: {why}"))),
    };
    urls.iter().map(server).collect()
}

/// `timeout`; zero asks for the default.
pub(super) fn timeout(section: &mut Section) -> Result<Duration, ConfigError> {
    let nanos = section.duration("timeout")?.filter(|&nanos| nanos > 0).unwrap_or(5_000_000_000);
    Ok(Duration::from_nanos(nanos.unsigned_abs()))
}

/// `user_agent`.
pub(super) fn user_agent(section: &mut Section) -> Result<String, ConfigError> {
    let own = section.string("user_agent")?.filter(|agent| !agent.is_empty());
    Ok(own.unwrap_or_else(|| concat!("skywatch-agent/", env!("CARGO_PKG_VERSION")).to_owned()))
}

/// `content_encoding`: whether bodies are compressed.
pub(super) fn encoding(section: &mut Section) -> Result<bool, ConfigError> {
    match section.string("content_encoding")?.as_deref() {
        None | Some("" | "gzip") => Ok(true),
        Some("identity") => Ok(false),
        Some(other) => {
            let reason = format!("{other:?} is neither \"gzip\" nor \"identity\"");
            Err(section.bad("content_encoding", reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_every_kind() {
        let shown = |text: &str| Server::parse(text).map(|server| server.to_string());
        assert_eq!(shown("https://u:secret@db:8086/x").as_deref(), Ok("https://db:8086/x"));
        assert_eq!(shown("unix:///run/influxdb.sock").as_deref(), Ok("unix:///run/influxdb.sock"));
        assert_eq!(shown("udp://127.0.0.1:8089").as_deref(), Ok("udp://127.0.0.1:8089"));
        assert_eq!(shown("udp://[::1]:1").as_deref(), Ok("udp://[::1]:1"));
        let Ok(Server::Unix { url, .. }) = Server::parse("http+unix:///run/x.sock:/api") else {
            panic!("unix")
        };
        assert_eq!(url.as_str(), "http://localhost/api");
        for (text, error) in [
            ("tcp://x:1", "\"tcp\" is none of http, https, unix, http+unix, udp"),
            ("unix://", "names no socket"),
            ("localhost", "relative URL without a base"),
        ] {
            assert_eq!(shown(text), Err(error.to_owned()), "{text}");
        }
    }
}
