//! The record of a backup: what it holds and of which files. `docs/formats/backup.md` describes it.
//!
//! ```text
//! skywatch backup 1 crc32c=0a1b2c3d\n      format version; checksum of all that follows
//! { "created": "...", ... }\n              the record as JSON
//! ```

use std::path::Path;

use serde::{Deserialize, Serialize};
use skywatch_cluster::backup::{FileCopy, ShardCopy};
use skywatch_meta::Database;

use crate::{Error, Part};

const VERSION: &str = "1";
/// Of a backup of a part, which earlier releases would take for a whole one.
const PART_VERSION: &str = "2";
/// Of a backup of a range of time, of which earlier releases would restore points beyond it.
const TIMES_VERSION: &str = "3";

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When the backup began, RFC 3339: what was acknowledged before is in it.
    pub(crate) created: String,
    /// Where it comes from.
    pub(crate) source: String,
    /// The release that made it.
    pub(crate) skywatch_version: String,
    /// Which databases were asked for; none where it is a backup of all there were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) selected: Vec<String>,
    /// Which part of them.
    #[serde(default, skip_serializing_if = "Part::is_whole")]
    pub(crate) part: Part,
    /// Databases with policies and live shard groups.
    pub(crate) databases: Vec<Database>,
    /// Files of their shards.
    pub(crate) shards: Vec<ShardCopy>,
}

impl Record {
    /// Whether whoever has this backup has no need of the `other`, but for its age.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let has = |name: &String| self.databases.iter().any(|database| database.name == *name);
        let of_databases =
            self.selected.is_empty() || !other.selected.is_empty() && other.selected.iter().all(has);
        of_databases && (self.part.is_whole() || self.part == other.part)
    }

    /// Every file with its shard.
    pub(crate) fn files(&self) -> impl Iterator<Item = (u64, &FileCopy)> {
        self.shards.iter().flat_map(|shard| shard.files.iter().map(move |file| (shard.id, file)))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("records of strings and numbers always encode");
        json.push(b'\n');
        let version = match &self.part {
            part if part.is_whole() => VERSION,
            Part { times: None, .. } => PART_VERSION,
            Part { times: Some(_), .. } => TIMES_VERSION,
        };
        let mut bytes =
            format!("skywatch backup {version} crc32c={:08x}\n", crc32c::crc32c(&json)).into_bytes();
        bytes.extend_from_slice(&json);
        bytes
    }

    /// `path` is for errors.
    pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |reason: String| Error::DamagedRecord { path: path.to_owned(), reason };
        let line = bytes.iter().position(|byte| *byte == b'\n');
        let (header, json) = bytes.split_at(line.ok_or_else(|| damaged("it has no header line".to_owned()))?);
        let json = json.get(1..).unwrap_or_default();
        let (version, checksum) = std::str::from_utf8(header)
            .ok()
            .and_then(|header| header.strip_prefix("skywatch backup ")?.split_once(" crc32c="))
            .ok_or_else(|| damaged("its header line is not that of a backup".to_owned()))?;
        if ![VERSION, PART_VERSION, TIMES_VERSION].contains(&version) {
            let (path, found) = (path.to_owned(), version.to_owned());
            return Err(Error::TooNew { path, found, supported: TIMES_VERSION });
        }
        let found = format!("{:08x}", crc32c::crc32c(json));
        if found != checksum {
            return Err(damaged(format!("checksum {found}, expected {checksum}")));
        }
        serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use skywatch_cluster::backup::{Checksum, Times};
    use skywatch_meta::{NodeId, RetentionPolicy, Shard, ShardGroup};

    use super::*;

    pub(crate) fn sample() -> Record {
        let group = |id: u64, start_ns| ShardGroup {
            id,
            start_ns,
            end_ns: start_ns + 100,
            deleted_at_ns: None,
            truncated_at_ns: None,
            log_starts: Vec::new(),
            shards: vec![Shard::new(id + 10, vec![NodeId(1)])],
        };
        let policy = |name: &str, groups| RetentionPolicy {
            name: name.to_owned(),
            duration_ns: 0,
            shard_group_duration_ns: 100,
            replica_n: 1,
            shard_groups: groups,
            subscriptions: Vec::new(),
        };
        let database = |name: &str, policies| Database {
            name: name.to_owned(),
            default_retention_policy: "autogen".to_owned(),
            retention_policies: policies,
            continuous_queries: Vec::new(),
        };
        let file = |name: &str, content: &str| FileCopy {
            name: name.to_owned(),
            size_bytes: 5,
            checksum: Checksum::of(content.as_bytes()),
        };
        let shard = |id, files| ShardCopy { id, files, damaged: Vec::new() };
        Record {
            created: "2026-01-02T03:04:05Z".to_owned(),
            source: "http://127.0.0.1:8086".to_owned(),
            skywatch_version: "0.1.0".to_owned(),
            selected: Vec::new(),
            part: Part::default(),
            databases: vec![
                database("a", vec![policy("autogen", vec![group(1, 0)]), policy("week", vec![group(2, 0)])]),
                database("b", vec![policy("autogen", vec![group(3, -100)])]),
            ],
            shards: vec![
                shard(11, vec![file("MANIFEST", "one"), file("0000000001.seg", "two")]),
                shard(13, vec![file("MANIFEST", "six")]),
            ],
        }
    }

    #[test]
    fn comes_back_and_every_flipped_byte_is_noticed() {
        let bytes = sample().encode();
        assert_eq!(Record::decode(Path::new("x"), &bytes).unwrap(), sample());
        for index in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[index] ^= 0x11;
            assert!(Record::decode(Path::new("x"), &bad).is_err(), "flip at {index}");
            assert!(Record::decode(Path::new("x"), &bytes[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn who_would_take_a_part_for_more_does_not_read_it() {
        let versions = [
            (Part::default(), "1"),
            (Part { metadata_only: true, ..Part::default() }, "2"),
            (Part { times: Some(Times { start_ns: 5, end_ns: 6 }), ..Part::default() }, "3"),
        ];
        for (part, version) in versions {
            let record = Record { part, ..sample() };
            let bytes = record.encode();
            assert!(bytes.starts_with(format!("skywatch backup {version} ").as_bytes()));
            assert_eq!(Record::decode(Path::new("x"), &bytes).unwrap(), record);
        }
    }

    #[test]
    fn the_encoding_is_stable() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/backup-v1.json");
        let written = sample().encode();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &written).unwrap();
        }
        let golden = std::fs::read_to_string(&golden).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            golden,
            "the format changed: raise VERSION and keep reading the old one"
        );
    }
}
