//! `[[udp]]`, `[[graphite]]`, `[[collectd]]` and `[[opentsdb]]`. Keys, defaults and the wording of what is wrong with a
//! template are InfluxDB's.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use skywatch_cluster::Consistency;
use skywatch_listeners::{
    BatchConfig, CollectdConfig, GraphiteConfig, OpenTsdbConfig, Protocol, UdpConfig,
    collectd::{self, MultiValue, TypesDb},
    graphite::Parser,
    read_types,
};
use skywatch_model::line::Precision;
use skywatch_tls::TlsConfig;

use super::{go_duration::GoDuration, influxdb::Ignored};
use crate::bind_address::BindAddress;

/// The listeners that are switched on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ListenerSettings {
    pub(crate) udp: Vec<UdpConfig>,
    pub(crate) graphite: Vec<GraphiteConfig>,
    pub(crate) collectd: Vec<CollectdConfig>,
    pub(crate) opentsdb: Vec<OpenTsdbConfig>,
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

/// One `[[collectd]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct CollectdSection {
    enabled: bool,
    bind_address: Option<BindAddress>,
    database: Option<String>,
    retention_policy: String,
    batch_size: usize,
    batch_pending: usize,
    batch_timeout: Option<GoDuration>,
    read_buffer: usize,
    typesdb: Option<PathBuf>,
    security_level: String,
    auth_file: Option<PathBuf>,
    parse_multivalue_plugin: String,
}

/// One `[[opentsdb]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct OpenTsdbSection {
    enabled: bool,
    bind_address: Option<BindAddress>,
    database: Option<String>,
    retention_policy: String,
    consistency_level: String,
    tls_enabled: bool,
    certificate: Option<PathBuf>,
    batch_size: usize,
    batch_pending: usize,
    batch_timeout: Option<GoDuration>,
    log_point_errors: Option<bool>,
}

/// What InfluxDB takes for a number that is missing or 0.
const BATCH_SIZE: usize = 5_000;
const BATCH_PENDING: usize = 10;
const BATCH_TIMEOUT: Duration = Duration::from_secs(1);
/// Where they differ.
const COLLECTD_BATCH_TIMEOUT: Duration = Duration::from_secs(10);
const OPENTSDB_BATCH_SIZE: usize = 1_000;
const OPENTSDB_BATCH_PENDING: usize = 5;

/// Where collectd and InfluxDB have these unless told otherwise.
const TYPES_DB: &str = "/usr/share/collectd/types.db";
const AUTH_FILE: &str = "/etc/collectd/auth_file";
const CERTIFICATE: &str = "/etc/ssl/influxdb.pem";

/// More would only hold memory.
const BATCH_SIZE_MAX: usize = 1_000_000;
const BATCH_PENDING_MAX: usize = 1_000;

impl ListenerSettings {
    pub(super) fn merge(
        udp: Vec<UdpSection>,
        graphite: Vec<GraphiteSection>,
        collectd: Vec<CollectdSection>,
        opentsdb: Vec<OpenTsdbSection>,
    ) -> Result<Self> {
        let udp: Result<_> =
            udp.into_iter().filter(|section| section.enabled).map(UdpSection::config).collect();
        let graphite: Result<_> =
            graphite.into_iter().filter(|section| section.enabled).map(GraphiteSection::config).collect();
        let collectd: Result<_> =
            collectd.into_iter().filter(|section| section.enabled).map(CollectdSection::config).collect();
        let opentsdb: Result<_> =
            opentsdb.into_iter().filter(|section| section.enabled).map(OpenTsdbSection::config).collect();
        Ok(Self { udp: udp?, graphite: graphite?, collectd: collectd?, opentsdb: opentsdb? })
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
                timeout: timeout(self.batch_timeout, BATCH_TIMEOUT),
                consistency: Consistency::Any,
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
        let consistency = level("graphite", &self.consistency_level)?;
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
                timeout: timeout(self.batch_timeout, BATCH_TIMEOUT),
                consistency,
            },
            read_buffer_bytes: self.udp_read_buffer,
            parser,
        })
    }
}

impl CollectdSection {
    fn config(self) -> Result<CollectdConfig> {
        let security = self.security_level.parse().context("[[collectd]] security-level")?;
        let multi_value = match self.parse_multivalue_plugin.as_str() {
            "" | "split" => MultiValue::Split,
            "join" => MultiValue::Join,
            other => bail!("[[collectd]] parse-multivalue-plugin is {other:?}: use split or join"),
        };
        let auth_file = match (security, self.auth_file) {
            (collectd::SecurityLevel::None, None) => None,
            (_, given) => Some(given.unwrap_or_else(|| AUTH_FILE.into())),
        };
        if let Some(path) = &auth_file {
            std::fs::File::open(path)
                .with_context(|| format!("[[collectd]] auth-file {} cannot be read", path.display()))?;
        }
        let (size, pending) = (self.batch_size, self.batch_pending);
        Ok(CollectdConfig {
            bind: address(self.bind_address, 25_826),
            batch: BatchConfig {
                database: name(self.database, "collectd"),
                retention_policy: self.retention_policy,
                size: bounded("[[collectd]] batch-size", size, BATCH_SIZE, BATCH_SIZE_MAX)?,
                pending: bounded("[[collectd]] batch-pending", pending, BATCH_PENDING, BATCH_PENDING_MAX)?,
                timeout: timeout(self.batch_timeout, COLLECTD_BATCH_TIMEOUT),
                consistency: Consistency::Any,
            },
            read_buffer_bytes: self.read_buffer,
            parser: collectd::Parser { types: types(self.typesdb.as_deref())?, security, multi_value },
            auth_file,
        })
    }
}

/// The types of a file, or those that are built in where collectd's own is not there.
fn types(path: Option<&Path>) -> Result<TypesDb> {
    let path = path.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(TYPES_DB));
    match read_types(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path == Path::new(TYPES_DB) => {
            Ok(TypesDb::built_in())
        }
        read => read.with_context(|| format!("[[collectd]] typesdb {} cannot be read", path.display())),
    }
}

impl OpenTsdbSection {
    fn config(self) -> Result<OpenTsdbConfig> {
        let consistency = level("opentsdb", &self.consistency_level)?;
        let certificate = self.certificate.unwrap_or_else(|| CERTIFICATE.into());
        let (size, pending) = (self.batch_size, self.batch_pending);
        Ok(OpenTsdbConfig {
            bind: address(self.bind_address, 4_242),
            batch: BatchConfig {
                database: name(self.database, "opentsdb"),
                retention_policy: self.retention_policy,
                size: bounded("[[opentsdb]] batch-size", size, OPENTSDB_BATCH_SIZE, BATCH_SIZE_MAX)?,
                pending: bounded(
                    "[[opentsdb]] batch-pending",
                    pending,
                    OPENTSDB_BATCH_PENDING,
                    BATCH_PENDING_MAX,
                )?,
                timeout: timeout(self.batch_timeout, BATCH_TIMEOUT),
                consistency,
            },
            tls: self.tls_enabled.then(|| TlsConfig::new(certificate, None)),
            logs_bad_lines: self.log_point_errors.unwrap_or(true),
        })
    }
}

fn level(section: &str, text: &str) -> Result<Consistency> {
    if text.is_empty() {
        return Ok(Consistency::One);
    }
    let level = text.parse();
    level.with_context(|| format!("[[{section}]] consistency-level is {text:?}: use any, one, quorum or all"))
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

fn timeout(given: Option<GoDuration>, default: Duration) -> Duration {
    given.map(|duration| duration.0).filter(|duration| !duration.is_zero()).unwrap_or(default)
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
            ("collectd", "typesdb = \"/nowhere/types.db\"", "/nowhere/types.db"),
            ("collectd", "security-level = \"most\"", "security level"),
            ("collectd", "security-level = \"sign\"\nauth-file = \"/nowhere/a\"", "/nowhere/a"),
            ("collectd", "parse-multivalue-plugin = \"x\"", "split or join"),
            ("opentsdb", "consistency-level = \"most\"", "consistency-level"),
        ] {
            let error = settings_error(&format!("[[{section}]]\nenabled = true\n{key}"));
            assert!(error.contains(part), "{error}");
        }
    }
}
