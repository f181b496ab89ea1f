//! Where an output's metrics wait: `buffer_strategy` and its companions, of the whole agent or of one output.

use std::path::PathBuf;

use super::error::ConfigError;
use super::section::Section;

/// Where buffers are unless `buffer_directory` says otherwise.
const DIRECTORY: &str = "/var/lib/skywatch/agent";
/// Most bytes of a buffer on disk unless `buffer_disk_limit` says otherwise.
const LIMIT_BYTES: u64 = 512 << 20;
/// A smaller buffer on disk is not worth its segments.
const LIMIT_BYTES_MIN: u64 = 1 << 20;

/// What a table says; what it does not say is up to the agent's table, or has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BufferOptions {
    on_disk: Option<bool>,
    directory: Option<PathBuf>,
    sync: Option<bool>,
    limit_bytes: Option<u64>,
}

/// What holds for an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferSettings {
    /// Whether metrics are kept on disk until they are delivered.
    pub on_disk: bool,
    /// The directory of all outputs' buffers.
    pub directory: PathBuf,
    /// Whether a metric counts as kept only once it survives a power cut.
    pub sync: bool,
    /// Most bytes of the buffer.
    pub limit_bytes: u64,
}

impl BufferOptions {
    /// Overwrites what the table sets.
    pub(super) fn read(&mut self, section: &mut Section) -> Result<(), ConfigError> {
        if let Some(strategy) = section.string("buffer_strategy")? {
            self.on_disk = Some(match strategy.as_str() {
                "" | "memory" => false,
                "disk" | "disk_write_through" => true,
                _ => {
                    let reason = format!("{strategy:?} is neither \"memory\" nor \"disk\"");
                    return Err(section.bad("buffer_strategy", reason));
                }
            });
        }
        if let Some(directory) = section.string("buffer_directory")?.filter(|text| !text.is_empty()) {
            self.directory = Some(directory.into());
        }
        self.sync = section.boolean("buffer_disk_sync")?.or(self.sync);
        if let Some(limit) = section.size("buffer_disk_limit")? {
            if limit < LIMIT_BYTES_MIN {
                return Err(section.bad("buffer_disk_limit", "at least \"1MiB\" is needed"));
            }
            self.limit_bytes = Some(limit);
        }
        Ok(())
    }

    /// What holds for an output whose own table says `own`, where these are the agent's options.
    pub fn with(&self, own: &Self) -> BufferSettings {
        let directory = own.directory.as_ref().or(self.directory.as_ref());
        BufferSettings {
            on_disk: own.on_disk.or(self.on_disk).unwrap_or(false),
            directory: directory.cloned().unwrap_or_else(|| DIRECTORY.into()),
            sync: own.sync.or(self.sync).unwrap_or(true),
            limit_bytes: own.limit_bytes.or(self.limit_bytes).unwrap_or(LIMIT_BYTES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::section_for_tests;
    use super::*;

    fn options(text: &str) -> Result<BufferOptions, String> {
        let mut section = section_for_tests(text);
        let mut options = BufferOptions::default();
        options.read(&mut section).map_err(|error| error.to_string())?;
        assert!(section.finish().is_ok());
        Ok(options)
    }

    #[test]
    fn the_output_overrides_the_agent_and_both_the_defaults() {
        let none = BufferOptions::default();
        let defaults = BufferSettings {
            on_disk: false,
            directory: "/var/lib/skywatch/agent".into(),
            sync: true,
            limit_bytes: 536_870_912,
        };
        assert_eq!(none.with(&none), defaults);
        let agent = options(
            "buffer_strategy = 'disk_write_through'\nbuffer_directory = '/b'\nbuffer_disk_sync = false\nbuffer_disk_limit = '2GiB'",
        )
        .expect("valid");
        let all = BufferSettings { on_disk: true, directory: "/b".into(), sync: false, limit_bytes: 2 << 30 };
        assert_eq!(agent.with(&none), all);
        let own = options("buffer_strategy = 'memory'\nbuffer_disk_limit = 1048576").expect("valid");
        assert_eq!(agent.with(&own), BufferSettings { on_disk: false, limit_bytes: 1 << 20, ..all });
        assert_eq!(
            options("buffer_strategy = ''\nbuffer_directory = ''").expect("valid").with(&none),
            defaults
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, reason) in [
            ("buffer_strategy = 'tape'", "\"tape\" is neither \"memory\" nor \"disk\""),
            ("buffer_disk_limit = '10KiB'", "at least \"1MiB\" is needed"),
            ("buffer_disk_limit = 'much'", "no size; write it like \"512MiB\", \"1GB\" or in bytes"),
            ("buffer_disk_limit = -1", "no size; write it like \"512MiB\", \"1GB\" or in bytes"),
        ] {
            let error = options(text).expect_err("refused");
            assert!(error.ends_with(reason), "{error}");
        }
    }
}
