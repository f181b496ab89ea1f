//! `[subscriber]`: copies of writes for other servers.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use skywatch_subscriber::SubscriberConfig;

use super::{go_duration::GoDuration, influxdb::section};

/// Whether and how subscriptions are served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SubscriberSettings {
    pub(crate) enabled: bool,
    pub(crate) http_timeout: Duration,
    pub(crate) insecure_skip_verify: bool,
    /// A file of certificates in PEM.
    pub(crate) ca_certs: Option<PathBuf>,
    pub(crate) write_concurrency: usize,
    pub(crate) write_buffer_size: usize,
}

section! {
    /// The section as written; each queue has a bound of its own, so that a common one has no effect.
    SubscriberSection "subscriber"
    reads {
        enabled: Option<bool>,
        http_timeout: Option<GoDuration>,
        insecure_skip_verify: bool,
        ca_certs: Option<PathBuf>,
        write_concurrency: Option<usize>,
        write_buffer_size: Option<usize>,
    }
    ignores { total_buffer_bytes }
}

impl SubscriberSettings {
    pub(super) fn merge(file: SubscriberSection) -> Self {
        Self {
            enabled: file.enabled.unwrap_or(true),
            http_timeout: file.http_timeout.map_or(Duration::from_secs(30), |timeout| timeout.0),
            insecure_skip_verify: file.insecure_skip_verify,
            ca_certs: file.ca_certs.filter(|path| !path.as_os_str().is_empty()),
            write_concurrency: file.write_concurrency.unwrap_or(40),
            write_buffer_size: file.write_buffer_size.unwrap_or(1000),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.http_timeout.is_zero() {
            bail!("[subscriber] http-timeout is 0: name a span such as \"30s\"");
        }
        for (value, key) in
            [(self.write_concurrency, "write-concurrency"), (self.write_buffer_size, "write-buffer-size")]
        {
            if value == 0 {
                bail!("[subscriber] {key} is 0: it must be at least 1");
            }
        }
        Ok(())
    }

    /// What the subscriber is told; reads the certificates.
    pub(crate) fn config(&self) -> Result<SubscriberConfig> {
        let read = |path: &PathBuf| {
            fs::read(path).with_context(|| format!("cannot read [subscriber] ca-certs {}", path.display()))
        };
        Ok(SubscriberConfig {
            http_timeout: self.http_timeout,
            insecure_skip_verify: self.insecure_skip_verify,
            ca_certificates: self.ca_certs.as_ref().map(read).transpose()?,
            write_concurrency: self.write_concurrency,
            write_buffer_size: self.write_buffer_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::tests::{settings, settings_error};

    #[test]
    fn the_section_has_influxdbs_keys() {
        let text = "[subscriber]\nenabled = true\nhttp-timeout = \"5s\"\ninsecure-skip-verify = true\nca-certs = \"\"\n\
                    write-concurrency = 2\nwrite-buffer-size = 3";
        let subscriber = settings(text).subscriber;
        assert_eq!(subscriber.http_timeout, Duration::from_secs(5));
        assert!(subscriber.ca_certs.is_none() && subscriber.insecure_skip_verify);
        assert_eq!((subscriber.write_concurrency, subscriber.write_buffer_size), (2, 3));
        assert!(settings_error("[subscriber]\nwrite-concurrency = 0").contains("write-concurrency"));
        let missing = settings("[subscriber]\nca-certs = \"/nowhere.pem\"").subscriber.config();
        assert!(missing.unwrap_err().to_string().contains("/nowhere.pem"));
    }
}
