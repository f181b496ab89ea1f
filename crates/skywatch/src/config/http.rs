//! `[http]`: InfluxDB's HTTP API.

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::{bind_address::BindAddress, cli::RunArgs};

/// How the HTTP API is served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpSettings {
    pub(crate) bind: BindAddress,
    /// Largest body of a write, in bytes, after decompression.
    pub(crate) max_body_bytes: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_concurrent_queries: usize,
    /// 0 means no limit.
    pub(crate) query_timeout_secs: u64,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct HttpSection {
    bind: Option<BindAddress>,
    max_body_bytes: Option<usize>,
    max_connections: Option<usize>,
    max_concurrent_queries: Option<usize>,
    query_timeout_secs: Option<u64>,
}

impl HttpSettings {
    pub(super) fn merge(args: &RunArgs, file: HttpSection) -> Self {
        Self {
            bind: args.http_bind.clone().or(file.bind).unwrap_or_else(|| BindAddress::loopback(8086)),
            max_body_bytes: file.max_body_bytes.unwrap_or(25_000_000),
            max_connections: file.max_connections.unwrap_or(4096),
            max_concurrent_queries: file.max_concurrent_queries.unwrap_or(16),
            query_timeout_secs: file.query_timeout_secs.unwrap_or(0),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        for (value, key) in [
            (self.max_body_bytes, "max-body-bytes"),
            (self.max_connections, "max-connections"),
            (self.max_concurrent_queries, "max-concurrent-queries"),
        ] {
            if value == 0 {
                bail!("[http] {key} is 0: it must be at least 1");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::settings_error;

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = settings_error("[http]\nbind = \"127.0.0.1:1\"\nbnid = 3");
        assert!(error.contains("line 3") && error.contains("bnid") && error.contains("bind"), "{error}");
    }

    #[test]
    fn limits_of_nothing_are_refused() {
        assert!(settings_error("[http]\nmax-connections = 0").contains("max-connections"));
    }
}
