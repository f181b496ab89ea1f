//! The HTTP side: `POST /query` with form parameters, as InfluxDB 1.x takes it.

use serde::Deserialize;
use skywatch_client::{Client, ClientError};

#[derive(Deserialize)]
struct Statements {
    results: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    error: Option<String>,
}

/// The answer as the server sent it, in the format of a media type.
pub(crate) async fn query(
    client: &Client,
    database: &str,
    query: &str,
    accept: &str,
) -> Result<String, ClientError> {
    let request = client.post("query").header("Accept", accept).form(&[("db", database), ("q", query)]);
    let mut response = client.send_checked(request).await?;
    let mut body = Vec::new();
    while let Some(piece) = client.next_piece(&mut response).await? {
        body.extend_from_slice(piece.as_ref());
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The first error that a statement of a JSON answer reports.
pub(crate) fn check_statements(body: &str) -> Result<(), ClientError> {
    let Ok(statements) = serde_json::from_str::<Statements>(body) else { return Ok(()) };
    match statements.results.into_iter().find_map(|statement| statement.error) {
        Some(error) => Err(ClientError::Refused(error)),
        None => Ok(()),
    }
}
