//! `[[udp]]`, `[[graphite]]`, and the two that are left out: `[[collectd]]`, `[[opentsdb]]`. Keys, defaults and the
//! wording of what is wrong with a template are InfluxDB's.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use skywatch_listeners::{BatchConfig, GraphiteConfig, Protocol, UdpConfig, graphite::Parser};
use skywatch_model::line::Precision;

use super::{go_duration::GoDuration, influxdb::Ignored};
use crate::bind_address::BindAddress;

/// The listeners that are switched on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ListenerSettings {
    pub(crate) udp: Vec<UdpConfig>,
    pub(crate) graphite: Vec<GraphiteConfig>,
}

/// One `[[udp]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct UdpSection {
    enabled: bool,
    bind_address: Option<BindAddress>,
    database: Option<String>,
    retention_policy: String,
    batch_size: usize,
    batch_pending: usize,
    batch_timeout: Option<GoDuration>,
    read_buffer: usize,
    precision: String,
    // Of versions before 1.0.
    udp_payload_size: Ignored,
}

/// One `[[graphite]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct GraphiteSection {
    enabled: bool,
    bind_address: Option<BindAddress>,
    database: Option<String>,
    retention_policy: String,
    protocol: String,
    batch_size: usize,
    batch_pending: usize,
    batch_timeout: Option<GoDuration>,
    consistency_level: String,
    separator: String,
    tags: Vec<String>,
    templates: Vec<String>,
    udp_read_buffer: usize,
}

/// A section for a protocol that is not served; whatever else stands in it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LeftOutSection {
    enabled: bool,
}

/// What InfluxDB takes for a number that is missing or 0.
const BATCH_SIZE: usize = 5_000;
const BATCH_PENDING: usize = 10;
const BATCH_TIMEOUT: Duration = Duration::from_secs(1);

/// More would only hold memory.
const BATCH_SIZE_MAX: usize = 1_000_000;
const BATCH_PENDING_MAX: usize = 1_000;

impl ListenerSettings {
    pub(super) fn merge(
        udp: Vec<UdpSection>,
        graphite: Vec<GraphiteSection>,
        collectd: &[LeftOutSection],
        opentsdb: &[LeftOutSection],
    ) -> Result<Self> {
        if collectd.iter().any(|section| section.enabled) {
            bail!(
                "[[collectd]] is enabled: collectd's binary protocol is not served; let collectd's write_graphite plugin \
                 send to a [[graphite]] listener, or put a Telegraf between (inputs.socket_listener with data_format = \
                 \"collectd\")"
            );
        }
        if opentsdb.iter().any(|section| section.enabled) {
            bail!(
                "[[opentsdb]] is enabled: OpenTSDB's protocols are not served; send line protocol to /write, or \
                 Graphite's to a [[graphite]] listener"
            );
        }
        let udp: Result<_> =
            udp.into_iter().filter(|section| section.enabled).map(UdpSection::config).collect();
        let graphite: Result<_> =
            graphite.into_iter().filter(|section| section.enabled).map(GraphiteSection::config).collect();
        Ok(Self { udp: udp?, graphite: graphite? })
    }
}

impl UdpSection {
    fn config(self) -> Result<UdpConfig> {
        let precision = match self.precision.as_str() {
            "" | "n" | "ns" => Precision::Nanosecond,
            "u" | "us" => Precision::Microsecond,
            "ms" => Precision::Millisecond,
            "s" => Precision::Second,
            "m" => Precision::Minute,
            "h" => Precision::Hour,
            other => bail!("[[udp]] precision is {other:?}: use n, u, ms, s, m or h"),
        };
        Ok(UdpConfig {
            bind: address(self.bind_address, 8089),
            batch: BatchConfig {
                database: name(self.database, "udp"),
                retention_policy: self.retention_policy,
                size: bounded("[[udp]] batch-size", self.batch_size, BATCH_SIZE, BATCH_SIZE_MAX)?,
                pending: bounded(
                    "[[udp]] batch-pending",
                    self.batch_pending,
                    BATCH_PENDING,
                    BATCH_PENDING_MAX,
                )?,
                timeout: timeout(self.batch_timeout),
            },
            read_buffer_bytes: self.read_buffer,
            precision,
        })
    }
}

impl GraphiteSection {
    fn config(self) -> Result<GraphiteConfig> {
        let protocol = match self.protocol.to_ascii_lowercase().as_str() {
            "" | "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            other => {
                bail!("[[graphite]] protocol: unrecognized Graphite input protocol {other}; use tcp or udp")
            }
        };
        let level = self.consistency_level.to_ascii_lowercase();
        if !matches!(level.as_str(), "" | "any" | "one" | "quorum" | "all") {
            bail!("[[graphite]] consistency-level is {level:?}: use any, one, quorum or all");
        }
        let parser = Parser::new(&self.templates, &self.tags, &self.separator).context("[[graphite]]")?;
        let (size, pending) = (self.batch_size, self.batch_pending);
        Ok(GraphiteConfig {
            bind: address(self.bind_address, 2003),
            protocol,
            batch: BatchConfig {
                database: name(self.database, "graphite"),
                retention_policy: self.retention_policy,
                size: bounded("[[graphite]] batch-size", size, BATCH_SIZE, BATCH_SIZE_MAX)?,
                pending: bounded("[[graphite]] batch-pending", pending, BATCH_PENDING, BATCH_PENDING_MAX)?,
                timeout: timeout(self.batch_timeout),
            },
            read_buffer_bytes: self.udp_read_buffer,
            parser,
        })
    }
}

/// Without an address this machine only, unlike InfluxDB.
fn address(bind: Option<BindAddress>, port: u16) -> String {
    bind.unwrap_or_else(|| BindAddress::loopback(port)).to_string()
}

fn name(given: Option<String>, default: &str) -> String {
    given.filter(|name| !name.is_empty()).unwrap_or_else(|| default.to_owned())
}

fn bounded(key: &str, value: usize, default: usize, max: usize) -> Result<usize> {
    match value {
        0 => Ok(default),
        value if value > max => bail!("{key} is {value}: at most {max}"),
        value => Ok(value),
    }
}

fn timeout(given: Option<GoDuration>) -> Duration {
    given.map(|duration| duration.0).filter(|duration| !duration.is_zero()).unwrap_or(BATCH_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skywatch_listeners::Protocol;
    use skywatch_model::line::Precision;

    use crate::config::tests::{settings, settings_error};

    #[test]
    fn influxdbs_sections_are_read() {
        let listeners = settings(
            r#"[[udp]]
            enabled = true
            bind-address = ":8090"
            database = "u"
            retention-policy = "week"
            batch-size = 7
            batch-pending = 3
            batch-timeout = "250ms"
            read-buffer = 65536
            precision = "s"
            [[udp]]
            enabled = false
            [[graphite]]
            enabled = true
            protocol = "UDP"
            consistency-level = "one"
            separator = "_"
            tags = ["a=b"]
            templates = ["x.* .measurement*"]
            udp-read-buffer = 0
            [[collectd]]
            enabled = false
            typesdb = "/usr/share/collectd/types.db"
            [[opentsdb]]
            enabled = false"#,
        )
        .listeners;
        assert_eq!(listeners.udp.len(), 1);
        let udp = &listeners.udp[0];
        assert_eq!(
            (udp.bind.as_str(), udp.precision, udp.read_buffer_bytes),
            (":8090", Precision::Second, 65_536)
        );
        assert_eq!((udp.batch.database.as_str(), udp.batch.retention_policy.as_str()), ("u", "week"));
        assert_eq!((udp.batch.size, udp.batch.pending), (7, 3));
        assert_eq!(udp.batch.timeout, Duration::from_millis(250));
        let graphite = &listeners.graphite[0];
        assert_eq!((graphite.bind.as_str(), graphite.protocol), ("127.0.0.1:2003", Protocol::Udp));
        assert_eq!((graphite.batch.database.as_str(), graphite.batch.size), ("graphite", 5_000));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (section, key, part) in [
            ("graphite", "templates = [\"a\"]", "no measurement in template `a`"),
            ("graphite", "tags = [\"a\"]", "invalid template tags: 'a'"),
            ("graphite", "protocol = \"sctp\"", "unrecognized Graphite input protocol sctp"),
            ("graphite", "consistency-level = \"most\"", "consistency-level"),
            ("graphite", "batch-size = 1000001", "at most 1000000"),
            ("graphite", "batch_size = 1", "batch_size"),
            ("udp", "precision = \"x\"", "precision"),
            ("collectd", "", "write_graphite"),
            ("opentsdb", "", "/write"),
        ] {
            let error = settings_error(&format!("[[{section}]]\nenabled = true\n{key}"));
            assert!(error.contains(part), "{error}");
        }
    }
}
