use super::*;
use skywatch_model::FieldValue;

/// The answer of ZooKeeper 3.8.0 (Debian's), by itself.
const MNTR: &str = include_str!("../../../fixtures/zookeeper/mntr.txt");

#[test]
fn an_answer_of_zookeeper_38() {
    let metric = mntr::parse(MNTR.as_bytes(), false, 5).expect("a real answer");
    assert_eq!((metric.name.as_ref(), metric.time_ns), ("zookeeper", 5));
    assert_eq!(metric.tag_value("state"), Some("standalone"));
    assert_eq!(metric.field_value("server_state"), None);
    // A version ends where the word does; the build has a name in braces.
    assert_eq!(metric.field_value("version"), Some(&FieldValue::String("3.8.0-".into())));
    assert_eq!(metric.field_value("znode_count"), Some(&FieldValue::Integer(5)));
    assert_eq!(metric.field_value("last_client_response_size"), Some(&FieldValue::Integer(-1)));
    assert_eq!(metric.field_value("avg_latency"), Some(&FieldValue::String("0.0".into())));
    assert_eq!(metric.fields().len(), MNTR.lines().count() - 1, "all lines but the state");
    let metric = mntr::parse(MNTR.as_bytes(), true, 5).expect("a real answer");
    assert_eq!(metric.field_value("avg_latency"), Some(&FieldValue::Float(0.0)));
    assert_eq!(metric.field_value("znode_count"), Some(&FieldValue::Integer(5)));
}

#[test]
fn states_and_values_of_other_versions() {
    let text = "zk_version\t3.4.9-3--1, built on Thu, 01 Jun 2017\nzk_server_state\tleader\nzk_followers\t2.0\n\
                zk_peer_state\tleading - broadcast\nzk_max\tNaN\n";
    let metric = mntr::parse(text.as_bytes(), true, 0).expect("valid");
    assert_eq!(metric.tag_value("state"), Some("leader"));
    assert_eq!(metric.field_value("version"), Some(&FieldValue::String("3.4.9-3--1".into())));
    assert_eq!(metric.field_value("followers"), Some(&FieldValue::Float(2.0)));
    assert_eq!(metric.field_value("peer_state"), Some(&FieldValue::String("leading".into())));
    assert_eq!(metric.field_value("max"), None, "no field can hold it");
}

#[test]
fn answers_that_say_why_there_are_no_figures() {
    for (answer, wanted) in [
        ("mntr is not executed because it is not in the whitelist.\n", "add mntr to 4lw.commands.whitelist"),
        ("This ZooKeeper instance is not currently serving requests", "it has no quorum"),
        ("", "an empty answer"),
        ("zk_version\t3.8\nrubbish here\n", "cannot understand the line \"rubbish here\""),
        ("zk_version\n", "cannot understand the line \"zk_version\""),
        ("zk_a\t\u{1}\n", "cannot understand the line \"zk_a\\t\\u{1}\""),
    ] {
        let error = mntr::parse(answer.as_bytes(), false, 0).expect_err(answer);
        assert!(error.contains(wanted), "{error}");
    }
}
