//! Answers that are made while they are sent: a query on a thread of its own fills a bounded channel, the connection
//! empties it. A slow client thereby holds its query back, one that leaves ends it.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue},
};
use skywatch_query::{CancelToken, SinkClosed};
use skywatch_storage::{Consumer, Reservation};
use tokio::sync::{mpsc, oneshot};

use crate::{
    app::App,
    encode::Outlet,
    response::{Answer, AnswerBody, Failure, StreamBroken, StreamItem},
};

/// Parts of an answer made ahead of the client, each of some 64 KiB.
pub(crate) const PARTS_AHEAD: usize = 4;

/// Encoded bytes and the memory counted for them.
struct Part {
    bytes: Vec<u8>,
    _held: Reservation,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Stops the query when the answer is dropped, unless it has ended.
pub(crate) struct KillOnDrop(pub CancelToken);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// The answer whose parts come through a channel; its status is known when the first has come, or `failure` why there
/// is none.
pub(crate) async fn streamed(
    mut parts: mpsc::Receiver<StreamItem>,
    failure: oneshot::Receiver<Option<Failure>>,
    kill: KillOnDrop,
    content_type: &'static str,
    gzip: bool,
) -> Result<Answer, Failure> {
    let first = match parts.recv().await {
        Some(Ok(first)) => Some(first),
        // An answer without a byte, such as the CSV of no rows, or none at all.
        Some(Err(_)) | None => match failure.await {
            Ok(None) => None,
            Ok(Some(failure)) => return Err(failure),
            Err(_) => return Err(broken()),
        },
    };
    let mut body = AnswerBody::stream(first, parts);
    body.hold(kill);
    let mut answer = hyper::Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if gzip {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(answer)
}

/// An outlet into the channel; blocking.
pub(crate) fn outlet<'a>(
    app: &'a App,
    gzip: bool,
    cancel: &'a CancelToken,
    parts: &mpsc::Sender<StreamItem>,
) -> Outlet<'a> {
    let (stats, into) = (Arc::clone(&app.stats), parts.clone());
    let (memory, patience) = (&app.config.memory, app.config.send_timeout);
    Outlet::new(gzip, move |part| {
        // Counted until the client has it, which may be long after the query has ended.
        let gone = || into.is_closed() || cancel.is_killed();
        let held = memory
            .reserve_within(Consumer::Answers, part.capacity() as u64, patience, &gone)
            .map_err(|_| SinkClosed)?;
        stats.query_bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
        let part = Bytes::from_owner(Part { bytes: part, _held: held });
        into.blocking_send(Ok(part)).map_err(|_| SinkClosed)
    })
}

/// Breaks an answer off that has begun; blocking.
pub(crate) fn break_stream(parts: &mpsc::Sender<StreamItem>) {
    // If the client has left, there is nothing to break.
    drop(parts.blocking_send(Err(StreamBroken)));
}

/// Counts a query whose client did not wait for the end.
pub(crate) fn count_abandoned(app: &App, abandoned: bool) {
    if abandoned {
        app.stats.queries_abandoned.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a client is told of a defect of the server's own.
pub(crate) fn broken() -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the server's log")
}
