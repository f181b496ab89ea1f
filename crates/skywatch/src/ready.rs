//! `skywatch ready`: whether clients should be sent to a server, as load balancers ask it; for scripts, and for the health
//! checks of containers.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use skywatch_client::Client;
use tokio::time::{Instant, sleep};

use crate::connection::ConnectionArgs;

/// How often is asked with `--wait`.
const ASK_EVERY: Duration = Duration::from_millis(500);

pub(crate) const READY_EXAMPLES: &str = "\
The exit status is 0 when it is ready, 1 when it is not or does not answer.

Examples:
  skywatch ready                                  the server on this machine
  skywatch ready --url https://data-1:8086 --ca /etc/skywatch/tls/ca.pem --wait 60";

/// Options of `skywatch ready`.
#[derive(Debug, Args)]
pub(crate) struct ReadyArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Ask again for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

pub(crate) fn run(args: &ReadyArgs) -> Result<ExitCode> {
    let mut connection = args.connection.connection()?;
    // One that accepts and says nothing is not ready.
    connection.timeout.get_or_insert(connection.connect_timeout);
    let client = Client::new(connection)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(ask_until_ready(&client, Duration::from_secs(args.wait)));
    let (text, code) = match &answer {
        Ok(()) => (format!("{} is ready", client.server()), ExitCode::SUCCESS),
        Err(why) => (format!("{} is not ready: {why}", client.server()), ExitCode::FAILURE),
    };
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(code),
    }
}

async fn ask_until_ready(client: &Client, limit: Duration) -> Result<(), String> {
    let end = Instant::now() + limit;
    loop {
        match ask(client).await {
            Err(_) if Instant::now() < end => sleep(ASK_EVERY).await,
            answer => return answer,
        }
    }
}

/// The server's answer; the reason where it is not ready.
async fn ask(client: &Client) -> Result<(), String> {
    let response = client.send(client.get("ready")).await.map_err(|error| error.to_string())?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body = client.read_bounded(response).await.map_err(|error| error.to_string())?;
    let said = serde_json::from_str::<serde_json::Value>(&body).ok();
    let reason = said.as_ref().and_then(|said| said.get("message")?.as_str());
    Err(reason.map_or_else(|| format!("HTTP {status}"), str::to_owned))
}
