//! `skywatch query`: asks any InfluxDB-compatible server a query and prints the answer, once or interactively.

mod client;
mod interactive;
mod table;

pub use interactive::run_interactive;
pub use table::render_tables;

use skywatch_client::{Client, ClientError};

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// The server's JSON, unchanged.
    Json,
    /// The server's CSV, unchanged.
    Csv,
}

/// Asks one query and returns the text to print. Errors of single statements are errors.
pub async fn ask(
    client: &Client,
    database: &str,
    query: &str,
    format: Format,
) -> Result<String, ClientError> {
    match format {
        Format::Csv => client::query(client, database, query, "text/csv").await,
        Format::Json => {
            let body = client::query(client, database, query, "application/json").await?;
            client::check_statements(&body)?;
            Ok(body)
        }
        Format::Table => {
            let body = client::query(client, database, query, "application/json").await?;
            client::check_statements(&body)?;
            render_tables(&body)
        }
    }
}
