//! `skywatch agent`: the agent alone.

use std::{io, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use skywatch_agent::{Agent, Config, DefaultConfig, default_toml};

use crate::{cli::AgentArgs, logging, signals};

pub(crate) fn run(args: &AgentArgs) -> Result<ExitCode> {
    let quiet_while_printing = if args.test { "warn" } else { "info" };
    logging::start(args.log.as_deref().unwrap_or(quiet_while_printing))?;
    let config = Config::load(&args.config, &args.config_directory)?;
    let agent = Agent::new(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let code = runtime.block_on(async {
        if args.test {
            test(agent).await
        } else if args.once {
            once(agent).await
        } else {
            until_stopped(agent).await
        }
    });
    // A hung libvirtd may hold a thread; it must not hold the process.
    runtime.shutdown_background();
    code
}

async fn test(agent: Agent) -> Result<ExitCode> {
    let report = agent.test_once(&mut io::stdout()).await?;
    if report.failed_gathers > 0 {
        bail!("{} of the inputs failed, see above", report.failed_gathers);
    }
    Ok(ExitCode::SUCCESS)
}

async fn once(agent: Agent) -> Result<ExitCode> {
    let report = agent.once().await?;
    if report.failed_gathers > 0 || report.lost() > 0 {
        bail!("{} gathers failed, {} metrics were not stored", report.failed_gathers, report.lost());
    }
    Ok(ExitCode::SUCCESS)
}

async fn until_stopped(agent: Agent) -> Result<ExitCode> {
    let stop = async {
        if let Err(error) = signals::stop_requested().await {
            tracing::error!(%error, "cannot listen for signals; stopping");
        }
    };
    agent.run(stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// The default configuration, as `skywatch config default agent` prints it.
pub(crate) fn default_file() -> String {
    default_toml(&DefaultConfig::detect("http://127.0.0.1:8086"))
}

/// Reads a configuration and says what is wrong with it.
pub(crate) fn check_file(path: &Path) -> Result<()> {
    Agent::new(Config::load(&[path.to_path_buf()], &[])?)?;
    Ok(())
}
