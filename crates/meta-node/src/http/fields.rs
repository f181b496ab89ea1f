//! What a request carries, read as Go's servers read it, with errors in our words.

use axum::{
    body::Bytes,
    extract::{FromRequest, Query, Request},
    http::{StatusCode, Uri},
};
use serde::de::DeserializeOwned;

use super::{Parameters, Problem};

/// The fields of a form, in the body or in the URL; those of the body count first.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Parameters);

/// A body of JSON, whatever the request says that it is.
#[derive(Debug)]
pub(super) struct Content<T>(pub(super) T);

/// Longest body, of JSON too.
pub(super) const BODY_BYTES_MAX: usize = 2 << 20;
/// Longest form. A URL, as which it is read, could not be much longer.
const FORM_BYTES_MAX: usize = 60_000;

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(format!(
            "the body of the request has more than the {BODY_BYTES_MAX} bytes that are taken"
        )),
        // A connection that broke.
        status => Problem::Error(status, error.body_text()),
    })
}

fn too_large(text: String) -> Problem {
    Problem::Error(StatusCode::PAYLOAD_TOO_LARGE, text)
}

pub(super) fn parse(encoded: &str) -> Result<Parameters, Problem> {
    let bytes = encoded.len();
    if bytes > FORM_BYTES_MAX {
        return Err(too_large(format!("the form has {bytes} bytes, at most {FORM_BYTES_MAX} are taken")));
    }
    let wrong = |error: String| Problem::invalid(format!("the form cannot be read: {error}"));
    let uri: Uri = format!("/?{encoded}").parse().map_err(|_| wrong("it is not URL-encoded".into()))?;
    Query::try_from_uri(&uri).map(|Query(parameters)| parameters).map_err(|error| wrong(error.to_string()))
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let mut fields = parse(request.uri().query().unwrap_or_default())?;
        let body = body(request, state).await?;
        let text = std::str::from_utf8(&body).map_err(|_| Problem::invalid("the form is not text"))?;
        fields.extend(parse(text.trim())?);
        Ok(Self(fields))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Content<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = body(request, state).await?;
        let read = serde_json::from_slice(&body);
        read.map(Self)
            .map_err(|error| Problem::invalid(format!("the body is not the JSON expected: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn fields(uri: &str, body: impl Into<Body>) -> Result<Parameters, Problem> {
        let request = Request::post(uri).body(body.into()).unwrap();
        Fields::from_request(request, &()).await.map(|fields| fields.0)
    }

    #[tokio::test]
    async fn forms_are_found_wherever_they_are() {
        let expected = Parameters::from([("addr".into(), "h:1 x".into()), ("force".into(), "true".into())]);
        assert_eq!(fields("/x", "addr=h%3A1+x&force=true").await, Ok(expected.clone()));
        assert_eq!(fields("/x?force=true&addr=other", "addr=h%3A1+x").await, Ok(expected));
        assert_eq!(fields("/x", "").await, Ok(Parameters::new()));
        assert!(fields("/x", "\u{0}").await.is_err());
    }

    #[tokio::test]
    async fn what_is_too_long_is_told_as_such() {
        let of_bytes = |bytes: usize| format!("labels={}", "x".repeat(bytes - 7));
        assert!(fields("/x", of_bytes(FORM_BYTES_MAX)).await.is_ok());
        for (bytes, told) in [
            (FORM_BYTES_MAX + 1, "the form has 60001 bytes, at most 60000 are taken"),
            (70_000, "the form has 70000 bytes, at most 60000 are taken"),
            (BODY_BYTES_MAX + 1, "the body of the request has more than the 2097152 bytes that are taken"),
        ] {
            let refused = Problem::Error(StatusCode::PAYLOAD_TOO_LARGE, told.to_owned());
            assert_eq!(fields("/x", of_bytes(bytes)).await, Err(refused));
        }
    }
}
