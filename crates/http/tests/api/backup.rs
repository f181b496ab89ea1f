//! Backup and restore over HTTP: what reaches the node, and what its refusals become.

use std::io;

use skywatch_cluster::backup::{
    BackupError, Backups, ByteSink, Checksum, FileRef, Listing, RestorePlan, SessionId,
};

use crate::{fake::FakeEngine, harness::TestServer};

/// A session `s` with one shard, 7, and a file for every way a reading may go.
impl Backups for FakeEngine {
    fn begin_backup(&self, databases: &[String]) -> Result<Listing, BackupError> {
        match databases.first() {
            Some(name) if name == "nope" => Err(BackupError::DatabaseNotFound(name.clone())),
            Some(name) if name == "busy" => Err(BackupError::TooManySessions(4)),
            _ => Ok(Listing { session: "s".to_owned(), ..Listing::default() }),
        }
    }

    fn read_file(&self, file: FileRef<'_>, sink: ByteSink<'_>) -> Result<(), BackupError> {
        assert_eq!((file.session, file.shard), ("s", 7));
        match file.name {
            "empty" => Ok(()),
            "large" => (0..40_u8).try_for_each(|piece| sink(&[piece; 100_000])).map_err(BackupError::Sink),
            "broken" => {
                // More than fits between here and the client: the head has left by then.
                (0..20_u8).try_for_each(|piece| sink(&[piece; 100_000])).map_err(BackupError::Sink)?;
                Err(BackupError::Storage("the disk".to_owned()))
            }
            name => Err(BackupError::NoFile { shard: 7, name: name.to_owned() }),
        }
    }

    fn checksum(&self, file: FileRef<'_>) -> Result<Checksum, BackupError> {
        if file.name == "panic" { panic!("asked to") } else { Ok(Checksum::of(b"")) }
    }

    fn end_backup(&self, session: &str) -> Result<(), BackupError> {
        if session == "s" { Ok(()) } else { Err(BackupError::NoSession(session.to_owned())) }
    }

    fn begin_restore(&self, plan: &RestorePlan) -> Result<SessionId, BackupError> {
        Err(BackupError::DatabaseExists(plan.database.name.clone()))
    }

    fn put(&self, file: FileRef<'_>, offset: u64, bytes: &[u8]) -> Result<(), BackupError> {
        if (file.shard, file.name, offset, bytes) == (7, "a b", 12, b"xyz".as_slice()) {
            return Ok(());
        }
        let (expected, found) = (Checksum::of(b"a"), Checksum::of(b"b"));
        Err(BackupError::Checksum { shard: file.shard, name: file.name.to_owned(), expected, found })
    }

    fn commit_restore(&self, session: &str) -> Result<(), BackupError> {
        Err(BackupError::Sink(io::Error::other(session.to_owned())))
    }

    fn abort_restore(&self, _session: &str) -> Result<(), BackupError> {
        Ok(())
    }
}

const FILE: &str = "/skywatch/v1/backup/file?session=s&shard=7&name=";

#[tokio::test]
async fn files_are_streamed_whole_or_visibly_cut() {
    let server = TestServer::start().await;
    let large = server.get(&format!("{FILE}large")).await;
    assert_eq!((large.status(), large.body.len(), large.cut), (200, 4_000_000, false));
    assert!(large.body.chunks(100_000).zip(0_u8..).all(|(piece, value)| piece.iter().all(|it| *it == value)));
    let empty = server.get(&format!("{FILE}empty")).await;
    assert_eq!((empty.status(), empty.body.len()), (200, 0));
    assert!(server.get(&format!("{FILE}broken")).await.cut);
    let absent = server.get(&format!("{FILE}absent")).await;
    assert_eq!(
        absent.failure(),
        (
            404,
            "the session has no file absent of shard 7",
            "{\"error\":\"the session has no file absent of shard 7\"}\n"
        )
    );
}

#[tokio::test]
async fn steps_reach_the_node_and_refusals_come_back() {
    let server = TestServer::start().await;
    let begun = server.post("/skywatch/v1/backup", "").await;
    assert_eq!((begun.status(), begun.text()), (200, r#"{"session":"s","databases":[],"shards":[]}"#));
    assert_eq!(server.post("/skywatch/v1/backup", r#"["nope"]"#).await.status(), 404);
    let busy = server.post("/skywatch/v1/backup", r#"["busy"]"#).await;
    assert_eq!((busy.status(), busy.header("Retry-After")), (503, "10"));
    assert_eq!(server.post("/skywatch/v1/backup", "{").await.status(), 400);
    let sum = server.get("/skywatch/v1/backup/checksum?session=s&shard=7&name=x").await;
    assert_eq!(sum.text(), r#"{"checksum":"2d06800538d394c2"}"#);
    assert_eq!(server.get("/skywatch/v1/backup/checksum?session=s&shard=x&name=x").await.status(), 400);
    assert_eq!(server.get("/skywatch/v1/backup/checksum?session=s&shard=7&name=panic").await.status(), 500);
    let end = |target: &'static str| format!("DELETE {target} HTTP/1.1\r\nHost: x\r\n");
    assert_eq!(server.send(&end("/skywatch/v1/backup?session=s"), b"").await.status(), 204);
    assert_eq!(server.send(&end("/skywatch/v1/backup?session=t"), b"").await.status(), 404);
    assert_eq!(server.send(&end("/skywatch/v1/restore?session=t"), b"").await.status(), 204);
    let plan =
        r#"{"database":{"name":"db","default_retention_policy":"","retention_policies":[]},"shards":[]}"#;
    let refused = server.post("/skywatch/v1/restore", plan).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().contains("--new-db"));
    let put = |query: &str| {
        format!("PUT /skywatch/v1/restore/file?session=s&shard=7&{query} HTTP/1.1\r\nHost: x\r\n")
    };
    for (query, status) in
        [("name=a+b&offset=12", 204), ("name=a+b&offset=13", 422), ("name=a+b&offset=", 400)]
    {
        assert_eq!(server.send(&put(query), b"xyz").await.status(), status, "{query}");
    }
    assert_eq!(server.post("/skywatch/v1/restore/commit?session=s", "").await.status(), 500);
    let wrong = server.get("/skywatch/v1/restore").await;
    assert_eq!((wrong.status(), wrong.header("Allow")), (405, "POST, DELETE"));
    assert_eq!(server.get("/skywatch/v1/other").await.status(), 404);
}
