//! `skywatch query`: asks any InfluxDB-compatible server a query and prints the answer, once or interactively.

mod client;
mod interactive;
mod table;

pub use client::{Client, ClientError};
pub use interactive::run_interactive;
pub use table::render_tables;

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
        Format::Csv => client.query_csv(database, query).await,
        Format::Json => {
            let body = client.query_json(database, query).await?;
            client::check_statements(&body)?;
            Ok(body)
        }
        Format::Table => {
            let body = client.query_json(database, query).await?;
            client::check_statements(&body)?;
            render_tables(&body)
        }
    }
}
