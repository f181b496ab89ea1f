//! The process's number in a file, for programs that signal it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// There as long as this lives.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file that the command line names, if it names one.
    pub(crate) fn write(path: Option<&Path>) -> Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        fs::write(path, format!("{}\n", std::process::id()))
            .with_context(|| format!("--pidfile {} cannot be written", path.display()))?;
        Ok(Some(Self(path.to_path_buf())))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(why) = fs::remove_file(&self.0) {
            tracing::error!("the pidfile {} cannot be removed: {why}", self.0.display());
        }
    }
}
