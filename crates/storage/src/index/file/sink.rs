//! Where a file's bytes go: in large appends, each mebibyte with its checksum.

use std::{path::Path, sync::Arc};

use super::CHECKED_LEN;
use crate::fs::{File, Fs, FsError};

/// See the module's header.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    path: &'a Path,
    file: Arc<dyn File>,
    block: Vec<u8>,
    written: u64,
    pub(super) checksums: Vec<u32>,
}

impl<'a> Sink<'a> {
    pub(super) fn create(fs: &dyn Fs, path: &'a Path) -> Result<Self, FsError> {
        let file = fs.create(path).map_err(FsError::on("create", path))?;
        Ok(Self { path, file, block: Vec::with_capacity(CHECKED_LEN), written: 0, checksums: Vec::new() })
    }

    /// Where the next byte goes.
    pub(super) fn at(&self) -> u64 {
        self.written + self.block.len() as u64
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) -> Result<(), FsError> {
        while self.block.len() + bytes.len() >= CHECKED_LEN {
            let (fitting, rest) = bytes.split_at(CHECKED_LEN - self.block.len());
            self.block.extend_from_slice(fitting);
            self.end_block()?;
            bytes = rest;
        }
        self.block.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn put_u32(&mut self, number: u32) -> Result<(), FsError> {
        self.put(&number.to_le_bytes())
    }

    /// Checksums what there is since the last, even if it is less than a block.
    pub(super) fn end_block(&mut self) -> Result<(), FsError> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.checksums.push(crc32c::crc32c(&self.block));
        self.append()
    }

    fn append(&mut self) -> Result<(), FsError> {
        self.file.append(&self.block).map_err(FsError::on("write", self.path))?;
        self.written += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }

    /// Appends the last bytes, which check themselves, and syncs; returns the length of the file.
    pub(super) fn finish(mut self, trailer: &[u8]) -> Result<u64, FsError> {
        self.block.extend_from_slice(trailer);
        self.append()?;
        self.file.sync().map_err(FsError::on("sync", self.path))?;
        Ok(self.written)
    }
}
