use std::collections::BTreeMap;

use super::*;
use crate::{Command, NodeId, PasswordHash, Privilege, Subscription, SubscriptionMode};

fn create_database(name: &str) -> Command {
    Command::CreateDatabase { name: name.into(), policy: None }
}

/// One of everything that a catalogue held at version 2.
fn single_server() -> Catalogue {
    let (database, retention_policy) = ("a".to_owned(), "autogen".to_owned());
    let mut catalogue = Catalogue::default();
    for command in [
        create_database("a"),
        Command::CreateShardGroup {
            database: database.clone(),
            retention_policy: retention_policy.clone(),
            time_ns: 0,
            nodes: vec![NodeId(1)],
        },
        Command::CreateContinuousQuery {
            database: database.clone(),
            name: "q".into(),
            text: "CREATE CONTINUOUS QUERY q ON a BEGIN SELECT mean(v) INTO a.autogen.n FROM a.autogen.m \
                   GROUP BY time(1m) END"
                .into(),
        },
        Command::CreateSubscription {
            database: database.clone(),
            retention_policy,
            subscription: Subscription {
                name: "s".into(),
                mode: SubscriptionMode::Any,
                destinations: vec!["http://127.0.0.1:9092".into()],
            },
        },
        Command::CreateUser { name: "u".into(), password: PasswordHash::new("$2b$10$..."), admin: true },
        Command::Grant { user: "u".into(), database, privilege: Privilege::Read },
    ] {
        catalogue.apply(&command).unwrap();
    }
    catalogue
}

/// That, and one of everything that a cluster adds.
fn cluster() -> Catalogue {
    let mut catalogue = single_server();
    let data_node = |host: &str, rack: &str| Command::CreateDataNode {
        tcp_addr: format!("{host}:8088"),
        http_addr: format!("{host}:8086"),
        https: host == "d2",
        labels: BTreeMap::from([("rack".to_owned(), rack.to_owned())]),
    };
    for command in [
        Command::NameCluster { id: 77 },
        Command::CreateMetaNode { http_addr: "m1:8091".into(), raft_addr: "m1:8089".into() },
        data_node("d1", "a"),
        data_node("d2", "b"),
        data_node("d3", "c"),
        create_database("b"),
        Command::CreateShardGroup {
            database: "b".into(),
            retention_policy: "autogen".into(),
            time_ns: 0,
            nodes: vec![NodeId(2), NodeId(3)],
        },
        Command::AddShardOwner { shard: 2, node: NodeId(4), joining: false },
        Command::DeleteDataNode { id: NodeId(4), at_ns: 5 },
        data_node("d4", "c"),
        Command::AddShardOwner { shard: 1, node: NodeId(5), joining: true },
        Command::TruncateShardGroups { at_ns: 9 },
        Command::MarkBehind { node: NodeId(3), holder: NodeId(2) },
        Command::AcquireLease {
            name: "continuous_querier".into(),
            owner: NodeId(2),
            duration_ms: 60_000,
            unrenewed: None,
        },
        Command::AnnounceFeatureLevel { node: NodeId(1), level: 2 },
    ] {
        catalogue.apply(&command).unwrap();
    }
    catalogue
}

#[test]
fn the_encoding_is_stable() {
    assert_eq!(
        String::from_utf8(cluster().to_bytes()).unwrap(),
        include_str!("../../tests/golden/catalogue-v3.json"),
        "the format changed: what is new is left out while it is empty (level.rs); what means something else raises \
         FORMAT_VERSION, and the old one is still read"
    );
}

#[test]
fn every_format_ever_written_is_read() {
    let mut first = Catalogue::default();
    first.apply(&create_database("a")).unwrap();
    for (bytes, catalogue) in [
        (&include_bytes!("../../tests/golden/catalogue-v1.json")[..], first),
        (include_bytes!("../../tests/golden/catalogue-v2.json"), single_server()),
        (include_bytes!("../../tests/golden/catalogue-v3.json"), cluster()),
    ] {
        assert_eq!(Catalogue::from_bytes(bytes).unwrap(), catalogue);
    }
}

#[test]
fn what_a_later_release_wrote_is_refused_and_said_so() {
    let bytes = single_server().to_bytes();
    let json = &bytes[bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1..];
    let later = String::from_utf8(bytes.clone()).unwrap().replacen("catalogue 3 ", "catalogue 4 ", 1);
    assert_eq!(Catalogue::from_bytes(later.as_bytes()), Err(DecodeError::Version("4".into())));
    // Of a level that nobody here knows, with a record that nobody here can read.
    let json = String::from_utf8(json.to_vec()).unwrap().replacen(
        "{\"databases\":[",
        &format!("{{\"feature_level\":{},\"databases\":[{{\"moon\":3}},", FEATURE_LEVEL + 1),
        1,
    );
    let error = Catalogue::from_bytes(format!("{}{json}", header(json.as_bytes())).as_bytes()).unwrap_err();
    assert_eq!(error, DecodeError::Level { level: FEATURE_LEVEL + 1, known: FEATURE_LEVEL });
    assert!(error.to_string().contains("newer skywatch"), "{error}");
}

#[test]
fn a_catalogue_that_contradicts_itself_is_refused() {
    let json = String::from_utf8(single_server().to_bytes()).unwrap();
    let json = json.split_once('\n').unwrap().1.replacen("\"shard_id_last\":1", "\"shard_id_last\":0", 1);
    let bytes = format!("{}{json}", header(json.as_bytes()));
    assert!(matches!(Catalogue::from_bytes(bytes.as_bytes()), Err(DecodeError::Corrupt(_))));
}
