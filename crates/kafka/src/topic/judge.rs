//! Whether a topic is what is wanted. Pure: what was found goes in, words come out.

use std::collections::BTreeMap;

use crate::settings::{BATCH_OVERHEAD_BYTES, TopicSettings};

/// A topic as the brokers describe it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FoundTopic {
    pub(crate) partitions: u32,
    /// Of the partition that has fewest.
    pub(crate) replication: u32,
    /// Its configuration, defaults included.
    pub(crate) config: BTreeMap<String, String>,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Judgement {
    /// Why it cannot be used.
    pub(crate) errors: Vec<String>,
    /// What should be mended.
    pub(crate) warnings: Vec<String>,
    /// To how many partitions it is to grow.
    pub(crate) grow_to: Option<u32>,
    /// The largest body that fits.
    pub(crate) body_bytes_max: usize,
}

/// `bootstrap` is what Kafka's own tools are to be given.
pub(crate) fn judge(wanted: &TopicSettings, found: &FoundTopic, brokers: u32, bootstrap: &str) -> Judgement {
    let topic = &wanted.name;
    let alter = |pair: String| {
        format!(
            "kafka-configs --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {topic} \
             --add-config {pair}"
        )
    };
    let mut judgement = Judgement {
        grow_to: (found.partitions < wanted.partitions).then_some(wanted.partitions),
        body_bytes_max: wanted.message_bytes_max.saturating_sub(BATCH_OVERHEAD_BYTES),
        ..Judgement::default()
    };
    let text = |key: &str| found.config.get(key).map(String::as_str);
    let number = |key: &str| text(key).and_then(|value| value.parse::<i64>().ok());

    let policy = text("cleanup.policy").unwrap_or("delete");
    if policy.split(',').any(|part| part.trim() == "compact") {
        judgement.errors.push(format!(
            "topic {topic}: cleanup.policy is {policy:?} and must be \"delete\": compaction drops records that were \
             acknowledged; mend it with: {}",
            alter("cleanup.policy=delete".to_owned())
        ));
    }
    let replication = wanted.replication_of(brokers);
    if found.replication < replication {
        let problem = format!(
            "topic {topic}: its replication factor is {} and {replication} is wanted: what was acknowledged may be lost \
             with a broker; mend it with: kafka-reassign-partitions --bootstrap-server {bootstrap} \
             --reassignment-json-file FILE --execute (FILE names {replication} brokers for each partition)",
            found.replication
        );
        // Only who asked for a number is held to it: brokers may have been added since.
        if wanted.replication.is_some() {
            judgement
                .errors
                .push(format!("{problem}, or set [kafka] replication-factor = {}", found.replication));
        } else {
            judgement.warnings.push(problem);
        }
    }
    if let Some(in_sync) = number("min.insync.replicas") {
        let least = i64::from(wanted.in_sync_min_of(found.replication));
        if in_sync > i64::from(found.replication) {
            judgement.errors.push(format!(
                "topic {topic}: min.insync.replicas is {in_sync} and there are {} replicas: no record would ever be taken; \
                 mend it with: {}",
                found.replication,
                alter(format!("min.insync.replicas={least}"))
            ));
        } else if in_sync < least {
            judgement.warnings.push(format!(
                "topic {topic}: min.insync.replicas is {in_sync} and {least} is wanted: a record is acknowledged with so \
                 few copies that losing a broker may lose it; mend it with: {}",
                alter(format!("min.insync.replicas={least}"))
            ));
        }
    }
    let kept_ms = i64::try_from(wanted.retention.as_millis()).unwrap_or(i64::MAX);
    if let Some(found_ms) = number("retention.ms").filter(|&ms| ms >= 0 && ms < kept_ms) {
        judgement.warnings.push(format!(
            "topic {topic}: retention.ms is {found_ms} and {kept_ms} is wanted: a data node that is away for longer has to \
             copy its shards from others; mend it with: {}",
            alter(format!("retention.ms={kept_ms}"))
        ));
    }
    let kept_bytes =
        wanted.retention_bytes.map_or(i64::MAX, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    if let Some(found_bytes) = number("retention.bytes").filter(|&bytes| bytes >= 0 && bytes < kept_bytes) {
        let (asked, value) = wanted
            .retention_bytes
            .map_or_else(|| ("no bound".to_owned(), -1), |_| (kept_bytes.to_string(), kept_bytes));
        judgement.warnings.push(format!(
            "topic {topic}: retention.bytes is {found_bytes} and {asked} is wanted: records may go before every data node has \
             read them; mend it with: {}",
            alter(format!("retention.bytes={value}"))
        ));
    }
    if let Some(found_max) = number("max.message.bytes").and_then(|bytes| usize::try_from(bytes).ok())
        && found_max < wanted.message_bytes_max
    {
        judgement.body_bytes_max = found_max.saturating_sub(BATCH_OVERHEAD_BYTES);
        judgement.warnings.push(format!(
            "topic {topic}: max.message.bytes is {found_max} and {} is wanted: larger writes are split into smaller records; \
             mend it with: {}",
            wanted.message_bytes_max,
            alter(format!("max.message.bytes={}", wanted.message_bytes_max))
        ));
    }
    if let Some(other) = text("message.timestamp.type").filter(|&kind| kind != "LogAppendTime") {
        judgement.warnings.push(format!(
            "topic {topic}: message.timestamp.type is {other:?} and \"LogAppendTime\" is wanted: lag in seconds is told by \
             the clocks of producers; mend it with: {}",
            alter("message.timestamp.type=LogAppendTime".to_owned())
        ));
    }
    if text("unclean.leader.election.enable") == Some("true") {
        judgement.warnings.push(format!(
            "topic {topic}: unclean.leader.election.enable is true: a broker that has not all records may become the leader, \
             and acknowledged ones are lost; mend it with: {}",
            alter("unclean.leader.election.enable=false".to_owned())
        ));
    }
    judgement
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn found(config: &[(&str, &str)]) -> FoundTopic {
        let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        FoundTopic { partitions: 6, replication: 3, config }
    }

    #[test]
    fn a_topic_as_it_would_be_made_is_without_fault() {
        let wanted = TopicSettings::named("w");
        let config = wanted.config(3);
        let pairs: Vec<(&str, &str)> = config.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let judgement = judge(&wanted, &found(&pairs), 3, "b:1");
        assert_eq!((judgement.errors, judgement.warnings, judgement.grow_to), (vec![], vec![], None));
        assert_eq!(judgement.body_bytes_max, (1 << 20) - BATCH_OVERHEAD_BYTES);
    }

    #[test]
    fn each_fault_names_its_key_what_is_there_what_is_wanted_and_the_command() {
        let wanted = TopicSettings { retention_bytes: Some(1 << 30), ..TopicSettings::named("w") };
        for (key, value, wanted_value, is_error) in [
            ("cleanup.policy", "compact", "delete", true),
            ("cleanup.policy", "compact,delete", "delete", true),
            ("min.insync.replicas", "4", "2", true),
            ("min.insync.replicas", "1", "2", false),
            ("retention.ms", "1000", "604800000", false),
            ("retention.bytes", "1000", "1073741824", false),
            ("max.message.bytes", "5000", "1048576", false),
            ("message.timestamp.type", "CreateTime", "LogAppendTime", false),
            ("unclean.leader.election.enable", "true", "false", false),
        ] {
            let judgement = judge(&wanted, &found(&[(key, value)]), 3, "b:1");
            let told = if is_error { &judgement.errors } else { &judgement.warnings };
            assert_eq!(judgement.errors.len() + judgement.warnings.len(), 1, "{key}: {judgement:?}");
            let command = format!(
                "--bootstrap-server b:1 --alter --entity-type topics --entity-name w --add-config {key}="
            );
            for part in ["topic w", key, value, wanted_value, command.as_str()] {
                assert!(told[0].contains(part), "{key}: {part:?} is not in {:?}", told[0]);
            }
        }
        let judgement = judge(&wanted, &found(&[("max.message.bytes", "5000")]), 3, "b:1");
        assert_eq!(judgement.body_bytes_max, 5000 - BATCH_OVERHEAD_BYTES);
    }

    #[test]
    fn more_than_is_wanted_is_no_fault() {
        let wanted = TopicSettings { retention: Duration::from_secs(1), ..TopicSettings::named("w") };
        for pair in [("retention.ms", "-1"), ("retention.bytes", "-1"), ("max.message.bytes", "99999999")] {
            let judgement = judge(&wanted, &FoundTopic { partitions: 9, ..found(&[pair]) }, 3, "b:1");
            assert_eq!(
                (judgement.errors, judgement.warnings, judgement.grow_to),
                (vec![], vec![], None),
                "{pair:?}"
            );
        }
    }

    #[test]
    fn fewer_partitions_grow_and_fewer_replicas_are_refused_to_who_asked_for_them() {
        let few = FoundTopic { partitions: 2, replication: 1, config: BTreeMap::new() };
        let judgement = judge(&TopicSettings::named("w"), &few, 3, "b:1");
        assert_eq!(judgement.grow_to, Some(6));
        assert!(
            judgement.errors.is_empty() && judgement.warnings[0].contains("replication factor is 1 and 3")
        );
        let asked = TopicSettings { replication: Some(3), ..TopicSettings::named("w") };
        let judgement = judge(&asked, &few, 3, "b:1");
        for part in
            ["replication factor is 1", "3 is wanted", "kafka-reassign-partitions", "replication-factor = 1"]
        {
            assert!(judgement.errors[0].contains(part), "{judgement:?}");
        }
    }
}
