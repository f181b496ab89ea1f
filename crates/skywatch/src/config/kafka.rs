//! `[kafka]`: the brokers that writes go through, and what line protocol is read from unless `[[kafka-ingest]]` names others.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;
use skywatch_kafka::{
    Compression, Connection, KafkaSettings, Mechanism, ProducerSettings, Sasl, Tls, TopicSettings,
};

use super::go_duration::GoDuration;
use crate::byte_size::ByteSize;

/// Sizes outside of these are mistakes.
const MESSAGE_BYTES: std::ops::RangeInclusive<u64> = 16 << 10..=64 << 20;
const BUFFER_BYTES_MIN: u64 = 1 << 20;

/// `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct BrokerAddress(pub(super) String);

impl TryFrom<String> for BrokerAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().is_empty() || text.contains([',', '/', ' ']) {
            return Err(format!("{text:?} is no broker: write host:port, one broker to a text"));
        }
        Ok(Self(text))
    }
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct CompressionName(Compression);

impl TryFrom<String> for CompressionName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = Compression::from_name(&text).map(Self);
        known.ok_or_else(|| format!("{text:?} is no compression: use none, gzip, lz4 or zstd"))
    }
}

/// How to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct MechanismName(Mechanism);

impl TryFrom<String> for MechanismName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Mechanism::from_name(&text) {
            Some(mechanism) if mechanism != Mechanism::OauthBearer => Ok(Self(mechanism)),
            _ => Err(format!("{text:?} is not supported: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")),
        }
    }
}

/// A section that says how brokers are reached, and something else.
macro_rules! connecting_section {
    (
        $(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $own:ident: $type:ty),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, serde::Deserialize)]
        #[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
        pub(super) struct $name {
            brokers: Option<Vec<$crate::config::kafka::BrokerAddress>>,
            client_id: Option<String>,
            keep_alive: Option<bool>,
            tls_enabled: Option<bool>,
            tls_ca: Option<String>,
            tls_certificate: Option<String>,
            tls_private_key: Option<String>,
            tls_insecure: Option<bool>,
            sasl_mechanism: Option<$crate::config::kafka::MechanismName>,
            sasl_username: Option<String>,
            sasl_password: Option<String>,
            $($(#[$attribute])* $own: $type,)*
        }

        impl $name {
            /// How brokers are reached, as far as this section says.
            pub(super) fn connection(&self) -> $crate::config::kafka::ConnectionKeys {
                $crate::config::kafka::ConnectionKeys {
                    brokers: self.brokers.clone().filter(|brokers| !brokers.is_empty()),
                    client_id: self.client_id.clone().filter(|text| !text.is_empty()),
                    keep_alive: self.keep_alive,
                    tls_enabled: self.tls_enabled,
                    tls_ca: self.tls_ca.clone().filter(|text| !text.is_empty()),
                    tls_certificate: self.tls_certificate.clone().filter(|text| !text.is_empty()),
                    tls_private_key: self.tls_private_key.clone().filter(|text| !text.is_empty()),
                    tls_insecure: self.tls_insecure,
                    sasl_mechanism: self.sasl_mechanism,
                    sasl_username: self.sasl_username.clone().filter(|text| !text.is_empty()),
                    sasl_password: self.sasl_password.clone().filter(|text| !text.is_empty()),
                }
            }
        }
    };
}
pub(super) use connecting_section;

/// What a section says of how brokers are reached.
#[derive(Debug, Default, Clone)]
pub(super) struct ConnectionKeys {
    pub(super) brokers: Option<Vec<BrokerAddress>>,
    pub(super) client_id: Option<String>,
    pub(super) keep_alive: Option<bool>,
    pub(super) tls_enabled: Option<bool>,
    pub(super) tls_ca: Option<String>,
    pub(super) tls_certificate: Option<String>,
    pub(super) tls_private_key: Option<String>,
    pub(super) tls_insecure: Option<bool>,
    pub(super) sasl_mechanism: Option<MechanismName>,
    pub(super) sasl_username: Option<String>,
    pub(super) sasl_password: Option<String>,
}

connecting_section! {
    /// `[kafka]` as written.
    KafkaSection {
        topic: Option<String>,
        dead_letter_topic: Option<String>,
        partitions: Option<u32>,
        replication_factor: Option<u32>,
        min_insync_replicas: Option<u32>,
        retention: Option<GoDuration>,
        retention_bytes: Option<ByteSize>,
        max_message_size: Option<ByteSize>,
        compression: Option<CompressionName>,
        linger: Option<GoDuration>,
        buffer_size: Option<ByteSize>,
        delivery_timeout: Option<GoDuration>,
        retry_after: Option<GoDuration>,
        read_ahead: Option<ByteSize>,
    }
}

impl ConnectionKeys {
    /// What another section says where this one is silent.
    pub(super) fn or(self, other: &Self) -> Self {
        let other = other.clone();
        Self {
            brokers: self.brokers.or(other.brokers),
            client_id: self.client_id.or(other.client_id),
            keep_alive: self.keep_alive.or(other.keep_alive),
            tls_enabled: self.tls_enabled.or(other.tls_enabled),
            tls_ca: self.tls_ca.or(other.tls_ca),
            tls_certificate: self.tls_certificate.or(other.tls_certificate),
            tls_private_key: self.tls_private_key.or(other.tls_private_key),
            tls_insecure: self.tls_insecure.or(other.tls_insecure),
            sasl_mechanism: self.sasl_mechanism.or(other.sasl_mechanism),
            sasl_username: self.sasl_username.or(other.sasl_username),
            sasl_password: self.sasl_password.or(other.sasl_password),
        }
    }

    /// The connection, if there are brokers. `title` is the section's, for what is said of mistakes.
    pub(super) fn build(self, title: &str) -> Result<Option<Connection>> {
        let Some(brokers) = self.brokers else { return Ok(None) };
        let sasl = match (self.sasl_username, self.sasl_password) {
            (Some(username), Some(secret)) => {
                let mechanism = self.sasl_mechanism.map_or(Mechanism::Plain, |name| name.0);
                Some(Sasl { mechanism, username, secret })
            }
            (None, None) if self.sasl_mechanism.is_none() => None,
            (None, _) => bail!("{title} sasl-username is missing: who is to be authenticated?"),
            (Some(_), None) => bail!("{title} sasl-password is missing: sasl-username is set"),
        };
        let identity = match (self.tls_certificate, self.tls_private_key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => bail!("{title} tls-private-key is missing: tls-certificate is set"),
            (None, Some(_)) => bail!("{title} tls-certificate is missing: tls-private-key is set"),
        };
        let insecure_skip_verify = self.tls_insecure.unwrap_or(false);
        let is_told_of = self.tls_ca.is_some() || identity.is_some() || insecure_skip_verify;
        let tls = match self.tls_enabled {
            Some(true) => Some(Tls { ca: self.tls_ca, identity, insecure_skip_verify }),
            None if is_told_of => {
                bail!(
                    "{title} tls-enabled is missing: other tls- keys are set; say whether TLS is to be used"
                )
            }
            _ => None,
        };
        Ok(Some(Connection {
            brokers: brokers.into_iter().map(|broker| broker.0).collect(),
            client_id: self.client_id.unwrap_or_else(|| "skywatch".to_owned()),
            keep_alive: self.keep_alive.unwrap_or(true),
            sasl,
            tls,
        }))
    }
}

impl KafkaSection {
    /// The log, if there are brokers.
    pub(super) fn log(&self) -> Result<Option<KafkaSettings>> {
        let Some(connection) = self.connection().build("[kafka]")? else { return Ok(None) };
        Ok(Some(KafkaSettings {
            connection,
            topic: self.topic()?,
            producer: self.producer()?,
            read_ahead_bytes: bounded("read-ahead", self.read_ahead, 32 << 20, BUFFER_BYTES_MIN)?,
        }))
    }

    /// The topic that writes go through, and that for what cannot be applied.
    pub(super) fn topic(&self) -> Result<TopicSettings> {
        let built_in = match self.topic.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => TopicSettings::named(name),
            None => TopicSettings::default(),
        };
        let message_bytes = self.max_message_size.map_or(built_in.message_bytes_max as u64, |size| size.0);
        if !MESSAGE_BYTES.contains(&message_bytes) {
            bail!(
                "[kafka] max-message-size is {message_bytes}: between {} and {}",
                MESSAGE_BYTES.start(),
                MESSAGE_BYTES.end()
            );
        }
        for (key, value, most) in [
            ("partitions", self.partitions, 10_000),
            ("replication-factor", self.replication_factor, 100),
            ("min-insync-replicas", self.min_insync_replicas, 100),
        ] {
            if let Some(value) = value.filter(|value| !(1..=most).contains(value)) {
                bail!("[kafka] {key} is {value}: between 1 and {most}");
            }
        }
        if let (Some(replicas), Some(in_sync)) = (self.replication_factor, self.min_insync_replicas)
            && in_sync > replicas
        {
            bail!(
                "[kafka] min-insync-replicas is {in_sync} and replication-factor {replicas}: no write would ever be taken"
            );
        }
        Ok(TopicSettings {
            dead_letter: self
                .dead_letter_topic
                .clone()
                .filter(|name| !name.is_empty())
                .unwrap_or(built_in.dead_letter),
            partitions: self.partitions.unwrap_or(built_in.partitions),
            replication: self.replication_factor,
            in_sync_min: self.min_insync_replicas,
            retention: at_least("retention", self.retention, built_in.retention, Duration::from_secs(60))?,
            retention_bytes: self.retention_bytes.map(|size| size.0).filter(|&bytes| bytes > 0),
            message_bytes_max: message_bytes as usize,
            name: built_in.name,
        })
    }

    fn producer(&self) -> Result<ProducerSettings> {
        let built_in = ProducerSettings::default();
        Ok(ProducerSettings {
            compression: self.compression.map_or(built_in.compression, |name| name.0),
            linger: at_least("linger", self.linger, built_in.linger, Duration::ZERO)?,
            buffer_bytes: bounded("buffer-size", self.buffer_size, built_in.buffer_bytes, BUFFER_BYTES_MIN)?,
            delivery_timeout: at_least(
                "delivery-timeout",
                self.delivery_timeout,
                built_in.delivery_timeout,
                Duration::from_secs(1),
            )?,
            retry_after: at_least(
                "retry-after",
                self.retry_after,
                built_in.retry_after,
                Duration::from_secs(1),
            )?,
        })
    }
}

fn at_least(key: &str, given: Option<GoDuration>, default: Duration, least: Duration) -> Result<Duration> {
    match given {
        Some(given) if given.0 < least => bail!("[kafka] {key} is {:?}: at least {least:?}", given.0),
        given => Ok(given.map_or(default, |given| given.0)),
    }
}

fn bounded(key: &str, given: Option<ByteSize>, default: usize, least: u64) -> Result<usize> {
    match given {
        Some(given) if given.0 < least => bail!("[kafka] {key} is {given}: at least {}", ByteSize(least)),
        given => Ok(given.map_or(default, |given| usize::try_from(given.0).unwrap_or(usize::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skywatch_kafka::{Compression, KafkaSettings, Mechanism};

    use crate::config::tests::{settings, settings_error};

    fn log(text: &str) -> KafkaSettings {
        settings(&format!("[kafka]\nbrokers = [\"a:9092\", \"b:9092\"]\n{text}"))
            .kafka
            .expect("there are brokers")
    }

    #[test]
    fn without_brokers_there_is_no_log() {
        assert_eq!(settings("[kafka]\ntopic = \"t\"").kafka, None);
        assert_eq!(settings("[kafka]\nbrokers = []").kafka, None);
    }

    #[test]
    fn the_default_files_say_the_defaults() {
        for file in [crate::config::DEFAULT_FILE, crate::config::DEFAULT_DATA_FILE] {
            let brokers = "#: brokers = ";
            let text: String =
                file.lines().map(|line| line.replacen(brokers, "brokers = ", 1) + "\n").collect();
            let told = settings(&text).kafka.expect("there are brokers");
            assert_eq!(told, KafkaSettings::new(told.connection.clone()));
            assert_eq!(told.connection.client_id, log("").connection.client_id);
        }
    }

    #[test]
    fn every_key_is_read() {
        let log = log(r#"
            topic = "w"
            partitions = 12
            replication-factor = 3
            min-insync-replicas = 2
            retention = "48h"
            retention-bytes = "10g"
            max-message-size = "2m"
            compression = "zstd"
            linger = "2ms"
            buffer-size = "128m"
            delivery-timeout = "20s"
            retry-after = "7s"
            read-ahead = "16m"
            client-id = "c"
            keep-alive = false
            tls-enabled = true
            tls-ca = "/ca.pem"
            tls-certificate = "/c.pem"
            tls-private-key = "/k.pem"
            tls-insecure = true
            sasl-mechanism = "SCRAM-SHA-512"
            sasl-username = "u"
            sasl-password = "p""#);
        assert_eq!(log.topic.dead_letter, "w-dead-letter");
        assert_eq!(
            (log.topic.partitions, log.topic.replication, log.topic.in_sync_min),
            (12, Some(3), Some(2))
        );
        assert_eq!(
            (log.topic.retention, log.topic.retention_bytes),
            (Duration::from_secs(172_800), Some(10 << 30))
        );
        assert_eq!((log.topic.message_bytes_max, log.read_ahead_bytes), (2 << 20, 16 << 20));
        assert_eq!((log.producer.compression, log.producer.buffer_bytes), (Compression::Zstd, 128 << 20));
        assert_eq!(log.connection.brokers, ["a:9092", "b:9092"]);
        assert_eq!(log.connection.sasl.map(|sasl| sasl.mechanism), Some(Mechanism::ScramSha512));
        let tls = log.connection.tls.expect("it is enabled");
        assert_eq!(tls.identity, Some(("/c.pem".to_owned(), "/k.pem".to_owned())));
        assert!(tls.insecure_skip_verify && !log.connection.keep_alive);
    }

    #[test]
    fn mistakes_name_the_key_what_is_there_and_what_would_do() {
        for (text, parts) in [
            ("compression = \"snappy\"", &["line 3", "snappy", "none, gzip, lz4 or zstd"][..]),
            ("sasl-mechanism = \"GSSAPI\"", &["line 3", "GSSAPI", "SCRAM-SHA-256"]),
            ("broker = \"x\"", &["line 3", "broker", "expected one of"]),
            ("retention = \"long\"", &["line 3", "long"]),
            ("sasl-username = \"u\"", &["[kafka] sasl-password is missing"]),
            ("sasl-mechanism = \"PLAIN\"", &["[kafka] sasl-username is missing"]),
            ("tls-enabled = true\ntls-certificate = \"c\"", &["[kafka] tls-private-key is missing"]),
            ("tls-ca = \"c\"", &["[kafka] tls-enabled is missing"]),
            ("partitions = 0", &["[kafka] partitions is 0"]),
            ("max-message-size = \"1k\"", &["[kafka] max-message-size is 1024", "16384"]),
            ("buffer-size = \"1k\"", &["[kafka] buffer-size is 1k", "1m"]),
            ("delivery-timeout = \"1ms\"", &["[kafka] delivery-timeout is 1ms", "1s"]),
            ("replication-factor = 1\nmin-insync-replicas = 2", &["min-insync-replicas is 2", "no write"]),
        ] {
            let error = settings_error(&format!("[kafka]\nbrokers = [\"a:9092\"]\n{text}"));
            for part in parts {
                assert!(error.contains(part), "{text}: {part:?} is not in {error}");
            }
        }
        let error = settings_error("[kafka]\nbrokers = [\"a:9092,b:9092\"]");
        assert!(error.contains("line 2") && error.contains("one broker to a text"), "{error}");
    }
}
