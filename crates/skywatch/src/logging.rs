//! Log lines go to standard error; standard output belongs to answers.

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

/// Starts logging with a filter such as `warn` or `info,skywatch_agent=debug`.
pub(crate) fn start(filter: &str) -> Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("log filter {filter:?}: expected error, warn, info, debug, trace, or a list like warn,skywatch_agent=info"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true).init();
    Ok(())
}
