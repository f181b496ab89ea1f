//! The `kafka` output without a broker: options, records, and what errors mean.

use super::options::{Routing, Suffix};
use super::*;
use crate::config::section_for_tests;

fn options(text: &str) -> Result<Options, String> {
    let text = format!("brokers = ['127.0.0.1:1']\n{text}");
    Options::from_section(&mut section_for_tests(&text)).map_err(|error| error.to_string())
}

fn made(text: &str, metric: &Metric) -> Result<Record, String> {
    let mut section = section_for_tests("");
    let serializer = serializers::from_section(&mut section, &Context::default()).expect("influx");
    record(&options(text).expect("valid"), &*serializer, 0, &Arc::new(metric.clone()))
}

fn cpu() -> Metric {
    Metric::new("cpu", 1_700_000_000_123_456_789).tag("host", "kvm-01").tag("team", "blue").field("x", 1.5)
}

#[test]
fn a_metric_is_a_message_of_its_own_with_its_time() {
    let record = made("topic = 't'", &cpu()).expect("made");
    assert_eq!(record.topic, "t");
    assert_eq!(record.key, None);
    assert_eq!(record.payload, b"cpu,host=kvm-01,team=blue x=1.5 1700000000123456789\n");
    assert_eq!(record.time_ms, Some(1_700_000_000_123));
    assert_eq!(made("topic = 't'\nproducer_timestamp = 'now'", &cpu()).expect("made").time_ms, None);
    let old = Metric::new("cpu", -1).field("x", 1.0);
    assert_eq!(made("topic = 't'", &old).expect("made").time_ms, None, "before 1970");
}

#[test]
fn tags_and_names_choose_the_topic() {
    let topic = |text: &str| made(text, &cpu()).map(|record| record.topic);
    assert_eq!(topic("topic = 't'\ntopic_tag = 'team'").as_deref(), Ok("blue"));
    assert_eq!(topic("topic = 't'\ntopic_tag = 'rack'").as_deref(), Ok("t"));
    assert_eq!(
        topic("topic = 't'\n[topic_suffix]\nmethod = 'measurement'\nseparator = '-'").as_deref(),
        Ok("t-cpu")
    );
    let tags =
        "topic = 't'\n[topic_suffix]\nmethod = 'tags'\nkeys = ['host', 'rack', 'team']\nseparator = '.'";
    assert_eq!(topic(tags).as_deref(), Ok("t.kvm-01.blue"));
    assert!(topic("topic_tag = 'rack'").expect_err("none").contains("lacks the tag"));
    let slashed = cpu().tag("team", "a/b");
    assert!(made("topic_tag = 'team'", &slashed).expect_err("illegal").contains("no name of a topic"));
    let hidden = made("topic_tag = 'team'\nexclude_topic_tag = true", &cpu()).expect("made");
    assert_eq!(hidden.payload, b"cpu,host=kvm-01 x=1.5 1700000000123456789\n");
}

#[test]
fn tags_and_options_choose_the_key() {
    let key = |text: &str| made(&format!("topic = 't'\n{text}"), &cpu()).expect("made").key;
    assert_eq!(key("routing_tag = 'host'\nrouting_key = 'k'").as_deref(), Some("kvm-01"));
    assert_eq!(key("routing_tag = 'rack'\nrouting_key = 'k'").as_deref(), Some("k"));
    assert_eq!(key("routing_tag = 'rack'"), None);
    let random = key("routing_key = 'random'").expect("a key");
    assert_ne!(random, key("routing_key = 'random'").expect("a key"));
    let groups: Vec<usize> = random.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{random}");
    assert_eq!(random.chars().nth(14), Some('4'), "{random}");
    assert!(matches!(random.chars().nth(19), Some('8' | '9' | 'a' | 'b')), "{random}");
}

#[test]
fn headers_are_filled_from_the_metric_and_count() {
    let record =
        made("topic = 't'\n[headers]\nfrom = '{{ .Tag \"host\" }}'\nkind = 'metrics'", &cpu()).expect("made");
    let headers: Vec<_> =
        record.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("from", "kvm-01"), ("kind", "metrics")]);
    assert!(record.bytes() > record.payload.len() + 36);
}

#[test]
fn a_message_beyond_the_limit_is_refused_by_itself() {
    let big = cpu().field("text", "x".repeat(200));
    let error = made("topic = 't'\nmax_message_bytes = 200", &big).expect_err("too large");
    assert!(error.contains("max_message_bytes, 200"), "{error}");
    made("topic = 't'\nmax_message_bytes = 200", &cpu()).expect("fits");
}

#[test]
fn options_reach_the_client() {
    let options = options(
        "topic = 't'\ncompression_codec = 4\nidempotent_writes = true\nmax_retry = 7\nrouting_key = 'random'",
    )
    .expect("valid");
    assert_eq!((&options.routing, &options.suffix), (&Routing::Random, &Suffix::None));
    let config = options.producer_config();
    for (key, value) in [
        ("compression.codec", "zstd"),
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("message.send.max.retries", "7"),
        ("partitioner", "fnv1a_random"),
    ] {
        assert_eq!(config.get(key), Some(value), "{key}");
    }
    config.create_native_config().expect("the client knows every one of them");
}

#[test]
fn bad_options_are_refused_with_a_reason() {
    for (text, reason) in [
        ("", "name a topic"),
        ("topic = 't'\ncompression_codec = 9", "9 is none of"),
        ("topic = 't'\nrequired_acks = 2", "2 is none of"),
        ("topic = 't'\nidempotent_writes = true\nrequired_acks = 1", "needs required_acks = -1"),
        ("topic = 't'\nproducer_timestamp = 'x'", "neither \"metric\" nor \"now\""),
        ("topic = 't'\nmax_message_bytes = 5", "5 is not within"),
        ("topic = 't'\n[topic_suffix]\nmethod = 'x'", "neither \"measurement\" nor \"tags\""),
        ("topic = 't'\n[headers]\na = '{{ .Nothing }}'", "a: {{ .Nothing }} is not supported"),
    ] {
        let error = options(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn only_what_never_passes_is_refused() {
    let of = |code| fate(&KafkaError::MessageProduction(code));
    assert!(matches!(of(RDKafkaErrorCode::MessageSizeTooLarge), Fate::TooLarge(_)));
    assert!(matches!(of(RDKafkaErrorCode::InvalidTimestamp), Fate::Refused(_)));
    for code in [
        RDKafkaErrorCode::MessageTimedOut,
        RDKafkaErrorCode::UnknownTopicOrPartition,
        RDKafkaErrorCode::TopicAuthorizationFailed,
        RDKafkaErrorCode::NotEnoughReplicas,
        RDKafkaErrorCode::PurgeQueue,
    ] {
        assert!(matches!(of(code), Fate::Kept { broken: false, .. }), "{code:?}");
    }
    assert!(matches!(of(RDKafkaErrorCode::Fatal), Fate::Kept { broken: true, .. }));
}
