//! `skywatch agent`: the agent alone.

use std::{io, path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use skywatch_agent::{Agent, Config, DefaultConfig, default_toml, watch::Watch};

use crate::{
    agent_control::{self, Origin},
    cli::{AgentArgs, WatchChoice},
    logging,
};

pub(crate) fn run(args: &AgentArgs) -> Result<ExitCode> {
    let quiet_while_printing = if args.test { "warn" } else { "info" };
    logging::start(args.log.as_deref().unwrap_or(quiet_while_printing))?;
    let origin = Origin { files: args.config.clone(), directories: args.config_directory.clone() };
    let agent = Agent::new(origin.load()?)?.with_service_wait(Duration::from_secs(args.test_wait));
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
            agent_control::run(agent, origin, watch(args)).await.map(|_| ExitCode::SUCCESS)
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

fn watch(args: &AgentArgs) -> Option<Watch> {
    let settle = args.watch_debounce_interval.0;
    Some(match args.watch_config? {
        WatchChoice::Notify => Watch::Notify { settle },
        WatchChoice::Poll => Watch::Poll { interval: args.watch_interval.0, settle },
    })
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
