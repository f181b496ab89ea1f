//! `[http]`: InfluxDB's HTTP API. The names of the keys are InfluxDB's; where ours are older, both are read.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use skywatch_http::{AccessLogConfig, AuthConfig, HttpConfig, TlsConfig, TlsVersion, UnixSocketConfig};

use super::{go_duration::GoDuration, influxdb::IgnoredKeys};
use crate::{bind_address::BindAddress, cli::RunArgs};

/// How the HTTP API is served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpSettings {
    pub(crate) bind: BindAddress,
    /// Largest body of a write, in bytes, after decompression; 0 leaves it to the memory budget.
    pub(crate) max_body_bytes: usize,
    /// 0 means no limit.
    pub(crate) max_connections: usize,
    /// 0 leaves it to us.
    pub(crate) max_concurrent_writes: usize,
    /// 0 leaves it to us.
    pub(crate) max_queued_writes: usize,
    pub(crate) write_queue_timeout: Duration,
    pub(crate) shutdown_delay: Duration,
    pub(crate) max_concurrent_queries: usize,
    /// 0 means no limit.
    pub(crate) query_timeout_secs: u64,
    /// 0 means no limit.
    pub(crate) max_row_limit: usize,
    pub(crate) unix_socket: Option<UnixSocketConfig>,
    pub(crate) access_log: Option<AccessLogConfig>,
    pub(crate) write_tracing: bool,
    /// Whether queries in Flux are answered, and logged.
    pub(crate) flux: bool,
    pub(crate) flux_log: bool,
    pub(crate) pprof: bool,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// `None` lets everybody do everything.
    pub(crate) auth: Option<AuthConfig>,
    /// `None` serves plain HTTP.
    pub(crate) tls: Option<TlsConfig>,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct HttpSection {
    enabled: Option<bool>,
    #[serde(alias = "bind-address")]
    bind: Option<BindAddress>,
    #[serde(alias = "max-body-size")]
    max_body_bytes: Option<usize>,
    #[serde(alias = "max-connection-limit")]
    max_connections: Option<usize>,
    max_concurrent_write_limit: Option<usize>,
    max_enqueued_write_limit: Option<usize>,
    enqueued_write_timeout: Option<GoDuration>,
    shutdown_delay: Option<GoDuration>,
    max_concurrent_queries: Option<usize>,
    query_timeout_secs: Option<u64>,
    max_row_limit: Option<usize>,
    unix_socket_enabled: Option<bool>,
    bind_socket: Option<PathBuf>,
    unix_socket_permissions: Option<String>,
    unix_socket_group: Option<u32>,
    log_enabled: Option<bool>,
    access_log_path: Option<PathBuf>,
    access_log_status_filters: Vec<String>,
    suppress_write_log: bool,
    write_tracing: bool,
    pprof_enabled: Option<bool>,
    debug_pprof_enabled: Option<bool>,
    flux_enabled: Option<bool>,
    flux_log_enabled: Option<bool>,
    headers: BTreeMap<String, String>,
    https_enabled: bool,
    https_certificate: Option<PathBuf>,
    https_private_key: Option<PathBuf>,
    https_ca: Option<PathBuf>,
    auth_enabled: bool,
    realm: Option<String>,
    shared_secret: Option<String>,
    ping_auth_enabled: bool,
    pprof_auth_enabled: Option<bool>,
    prom_read_auth_enabled: Option<bool>,
}

impl HttpSection {
    /// Says where to listen, if the file does not.
    pub(super) fn bind_unless_bound(&mut self, port: u16) {
        self.bind.get_or_insert_with(|| BindAddress::everywhere(port));
    }

    /// With authentication on, profiles and Prometheus' reads always want a user, whatever these keys say.
    pub(super) fn note(&self, keys: &mut IgnoredKeys) {
        for (key, value) in [
            ("pprof-auth-enabled", self.pprof_auth_enabled),
            ("prom-read-auth-enabled", self.prom_read_auth_enabled),
        ] {
            if self.auth_enabled && value == Some(false) {
                keys.add(format!(
                    "[http] {key} = false (with authentication only /ping and /health are open)"
                ));
            }
        }
    }
}

/// Where InfluxDB has its socket.
const BIND_SOCKET: &str = "/var/run/influxdb.sock";
/// Its permissions there.
const SOCKET_PERMISSIONS: &str = "0777";

impl HttpSettings {
    pub(super) fn merge(args: &RunArgs, file: HttpSection, tls_section: &TlsSection) -> Result<Self> {
        if file.enabled == Some(false) {
            bail!(
                "[http] enabled is false: the HTTP API cannot be switched off; bind it to 127.0.0.1 instead"
            );
        }
        // The switch of what is not there: InfluxDB's second port for profiles.
        let _ = file.debug_pprof_enabled;
        Ok(Self {
            unix_socket: unix_socket(&file)?,
            access_log: access_log(&file)?,
            headers: headers(&file)?,
            auth: auth(args, &file)?,
            tls: tls(args, &file, tls_section)?,
            bind: args.http_bind.clone().or(file.bind).unwrap_or_else(|| BindAddress::loopback(8086)),
            max_body_bytes: file.max_body_bytes.unwrap_or(25_000_000),
            max_connections: file.max_connections.unwrap_or(4096),
            max_concurrent_writes: file.max_concurrent_write_limit.unwrap_or(0),
            max_queued_writes: file.max_enqueued_write_limit.unwrap_or(0),
            write_queue_timeout: file.enqueued_write_timeout.map_or(Duration::from_secs(30), |wait| wait.0),
            shutdown_delay: file.shutdown_delay.map_or(Duration::ZERO, |delay| delay.0),
            max_concurrent_queries: file.max_concurrent_queries.unwrap_or(16),
            query_timeout_secs: file.query_timeout_secs.unwrap_or(0),
            max_row_limit: file.max_row_limit.unwrap_or(0),
            write_tracing: file.write_tracing,
            flux: file.flux_enabled.unwrap_or(true),
            flux_log: file.flux_log_enabled.unwrap_or(false),
            pprof: file.pprof_enabled.unwrap_or(true),
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.max_concurrent_queries == 0 {
            bail!("[http] max-concurrent-queries is 0: it must be at least 1");
        }
        Ok(())
    }

    /// The server's configuration, as far as this section decides it.
    pub(crate) fn server(&self) -> HttpConfig {
        let defaults = HttpConfig::default();
        let or_default = |value: usize, default: usize| if value == 0 { default } else { value };
        HttpConfig {
            bind: self.bind.to_string(),
            unix_socket: self.unix_socket.clone(),
            access_log: self.access_log.clone(),
            write_tracing: self.write_tracing,
            headers: self.headers.clone(),
            auth: self.auth.clone(),
            tls: self.tls.clone(),
            max_row_limit: self.max_row_limit,
            flux: self.flux,
            flux_log: self.flux_log,
            pprof: self.pprof,
            max_body_size: self.max_body_bytes,
            max_connections: self.max_connections,
            max_concurrent_writes: or_default(self.max_concurrent_writes, defaults.max_concurrent_writes),
            max_queued_writes: or_default(self.max_queued_writes, defaults.max_queued_writes),
            write_queue_timeout: self.write_queue_timeout,
            max_concurrent_queries: self.max_concurrent_queries,
            ..defaults
        }
    }
}

fn unix_socket(file: &HttpSection) -> Result<Option<UnixSocketConfig>> {
    let permissions = file.unix_socket_permissions.as_deref().unwrap_or(SOCKET_PERMISSIONS);
    let permissions = u32::from_str_radix(permissions, 8).ok().filter(|bits| *bits <= 0o7777);
    let permissions = permissions.with_context(|| {
        format!(
            "[http] unix-socket-permissions is {:?}: expected octal digits in quotes, such as \"0770\"",
            file.unix_socket_permissions.as_deref().unwrap_or_default()
        )
    })?;
    let path = file.bind_socket.clone().unwrap_or_else(|| BIND_SOCKET.into());
    let socket = UnixSocketConfig { path, permissions, group: file.unix_socket_group };
    Ok(file.unix_socket_enabled.unwrap_or(false).then_some(socket))
}

/// InfluxDB's `[tls]`: what HTTPS speaks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct TlsSection {
    ciphers: Vec<String>,
    min_version: Option<String>,
    max_version: Option<String>,
}

impl TlsSection {
    /// A server's TLS, restricted to what is to be spoken.
    pub(super) fn restrict(&self, config: TlsConfig) -> Result<TlsConfig> {
        let version = |text: &Option<String>, default: TlsVersion| match text.as_deref() {
            None | Some("") => Ok(default),
            Some(text) => text.parse::<TlsVersion>().context("[tls]"),
        };
        Ok(TlsConfig {
            min_version: version(&self.min_version, config.min_version)?,
            max_version: version(&self.max_version, config.max_version)?,
            ciphers: self.ciphers.clone(),
            ..config
        })
    }
}

fn tls(args: &RunArgs, file: &HttpSection, section: &TlsSection) -> Result<Option<TlsConfig>> {
    if !file.https_enabled && args.https_certificate.is_none() {
        // What is wrong with it is told even so.
        section.restrict(TlsConfig::new(PathBuf::new(), None))?;
        return Ok(None);
    }
    let certificate = args.https_certificate.clone().or_else(|| file.https_certificate.clone());
    let private_key = args.https_private_key.clone().or_else(|| file.https_private_key.clone());
    let certificate =
        certificate.context("[http] https-enabled is true, and https-certificate names no file")?;
    let private_key = private_key.filter(|path| !path.as_os_str().is_empty());
    let client_authorities = file.https_ca.clone().filter(|path| !path.as_os_str().is_empty());
    let config = TlsConfig::new(certificate, private_key);
    section.restrict(TlsConfig { client_authorities, ..config }).map(Some)
}

fn auth(args: &RunArgs, file: &HttpSection) -> Result<Option<AuthConfig>> {
    let is_on = args.auth || file.auth_enabled;
    let realm = args.realm.clone().or_else(|| file.realm.clone()).unwrap_or_else(|| "InfluxDB".into());
    if realm.contains(['"', '\\']) || HeaderValue::from_str(&realm).is_err() {
        bail!(
            "[http] realm is {realm:?}: it goes into a header, between quotes; leave out quotes and backslashes"
        );
    }
    let secret = args.shared_secret.clone().or_else(|| file.shared_secret.clone());
    Ok(is_on.then(|| AuthConfig {
        realm,
        shared_secret: secret.filter(|secret| !secret.is_empty()),
        ping: file.ping_auth_enabled,
        in_process: None,
    }))
}

fn access_log(file: &HttpSection) -> Result<Option<AccessLogConfig>> {
    let status_filters: Result<_, _> =
        file.access_log_status_filters.iter().map(|filter| filter.parse()).collect();
    let path = file.access_log_path.clone().filter(|path| !path.as_os_str().is_empty());
    let is_on = file.log_enabled.unwrap_or(path.is_some());
    let log = AccessLogConfig {
        path,
        status_filters: status_filters.context("[http] access-log-status-filters")?,
        suppress_writes: file.suppress_write_log,
    };
    Ok(is_on.then_some(log))
}

fn headers(file: &HttpSection) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let parse = |(name, value): (&String, &String)| {
        let name = name.parse::<HeaderName>().with_context(|| format!("[http.headers] {name:?}"))?;
        let value =
            HeaderValue::from_str(value).with_context(|| format!("[http.headers] {name} = {value:?}"))?;
        Ok((name, value))
    };
    file.headers.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use crate::config::tests::{settings, settings_error};

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = settings_error("[http]\nbind = \"127.0.0.1:1\"\nbnid = 3");
        assert!(error.contains("line 3") && error.contains("bnid") && error.contains("bind"), "{error}");
    }

    #[test]
    fn influxdbs_keys_are_read() {
        let http = settings(
            r#"[http]
            enabled = true
            bind-address = ":9086"
            max-body-size = 0
            max-connection-limit = 7
            max-concurrent-write-limit = 3
            max-enqueued-write-limit = 4
            enqueued-write-timeout = "1m30s"
            max-row-limit = 9
            unix-socket-enabled = true
            bind-socket = "/tmp/x.sock"
            unix-socket-permissions = "0770"
            unix-socket-group = 12
            access-log-path = "/tmp/access.log"
            access-log-status-filters = ["5xx", "404"]
            suppress-write-log = true
            write-tracing = true
            flux-enabled = false
            flux-log-enabled = true
            pprof-enabled = false
            [http.headers]
            X-Frame-Options = "DENY""#,
        )
        .http;
        let server = http.server();
        assert_eq!((server.bind.as_str(), server.max_body_size, server.max_connections), (":9086", 0, 7));
        assert_eq!((server.max_concurrent_writes, server.max_queued_writes, server.max_row_limit), (3, 4, 9));
        assert_eq!(server.write_queue_timeout, Duration::from_secs(90));
        let socket = server.unix_socket.unwrap();
        assert_eq!((socket.path.as_path(), socket.permissions), (Path::new("/tmp/x.sock"), 0o770));
        assert_eq!(socket.group, Some(12));
        let log = server.access_log.unwrap();
        assert_eq!((log.path.as_deref(), log.status_filters.len()), (Some(Path::new("/tmp/access.log")), 2));
        assert!(log.suppress_writes && server.write_tracing && !server.pprof);
        assert_eq!((server.flux, server.flux_log), (false, true));
        assert_eq!(server.headers[0].1, "DENY");
    }

    #[test]
    fn a_log_without_a_file_has_to_be_asked_for() {
        assert_eq!(settings("").http.access_log, None);
        assert_eq!(settings("[http]\naccess-log-path = \"\"").http.access_log, None);
        assert!(settings("[http]\nlog-enabled = true").http.access_log.is_some());
    }

    #[test]
    fn certificates_of_clients_are_looked_at_when_there_is_an_authority() {
        let authorities = |text: &str| {
            let text = format!("[http]\nhttps-enabled = true\nhttps-certificate = \"c.pem\"\n{text}");
            settings(&text).http.server().tls.unwrap().client_authorities
        };
        assert_eq!(authorities(""), None);
        assert_eq!(authorities("https-ca = \"\""), None);
        assert_eq!(authorities("https-ca = \"ca.pem\"").as_deref(), Some(Path::new("ca.pem")));
    }

    #[test]
    fn authentication_is_off_until_asked_for() {
        assert_eq!(settings("[http]\nshared-secret = \"x\"").http.auth, None);
        let auth = settings(
            "[http]\nauth-enabled = true\nrealm = \"cloud\"\nshared-secret = \"x\"\nping-auth-enabled = true\n\
             pprof-auth-enabled = true",
        );
        let auth = auth.http.server().auth.unwrap();
        assert_eq!(
            (auth.realm.as_str(), auth.shared_secret.as_deref(), auth.ping),
            ("cloud", Some("x"), true)
        );
        let auth = settings("[http]\nauth-enabled = true\nshared-secret = \"\"").http.auth.unwrap();
        assert_eq!((auth.realm.as_str(), auth.shared_secret), ("InfluxDB", None));
        let args = crate::cli::RunArgs { auth: true, ..Default::default() };
        assert!(
            super::HttpSettings::merge(&args, super::HttpSection::default(), &super::TlsSection::default())
                .unwrap()
                .auth
                .is_some()
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, part) in [
            ("max-concurrent-queries = 0", "max-concurrent-queries"),
            ("enabled = false", "switched off"),
            ("https-enabled = true", "https-certificate"),
            ("max-row-limit = 0\n[tls]\nmin-version = \"tls1.0\"", "tls1.2"),
            ("realm = 'a\"b'", "realm"),
            ("unix-socket-permissions = \"rwx\"", "0770"),
            ("access-log-status-filters = [\"4\"]", "access-log-status-filters"),
            ("headers = { \"a b\" = \"c\" }", "a b"),
            ("enqueued-write-timeout = \"soon\"", "1m30s"),
        ] {
            let error = settings_error(&format!("[http]\n{text}"));
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn doors_that_stay_shut_are_named() {
        let ignored = |text: &str| format!("{:?}", settings(&format!("[http]\n{text}")).ignored);
        let open = "prom-read-auth-enabled = false\npprof-auth-enabled = false";
        let named = ignored(&format!("auth-enabled = true\n{open}"));
        assert!(named.contains("prom-read-auth-enabled") && named.contains("pprof-auth-enabled"), "{named}");
        // Without authentication every door is open anyway.
        assert_eq!(ignored(open), ignored(""));
    }
}
