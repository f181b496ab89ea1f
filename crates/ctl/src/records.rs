//! What nodes answer, as JSON. Unknown keys are ignored and new ones have defaults, so that releases can be mixed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::time;

/// `GET /status`, of a meta node on 8091 or of a data node on 8088.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    /// `meta` or `data`.
    #[serde(deserialize_with = "or_default")]
    pub(crate) node_type: String,
    /// Raft address of the leader, as this meta node knows it.
    #[serde(deserialize_with = "or_default")]
    pub(crate) leader: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) http_addr: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) raft_addr: String,
    /// Raft addresses.
    #[serde(deserialize_with = "or_default")]
    pub(crate) peers: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) tcp_addr: String,
    /// `joined` or `disjoined`.
    #[serde(deserialize_with = "or_default")]
    pub(crate) node_status: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) meta_addrs: Vec<String>,
    /// The release, where the node tells.
    #[serde(deserialize_with = "or_default")]
    pub(crate) version: String,
    /// Shards in its data directory, where the node tells.
    #[serde(deserialize_with = "or_default")]
    pub(crate) shards: u64,
}

/// A node that was added.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) tcp_addr: String,
    /// A meta node's HTTP address; data nodes have `httpAddr`.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) addr: String,
}

/// `GET /show-cluster`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cluster {
    #[serde(deserialize_with = "or_default")]
    pub(crate) data: Vec<DataNode>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) meta: Vec<MetaNode>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataNode {
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) tcp_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) http_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) http_scheme: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) version: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) passive: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetaNode {
    pub(crate) id: u64,
    /// HTTP address.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) addr: String,
    /// Raft address.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) tcp_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) version: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: BTreeMap<String, String>,
}

/// An element of `GET /show-shards`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Shard {
    #[serde(deserialize_with = "number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) database: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) retention_policy: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) replica_n: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) shard_group_id: u64,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) start_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) end_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) expire_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) truncated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) owners: Vec<Owner>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Owner {
    pub(crate) id: u64,
    #[serde(default, alias = "tcpAddr", deserialize_with = "or_default")]
    pub(crate) tcp_addr: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) state: String,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) last_modified: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) size: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) err: String,
    /// Why its node said nothing, if it did not.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) silence: String,
}

impl Owner {
    /// What is wrong with this copy.
    pub(crate) fn error(&self) -> Option<&str> {
        (!matches!(self.err.as_str(), "" | "nil")).then_some(self.err.as_str())
    }
}

/// An element of `GET /copy-shard-status`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Copying {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) source: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) dest: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) database: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) policy: String,
    #[serde(deserialize_with = "number")]
    pub(crate) shard_id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) total_size: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) current_size: u64,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) started_at: Option<Timestamp>,
    /// Why nothing is known of it but what it is, if so: the node that is to get the shard does not answer.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) silence: String,
    /// Why it does not get on, if so: nobody that has the shard can be copied from.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) trouble: String,
}

/// `GET /shard-repair/status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Repairs {
    #[serde(deserialize_with = "or_default")]
    pub(crate) shards: Vec<DifferingShard>,
    #[serde(deserialize_with = "numbers")]
    pub(crate) queued_shards: Vec<u64>,
    #[serde(deserialize_with = "numbers")]
    pub(crate) processing_shards: Vec<u64>,
    /// Data nodes of which nothing is known.
    #[serde(deserialize_with = "or_default")]
    pub(crate) silent: Vec<SilentNode>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SilentNode {
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) error: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct DifferingShard {
    #[serde(deserialize_with = "number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) database: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) retention_policy: String,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) start_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) end_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) expires: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) status: String,
    /// Why it cannot be repaired.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) reason: String,
}

/// Go writes empty lists, maps and texts as `null` now and then.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    as_number(&Value::deserialize(from)?)
}

fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    let values = Option::<Vec<Value>>::deserialize(from)?.unwrap_or_default();
    values.iter().map(as_number).collect()
}

/// A number, also as text.
fn as_number<E: de::Error>(value: &Value) -> Result<u64, E> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    number.ok_or_else(|| E::custom(format!("{value} is no id")))
}

/// RFC 3339, or nanoseconds since the epoch as a number or text. The zero time and 0 mean that there is none, which is
/// what the API says of a shard that never expires; the epoch itself is lost to that, and only there.
fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(from)?;
    let wrong = || de::Error::custom(format!("{value} is no time"));
    let nanoseconds = |nanoseconds: i64| (nanoseconds != 0).then(|| time::from_nanoseconds(nanoseconds));
    match &value {
        Value::Null => Ok(None),
        Value::Number(number) => number.as_i64().map(nanoseconds).ok_or_else(wrong),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => match text.parse::<i64>() {
            Ok(number) => Ok(nanoseconds(number)),
            Err(_) => {
                let time: Timestamp = text.parse().map_err(|_| wrong())?;
                Ok((!time::is_zero(time)).then_some(time))
            }
        },
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_as_good_as_nothing() {
        let cluster: Cluster =
            serde_json::from_str(r#"{"data":null,"meta":[{"id":1,"addr":null}]}"#).unwrap();
        assert!(cluster.data.is_empty() && cluster.meta[0].addr.is_empty());
    }

    #[test]
    fn times_in_every_way_they_are_written() {
        let shard: DifferingShard = serde_json::from_str(
            r#"{"id":"7","start_time":"-259200000000000","end_time":345600000000000,"expires":"0","status":"diff"}"#,
        )
        .unwrap();
        assert_eq!(shard.id, 7);
        assert_eq!(shard.start_time, Some("1969-12-29T00:00:00Z".parse().unwrap()));
        assert_eq!(shard.end_time, Some("1970-01-05T00:00:00Z".parse().unwrap()));
        assert_eq!(shard.expires, None);
        let shard: Shard = serde_json::from_str(
            r#"{"id":1,"start-time":"1970-01-01T00:00:00Z","truncated-at":"0001-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!((shard.start_time, shard.truncated_at), (Some(Timestamp::UNIX_EPOCH), None));
    }
}
