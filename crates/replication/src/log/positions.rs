//! How far the log has been applied, on disk: written after what was applied is durable, so that it never says more than is so.
//!
//! ```text
//! "SKYWLOG\n" | {"log": "topic", "next": {"0": 120, "1": 45}} as JSON | CRC-32C, 4 bytes
//! ```
//!
//! A file that is gone, damaged or of another log says nothing: everything is applied again from where the shards begin, which
//! changes nothing that is here.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use skywatch_storage::{
    fs::{Fs, FsError, replace_file},
    wire::{check_crc, put_crc},
};

const FILE: &str = "log-positions";
const MAGIC: &[u8; 8] = b"SKYWLOG\n";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    log: String,
    /// The offset of the first record that is not known to be applied, by partition.
    next: BTreeMap<u32, u64>,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Positions {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    kept: Mutex<Kept>,
}

impl Positions {
    /// Reads what is kept in `dir` about a log.
    pub(super) fn open(fs: Arc<dyn Fs>, dir: &Path, log: &str) -> Result<Self, FsError> {
        fs.create_dir_all(dir).map_err(FsError::on("create", dir))?;
        let path = dir.join(FILE);
        let kept = match fs.map(&path) {
            Ok(bytes) => decode(&bytes).filter(|kept| kept.log == log).or_else(|| {
                let file = path.display();
                tracing::warn!(%file, log, "damaged, or about another log; everything that the log keeps is applied again");
                None
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(FsError::on("read", &path)(error)),
        };
        let kept = kept.unwrap_or_else(|| Kept { log: log.to_owned(), next: BTreeMap::new() });
        Ok(Self { fs, path, kept: Mutex::new(kept) })
    }

    /// By partition, the first offset that is not known to be applied.
    pub(super) fn known(&self) -> BTreeMap<u32, u64> {
        self.kept.lock().next.clone()
    }

    /// Everything before these offsets is durable. Keeps that.
    pub(super) fn keep(&self, next: &BTreeMap<u32, u64>) -> Result<(), FsError> {
        let mut kept = self.kept.lock();
        if kept.next == *next {
            return Ok(());
        }
        let told = Kept { log: kept.log.clone(), next: next.clone() };
        let mut bytes = MAGIC.to_vec();
        serde_json::to_writer(&mut bytes, &told).map_err(|error| {
            let source = io::Error::other(error);
            FsError { action: "encode", path: self.path.clone(), source }
        })?;
        put_crc(&mut bytes, 0);
        replace_file(&*self.fs, &self.path, &bytes)?;
        *kept = told;
        Ok(())
    }
}

/// By partition, how far a file of positions says that its log has been applied; none if it says nothing.
pub fn positions_in(bytes: &[u8]) -> Option<BTreeMap<u32, u64>> {
    Some(decode(bytes)?.next)
}

fn decode(bytes: &[u8]) -> Option<Kept> {
    let body = check_crc(bytes).ok()?.strip_prefix(MAGIC.as_slice())?;
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use skywatch_storage::fs::SimFs;

    use super::*;

    fn open(fs: &SimFs, log: &str) -> Positions {
        Positions::open(Arc::new(fs.clone()), Path::new("meta"), log).unwrap()
    }

    #[test]
    fn what_was_kept_is_there_after_a_power_cut() {
        let fs = SimFs::new(1);
        let next = BTreeMap::from([(0, 7), (3, 9)]);
        open(&fs, "t").keep(&next).unwrap();
        fs.restart();
        assert_eq!(open(&fs, "t").known(), next);
        assert_eq!(open(&fs, "other").known(), BTreeMap::new());
    }

    #[test]
    fn a_file_that_is_not_what_was_written_says_nothing() {
        let fs = SimFs::new(1);
        open(&fs, "t").keep(&BTreeMap::from([(0, 7)])).unwrap();
        let path = Path::new("meta").join(FILE);
        let good = fs.map(&path).unwrap().to_vec();
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x21;
            assert_eq!(decode(&bad), None, "byte {place}");
        }
    }
}
