//! `/skywatch/v1/backup...` and `/skywatch/v1/restore...`: copying databases out and in.
//!
//! ```text
//! POST   /skywatch/v1/backup             ["db", ...] or nothing for all  -> a Listing, which names the session
//! GET    /skywatch/v1/backup/file        session, shard, name            -> the file's bytes
//! GET    /skywatch/v1/backup/checksum    session, shard, name            -> {"checksum": "0123456789abcdef"}
//! DELETE /skywatch/v1/backup             session                         -> 204
//! POST   /skywatch/v1/restore            a RestorePlan                   -> {"session": "...", "times": those of the plan}
//! PUT    /skywatch/v1/restore/file       session, shard, name, offset; a piece of the file  -> 204
//! POST   /skywatch/v1/restore/commit     session                         -> 204, the database is there
//! DELETE /skywatch/v1/restore            session                         -> 204
//! ```
//!
//! What a session is, and when it ends, is [`skywatch_cluster::backup`]'s business.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::json;
use skywatch_cluster::backup::{BackupError, Backups, FileRef, RestorePlan};
use tokio::sync::{mpsc, oneshot};

use crate::{
    app::{App, Head, RequestBody},
    response::{Answer, AnswerBody, Failure, StreamBroken, answer, no_content},
};

/// Pieces of a file read before the client takes them.
const PIECES_AHEAD: usize = 4;

/// A path of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Backup,
    BackupFile,
    BackupChecksum,
    Restore,
    RestoreFile,
    RestoreCommit,
}

impl Step {
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("/skywatch/v1/")? {
            "backup" => Self::Backup,
            "backup/file" => Self::BackupFile,
            "backup/checksum" => Self::BackupChecksum,
            "restore" => Self::Restore,
            "restore/file" => Self::RestoreFile,
            "restore/commit" => Self::RestoreCommit,
            _ => return None,
        })
    }

    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Backup | Self::Restore => "POST, DELETE",
            Self::BackupFile | Self::BackupChecksum => "GET",
            Self::RestoreFile => "PUT",
            Self::RestoreCommit => "POST",
        }
    }
}

pub(crate) async fn serve(
    app: &Arc<App>,
    step: Step,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    let session = head.url.get("session").to_owned();
    let is_end = head.parts.method == Method::DELETE;
    match step {
        Step::Backup if is_end => done(head, run(app, move |backups| backups.end_backup(&session)).await?),
        Step::Backup => {
            let body = app.bodies.read(body).await?;
            let wanted: Vec<String> = if body.is_empty() { Vec::new() } else { parse(&body)? };
            let listing = run(app, move |backups| backups.begin_backup(&wanted)).await?;
            Ok(answer(StatusCode::OK, "application/json", json!(listing).to_string()))
        }
        Step::BackupFile => send_file(app, FileName::of(head)?).await,
        Step::BackupChecksum => {
            let file = FileName::of(head)?;
            let checksum = run(app, move |backups| backups.checksum(file.as_ref())).await?;
            Ok(answer(StatusCode::OK, "application/json", json!({ "checksum": checksum }).to_string()))
        }
        Step::Restore if is_end => {
            done(head, run(app, move |backups| backups.abort_restore(&session)).await?)
        }
        Step::Restore => {
            let plan: RestorePlan = parse(&app.bodies.read(body).await?)?;
            let times = plan.times;
            let session = run(app, move |backups| backups.begin_restore(&plan)).await?;
            let begun = json!({ "session": session, "times": times });
            Ok(answer(StatusCode::OK, "application/json", begun.to_string()))
        }
        Step::RestoreFile => {
            let (file, offset) = (FileName::of(head)?, number(head, "offset")?);
            let piece = app.bodies.read(body).await?;
            done(head, run(app, move |backups| backups.put(file.as_ref(), offset, &piece)).await?)
        }
        Step::RestoreCommit => done(head, run(app, move |backups| backups.commit_restore(&session)).await?),
    }
}

fn done(head: &Head<'_>, (): ()) -> Result<Answer, Failure> {
    Ok(no_content(head.format))
}

/// A file as the parameters name it.
struct FileName {
    session: String,
    shard: u64,
    name: String,
}

impl FileName {
    fn of(head: &Head<'_>) -> Result<Self, Failure> {
        let (session, name) = (head.url.get("session").to_owned(), head.url.get("name").to_owned());
        Ok(Self { session, shard: number(head, "shard")?, name })
    }

    fn as_ref(&self) -> FileRef<'_> {
        FileRef { session: &self.session, shard: self.shard, name: &self.name }
    }
}

fn number(head: &Head<'_>, name: &str) -> Result<u64, Failure> {
    let text = head.url.get(name);
    text.parse().map_err(|_| Failure::bad_request(format!("parameter {name:?} is {text:?}, not a number")))
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::bad_request(format!("unable to parse the body: {error}")))
}

/// Takes a step on a thread for such work.
async fn run<T: Send + 'static>(
    app: &Arc<App>,
    step: impl FnOnce(&dyn Backups) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Failure> {
    let permit = app.copies.enter().await?;
    let job = Arc::clone(app);
    let outcome = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        step(job.engine.backups())
    });
    match outcome.await {
        Ok(outcome) => outcome.map_err(|error| failure(&error)),
        Err(_panicked) => Err(internal_error(app)),
    }
}

async fn send_file(app: &Arc<App>, file: FileName) -> Result<Answer, Failure> {
    let permit = app.copies.enter().await?;
    let (pieces_in, mut pieces) = mpsc::channel(PIECES_AHEAD);
    let (outcome_in, outcome) = oneshot::channel();
    let job = Arc::clone(app);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut has_sent = false;
        let outcome = job.engine.backups().read_file(file.as_ref(), &mut |piece| {
            has_sent = true;
            let gone = |_| std::io::ErrorKind::BrokenPipe.into();
            pieces_in.blocking_send(Ok(Bytes::copy_from_slice(piece))).map_err(gone)
        });
        if outcome.is_err() && has_sent {
            // If the client has left, there is nothing to break.
            drop(pieces_in.blocking_send(Err(StreamBroken)));
        }
        // Nobody waits for it once the answer has begun.
        drop(outcome_in.send(outcome));
    });
    let first = match pieces.recv().await {
        Some(Ok(first)) => Some(first),
        // An empty file, or none.
        Some(Err(_)) | None => match outcome.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => return Err(failure(&error)),
            Err(_panicked) => return Err(internal_error(app)),
        },
    };
    let mut answer = Response::new(AnswerBody::stream(first, pieces));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(answer)
}

fn internal_error(app: &App) -> Failure {
    app.stats.panics.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the server's log")
}

fn failure(error: &BackupError) -> Failure {
    let text = error.to_string();
    match error {
        BackupError::DatabaseNotFound(_) | BackupError::NoSession(_) | BackupError::NoFile { .. } => {
            Failure::new(StatusCode::NOT_FOUND, text)
        }
        BackupError::DatabaseExists(_) | BackupError::WrongOffset { .. } => {
            Failure::new(StatusCode::CONFLICT, text)
        }
        BackupError::Checksum { .. } | BackupError::Inconsistent(_) => {
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, text)
        }
        BackupError::TooManySessions(_) => Failure::unavailable(text, 10),
        _ => {
            tracing::error!(error = text, "a step of a backup or a restore failed");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
