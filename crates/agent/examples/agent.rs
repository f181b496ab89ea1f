//! The agent by itself: `cargo run -p skywatch-agent --example agent -- telegraf.conf [--test|--once]`.

use std::io::Write as _;
use std::path::PathBuf;

use skywatch_agent::{Agent, Config};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which configuration?")?;
    let agent = Agent::new(Config::load(&[PathBuf::from(file)], &[])?)?;
    let report = match arguments.next().as_deref() {
        Some("--test") => agent.test_once(&mut std::io::stdout()).await?,
        Some("--once") => agent.once().await?,
        _ => {
            let shutdown = async {
                // Without signals there is no end to wait for.
                tokio::signal::ctrl_c().await.ok();
            };
            agent.run(shutdown).await?
        }
    };
    writeln!(std::io::stderr(), "{report:?}")?;
    Ok(())
}
