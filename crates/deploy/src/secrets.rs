//! Passwords and shared secrets. They are made once, at random, and stay in a file of their own beside the inventory, so
//! that rendering again gives the same. What that file has is never overwritten; what it lacks is added.

use std::collections::BTreeMap;

use rand::{Rng as _, distr::Alphanumeric};
use serde::{Deserialize, Serialize};

use crate::cloud::Cloud;

/// Letters of a secret: 190 bits.
const LETTERS: usize = 32;
/// Letters that keepalived takes of a password.
const VRRP_LETTERS: usize = 8;

const HEAD: &str = "\
# Secrets of the cloud, made by `skywatch render`. Keep this file as safe as the machines: whoever has it can do anything.
# Nothing here is ever overwritten. To change one, take its line away and render again, then copy and restart what the
# changed files belong to (RUNBOOK.md).
";

/// The file's text is no such file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// Not what `render` writes, nor what may be written there.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] toml::de::Error),
    /// Cannot be written as text.
    #[error("cannot be written: {0}")]
    Unwritable(#[from] toml::ser::Error),
    /// A secret that would break the files it goes into.
    #[error("{name} holds {found:?}: use letters, digits, `-`, `_` and `.`, at least {least} of them")]
    Unfit {
        /// Whose.
        name: String,
        /// What it holds that it may not, or all of it if it is too short.
        found: String,
        /// How long it has to be.
        least: usize,
    },
}

/// See the module's header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Secrets {
    /// What nodes of the cluster prove to each other to know.
    pub cluster: String,
    /// What tokens (JWT) of the HTTP API and of `ctl` are signed with.
    pub tokens: String,
    /// Of the page of statistics of HAProxy; its user is `admin`.
    pub haproxy_stats: String,
    /// What the fronts show each other (VRRP); eight letters.
    pub vrrp: String,
    /// Grafana's own administrator.
    pub grafana_admin: String,
    /// Brokers to each other and to ZooKeeper.
    pub kafka_broker: String,
    /// Data nodes to Kafka.
    pub kafka_skywatch: String,
    /// Agents to Kafka.
    pub kafka_agent: String,
    /// Whoever administers Kafka.
    pub kafka_admin: String,
    /// Identity of a Kafka cluster (KRaft): 16 bytes as base64.
    pub kafka_cluster_id: String,
    /// Passwords of the users of databases, by name.
    pub users: BTreeMap<String, String>,
}

impl Secrets {
    /// Reads the file's text.
    ///
    /// # Errors
    /// See [`SecretsError`].
    pub fn parse(text: &str) -> Result<Self, SecretsError> {
        let secrets: Self = toml::from_str(text)?;
        for (name, secret, least) in secrets.all() {
            let is_fine = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
            let is_short = !secret.is_empty() && secret.len() < least;
            let found: String = secret.chars().filter(|letter| is_short || !is_fine(*letter)).collect();
            if !found.is_empty() {
                return Err(SecretsError::Unfit { name, found, least });
            }
        }
        Ok(secrets)
    }

    /// The file's text.
    ///
    /// # Errors
    /// None that is known of; the format's library may tell of some.
    pub fn to_text(&self) -> Result<String, SecretsError> {
        Ok(format!("{HEAD}\n{}", toml::to_string(self)?))
    }

    /// Makes what is missing for a cloud; whether anything was.
    pub fn complete(&mut self, cloud: &Cloud) -> bool {
        let before = self.clone();
        let (random, short) = (|| random(LETTERS), || random(VRRP_LETTERS));
        for field in [
            &mut self.cluster,
            &mut self.tokens,
            &mut self.haproxy_stats,
            &mut self.grafana_admin,
            &mut self.kafka_broker,
            &mut self.kafka_skywatch,
            &mut self.kafka_agent,
            &mut self.kafka_admin,
        ] {
            fill(field, random);
        }
        fill(&mut self.vrrp, short);
        fill(&mut self.kafka_cluster_id, cluster_id);
        for user in &cloud.users {
            fill(self.users.entry(user.name.clone()).or_default(), random);
        }
        *self != before
    }

    /// The password of a user of databases.
    #[must_use]
    pub fn password(&self, user: &str) -> &str {
        // `complete` has made one for every user of the inventory.
        self.users.get(user).map_or("", String::as_str)
    }

    fn all(&self) -> Vec<(String, &str, usize)> {
        let own = [
            ("cluster", &self.cluster),
            ("tokens", &self.tokens),
            ("haproxy-stats", &self.haproxy_stats),
            ("grafana-admin", &self.grafana_admin),
            ("kafka-broker", &self.kafka_broker),
            ("kafka-skywatch", &self.kafka_skywatch),
            ("kafka-agent", &self.kafka_agent),
            ("kafka-admin", &self.kafka_admin),
            ("kafka-cluster-id", &self.kafka_cluster_id),
        ];
        let mut all: Vec<_> =
            own.into_iter().map(|(name, secret)| (name.to_owned(), secret.as_str(), 12)).collect();
        all.push(("vrrp".to_owned(), &self.vrrp, VRRP_LETTERS));
        let users = self.users.iter().map(|(name, secret)| (format!("users.{name}"), secret.as_str(), 8));
        all.extend(users);
        all
    }
}

fn fill(field: &mut String, make: impl FnOnce() -> String) {
    if field.is_empty() {
        *field = make();
    }
}

fn random(letters: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(letters).map(char::from).collect()
}

/// A UUID of version 4 in the alphabet of URLs, as Kafka's own tool makes them: it never begins with a hyphen.
fn cluster_id() -> String {
    // 22 letters of six bits are 132; Kafka takes 128, so the last letter ends with four zeros.
    let mut text = random(21);
    text.push('A');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{EXAMPLE, read};

    #[test]
    fn what_is_there_stays_and_what_is_missing_is_made() {
        let (cloud, _) = read(EXAMPLE).unwrap();
        let mut secrets =
            Secrets::parse("cluster = \"kept-as-it-is\"\n[users]\nadmin = \"as-it-is\"").unwrap();
        assert!(secrets.complete(&cloud));
        assert_eq!((secrets.cluster.as_str(), secrets.password("admin")), ("kept-as-it-is", "as-it-is"));
        assert_eq!((secrets.tokens.len(), secrets.vrrp.len(), secrets.kafka_cluster_id.len()), (32, 8, 22));
        assert_ne!(secrets.tokens, secrets.haproxy_stats);
        assert_eq!(secrets.users.keys().collect::<Vec<_>>(), ["admin", "agent", "grafana", "reader"]);
        assert!(!secrets.clone().complete(&cloud), "the second time nothing is missing");
        assert_eq!(Secrets::parse(&secrets.to_text().unwrap()).unwrap(), secrets);
    }

    #[test]
    fn what_would_break_files_is_refused() {
        for (text, expected) in [
            ("cluster = \"with \\\"quotes\\\" in it\"", "cluster holds"),
            ("vrrp = \"short\"", "vrrp holds"),
            ("[users]\nx = \"a'b'c'd'e\"", "users.x holds"),
            ("clutser = \"x\"", "unknown field"),
        ] {
            let error = Secrets::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
