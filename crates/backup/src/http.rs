//! A node reached over HTTP.

use std::{
    io::{self, Read},
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};
use skywatch_cluster::backup::{
    BackupError, Backups, ByteSink, Checksum, FileRef, Listing, PIECE_BYTES, RestorePlan, SessionId,
};
use ureq::{Agent, Body, http::Response};

/// Time to find the server. Steps themselves may take as long as they take: a server flushes before it lists.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest JSON answer: the listing of a node with a million files has some 100 MB.
const JSON_BYTES_MAX: u64 = 1 << 30;

/// See the module's header.
#[derive(Debug, Clone)]
pub struct HttpServer {
    agent: Agent,
    url: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

#[derive(Deserialize)]
struct ChecksumBody {
    checksum: Checksum,
}

#[derive(Deserialize)]
struct SessionBody {
    session: SessionId,
}

impl HttpServer {
    /// The server at `url`, such as `http://127.0.0.1:8086`.
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .build();
        Self { agent: config.into(), url: format!("{}/skywatch/v1", url.trim_end_matches('/')) }
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    /// The answer, if it is a good one.
    fn check(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, BackupError> {
        let answer = answer.map_err(|error| {
            let base = self.url.trim_end_matches("/skywatch/v1");
            BackupError::Unreachable(format!(
                "cannot reach {base}: {error}; is the server running, and is --url right?"
            ))
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.into_body().read_to_string().unwrap_or_default();
        Err(BackupError::Refused(match serde_json::from_str::<ErrorBody>(&text) {
            Ok(body) => body.error,
            Err(_) => {
                format!("the server answers {status}: {}; is it a Skywatch of this version?", text.trim())
            }
        }))
    }

    fn json<T: DeserializeOwned>(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<T, BackupError> {
        let body = self.check(answer)?.into_body().into_with_config().limit(JSON_BYTES_MAX).reader();
        serde_json::from_reader(body).map_err(|error| {
            BackupError::Unreachable(format!("the answer of the server cannot be read: {error}"))
        })
    }

    fn get(&self, path: &str, file: FileRef<'_>) -> Result<Response<Body>, ureq::Error> {
        self.agent
            .get(self.path(path))
            .query("session", file.session)
            .query("shard", file.shard.to_string())
            .query("name", file.name)
            .call()
    }

    fn delete(&self, path: &str, session: &str) -> Result<(), BackupError> {
        self.check(self.agent.delete(self.path(path)).query("session", session).call()).map(drop)
    }
}

impl Backups for HttpServer {
    fn begin_backup(&self, databases: &[String]) -> Result<Listing, BackupError> {
        let body = serde_json::to_vec(databases).unwrap_or_default();
        self.json(self.agent.post(self.path("backup")).content_type("application/json").send(body))
    }

    fn read_file(&self, file: FileRef<'_>, sink: ByteSink<'_>) -> Result<(), BackupError> {
        let answer = self.check(self.get("backup/file", file))?;
        let mut body = answer.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => sink(&buffer[..count]).map_err(BackupError::Sink)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let text = format!("{} broke off: {error}", file.name);
                    return Err(BackupError::Unreachable(text));
                }
            }
        }
    }

    fn checksum(&self, file: FileRef<'_>) -> Result<Checksum, BackupError> {
        self.json::<ChecksumBody>(self.get("backup/checksum", file)).map(|body| body.checksum)
    }

    fn end_backup(&self, session: &str) -> Result<(), BackupError> {
        self.delete("backup", session)
    }

    fn begin_restore(&self, plan: &RestorePlan) -> Result<SessionId, BackupError> {
        let body = serde_json::to_vec(plan).unwrap_or_default();
        let answer = self.agent.post(self.path("restore")).content_type("application/json").send(body);
        self.json::<SessionBody>(answer).map(|body| body.session)
    }

    fn put(&self, file: FileRef<'_>, offset: u64, bytes: &[u8]) -> Result<(), BackupError> {
        let request = self
            .agent
            .put(self.path("restore/file"))
            .query("session", file.session)
            .query("shard", file.shard.to_string())
            .query("name", file.name)
            .query("offset", offset.to_string());
        self.check(request.send(bytes)).map(drop)
    }

    fn commit_restore(&self, session: &str) -> Result<(), BackupError> {
        self.check(self.agent.post(self.path("restore/commit")).query("session", session).send_empty())
            .map(drop)
    }

    fn abort_restore(&self, session: &str) -> Result<(), BackupError> {
        self.delete("restore", session)
    }
}
