//! A node reached over HTTP.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use skywatch_client::{Client, ClientError, Connection, Method, RequestBuilder, Response};
use skywatch_cluster::backup::{
    BackupError, Backups, ByteSink, Checksum, FileRef, Listing, RestorePlan, SessionId, Times,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

/// Longest JSON answer: the listing of a node with a million files has some 100 MB.
const JSON_BYTES_MAX: usize = 1 << 30;

/// Longest time without a byte of an answer: a server flushes before it lists, and reads a whole file before it tells its
/// checksum. One that is frozen would be waited for without end.
const SILENCE: Duration = Duration::from_secs(120);

/// How long a server has to say that it is there, where there are others to ask.
const PROBE: Duration = Duration::from_secs(5);

/// See the module's header. Backups are made by threads that wait; the requests run on a runtime of its own.
#[derive(Debug, Clone)]
pub struct HttpServer {
    client: Client,
    runtime: Arc<Runtime>,
}

#[derive(Deserialize)]
struct ChecksumBody {
    checksum: Checksum,
}

#[derive(Deserialize)]
struct SessionBody {
    session: SessionId,
    /// Those of the plan; nothing is said of them by releases that would restore points of all times.
    #[serde(default)]
    times: Option<Times>,
}

impl HttpServer {
    /// The server of a connection. Requests may take as long as they take, as long as something comes within [`SILENCE`].
    pub fn new(mut connection: Connection) -> Result<Self, ClientError> {
        connection.silence.get_or_insert(SILENCE);
        let client = Client::new(connection)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            ClientError::Options(format!("no asynchronous runtime can be started: {error}"))
        })?;
        Ok(Self { client, runtime: Arc::new(runtime) })
    }

    fn path(path: &str) -> String {
        format!("skywatch/v1/{path}")
    }

    /// The answer, if it is a good one.
    fn call(&self, request: RequestBuilder) -> Result<Response, BackupError> {
        self.runtime.block_on(self.client.send_checked(request)).map_err(|error| match error {
            ClientError::Refused(reason) => BackupError::Refused(reason),
            ClientError::NotInfluxDb { server, reason } => {
                BackupError::Refused(format!("{server} answers {reason}: is it a Skywatch of this version?"))
            }
            error => unreachable(&error),
        })
    }

    /// Gives a body to `take` piece by piece, until it is over or `take` fails.
    fn read(
        &self,
        mut answer: Response,
        mut take: impl FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        loop {
            match self.runtime.block_on(self.client.next_piece(&mut answer)) {
                Ok(Some(piece)) => take(piece.as_ref())?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(unreachable(&error)),
            }
        }
    }

    fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, BackupError> {
        let unreadable = |reason: &str| {
            BackupError::Unreachable(format!("the answer of the server cannot be read: {reason}"))
        };
        let mut body = Vec::new();
        self.read(self.call(request)?, |piece| {
            body.extend_from_slice(piece);
            if body.len() > JSON_BYTES_MAX { Err(unreadable("it is too long")) } else { Ok(()) }
        })?;
        serde_json::from_slice(&body).map_err(|error| unreadable(&error.to_string()))
    }

    fn get(&self, path: &str, file: FileRef<'_>) -> RequestBuilder {
        let shard = file.shard.to_string();
        self.client.get(&Self::path(path)).query(&[
            ("session", file.session),
            ("shard", &shard),
            ("name", file.name),
        ])
    }

    fn post_json(&self, path: &str, body: &impl Serialize) -> RequestBuilder {
        self.client.post(&Self::path(path)).json(body)
    }

    fn delete(&self, path: &str, session: &str) -> Result<(), BackupError> {
        let request = self.client.request(Method::DELETE, &Self::path(path)).query(&[("session", session)]);
        self.call(request).map(drop)
    }
}

fn unreachable(error: &ClientError) -> BackupError {
    BackupError::Unreachable(error.to_string())
}

impl Backups for HttpServer {
    fn probe(&self) -> Result<(), BackupError> {
        let limit = self.client.connection().silence.map_or(PROBE, |silence| silence.min(PROBE));
        let asking = async { timeout(limit, self.client.send(self.client.get("ping"))).await };
        let silent = |_| ClientError::Silent { server: self.client.server(), seconds: limit.as_secs() };
        // Whatever it says: it is there.
        let answer = self.runtime.block_on(asking).map_err(silent).flatten();
        answer.map(drop).map_err(|error| unreachable(&error))
    }

    fn begin_backup(&self, databases: &[String]) -> Result<Listing, BackupError> {
        self.json(self.post_json("backup", &databases))
    }

    fn read_file(&self, file: FileRef<'_>, sink: ByteSink<'_>) -> Result<(), BackupError> {
        let answer = self.call(self.get("backup/file", file))?;
        self.read(answer, |piece| sink(piece).map_err(BackupError::Sink))
    }

    fn checksum(&self, file: FileRef<'_>) -> Result<Checksum, BackupError> {
        self.json::<ChecksumBody>(self.get("backup/checksum", file)).map(|body| body.checksum)
    }

    fn end_backup(&self, session: &str) -> Result<(), BackupError> {
        self.delete("backup", session)
    }

    fn begin_restore(&self, plan: &RestorePlan) -> Result<SessionId, BackupError> {
        let begun: SessionBody = self.json(self.post_json("restore", plan))?;
        if begun.times == plan.times {
            return Ok(begun.session);
        }
        self.abort_restore(&begun.session)?;
        let text = "the server is of a release that would restore points beyond the range of time of the backup: use a newer one";
        Err(BackupError::Refused(text.to_owned()))
    }

    fn put(&self, file: FileRef<'_>, offset: u64, bytes: &[u8]) -> Result<(), BackupError> {
        let (shard, offset) = (file.shard.to_string(), offset.to_string());
        let request = self.client.request(Method::PUT, &Self::path("restore/file")).query(&[
            ("session", file.session),
            ("shard", &shard),
            ("name", file.name),
            ("offset", &offset),
        ]);
        self.call(request.body(bytes.to_vec())).map(drop)
    }

    fn commit_restore(&self, session: &str) -> Result<(), BackupError> {
        let request = self.client.post(&Self::path("restore/commit")).query(&[("session", session)]);
        self.call(request).map(drop)
    }

    fn abort_restore(&self, session: &str) -> Result<(), BackupError> {
        self.delete("restore", session)
    }
}
