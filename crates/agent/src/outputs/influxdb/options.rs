//! The options of the `influxdb` output.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;

use crate::config::{ConfigError, Section};
use crate::net::tls::ClientTls;
use crate::serializers::influx::InfluxSerializer;

/// What `[[outputs.influxdb]]` sets.
pub(super) struct Options {
    pub(super) urls: Vec<Url>,
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
    pub(super) tls: ClientTls,
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let mut urls = section.strings("urls")?.unwrap_or_default();
        // Its name before 0.1.9, still accepted.
        urls.extend(section.string("url")?);
        if urls.is_empty() {
            urls.push("http://localhost:8086".to_owned());
        }
        let urls = urls.iter().map(|url| parse_url(section, url)).collect::<Result<_, _>>()?;
        let consistency = section.string("write_consistency")?.filter(|c| !c.is_empty());
        if let Some(unknown) =
            consistency.as_deref().filter(|c| !matches!(*c, "any" | "one" | "quorum" | "all"))
        {
            return Err(
                section.bad("write_consistency", format!("{unknown:?} is none of any, one, quorum, all"))
            );
        }
        let gzip = match section.string("content_encoding")?.as_deref() {
            None | Some("" | "gzip") => true,
            Some("identity") => false,
            Some(other) => {
                let reason = format!("{other:?} is neither \"gzip\" nor \"identity\"");
                return Err(section.bad("content_encoding", reason));
            }
        };
        let timeout = section.duration("timeout")?.unwrap_or(5_000_000_000).unsigned_abs();
        section.without_effect(
            "precision",
            "the agent's precision rounds timestamps; they are sent in nanoseconds",
        );
        section.without_effect("udp_payload", "UDP is not supported");
        Ok(Self {
            urls,
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
            timeout: if timeout == 0 { Duration::from_secs(5) } else { Duration::from_nanos(timeout) },
            username: section.string("username")?.filter(|name| !name.is_empty()),
            password: section.string("password")?,
            user_agent: section
                .string("user_agent")?
                .filter(|agent| !agent.is_empty())
                .unwrap_or_else(|| concat!("skywatch-agent/", env!("CARGO_PKG_VERSION")).to_owned()),
            http_headers: section.string_table("http_headers")?.unwrap_or_default(),
            gzip,
            lines: InfluxSerializer::from_section(section)?,
            tls: ClientTls::from_section(section)?,
        })
    }
}

fn parse_url(section: &Section, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|error| section.bad("urls", format!("{text:?}: {error}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        scheme => {
            Err(section.bad("urls", format!("{text:?}: only http and https are supported, not {scheme:?}")))
        }
    }
}
