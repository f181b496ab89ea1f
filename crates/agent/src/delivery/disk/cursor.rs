//! How far a buffer is done with: a small file of checksummed records, of which the last counts.
//!
//! ```text
//! record, 16 bytes: number of the first metric still to be sent (8) | "SWCU" | CRC-32C of the 12 before (4)
//! ```
//!
//! A record is appended for every acknowledgement; when there are many, the file is replaced by one with the last
//! alone. A record that is torn or damaged does not count: then the one before does, and metrics between the two
//! are sent once more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skywatch_storage::fs::{File, Fs, FsError, replace_file};

const MAGIC: [u8; 4] = *b"SWCU";
const RECORD_LEN: usize = 16;
/// The file is replaced when it is so large.
const FILE_BYTES_MAX: usize = 4096;

/// No record of the file is whole.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is damaged")]
pub(super) struct Damaged;

/// The file, open.
#[derive(Debug)]
pub(super) struct Cursor {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    /// Absent before the first record and after a failure: then the next record replaces the file.
    file: Option<Arc<dyn File>>,
    len: usize,
}

impl Cursor {
    /// The file in `dir` and what it says: 0 where there is none, and an error where no record of it is whole.
    pub(super) fn open(fs: &Arc<dyn Fs>, dir: &Path) -> Result<(Self, Result<u64, Damaged>), FsError> {
        let path = dir.join("cursor");
        let bytes = match fs.read_at(&path, 0, 2 * FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(FsError::on("read", &path)(error)),
        };
        let noted = if bytes.is_empty() { Ok(0) } else { last(&bytes).ok_or(Damaged) };
        Ok((Self { fs: Arc::clone(fs), path, file: None, len: 0 }, noted))
    }

    /// Notes that everything before `number` is done with.
    pub(super) fn advance(&mut self, number: u64, sync: bool) -> Result<(), FsError> {
        match self.file.take() {
            Some(file) if self.len < FILE_BYTES_MAX => {
                file.append(&record(number)).map_err(FsError::on("write", &self.path))?;
                if sync {
                    file.sync().map_err(FsError::on("sync", &self.path))?;
                }
                self.len += RECORD_LEN;
                self.file = Some(file);
            }
            _ => {
                replace_file(self.fs.as_ref(), &self.path, &record(number))?;
                self.file = Some(self.fs.open_append(&self.path).map_err(FsError::on("open", &self.path))?);
                self.len = RECORD_LEN;
            }
        }
        Ok(())
    }
}

fn record(number: u64) -> [u8; RECORD_LEN] {
    let mut record = [0; RECORD_LEN];
    record[..8].copy_from_slice(&number.to_le_bytes());
    record[8..12].copy_from_slice(&MAGIC);
    let crc = crc32c::crc32c(&record[..12]);
    record[12..].copy_from_slice(&crc.to_le_bytes());
    record
}

/// The number of the last whole record. Numbers only grow, so a record out of its place does no harm.
fn last(bytes: &[u8]) -> Option<u64> {
    let (records, _) = bytes.as_chunks::<RECORD_LEN>();
    let whole = records.iter().filter_map(|bytes| {
        let number = u64::from_le_bytes(*bytes.first_chunk()?);
        (*bytes == record(number)).then_some(number)
    });
    whole.max()
}

#[cfg(test)]
mod tests {
    use skywatch_storage::fs::SimFs;

    use super::*;

    #[test]
    fn the_last_whole_record_counts() {
        let bytes: Vec<u8> = [3, 5, 900].into_iter().flat_map(record).collect();
        assert_eq!(last(&bytes), Some(900));
        assert_eq!(last(&bytes[..47]), Some(5), "torn");
        assert_eq!(last(&[]), None);
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 4;
            assert_eq!(last(&damaged), Some(if index < 32 { 900 } else { 5 }), "flip at {index}");
        }
    }

    #[test]
    fn it_stays_small_and_survives_the_power() {
        let sim = SimFs::default();
        let fs: Arc<dyn Fs> = Arc::new(sim.clone());
        let dir = Path::new("b");
        fs.create_dir_all(dir).expect("made");
        let (mut cursor, none) = Cursor::open(&fs, dir).expect("opened");
        assert_eq!(none, Ok(0));
        for number in 1..=1000 {
            cursor.advance(number, true).expect("noted");
            assert!(sim.read(&dir.join("cursor")).expect("there").len() <= FILE_BYTES_MAX);
        }
        sim.restart();
        assert_eq!(Cursor::open(&fs, dir).expect("opened").1, Ok(1000));
    }
}
