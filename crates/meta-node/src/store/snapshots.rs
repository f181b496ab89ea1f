//! Snapshots in the store. The latest but one is kept beside the latest, and the log from there on with it, so that a
//! damaged one costs time and not the catalogue.

use openraft::SnapshotMeta;
use redb::{Durability, ReadableDatabase, ReadableTable};

use super::{SNAPSHOTS, Store, StoreError, disk, encode};
use crate::raft_types::Member;

const KEPT: usize = 2;
/// Checksum, and length of the description.
const HEADER_BYTES: usize = 8;

pub(crate) type Description = SnapshotMeta<u64, Member>;

impl Store {
    /// Keeps a snapshot, durably.
    pub(crate) fn save_snapshot(&self, meta: &Description, catalogue: &[u8]) -> Result<(), StoreError> {
        let bytes = pack(&encode("a snapshot's description", meta)?, catalogue);
        self.change("write a snapshot", Durability::Immediate, |write| {
            let mut table = write.open_table(SNAPSHOTS)?;
            let serials: Vec<u64> =
                table.iter()?.map(|kept| Ok(kept?.0.value())).collect::<Result<_, redb::StorageError>>()?;
            table.insert(serials.last().map_or(1, |last| last + 1), bytes.as_slice())?;
            for serial in serials.iter().rev().skip(KEPT - 1) {
                table.remove(serial)?;
            }
            Ok(())
        })
    }

    /// The latest snapshot that is whole.
    pub(crate) fn latest_snapshot(&self) -> Result<Option<(Description, Vec<u8>)>, StoreError> {
        let read = self.database.begin_read().map_err(disk("read"))?;
        let table = read.open_table(SNAPSHOTS).map_err(disk("read"))?;
        let mut damage = None;
        for kept in table.iter().map_err(disk("read"))?.rev() {
            let (serial, bytes) = kept.map_err(disk("read"))?;
            match unpack(bytes.value()) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(reason) => {
                    let serial = serial.value();
                    tracing::error!(serial, %reason, "a snapshot is damaged; the one before it is tried");
                    damage = Some(StoreError::Damaged(format!("snapshot {serial}: {reason}")));
                }
            }
        }
        damage.map_or(Ok(None), Err)
    }
}

fn pack(description: &[u8], catalogue: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[4..].copy_from_slice(&(description.len() as u32).to_le_bytes());
    bytes.extend_from_slice(description);
    bytes.extend_from_slice(catalogue);
    let crc = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn unpack(bytes: &[u8]) -> Result<(Description, Vec<u8>), String> {
    let number = |range| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get::<std::ops::Range<usize>>(range)?.try_into().ok()?))
    };
    let (Some(crc), Some(length)) = (number(0..4), number(4..HEADER_BYTES)) else {
        return Err("it is cut short".into());
    };
    let found = crc32c::crc32c(&bytes[4..]);
    if found != crc {
        return Err(format!("checksum {found:08x}, expected {crc:08x}"));
    }
    let (description, catalogue) =
        bytes[HEADER_BYTES..].split_at_checked(length as usize).ok_or("its description is cut short")?;
    let description = serde_json::from_slice(description).map_err(|error| error.to_string())?;
    Ok((description, catalogue.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Memory;

    fn description(number: u64) -> Description {
        Description { snapshot_id: format!("s{number}"), ..Description::default() }
    }

    #[test]
    fn the_latest_two_are_kept_and_damage_falls_back() {
        let store = Store::open(&Memory::new(), 1).unwrap();
        assert!(store.latest_snapshot().unwrap().is_none());
        for number in 1..=3 {
            store.save_snapshot(&description(number), format!("catalogue {number}").as_bytes()).unwrap();
        }
        let latest = || store.latest_snapshot().unwrap().map(|(meta, bytes)| (meta.snapshot_id, bytes));
        assert_eq!(latest(), Some(("s3".into(), b"catalogue 3".to_vec())));
        let damage = |serial: u64| {
            store
                .change("damage", Durability::Immediate, |write| {
                    write.open_table(SNAPSHOTS)?.insert(serial, b"not a snapshot".as_slice())?;
                    Ok(())
                })
                .unwrap();
        };
        damage(3);
        assert_eq!(latest(), Some(("s2".into(), b"catalogue 2".to_vec())));
        damage(2);
        assert!(matches!(store.latest_snapshot(), Err(StoreError::Damaged(_))), "and the first is gone");
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let good = pack(&serde_json::to_vec(&description(1)).unwrap(), b"{}");
        assert_eq!(unpack(&good), Ok((description(1), b"{}".to_vec())));
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x11;
            assert!(unpack(&bad).is_err(), "byte {index}");
        }
        for length in 0..good.len() {
            assert!(unpack(&good[..length]).is_err(), "{length} bytes");
        }
    }
}
