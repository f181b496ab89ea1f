//! The console by itself, in front of any InfluxDB, with dashboards of a directory if one is given:
//! `cargo run -p skywatch-console --example console -- 127.0.0.1:3000 http://127.0.0.1:8086 DIR`.
#![expect(clippy::print_stdout, reason = "an example for people")]

use std::{env, error::Error, sync::Arc};

use skywatch_console::{ConsoleConfig, NoAlerts, NoCluster, router};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let bind = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".into());
    let upstream = arguments.next().unwrap_or_else(|| "http://127.0.0.1:8086".into());

    let config =
        ConsoleConfig { dashboards_dir: arguments.next().map(Into::into), ..ConsoleConfig::new(&upstream) };

    let listener = TcpListener::bind(&bind).await?;
    println!("http://{} shows what {upstream} stores", listener.local_addr()?);
    axum::serve(listener, router(config, Arc::new(NoAlerts), Arc::new(NoCluster))).await?;
    Ok(())
}
