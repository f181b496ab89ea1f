//! A node's databases copied to another name and to another node, with faults on the way.

use std::{path::Path, sync::Arc};

use skywatch_model::line::Precision;
use skywatch_query::{QueryRequest, StatementResult};
use skywatch_storage::{CardinalityLimits, Durability, MemoryBudget};

use super::*;
use crate::{Consistency, Node, NodeConfig, UpkeepSettings, WriteRequest};

fn open(dir: &Path) -> Arc<Node> {
    Node::open(NodeConfig {
        data_dir: dir.to_path_buf(),
        durability: Durability::Fsync,
        memory: Arc::new(MemoryBudget::new(1 << 30)),
        cardinality: CardinalityLimits::default(),
        limits: skywatch_query::Limits::default(),
        autogen: true,
        upkeep: UpkeepSettings::default(),
        monitor: Arc::default(),
    })
    .unwrap()
}

fn write(node: &Node, database: &str, lines: &str) {
    let request = WriteRequest {
        database,
        retention_policy: None,
        precision: Precision::Nanosecond,
        body: lines.as_bytes(),
        received_at_ns: 1,
        consistency: Consistency::One,
    };
    node.write(&request).unwrap();
}

fn query(node: &Node, database: &str, text: &str) -> String {
    let mut answer = String::new();
    let mut sink = |result: StatementResult| {
        assert!(result.error.is_none(), "{:?}", result.error);
        answer += &format!("{:?}", result.series);
        Ok(())
    };
    let request = QueryRequest::new(text.to_owned(), database, 1);
    node.executor().execute(&request, &skywatch_query::CancelToken::new(), &mut sink).unwrap();
    answer
}

/// A node with two shard groups in `db`, one of them in segments, the other in memory.
fn source(dir: &Path) -> Arc<Node> {
    let node = open(dir);
    query(&node, "", "CREATE DATABASE db");
    write(&node, "db", "cpu,host=a value=1,n=3i 10\ncpu,host=b value=2 20");
    write(&node, "db", "mem,host=a text=\"x y\" 1700000000000000000");
    node
}

/// Everything of a session, as a plan and the bytes of its files.
fn fetch(node: &Node) -> (RestorePlan, Vec<(u64, String, Vec<u8>)>) {
    let listing = node.begin_backup(&["db".to_owned()]).unwrap();
    let mut bytes = Vec::new();
    let mut shards = Vec::new();
    for shard in &listing.shards {
        let mut files = Vec::new();
        for file in &shard.files {
            let file_ref = FileRef { session: &listing.session, shard: shard.id, name: &file.name };
            let mut content = Vec::new();
            node.read_file(file_ref, &mut |piece| {
                content.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            let checksum = node.checksum(file_ref).unwrap();
            assert_eq!((content.len() as u64, Checksum::of(&content)), (file.size_bytes, checksum));
            files.push(FileCopy { name: file.name.clone(), size_bytes: file.size_bytes, checksum });
            bytes.push((shard.id, file.name.clone(), content));
        }
        shards.push(ShardCopy { id: shard.id, files, damaged: shard.damaged.clone() });
    }
    node.end_backup(&listing.session).unwrap();
    assert!(node.end_backup(&listing.session).is_err());
    (RestorePlan { database: listing.databases[0].clone(), shards, times: None }, bytes)
}

fn send(node: &Node, session: &str, files: &[(u64, String, Vec<u8>)]) -> Result<(), BackupError> {
    for (shard, name, content) in files {
        let file = FileRef { session, shard: *shard, name };
        let (first, rest) = content.split_at(content.len() / 2);
        node.put(file, 0, first)?;
        node.put(file, first.len() as u64, rest)?;
    }
    Ok(())
}

const QUERIES: [&str; 4] =
    ["SELECT * FROM cpu", "SELECT * FROM mem GROUP BY host", "SHOW SERIES", "SHOW RETENTION POLICIES"];

#[test]
fn a_database_comes_back_under_another_name_and_on_another_node() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = source(here.path());
    let (mut plan, files) = fetch(&node);
    assert!(matches!(node.begin_restore(&plan), Err(BackupError::DatabaseExists(_))));
    write(&node, "db", "cpu,host=c value=3 30");
    let other = open(there.path());
    let session = other.begin_restore(&plan).unwrap();
    send(&other, &session, &files).unwrap();
    other.commit_restore(&session).unwrap();
    plan.database.name = "copy".to_owned();
    let session = node.begin_restore(&plan).unwrap();
    send(&node, &session, &files).unwrap();
    assert!(!query(&node, "", "SHOW DATABASES").contains("copy"), "not before it is whole");
    node.commit_restore(&session).unwrap();
    for text in QUERIES {
        assert_eq!(query(&node, "copy", text), query(&other, "db", text), "{text}");
    }
    assert!(
        query(&node, "db", QUERIES[0]).contains("\"c\"")
            && !query(&node, "copy", QUERIES[0]).contains("\"c\"")
    );
    // Both go on, and come back.
    write(&node, "copy", "cpu,host=a value=7 10");
    node.close();
    let node = open(here.path());
    assert!(query(&node, "copy", QUERIES[0]).contains("7.0"));
    assert!(!query(&node, "db", QUERIES[0]).contains("7.0"));
}

#[test]
fn points_of_other_times_are_left_out() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = source(here.path());
    let both = "cpu,host=c value=3 9\ncpu,host=c value=4 10\ncpu,host=c value=5 15\ncpu,host=c value=6 16";
    write(&source, "db", both);
    let (mut plan, files) = fetch(&source);
    plan.times = Some(Times { start_ns: 10, end_ns: 15 });
    let node = open(there.path());
    let session = node.begin_restore(&plan).unwrap();
    send(&node, &session, &files).unwrap();
    node.commit_restore(&session).unwrap();
    let (values, series) = ("SELECT value FROM cpu GROUP BY host", "SHOW SERIES");
    let kept = query(&node, "db", values);
    for (value, is_kept) in
        [("1.0", true), ("2.0", false), ("3.0", false), ("4.0", true), ("5.0", true), ("6.0", false)]
    {
        assert_eq!(kept.contains(value), is_kept, "{value}: {kept}");
    }
    let listed = query(&node, "db", series);
    assert!(listed.contains("cpu,host=a") && listed.contains("cpu,host=c"), "{listed}");
    assert!(!listed.contains("host=b") && !listed.contains("mem"), "none of their points is left: {listed}");
    // What is written there from now on stays, also where something was left out.
    write(&node, "db", "cpu,host=b value=7 20\ncpu,host=c value=8 9");
    let after = query(&node, "db", values);
    assert!(after.contains("7.0") && after.contains("8.0") && !after.contains("3.0"), "{after}");
    node.close();
    let node = open(there.path());
    assert_eq!(query(&node, "db", values), after);
}

#[test]
fn what_is_damaged_or_missing_is_named_and_nothing_of_it_stays() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (plan, files) = fetch(&source(here.path()));
    let node = open(there.path());
    let session = node.begin_restore(&plan).unwrap();
    let (shard, name, content) = &files[0];
    let file = FileRef { session: &session, shard: *shard, name };
    let mut flipped = content.clone();
    flipped[3] ^= 1;
    assert!(matches!(node.put(file, 0, &flipped), Err(BackupError::Checksum { .. })));
    assert!(matches!(node.put(file, 1, content), Err(BackupError::WrongOffset { expected: 0, .. })));
    node.put(file, 0, content).unwrap();
    let error = node.commit_restore(&session).unwrap_err().to_string();
    assert!(error.contains("was not sent whole"), "{error}");
    send(&node, &session, &files[1..]).unwrap();
    node.commit_restore(&session).unwrap();
    assert!(node.commit_restore(&session).is_err());

    // Given up, or cut off by a stop: nothing is left.
    let mut plan = plan;
    plan.database.name = "second".to_owned();
    let session = node.begin_restore(&plan).unwrap();
    send(&node, &session, &files).unwrap();
    node.abort_restore(&session).unwrap();
    let entries = || std::fs::read_dir(there.path().join("data")).unwrap().count();
    let settled = entries();
    let session = node.begin_restore(&plan).unwrap();
    send(&node, &session, &files[1..]).unwrap();
    assert!(entries() > settled);
    node.close();
    let node = open(there.path());
    assert_eq!(entries(), settled, "staged shards are not left behind");
    assert!(matches!(node.commit_restore(&session), Err(BackupError::NoSession(_))));
}

#[test]
fn shards_renamed_but_not_in_the_catalogue_go_at_the_next_open() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (plan, files) = fetch(&source(here.path()));
    let node = open(there.path());
    // What a crash leaves between the second and the third step of a commit.
    node.core.host.execute(&skywatch_meta::Command::ReserveShards { count: 2 }).unwrap();
    let staged = node.core.store.stage_shard().unwrap();
    let first = files[0].0;
    for (_, name, content) in files.iter().filter(|(shard, ..)| *shard == first) {
        let mut file = staged.create_file(name).unwrap();
        file.append(content).unwrap();
        file.sync().unwrap();
    }
    let groups = plan.database.retention_policies.iter().flat_map(|policy| &policy.shard_groups);
    let group = groups.clone().find(|group| group.shards[0].id == first).unwrap();
    let range = TimeRange::new(group.start_ns, group.end_ns - 1);
    node.core.store.adopt_shard(staged, skywatch_storage::ShardId(2), range, &[]).unwrap();
    node.close();
    let node = open(there.path());
    assert!(node.core.open_shard(2).is_none());
    assert!(!there.path().join("data/2").exists());
}
