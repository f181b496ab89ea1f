//! InfluxDB's own configuration file, read as it is: `skywatch run --config /etc/influxdb/influxdb.conf`.
//!
//! Keys that mean the same here are read in the section they belong to. This file holds the rest: keys without a
//! counterpart are accepted and named in the log, since what they tune does not exist here; a value that asks for
//! something Skywatch would not do is refused.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::logging::LogFormat;

/// A key without a counterpart here: any value will do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ignored {
    is_set: bool,
}

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self { is_set: true })
    }
}

/// Names of keys that were set and have no effect.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct IgnoredKeys(Vec<String>);

impl IgnoredKeys {
    /// Notes a key if the file sets it.
    pub(super) fn note(&mut self, key: Ignored, name: &str) {
        if key.is_set {
            self.0.push(name.replace('_', "-"));
        }
    }

    /// Notes a setting, in words of its own.
    pub(super) fn add(&mut self, setting: String) {
        self.0.push(setting);
    }

    /// Says which they were; once logging has begun.
    pub(crate) fn log(&self) {
        if !self.0.is_empty() {
            tracing::info!("configuration keys without effect here: {}", self.0.join(", "));
        }
    }
}

/// A section of the file: keys that are read, and keys of InfluxDB's without a counterpart.
macro_rules! section {
    (
        $(#[$doc:meta])* $name:ident $title:literal
        reads { $($own:ident: $type:ty),* $(,)? }
        ignores { $($key:ident),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
        pub(super) struct $name {
            $(pub(super) $own: $type,)*
            $($key: $crate::config::influxdb::Ignored,)*
        }

        impl $name {
            /// Notes what the file sets without effect.
            pub(super) fn note(&self, keys: &mut $crate::config::influxdb::IgnoredKeys) {
                $(keys.note(self.$key, concat!("[", $title, "] ", stringify!($key)));)*
            }
        }
    };
}
pub(super) use section;

section! {
    /// The forerunner of Flux in InfluxDB 1.6.
    IfqlSection "ifql"
    reads {}
    ignores { enabled, log_enabled, bind_address }
}

section! {
    /// `[meta]`: the catalogue lies below the data directory.
    MetaSection "meta"
    reads {
        retention_autocreate: Option<bool>,
        // Of clusters.
        meta_auth_enabled: Option<bool>,
        meta_internal_shared_secret: Option<String>,
        meta_tls_enabled: Option<bool>,
        meta_insecure_tls: Option<bool>,
    }
    ignores { dir, logging_enabled }
}

impl MetaSection {
    /// Whether databases that are created without a policy begin with `autogen`.
    pub(super) fn autogen(&self) -> bool {
        self.retention_autocreate != Some(false)
    }
}

section! {
    /// `[logging]`: how much is logged, unless `log` says so, and what lines look like.
    LoggingSection "logging"
    reads { level: Option<Level>, format: Option<LogFormat> }
    ignores { suppress_logo }
}

/// InfluxDB's levels.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Error,
    Dpanic,
    Panic,
    Fatal,
}

impl LoggingSection {
    /// As a filter of ours.
    pub(super) fn filter(&self) -> Option<&'static str> {
        Some(match self.level? {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error | Level::Dpanic | Level::Panic | Level::Fatal => "error",
        })
    }
}

/// Whether a file in TOML is for the server, InfluxDB's or ours, rather than for Telegraf.
pub(crate) fn is_server_file(path: &Path) -> bool {
    let text = super::text::read(path).unwrap_or_default();
    let Ok(file) = text.parse::<toml::Table>() else { return false };
    ["meta", "data", "http", "coordinator"].iter().any(|section| file.contains_key(*section))
}

/// Refuses a directory in which InfluxDB keeps its shards: theirs and ours would lie side by side, and nothing of
/// theirs would be served.
pub(super) fn refuse_foreign_data(dir: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read directory {}", dir.display()))?;
        // InfluxDB: database/_series/, and database/policy/shard/*.tsm.
        if entry.path().join("_series").is_dir() || entry.path().join("autogen").is_dir() {
            bail!(
                "{dir} holds databases of InfluxDB ({name}), which Skywatch does not read: start it on another \
                 directory (--data-dir), then bring them over with `influx_inspect export` and `skywatch import`",
                dir = dir.display(),
                name = entry.file_name().display(),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{settings, settings_error};

    #[test]
    fn levels_of_theirs_become_filters_of_ours() {
        assert_eq!(settings("[logging]\nlevel = \"info\"").log, "info");
        assert_eq!(settings("log = \"debug\"\n[logging]\nlevel = \"info\"").log, "debug");
        assert!(settings_error("[logging]\nlevel = \"loud\"").contains("line 2"));
    }

    #[test]
    fn databases_may_begin_without_a_policy() {
        assert!(settings("").autogen);
        assert!(settings("[meta]\nretention-autocreate = true").autogen);
        assert!(!settings("[meta]\nretention-autocreate = false").autogen);
    }

    #[test]
    fn a_directory_of_influxdb_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        refuse_foreign_data(directory.path()).unwrap();
        fs::create_dir_all(directory.path().join("data/3")).unwrap();
        refuse_foreign_data(directory.path()).unwrap();
        fs::create_dir_all(directory.path().join("telegraf/_series")).unwrap();
        let error = refuse_foreign_data(directory.path()).unwrap_err().to_string();
        assert!(error.contains("telegraf") && error.contains("skywatch import"), "{error}");
        refuse_foreign_data(&directory.path().join("not there")).unwrap();
    }

    #[test]
    fn files_are_known_by_their_sections() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, is_server) in [
            ("[meta]\ndir = \"x\"", true),
            ("[http]", true),
            ("[agent]\n[[inputs.cpu]]", false),
            ("a = ", false),
        ] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(is_server_file(file.path()), is_server, "{text}");
        }
    }
}
