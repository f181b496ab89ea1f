//! Answers: their bodies, and InfluxDB's way of stating errors.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use skywatch_cluster::PositionToken;
use tokio::sync::mpsc;

use crate::encode::{Format, push_csv_field, push_json_string};

/// Header that repeats the error of an answer.
const X_INFLUXDB_ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");
const X_SKYWATCH_DURABLE: HeaderName = HeaderName::from_static("x-skywatch-durable");
const X_SKYWATCH_POSITION: HeaderName = HeaderName::from_static("x-skywatch-position");

/// Longest error repeated in a header; clients bound all headers together, some at 16 KiB.
const MAX_ERROR_HEADER_BYTES: usize = 4 << 10;

/// A part of a streamed body, or that it will never be complete.
pub(crate) type StreamItem = Result<Bytes, StreamBroken>;

/// The query died after its first bytes had left: the connection is cut, so that the client notices.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the query ended before its answer was complete")]
pub(crate) struct StreamBroken;

/// The body of an answer, with whatever has to live as long as it.
pub(crate) struct AnswerBody {
    content: Content,
    /// Bytes handed to the connection.
    sent_bytes: u64,
    /// Dropped when the body is: at its end, or when the client goes away.
    guards: Vec<Box<dyn Send>>,
    /// Told how much was sent when the body is dropped.
    ends: Vec<AtEnd>,
}

/// What is to be done when an answer has been sent, or given up: it is told the bytes that were sent.
type AtEnd = Box<dyn FnOnce(u64) + Send>;

enum Content {
    Full(Option<Bytes>),
    Stream { first: Option<Bytes>, rest: mpsc::Receiver<StreamItem> },
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").finish_non_exhaustive()
    }
}

/// An answer as handlers make it.
pub(crate) type Answer = Response<AnswerBody>;

impl AnswerBody {
    fn new(content: Content) -> Self {
        Self { content, sent_bytes: 0, guards: Vec::new(), ends: Vec::new() }
    }

    /// A body in memory.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::new(Content::Full(Some(bytes.into())))
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self::new(Content::Full(None))
    }

    /// A body that is still being made; without a `first` part it is one that turned out empty.
    pub(crate) fn stream(first: Option<Bytes>, rest: mpsc::Receiver<StreamItem>) -> Self {
        Self::new(Content::Stream { first, rest })
    }

    /// Calls `end` with the number of bytes sent when the body has been sent, or given up.
    pub(crate) fn at_end(&mut self, end: impl FnOnce(u64) + Send + 'static) {
        self.ends.push(Box::new(end));
    }

    /// Keeps `guard` as long as the body lives.
    pub(crate) fn hold(&mut self, guard: impl Send + 'static) {
        self.guards.push(Box::new(guard));
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.ends.drain(..).for_each(|end| end(self.sent_bytes));
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = StreamBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamBroken>>> {
        let next = match &mut self.content {
            Content::Full(bytes) => bytes.take().map(Ok),
            Content::Stream { first, rest } => match first.take() {
                Some(first) => Some(Ok(first)),
                None => ready!(rest.poll_recv(cx)),
            },
        };
        if let Some(Ok(part)) = &next {
            self.sent_bytes += part.len() as u64;
        }
        Poll::Ready(next.map(|part| part.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Stream { .. } => SizeHint::default(),
        }
    }
}

/// An answer with a body in memory.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(AnswerBody::full(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// 204, which InfluxDB labels with the form it would have had.
pub(crate) fn no_content(format: Format) -> Answer {
    let mut answer = Response::new(AnswerBody::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    answer
}

/// Tells a client where in the cluster's log its points are: a query can wait for it.
pub(crate) fn with_position(mut answer: Answer, position: &PositionToken) -> Answer {
    if !position.is_empty()
        && let Ok(told) = HeaderValue::from_str(&position.to_string())
    {
        answer.headers_mut().insert(X_SKYWATCH_POSITION, told);
    }
    answer
}

/// What went wrong with a whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Status of the answer.
    pub status: StatusCode,
    /// Text for the client.
    pub text: String,
    /// Seconds after which to try again.
    pub retry_after_secs: Option<u32>,
    /// What clients of 2.x read beside the text, such as `not found`.
    pub code: Option<&'static str>,
    /// What credentials are asked for (401); in place of the header that repeats the error, as in InfluxDB.
    pub challenge: Option<HeaderValue>,
    /// How far a write got that is below its consistency level.
    pub durable: Option<Box<HeaderValue>>,
}

impl Failure {
    /// A failure with this status.
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after_secs: None, code: None, challenge: None, durable: None }
    }

    /// 400.
    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 413, in InfluxDB's words.
    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
    }

    /// 401, with a challenge for a user and a password of `realm`.
    pub(crate) fn unauthorized(text: impl Into<String>, realm: &str) -> Self {
        let challenge = HeaderValue::from_str(&format!("Basic realm=\"{realm}\""));
        let challenge = challenge.unwrap_or(HeaderValue::from_static("Basic"));
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, text) }
    }

    /// 503, to be tried again.
    pub(crate) fn unavailable(text: impl Into<String>, retry_after_secs: u32) -> Self {
        Self { retry_after_secs: Some(retry_after_secs), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text) }
    }

    /// The same as 2.x tells it: with a `code`, and the text as `message` beside `error`. Always JSON.
    pub(crate) fn into_v2(self) -> Self {
        let code = match self.status.as_u16() {
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not found",
            409 | 422 => "conflict",
            413 => "request too large",
            400..=499 => "invalid",
            503 => "unavailable",
            _ => "internal error",
        };
        Self { code: Some(code), ..self }
    }

    /// Tells how far a write got that is below its consistency level: sending it again is not needed to keep it.
    pub(crate) fn with_durable(self, durable: &str) -> Self {
        Self { durable: HeaderValue::from_str(durable).ok().map(Box::new), ..self }
    }

    /// The answer, in the form the client asked for.
    pub(crate) fn into_answer(self, format: Format, pretty: bool) -> Answer {
        let format = if self.code.is_some() { Format::Json } else { format };
        let body = match self.code {
            Some(code) => v2_error_body(code, &self.text),
            None => error_body(&self.text, format, pretty),
        };
        let mut answer = answer(self.status, format.content_type(), body);
        match self.challenge {
            Some(challenge) => answer.headers_mut().insert(WWW_AUTHENTICATE, challenge),
            None => answer.headers_mut().insert(X_INFLUXDB_ERROR, error_header(&self.text)),
        };
        if let Some(durable) = self.durable {
            answer.headers_mut().insert(X_SKYWATCH_DURABLE, *durable);
        }
        if let Some(seconds) = self.retry_after_secs {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

impl From<crate::gate::TurnedAway> for Failure {
    fn from(turned_away: crate::gate::TurnedAway) -> Self {
        Self::unavailable(turned_away.to_string(), 1)
    }
}

/// Clients of 2.x read `code` and `message`, those of 1.x `error`.
fn v2_error_body(code: &str, text: &str) -> Vec<u8> {
    let mut body = format!("{{\"code\":\"{code}\",\"message\":").into_bytes();
    push_json_string(&mut body, text);
    body.extend_from_slice(b",\"error\":");
    push_json_string(&mut body, text);
    body.extend_from_slice(b"}\n");
    body
}

fn error_body(text: &str, format: Format, pretty: bool) -> Vec<u8> {
    let mut body = Vec::new();
    match format {
        Format::Json => {
            body.extend_from_slice(if pretty { b"{\n    \"error\": " } else { b"{\"error\":" });
            push_json_string(&mut body, text);
            body.extend_from_slice(if pretty { b"\n}\n" } else { b"}\n" });
        }
        Format::Csv => {
            body.extend_from_slice(b"error\n");
            push_csv_field(&mut body, text);
            body.push(b'\n');
        }
        Format::Msgpack => crate::encode::push_msgpack_error(&mut body, text),
    }
    body
}

/// The error on one line: what a header cannot hold becomes a space.
fn error_header(text: &str) -> HeaderValue {
    let end = text.floor_char_boundary(MAX_ERROR_HEADER_BYTES);
    let line: Vec<u8> =
        text.bytes().take(end).map(|byte| if byte < 0x20 || byte == 0x7F { b' ' } else { byte }).collect();
    // Spaces at the ends are no part of a header.
    HeaderValue::from_bytes(line.trim_ascii()).unwrap_or(HeaderValue::from_static("error"))
}

/// Plain text as Go's own handlers answer it.
pub(crate) fn go_text(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = answer(status, "text/plain; charset=utf-8", text);
    answer.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_every_form() {
        let body =
            |format, pretty| String::from_utf8_lossy(&error_body("a \"b\",\nc", format, pretty)).into_owned();
        assert_eq!(body(Format::Json, false), "{\"error\":\"a \\\"b\\\",\\nc\"}\n");
        assert_eq!(body(Format::Json, true), "{\n    \"error\": \"a \\\"b\\\",\\nc\"\n}\n");
        assert_eq!(body(Format::Csv, false), "error\n\"a \"\"b\"\",\nc\"\n");
        assert_eq!(error_body("ab", Format::Msgpack, false), b"\x81\xa5error\xa2ab");
    }

    #[test]
    fn the_header_is_one_short_line() {
        assert_eq!(
            error_header("a\nb\tc\u{7f}d é"),
            HeaderValue::from_bytes("a b c d é".as_bytes()).unwrap()
        );
        assert_eq!(error_header(&"é".repeat(10_000)).len(), MAX_ERROR_HEADER_BYTES);
    }
}
