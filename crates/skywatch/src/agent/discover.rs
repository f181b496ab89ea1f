//! `skywatch agent discover`: a configuration of what runs on this host.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};

/// The configuration goes to the file or to standard output, what was found and what not to standard error.
pub(super) fn run(output: Option<&Path>, url: Option<&str>) -> Result<ExitCode> {
    if let Some(url) = url {
        let known =
            ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
        ensure!(known, "--url {url:?}: give a URL such as http://store-1:8086");
    }
    let found = skywatch_agent::discover(url, &|name| std::env::var(name).ok());
    // Standard error may be closed; the configuration is what counts.
    for note in &found.notes {
        writeln!(io::stderr(), "{note}").ok();
    }
    match output {
        Some(path) => {
            // A configuration that somebody has written is never replaced by one that is guessed.
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            let written = file.and_then(|mut file| file.write_all(found.toml.as_bytes()));
            written.with_context(|| format!("--output {} cannot be written", path.display()))?;
        }
        None => io::stdout().write_all(found.toml.as_bytes()).context("cannot write to standard output")?,
    }
    Ok(ExitCode::SUCCESS)
}
