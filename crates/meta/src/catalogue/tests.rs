use super::*;
use crate::{
    PasswordHash, Privilege, RetentionPolicyChange, RetentionPolicySpec, Subscription, SubscriptionMode,
};

const HOUR: i64 = 3_600_000_000_000;

fn spec(name: &str, duration_ns: i64) -> RetentionPolicySpec {
    RetentionPolicySpec { name: name.into(), duration_ns, shard_group_duration_ns: 0, replica_n: Some(1) }
}

fn with_database() -> Catalogue {
    let mut catalogue = Catalogue::default();
    catalogue.apply(&Command::CreateDatabase { name: "db".into(), policy: None }).unwrap();
    catalogue
}

fn create_group(time_ns: i64) -> Command {
    Command::CreateShardGroup {
        database: "db".into(),
        retention_policy: "autogen".into(),
        time_ns,
        nodes: vec![NodeId(1)],
    }
}

#[test]
fn a_database_starts_with_autogen() {
    let catalogue = with_database();
    let database = catalogue.database("db").unwrap();
    assert_eq!(database.default_retention_policy, "autogen");
    let autogen = database.retention_policy("").unwrap();
    assert_eq!((autogen.duration_ns, autogen.shard_group_duration_ns), (0, 7 * 24 * HOUR));
}

#[test]
fn creating_a_database_twice_is_idempotent_and_conflicts_are_named() {
    let mut catalogue = with_database();
    let again = catalogue.apply(&Command::CreateDatabase { name: "db".into(), policy: None }).unwrap();
    assert!(!again.changed);
    let other = Command::CreateDatabase { name: "db".into(), policy: Some(spec("short", HOUR)) };
    assert_eq!(catalogue.apply(&other), Err(CatalogueError::RetentionPolicyConflict));
}

#[test]
fn names_that_could_leave_the_data_directory_are_refused() {
    for name in ["", ".", "..", "a/b", "a\\b", "tab\there", &"x".repeat(256)] {
        let command = Command::CreateDatabase { name: name.into(), policy: None };
        assert_eq!(Catalogue::default().apply(&command), Err(CatalogueError::InvalidName), "{name:?}");
    }
}

#[test]
fn retention_policies_are_validated() {
    let mut catalogue = with_database();
    let mut create = |spec: RetentionPolicySpec| {
        catalogue
            .apply(&Command::CreateRetentionPolicy { database: "db".into(), spec, make_default: false })
            .map(|applied| applied.changed)
    };
    assert_eq!(create(spec("p", HOUR)), Ok(true));
    assert_eq!(create(spec("p", HOUR)), Ok(false));
    assert_eq!(create(spec("p", 2 * HOUR)), Err(CatalogueError::RetentionPolicyExists));
    assert_eq!(create(spec("q", HOUR - 1)), Err(CatalogueError::RetentionTooShort));
    assert_eq!(create(spec("", HOUR)), Err(CatalogueError::InvalidName));
    let wide = RetentionPolicySpec { shard_group_duration_ns: 2 * HOUR, ..spec("q", HOUR) };
    assert_eq!(create(wide), Err(CatalogueError::IncompatibleDurations));
    let none = RetentionPolicySpec { replica_n: Some(0), ..spec("q", HOUR) };
    assert_eq!(create(none), Err(CatalogueError::ReplicationFactorTooLow));
}

#[test]
fn altering_changes_only_what_is_named() {
    let mut catalogue = with_database();
    let change = RetentionPolicyChange { duration_ns: Some(8 * 24 * HOUR), ..Default::default() };
    let alter = Command::AlterRetentionPolicy { database: "db".into(), name: "autogen".into(), change };
    catalogue.apply(&alter).unwrap();
    let policy = catalogue.database("db").unwrap().retention_policy("autogen").unwrap();
    assert_eq!((policy.duration_ns, policy.shard_group_duration_ns), (8 * 24 * HOUR, 7 * 24 * HOUR));
    let missing = Command::AlterRetentionPolicy {
        database: "db".into(),
        name: "nope".into(),
        change: RetentionPolicyChange::default(),
    };
    assert_eq!(catalogue.apply(&missing), Err(CatalogueError::RetentionPolicyNotFound("nope".into())));
}

#[test]
fn dropping_names_the_shards_whose_files_can_go() {
    let mut catalogue = with_database();
    catalogue.apply(&create_group(0)).unwrap();
    catalogue.apply(&create_group(30 * 24 * HOUR)).unwrap();
    assert!(!catalogue.apply(&create_group(1)).unwrap().changed, "the same group again");
    let dropped = catalogue.apply(&Command::DropDatabase { name: "db".into() }).unwrap();
    assert_eq!(dropped.dropped_shards, vec![1, 2]);
    assert!(!catalogue.apply(&Command::DropDatabase { name: "db".into() }).unwrap().changed);
}

#[test]
fn ids_are_never_reused() {
    let mut catalogue = with_database();
    catalogue.apply(&create_group(0)).unwrap();
    let delete = Command::DeleteShardGroup {
        database: "db".into(),
        retention_policy: "autogen".into(),
        id: 1,
        at_ns: 10,
    };
    assert_eq!(catalogue.apply(&delete).unwrap().dropped_shards, vec![1]);
    catalogue.apply(&Command::PruneShardGroups { deleted_before_ns: 11 }).unwrap();
    catalogue.apply(&create_group(0)).unwrap();
    let group = &catalogue.database("db").unwrap().retention_policies[0].shard_groups[0];
    assert_eq!((group.id, group.shards[0].id), (2, 2));
}

#[test]
fn a_database_is_adopted_whole_or_not_at_all() {
    let mut catalogue = Catalogue::default();
    catalogue.apply(&Command::CreateDatabase { name: "a".into(), policy: None }).unwrap();
    let group = |time_ns| Command::CreateShardGroup {
        database: "a".into(),
        retention_policy: "autogen".into(),
        time_ns,
        nodes: vec![NodeId(7)],
    };
    catalogue.apply(&group(0)).unwrap();
    catalogue.apply(&group(10_000_000_000_000_000)).unwrap();
    let mut copy = catalogue.database("a").unwrap().clone();
    let adopt =
        |database: &Database| Command::AdoptDatabase { database: database.clone(), nodes: vec![NodeId(1)] };
    assert_eq!(catalogue.apply(&adopt(&copy)), Err(CatalogueError::DatabaseExists("a".into())));
    copy.name = "b".into();
    let before = catalogue.clone();
    assert!(
        matches!(catalogue.apply(&adopt(&copy)), Err(CatalogueError::Inconsistent(_))),
        "its shards belong to the first"
    );
    assert_eq!(catalogue, before);
    let reserved = catalogue.apply(&Command::ReserveShards { count: 2 }).unwrap().reserved_shards;
    assert_eq!(reserved, 3..5);
    let groups = &mut copy.retention_policies[0].shard_groups;
    groups.iter_mut().zip(reserved).for_each(|(group, id)| group.shards[0].id = id);
    catalogue.apply(&adopt(&copy)).unwrap();
    let adopted = &catalogue.database("b").unwrap().retention_policies[0].shard_groups;
    assert_eq!(
        adopted.iter().map(|group| (group.id, group.shards[0].id)).collect::<Vec<_>>(),
        [(3, 3), (4, 4)]
    );
    assert_eq!(adopted[0].shards[0].owners, [NodeId(1)]);
}

fn user(name: &str, admin: bool) -> Command {
    Command::CreateUser { name: name.into(), password: PasswordHash::new("hash"), admin }
}

fn grant(privilege: Privilege) -> Command {
    Command::Grant { user: "u".into(), database: "db".into(), privilege }
}

fn revoke(privilege: Privilege) -> Command {
    Command::Revoke { user: "u".into(), database: "db".into(), privilege }
}

/// Everything as InfluxDB 1.6.7 answered it.
#[test]
fn privileges_are_replaced_by_grants_and_narrowed_by_revokes() {
    let mut catalogue = with_database();
    catalogue.apply(&user("u", false)).unwrap();
    let mut after = |command: &Command| {
        catalogue.apply(command).unwrap();
        catalogue.user("u").unwrap().privileges.get("db").copied()
    };
    assert_eq!(after(&grant(Privilege::Read)), Some(Some(Privilege::Read)));
    assert_eq!(after(&grant(Privilege::Write)), Some(Some(Privilege::Write)), "not both");
    assert_eq!(after(&revoke(Privilege::Read)), Some(Some(Privilege::Write)));
    assert_eq!(after(&grant(Privilege::All)), Some(Some(Privilege::All)));
    assert_eq!(after(&revoke(Privilege::Write)), Some(Some(Privilege::Read)));
    assert_eq!(after(&revoke(Privilege::All)), Some(None), "listed, with nothing");
    assert_eq!(after(&Command::DropDatabase { name: "db".into() }), None);
    assert_eq!(after(&Command::CreateDatabase { name: "db".into(), policy: None }), None);
}

#[test]
fn users_are_made_once_and_refusals_change_nothing() {
    let mut catalogue = with_database();
    catalogue.apply(&user("u", false)).unwrap();
    let before = catalogue.clone();
    for (command, refusal) in [
        (user("u", false), CatalogueError::UserExists),
        (user("", true), CatalogueError::UsernameRequired),
        (Command::DropUser { name: "x".into() }, CatalogueError::UserNotFound),
        (Command::SetAdmin { name: "x".into(), admin: true }, CatalogueError::UserNotFound),
        (
            Command::SetPassword { name: "x".into(), password: PasswordHash::new("other") },
            CatalogueError::UserNotFound,
        ),
        (
            Command::Grant { user: "x".into(), database: "none".into(), privilege: Privilege::Read },
            CatalogueError::UserNotFound,
        ),
        (
            Command::Revoke { user: "u".into(), database: "none".into(), privilege: Privilege::Read },
            CatalogueError::DatabaseNotFound("none".into()),
        ),
    ] {
        assert_eq!(catalogue.apply(&command), Err(refusal));
    }
    assert_eq!(catalogue, before);
    assert!(!catalogue.has_admin());
    catalogue.apply(&Command::SetAdmin { name: "u".into(), admin: true }).unwrap();
    assert!(catalogue.has_admin());
    catalogue.apply(&Command::DropUser { name: "u".into() }).unwrap();
    assert!(!catalogue.has_admin());
}

#[test]
fn an_administrator_may_do_everything_and_others_what_was_granted() {
    let mut catalogue = with_database();
    for command in [user("a", true), user("u", false), grant(Privilege::Read)] {
        catalogue.apply(&command).unwrap();
    }
    let may = |name: &str, database: &str| {
        let user = catalogue.user(name).unwrap();
        (user.may_read(database), user.may_write(database))
    };
    assert_eq!((may("a", "db"), may("a", "other")), ((true, true), (true, true)));
    assert_eq!((may("u", "db"), may("u", "other")), ((true, false), (false, false)));
}

#[test]
fn a_hash_is_not_told_by_debug() {
    assert!(!format!("{:?}", user("u", false)).contains("\"hash\""));
}

#[test]
fn continuous_queries_are_known_by_name_and_text() {
    let mut catalogue = with_database();
    let create = |database: &str, text: &str| Command::CreateContinuousQuery {
        database: database.into(),
        name: "q".into(),
        text: text.into(),
    };
    let drop = |database: &str| Command::DropContinuousQuery { database: database.into(), name: "q".into() };
    assert!(catalogue.apply(&create("db", "SELECT a")).unwrap().changed);
    assert!(!catalogue.apply(&create("db", "select A")).unwrap().changed, "capitals aside");
    assert_eq!(catalogue.apply(&create("db", "SELECT b")), Err(CatalogueError::ContinuousQueryExists));
    assert_eq!(
        catalogue.apply(&create("none", "SELECT a")),
        Err(CatalogueError::DatabaseNotFound("none".into()))
    );
    assert!(!catalogue.apply(&drop("none")).unwrap().changed);
    assert!(catalogue.apply(&drop("db")).unwrap().changed);
    assert!(!catalogue.apply(&drop("db")).unwrap().changed);
}

#[test]
fn subscriptions_belong_to_a_policy() {
    let mut catalogue = with_database();
    let create = |database: &str, retention_policy: &str, url: &str| Command::CreateSubscription {
        database: database.into(),
        retention_policy: retention_policy.into(),
        subscription: Subscription {
            name: "s".into(),
            mode: SubscriptionMode::All,
            destinations: vec![url.into()],
        },
    };
    let drop = |retention_policy: &str| Command::DropSubscription {
        database: "db".into(),
        retention_policy: retention_policy.into(),
        name: "s".into(),
    };
    let (good, no_policy) = ("udp://h:1", CatalogueError::RetentionPolicyNotFound("none".into()));
    assert_eq!(
        catalogue.apply(&create("none", "none", "h:1")),
        Err(CatalogueError::InvalidSubscriptionUrl("h:1".into())),
        "looked at first"
    );
    assert_eq!(
        catalogue.apply(&create("none", "", good)),
        Err(CatalogueError::DatabaseNotFound("none".into()))
    );
    assert_eq!(catalogue.apply(&create("db", "none", good)), Err(no_policy.clone()));
    assert!(catalogue.apply(&create("db", "autogen", good)).unwrap().changed);
    assert_eq!(catalogue.apply(&create("db", "autogen", good)), Err(CatalogueError::SubscriptionExists));
    assert_eq!(catalogue.apply(&drop("none")), Err(no_policy));
    assert!(catalogue.apply(&drop("autogen")).unwrap().changed);
    assert_eq!(catalogue.apply(&drop("autogen")), Err(CatalogueError::SubscriptionNotFound));
}
