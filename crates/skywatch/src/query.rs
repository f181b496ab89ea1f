//! `skywatch query`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use skywatch_client::Client;
use skywatch_shell::{Format, ask, run_interactive};

use crate::cli::{OutputFormat, QueryArgs};

pub(crate) fn run(args: QueryArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(answer(args))
}

async fn answer(args: QueryArgs) -> Result<ExitCode> {
    let client = Client::new(args.connection.connection()?)?;
    let database = args.db.unwrap_or_default();
    let format = match args.format {
        OutputFormat::Table => Format::Table,
        OutputFormat::Json => Format::Json,
        OutputFormat::Csv => Format::Csv,
    };
    let mut out = io::stdout();
    match args.query {
        Some(query) => {
            let text = ask(&client, &database, &query, format).await?;
            write_unless_closed(&mut out, &text)?;
        }
        None => {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            run_interactive(&client, database, format, home.as_deref(), &mut out).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A pipe closed by its reader (`| head`) is no error.
fn write_unless_closed(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
