//! The requests this input makes, and what their answers say. Pure: bytes out, bytes in.
//!
//! The versions are those that brokers from 2.0 (2018) to 4.x (2025) all speak.

use super::wire::{Malformed, Read, Reader, Writer};

/// A request's number and the version of it that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Api {
    pub(super) key: i16,
    pub(super) version: i16,
    /// For messages.
    pub(super) name: &'static str,
}

pub(super) const LIST_OFFSETS: Api = Api { key: 2, version: 1, name: "ListOffsets" };
pub(super) const METADATA: Api = Api { key: 3, version: 5, name: "Metadata" };
pub(super) const OFFSET_FETCH: Api = Api { key: 9, version: 2, name: "OffsetFetch" };
pub(super) const DESCRIBE_GROUPS: Api = Api { key: 15, version: 1, name: "DescribeGroups" };
pub(super) const LIST_GROUPS: Api = Api { key: 16, version: 1, name: "ListGroups" };
pub(super) const SASL_HANDSHAKE: Api = Api { key: 17, version: 1, name: "SaslHandshake" };
pub(super) const DESCRIBE_LOG_DIRS: Api = Api { key: 35, version: 1, name: "DescribeLogDirs" };
pub(super) const SASL_AUTHENTICATE: Api = Api { key: 36, version: 0, name: "SaslAuthenticate" };

/// The time that stands for the end of a partition in [`list_offsets`].
pub(super) const LATEST: i64 = -1;
/// The time that stands for its beginning.
pub(super) const EARLIEST: i64 = -2;

/// A partition by its topic and number.
pub(super) type PartitionId = (String, i32);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Metadata {
    pub(super) brokers: Vec<Broker>,
    pub(super) cluster_id: String,
    /// -1 while there is none.
    pub(super) controller: i32,
    pub(super) topics: Vec<Topic>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: i32,
    pub(super) rack: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) internal: bool,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) index: i32,
    /// -1 while there is none.
    pub(super) leader: i32,
    pub(super) replicas: Vec<i32>,
    pub(super) in_sync: Vec<i32>,
    pub(super) offline: Vec<i32>,
}

/// A consumer group as its coordinator knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) protocol_type: String,
    /// Kafka's word, such as `Stable`.
    pub(super) state: String,
    pub(super) members: usize,
}

pub(super) fn metadata() -> Writer {
    let mut request = Writer::default();
    // All topics, and none is to be made.
    request.i32(-1).boolean(false);
    request
}

pub(super) fn read_metadata(answer: &[u8]) -> Read<Metadata> {
    let mut r = Reader::new(answer);
    r.i32()?;
    let brokers =
        r.list(|r| Ok(Broker { id: r.i32()?, host: r.string()?, port: r.i32()?, rack: r.nullable()? }))?;
    let cluster_id = r.string()?;
    let controller = r.i32()?;
    let topics = r.list(|r| {
        r.i16()?;
        Ok(Topic {
            name: r.string()?,
            internal: r.boolean()?,
            partitions: r.list(|r| {
                r.i16()?;
                Ok(Partition {
                    index: r.i32()?,
                    leader: r.i32()?,
                    replicas: r.list(Reader::i32)?,
                    in_sync: r.list(Reader::i32)?,
                    offline: r.list(Reader::i32)?,
                })
            })?,
        })
    })?;
    Ok(Metadata { brokers, cluster_id, controller, topics })
}

/// The offset at `time` of partitions, grouped by topic.
pub(super) fn list_offsets(topics: &[(String, Vec<i32>)], time: i64) -> Writer {
    let mut request = Writer::default();
    request.i32(-1).list(topics, |w, (topic, partitions)| {
        w.string(topic).list(partitions, |w, partition| {
            w.i32(*partition).i64(time);
        });
    });
    request
}

/// Offsets by partition; a partition that cannot be asked now is left out.
pub(super) fn read_offsets(answer: &[u8]) -> Read<Vec<(PartitionId, i64)>> {
    let topics = Reader::new(answer).list(|r| {
        let topic = r.string()?;
        r.list(|r| {
            let (partition, error) = (r.i32()?, r.i16()?);
            r.i64()?;
            let offset = r.i64()?;
            Ok((error == 0 && offset >= 0).then(|| ((topic.clone(), partition), offset)))
        })
    })?;
    Ok(topics.into_iter().flatten().flatten().collect())
}

/// The groups that a broker coordinates, with their protocol types.
pub(super) fn read_groups(answer: &[u8]) -> Read<Result<Vec<(String, String)>, i16>> {
    let mut r = Reader::new(answer);
    r.i32()?;
    let error = r.i16()?;
    let groups = r.list(|r| Ok((r.string()?, r.string()?)))?;
    Ok(if error == 0 { Ok(groups) } else { Err(error) })
}

pub(super) fn describe_groups(groups: &[String]) -> Writer {
    let mut request = Writer::default();
    request.list(groups, |w, group| {
        w.string(group);
    });
    request
}

/// The groups that could be described; the others are left out.
pub(super) fn read_described(answer: &[u8]) -> Read<Vec<Group>> {
    let mut r = Reader::new(answer);
    r.i32()?;
    let groups = r.list(|r| {
        let error = r.i16()?;
        let (id, state, protocol_type) = (r.string()?, r.string()?, r.string()?);
        r.string()?;
        let members = r.list(|r| {
            r.string()?;
            r.string()?;
            r.string()?;
            r.bytes()?;
            r.bytes()
        })?;
        Ok((error == 0).then_some(Group { id, protocol_type, state, members: members.len() }))
    })?;
    Ok(groups.into_iter().flatten().collect())
}

/// All offsets that a group has committed.
pub(super) fn offset_fetch(group: &str) -> Writer {
    let mut request = Writer::default();
    request.string(group).i32(-1);
    request
}

pub(super) fn read_committed(answer: &[u8]) -> Read<Result<Vec<(PartitionId, i64)>, i16>> {
    let mut r = Reader::new(answer);
    let topics = r.list(|r| {
        let topic = r.string()?;
        r.list(|r| {
            let (partition, offset) = (r.i32()?, r.i64()?);
            r.nullable()?;
            let error = r.i16()?;
            Ok((error == 0 && offset >= 0).then(|| ((topic.clone(), partition), offset)))
        })
    })?;
    let error = r.i16()?;
    Ok(if error == 0 { Ok(topics.into_iter().flatten().flatten().collect()) } else { Err(error) })
}

pub(super) fn describe_log_dirs() -> Writer {
    let mut request = Writer::default();
    request.i32(-1);
    request
}

/// What a broker has on its disks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LogDirs {
    pub(super) directories: usize,
    /// Directories that the broker cannot use, and Kafka's number for why.
    pub(super) failed: usize,
    pub(super) error: Option<i16>,
    /// Bytes of each replica.
    pub(super) sizes: Vec<(PartitionId, i64)>,
}

pub(super) fn read_log_dirs(answer: &[u8]) -> Read<LogDirs> {
    let mut r = Reader::new(answer);
    r.i32()?;
    let mut dirs = LogDirs::default();
    let sizes = r.list(|r| {
        let error = r.i16()?;
        r.string()?;
        if error == 0 {
            dirs.directories += 1;
        } else {
            dirs.failed += 1;
            dirs.error = Some(error);
        }
        r.list(|r| {
            let topic = r.string()?;
            r.list(|r| {
                let (partition, size) = (r.i32()?, r.i64()?);
                r.i64()?;
                // One that is being moved to another directory is counted where it is.
                let future = r.boolean()?;
                Ok((!future).then(|| ((topic.clone(), partition), size)))
            })
        })
    })?;
    dirs.sizes = sizes.into_iter().flatten().flatten().flatten().collect();
    Ok(dirs)
}

pub(super) fn sasl_handshake(mechanism: &str) -> Writer {
    let mut request = Writer::default();
    request.string(mechanism);
    request
}

/// Whether the broker has the mechanism; if not, those it has.
pub(super) fn read_sasl_handshake(answer: &[u8]) -> Read<Result<(), Vec<String>>> {
    let mut r = Reader::new(answer);
    let error = r.i16()?;
    let mechanisms = r.list(Reader::string)?;
    Ok(if error == 0 { Ok(()) } else { Err(mechanisms) })
}

pub(super) fn sasl_authenticate(bytes: &[u8]) -> Writer {
    let mut request = Writer::default();
    request.bytes(bytes);
    request
}

/// The broker's part of the exchange, or its refusal.
pub(super) fn read_sasl_authenticate(answer: &[u8]) -> Read<Result<Vec<u8>, String>> {
    let mut r = Reader::new(answer);
    let error = r.i16()?;
    let message = r.nullable()?;
    let bytes = r.bytes()?.to_vec();
    Ok(match error {
        0 => Ok(bytes),
        _ => Err(message.unwrap_or_else(|| describe(error))),
    })
}

/// Kafka's errors by their numbers: those that an answer to these requests may hold.
pub(super) fn describe(error: i16) -> String {
    let text = match error {
        7 => "the request timed out",
        14 => "the coordinator is loading",
        15 => "the coordinator is not available",
        16 => "the broker is not the coordinator",
        29 => "not authorized for the topic",
        30 => "not authorized for the group",
        31 => "not authorized for the cluster",
        35 => "the broker does not know this version of the request",
        56 => "a disk error",
        57 => "the log directory is not there",
        58 => "authentication failed",
        _ => return format!("Kafka's error {error}"),
    };
    text.to_owned()
}

/// For messages about an answer that cannot be read.
pub(super) fn malformed(api: Api) -> impl Fn(Malformed) -> String {
    move |Malformed| format!("the answer to {} cannot be understood", api.name)
}
