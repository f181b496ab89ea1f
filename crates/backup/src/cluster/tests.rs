//! Nodes with prepared listings, so that every way in which owners can be away or behind is seen.

use std::sync::{Arc, Barrier};

use skywatch_cluster::backup::FileListing;
use skywatch_meta::{NodeId, ShardGroup};

use super::*;

/// A node that answers as told, and notes which sessions are open.
#[derive(Clone)]
struct Prepared {
    listing: Option<Listing>,
    /// Whether it does not say in time that it is there.
    is_slow: bool,
    open: Arc<Mutex<Vec<String>>>,
    /// How often a backup began.
    begun: Arc<AtomicUsize>,
    /// Where backups that begin wait for each other.
    meeting: Arc<Barrier>,
}

impl Prepared {
    /// `holds` of the shards of `databases`, and lacks some of the others.
    fn new(id: u64, databases: Vec<Database>, holds: &[u64], lacking: &[u64]) -> Self {
        let shards = holds.iter().map(|shard| ShardListing {
            id: *shard,
            files: vec![FileListing { name: format!("of-node-{id}"), size_bytes: 1 }],
            damaged: Vec::new(),
        });
        let listing = Listing {
            session: format!("b{id}"),
            databases,
            shards: shards.collect(),
            node: Some(id),
            lacking: lacking.to_vec(),
            ..Listing::default()
        };
        Self { listing: Some(listing), ..Self::away() }
    }

    fn away() -> Self {
        let meeting = Arc::new(Barrier::new(1));
        Self { listing: None, is_slow: false, open: Arc::default(), begun: Arc::default(), meeting }
    }

    fn slow(self) -> Self {
        Self { is_slow: true, ..self }
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }
}

impl Backups for Prepared {
    fn probe(&self) -> Result<(), BackupError> {
        if self.is_slow { Err(BackupError::Unreachable("it is silent".to_owned())) } else { Ok(()) }
    }

    fn begin_backup(&self, _: &[String]) -> Result<Listing, BackupError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.meeting.wait();
        let listing =
            self.listing.clone().ok_or_else(|| BackupError::Unreachable("connection refused".to_owned()))?;
        self.open.lock().push(listing.session.clone());
        Ok(listing)
    }

    fn read_file(&self, file: FileRef<'_>, sink: ByteSink<'_>) -> Result<(), BackupError> {
        assert!(self.open.lock().iter().any(|session| session == file.session));
        sink(file.name.as_bytes()).map_err(BackupError::Sink)
    }

    fn checksum(&self, file: FileRef<'_>) -> Result<Checksum, BackupError> {
        Ok(Checksum::of(file.name.as_bytes()))
    }

    fn end_backup(&self, session: &str) -> Result<(), BackupError> {
        self.open.lock().retain(|open| open != session);
        Ok(())
    }

    fn begin_restore(&self, _: &RestorePlan) -> Result<SessionId, BackupError> {
        let listing =
            self.listing.as_ref().ok_or_else(|| BackupError::Unreachable("connection refused".to_owned()))?;
        Ok(format!("r-{}", listing.session))
    }

    fn put(&self, file: FileRef<'_>, _: u64, _: &[u8]) -> Result<(), BackupError> {
        self.open.lock().push(format!("{} got {}", file.session, file.name));
        Ok(())
    }

    fn commit_restore(&self, session: &str) -> Result<(), BackupError> {
        self.open.lock().push(format!("{session} is committed"));
        Ok(())
    }

    fn abort_restore(&self, _: &str) -> Result<(), BackupError> {
        Ok(())
    }
}

/// A database whose only group has these shards, with their owners.
fn database(owners: &[(u64, &[u64])]) -> Vec<Database> {
    let shards = owners
        .iter()
        .map(|(id, owners)| Shard::new(*id, owners.iter().map(|owner| NodeId(*owner)).collect()))
        .collect();
    let group = ShardGroup {
        id: 1,
        start_ns: 0,
        end_ns: 10,
        deleted_at_ns: None,
        truncated_at_ns: None,
        shards,
        log_starts: Vec::new(),
    };
    let policy =
        RetentionPolicy { name: "autogen".into(), shard_groups: vec![group], ..RetentionPolicy::default() };
    vec![Database { name: "db".into(), retention_policies: vec![policy], ..Database::default() }]
}

fn cluster(nodes: &[(u64, &Prepared)]) -> Cluster {
    Cluster::new(nodes.iter().map(|(id, node)| (*id, Box::new((*node).clone()) as Box<dyn Backups>)))
}

/// Where each shard would come from, by the name of its only file.
fn sources(listing: &Listing) -> Vec<(u64, &str)> {
    listing.shards.iter().map(|shard| (shard.id, shard.files[0].name.as_str())).collect()
}

#[test]
fn each_shard_comes_from_the_first_owner_that_holds_all_of_it() {
    let databases = database(&[(1, &[4, 5]), (2, &[5, 6]), (3, &[4, 6]), (7, &[4, 5])]);
    let four = Prepared::new(4, databases.clone(), &[1], &[3]);
    let five = Prepared::new(5, databases.clone(), &[1, 2], &[]);
    let six = Prepared::new(6, databases.clone(), &[2, 3], &[]);
    let preferring_six = cluster(&[(6, &six), (4, &four), (5, &five)]);
    let listing = preferring_six.begin_backup(&[]).unwrap();
    assert_eq!(sources(&listing), [(1, "of-node-4"), (2, "of-node-6"), (3, "of-node-6")]);
    preferring_six.end_backup(&listing.session).unwrap();
    let cluster = cluster(&[(4, &four), (5, &five), (6, &six)]);
    let listing = cluster.begin_backup(&[]).unwrap();
    // Nothing was ever written to shard 7.
    assert_eq!(sources(&listing), [(1, "of-node-4"), (2, "of-node-5"), (3, "of-node-6")]);
    assert_eq!((listing.node, &listing.databases), (None, &databases));

    let file = FileRef { session: &listing.session, shard: 3, name: "of-node-6" };
    let mut read = Vec::new();
    cluster
        .read_file(file, &mut |piece| {
            read.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
    assert_eq!(read, b"of-node-6");
    assert_eq!(cluster.checksum(file).unwrap(), Checksum::of(b"of-node-6"));
    cluster.end_backup(&listing.session).unwrap();
    assert!(cluster.checksum(file).is_err());
    assert!([&four, &five, &six].iter().all(|node| node.open.lock().is_empty()), "every session has ended");
}

#[test]
fn a_node_that_is_away_is_made_up_for_by_others() {
    let databases = database(&[(1, &[4, 5])]);
    let five = Prepared::new(5, databases, &[1], &[]);
    let cluster = cluster(&[(4, &Prepared::away()), (5, &five)]);
    assert_eq!(sources(&cluster.begin_backup(&[]).unwrap()), [(1, "of-node-5")]);
}

#[test]
fn a_silent_node_is_asked_only_where_nobody_else_can_help() {
    let databases = database(&[(1, &[4, 5])]);
    let four = Prepared::new(4, databases.clone(), &[1], &[]).slow();
    let five = Prepared::new(5, databases.clone(), &[1], &[]);
    let listing = cluster(&[(4, &four), (5, &five)]).begin_backup(&[]).unwrap();
    assert_eq!((sources(&listing), four.begun()), (vec![(1, "of-node-5")], 0));

    // It owns a shard that the others have in part: slow or not, it is waited for.
    let behind = Prepared::new(5, databases.clone(), &[], &[1]);
    let listing = cluster(&[(4, &four), (5, &behind)]).begin_backup(&[]).unwrap();
    assert_eq!((sources(&listing), four.begun(), behind.begun()), (vec![(1, "of-node-4")], 1, 1));
    // The same where nobody says anything in time.
    let slow = Prepared::new(5, databases, &[1], &[]).slow();
    let listing = cluster(&[(4, &four), (5, &slow)]).begin_backup(&[]).unwrap();
    assert_eq!((sources(&listing), listing.unheld.len()), (vec![(1, "of-node-4")], 0));

    // A restore goes past it, and to it if there is nobody else.
    let plan = RestorePlan { database: Database::default(), shards: Vec::new(), times: None };
    let both = cluster(&[(4, &four), (5, &five)]);
    assert_eq!(both.begin_restore(&plan).unwrap(), "1/r-b5");
    assert_eq!(cluster(&[(4, &four)]).begin_restore(&plan).unwrap(), "0/r-b4");
}

#[test]
fn nodes_are_asked_at_the_same_time() {
    let databases = database(&[(1, &[4]), (2, &[5]), (3, &[6])]);
    let meeting = Arc::new(Barrier::new(3));
    let node = |id, shard| {
        let node = Prepared::new(id, databases.clone(), &[shard], &[]);
        Prepared { meeting: Arc::clone(&meeting), ..node }
    };
    let (four, five, six) = (node(4, 1), node(5, 2), node(6, 3));
    // None of them answers before all of them are asked.
    let listing = cluster(&[(4, &four), (5, &five), (6, &six)]).begin_backup(&[]).unwrap();
    assert_eq!(sources(&listing), [(1, "of-node-4"), (2, "of-node-5"), (3, "of-node-6")]);
}

#[test]
fn of_a_shard_that_nobody_holds_whole_it_is_said_why() {
    let databases = database(&[(1, &[4, 5, 6]), (2, &[5])]);
    let five = Prepared::new(5, databases, &[2], &[1]);
    // It has not heard of the database yet.
    let six = Prepared::new(6, Vec::new(), &[], &[]);
    let cluster = cluster(&[(4, &Prepared::away()), (5, &five), (6, &six)]);
    let listing = cluster.begin_backup(&[]).unwrap();
    assert_eq!(sources(&listing), [(2, "of-node-5")]);
    let why = "data node 4: connection refused; data node 5: it does not hold all of it now; \
               data node 6: it does not hold all of it now";
    assert_eq!(listing.unheld, [(1, why.to_owned())].into());
    cluster.end_backup(&listing.session).unwrap();
    assert!(five.open.lock().is_empty() && six.open.lock().is_empty(), "no session is left open");
}

#[test]
fn without_a_node_there_is_no_backup() {
    let told = cluster(&[(4, &Prepared::away())]).begin_backup(&[]).unwrap_err().to_string();
    assert_eq!(told, "no data node answers: data node 4: connection refused");
    assert!(cluster(&[]).begin_backup(&[]).is_err());
}

#[test]
fn a_restore_goes_to_one_node_that_answers_and_the_next_to_another() {
    let five = Prepared::new(5, Vec::new(), &[], &[]);
    let six = Prepared::new(6, Vec::new(), &[], &[]);
    let cluster = cluster(&[(4, &Prepared::away()), (5, &five), (6, &six)]);
    let plan = RestorePlan { database: Database::default(), shards: Vec::new(), times: None };
    for node in [&five, &six] {
        let session = cluster.begin_restore(&plan).unwrap();
        cluster.put(FileRef { session: &session, shard: 1, name: "f" }, 0, b"x").unwrap();
        cluster.commit_restore(&session).unwrap();
        let id = node.listing.as_ref().unwrap().node.unwrap();
        assert_eq!(*node.open.lock(), [format!("r-b{id} got f"), format!("r-b{id} is committed")]);
    }
    assert!(cluster.commit_restore("9/x").is_err());
    assert!(cluster.commit_restore("x").is_err());
}
