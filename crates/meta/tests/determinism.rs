//! Equal logs give equal catalogues, to the byte: whatever the commands, also when a node begins in the middle with a
//! snapshot of another, and reads its commands from a log.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use skywatch_meta::{
    Applied, Catalogue, Command, NodeId, PasswordHash, Privilege, RetentionPolicyChange, RetentionPolicySpec,
    Subscription, SubscriptionMode,
};

const HOUR: i64 = 3_600_000_000_000;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[ab]", 1 => Just(String::new()), 1 => Just("ä/\u{0}".to_owned())]
}

fn policy_name() -> impl Strategy<Value = String> {
    prop_oneof![2 => Just("autogen".to_owned()), 2 => "[pq]", 1 => Just(String::new())]
}

fn node() -> impl Strategy<Value = NodeId> {
    (0_u64..9).prop_map(NodeId)
}

fn shard() -> impl Strategy<Value = u64> {
    0_u64..30
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![(-400_i64..400).prop_map(|hour| hour * HOUR), any::<i64>()]
}

fn spec() -> impl Strategy<Value = RetentionPolicySpec> {
    let hours = prop_oneof![Just(0_i64), 0_i64..2_000];
    (policy_name(), hours.clone(), hours, prop::option::of(0_u32..5)).prop_map(
        |(name, duration, group, replica_n)| RetentionPolicySpec {
            name,
            duration_ns: duration * HOUR,
            shard_group_duration_ns: group * HOUR,
            replica_n,
        },
    )
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(prop_oneof![Just("rack".to_owned()), Just("dc".to_owned())], "[ab]?", 0..3)
}

fn about_databases() -> BoxedStrategy<Command> {
    let change = (
        prop::option::of(0_i64..500),
        prop::option::of(0_i64..500),
        prop::option::of(0_u32..4),
        any::<bool>(),
    )
        .prop_map(|(duration, group, replica_n, make_default)| RetentionPolicyChange {
            duration_ns: duration.map(|hours| hours * HOUR),
            shard_group_duration_ns: group.map(|hours| hours * HOUR),
            replica_n,
            make_default,
        });
    prop_oneof![
        4 => (name(), prop::option::of(spec()))
            .prop_map(|(name, policy)| Command::CreateDatabase { name, policy }),
        1 => name().prop_map(|name| Command::CreateBareDatabase { name }),
        1 => name().prop_map(|name| Command::DropDatabase { name }),
        2 => (name(), spec(), any::<bool>()).prop_map(|(database, spec, make_default)| {
            Command::CreateRetentionPolicy { database, spec, make_default }
        }),
        2 => (name(), policy_name(), change).prop_map(|(database, name, change)| {
            Command::AlterRetentionPolicy { database, name, change }
        }),
        1 => (name(), policy_name())
            .prop_map(|(database, name)| Command::DropRetentionPolicy { database, name }),
        1 => (name(), name(), "SELECT [ab]").prop_map(|(database, name, text)| {
            Command::CreateContinuousQuery { database, name, text }
        }),
        1 => (name(), name()).prop_map(|(database, name)| Command::DropContinuousQuery { database, name }),
        1 => (name(), policy_name(), name()).prop_map(|(database, retention_policy, name)| {
            let (mode, destinations) = (SubscriptionMode::Any, vec!["udp://h:1".to_owned()]);
            let subscription = Subscription { name, mode, destinations };
            Command::CreateSubscription { database, retention_policy, subscription }
        }),
        1 => (name(), policy_name(), name()).prop_map(|(database, retention_policy, name)| {
            Command::DropSubscription { database, retention_policy, name }
        }),
    ]
    .boxed()
}

fn about_groups() -> BoxedStrategy<Command> {
    prop_oneof![
        8 => (name(), policy_name(), time(), prop::collection::vec(node(), 0..4)).prop_map(
            |(database, retention_policy, time_ns, nodes)| {
                Command::CreateShardGroup { database, retention_policy, time_ns, nodes }
            }
        ),
        1 => (name(), policy_name(), 0_u64..20, time()).prop_map(|(database, retention_policy, id, at_ns)| {
            Command::DeleteShardGroup { database, retention_policy, id, at_ns }
        }),
        4 => (name(), policy_name(), time(), prop::collection::vec(0_u64..9, 0..4)).prop_map(
            |(database, retention_policy, time_ns, log_starts)| {
                Command::CreateLoggedShardGroup { database, retention_policy, time_ns, log_starts }
            }
        ),
        1 => (shard(), time()).prop_map(|(id, at_ns)| Command::DropShard { id, at_ns }),
        1 => time().prop_map(|at_ns| Command::TruncateShardGroups { at_ns }),
        1 => time().prop_map(|deleted_before_ns| Command::PruneShardGroups { deleted_before_ns }),
        1 => (0_u64..3).prop_map(|count| Command::ReserveShards { count }),
        3 => (shard(), node(), any::<bool>())
            .prop_map(|(shard, node, joining)| Command::AddShardOwner { shard, node, joining }),
        1 => (shard(), node(), prop::option::of(0_u64..9))
            .prop_map(|(shard, node, mark)| Command::ConfirmShardOwner { shard, node, mark }),
        1 => (shard(), node(), time())
            .prop_map(|(shard, node, at_ns)| Command::RemoveShardOwner { shard, node, at_ns }),
    ]
    .boxed()
}

fn about_nodes() -> BoxedStrategy<Command> {
    let address = || "[a-f]?:1";
    prop_oneof![
        1 => any::<u64>().prop_map(|id| Command::NameCluster { id }),
        2 => (address(), address())
            .prop_map(|(http_addr, raft_addr)| Command::CreateMetaNode { http_addr, raft_addr }),
        1 => node().prop_map(|id| Command::DeleteMetaNode { id }),
        6 => (address(), address(), any::<bool>(), labels()).prop_map(
            |(tcp_addr, http_addr, https, labels)| {
                Command::CreateDataNode { tcp_addr, http_addr, https, labels }
            }
        ),
        1 => (node(), time()).prop_map(|(id, at_ns)| Command::DeleteDataNode { id, at_ns }),
        1 => (node(), address(), address(), any::<bool>()).prop_map(|(id, tcp_addr, http_addr, https)| {
            Command::UpdateDataNode { id, tcp_addr, http_addr, https }
        }),
        1 => (node(), labels()).prop_map(|(id, labels)| Command::LabelDataNode { id, labels }),
        2 => (node(), node()).prop_map(|(node, holder)| Command::MarkBehind { node, holder }),
        2 => (node(), node(), prop::option::of(0_u64..5))
            .prop_map(|(node, holder, mark)| Command::ClearBehind { node, holder, mark }),
        2 => (name(), node(), prop::option::of(0_u64..4)).prop_map(|(name, owner, unrenewed)| {
            Command::AcquireLease { name, owner, duration_ms: 60_000, unrenewed }
        }),
        1 => (name(), node(), prop::option::of(0_u64..4))
            .prop_map(|(name, owner, renewals)| Command::ReleaseLease { name, owner, renewals }),
        1 => (node(), 0_u32..4).prop_map(|(node, level)| Command::AnnounceFeatureLevel { node, level }),
        1 => (0_u32..3).prop_map(|level| Command::RaiseFeatureLevel { level }),
        2 => (node(), prop::option::of("[st]"))
            .prop_map(|(node, log)| Command::AnnounceWriteLog { node, log }),
    ]
    .boxed()
}

fn about_users() -> BoxedStrategy<Command> {
    let privilege = prop_oneof![Just(Privilege::Read), Just(Privilege::Write), Just(Privilege::All)];
    prop_oneof![
        (name(), any::<bool>()).prop_map(|(name, admin)| {
            Command::CreateUser { name, password: PasswordHash::new("$2b$10$a"), admin }
        }),
        name().prop_map(|name| Command::DropUser { name }),
        name().prop_map(|name| Command::SetPassword { name, password: PasswordHash::new("$2b$10$b") }),
        (name(), any::<bool>()).prop_map(|(name, admin)| Command::SetAdmin { name, admin }),
        (name(), name(), privilege.clone()).prop_map(|(user, database, privilege)| Command::Grant {
            user,
            database,
            privilege
        }),
        (name(), name(), privilege).prop_map(|(user, database, privilege)| Command::Revoke {
            user,
            database,
            privilege
        }),
    ]
    .boxed()
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![3 => about_databases(), 6 => about_groups(), 6 => about_nodes(), 1 => about_users()]
}

/// A cluster with something in it, so that random commands find what they are about.
fn beginning() -> Vec<Command> {
    let nodes = ["a:1", "b:1", "c:1"].map(|tcp_addr| Command::CreateDataNode {
        tcp_addr: tcp_addr.into(),
        http_addr: "h:1".into(),
        https: false,
        labels: BTreeMap::from([("rack".to_owned(), tcp_addr[..1].to_owned())]),
    });
    let databases = ["a", "b"].map(|name| Command::CreateDatabase { name: name.into(), policy: None });
    nodes.into_iter().chain(databases).collect()
}

/// What a log, or a call, gives back.
fn told<T: Serialize + DeserializeOwned>(it: &T) -> T {
    let json = serde_json::to_vec(it).expect("everything encodes");
    serde_json::from_slice(&json).expect("what was encoded decodes")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn equal_logs_give_equal_bytes(
        commands in prop::collection::vec((command(), prop::bool::weighted(0.1)), 1..120)
    ) {
        let (mut first, mut second) = (Catalogue::default(), Catalogue::default());
        let begin = beginning().into_iter().map(|command| (command, false));
        for (command, restarts) in begin.chain(commands) {
            if restarts {
                second = Catalogue::from_bytes(&first.to_bytes()).unwrap();
            }
            let before = first.to_bytes();
            let applied = first.apply(&command);
            prop_assert_eq!(&applied, &second.apply(&told(&command)), "{:?}", command);
            let after = first.to_bytes();
            prop_assert_eq!(&after, &second.to_bytes(), "{:?}", command);
            prop_assert_eq!(first.check(), Ok(()), "{:?}", command);
            // A refusal, or a command that says it changed nothing, leaves every byte as it was.
            let is_changed = applied.as_ref().is_ok_and(|applied: &Applied| applied.changed);
            prop_assert_eq!(before != after, is_changed, "{:?}", command);
            match applied {
                Ok(applied) => prop_assert_eq!(&told(&applied), &applied),
                Err(refusal) => prop_assert_eq!(&told(&refusal), &refusal),
            }
        }
    }
}

/// The names that a command is known by, as the decoder lists them.
fn known_commands() -> Vec<String> {
    let unknown = serde_json::from_str::<Command>(r#"{"command":"?"}"#).expect_err("no command");
    let unknown = unknown.to_string();
    let names = unknown.split('`').skip(1).step_by(2).skip(1);
    names.map(ToOwned::to_owned).collect()
}

/// Logs are read by other releases: each line was written once, is understood, and would be written the same today.
#[test]
fn the_encoding_of_commands_is_stable() {
    let mut seen = Vec::new();
    for line in include_str!("golden/commands.jsonl").lines() {
        let command: Command = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(serde_json::to_string(&command).unwrap(), line);
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        seen.push(value["command"].as_str().unwrap().to_owned());
    }
    let mut known = known_commands();
    known.sort();
    seen.sort();
    seen.dedup();
    assert_eq!(known, seen, "every command has a line, with a level of its own if it is new (level.rs)");
    assert!(known.len() > 30);
}

/// Fields that were added later may be missing, and those of later releases are passed over.
#[test]
fn commands_of_earlier_and_later_releases_are_read() {
    let earlier = r#"{"command":"clear_behind","node":1,"holder":2}"#;
    let later = r#"{"command":"clear_behind","node":1,"holder":2,"mark":null,"moon":"full"}"#;
    let expected = Command::ClearBehind { node: NodeId(1), holder: NodeId(2), mark: None };
    for line in [earlier, later] {
        assert_eq!(serde_json::from_str::<Command>(line).unwrap(), expected);
    }
    let told: Applied = serde_json::from_str(r#"{"changed":true,"moon":"full"}"#).unwrap();
    assert_eq!(told, Applied { changed: true, ..Applied::default() });
}
