//! Which files are followed: those there are, those that come, and those that were renamed and have a rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::follower::{Follower, id_of};
use super::offsets::{FileId, Offsets};
use super::options::Options;
use crate::input::GatherError;

/// Between two looks for files.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Files followed at a time.
const FILES_MAX: usize = 4096;

/// See the module's header.
#[derive(Debug)]
pub(super) struct Files {
    options: Arc<Options>,
    offsets: Offsets,
    followers: Vec<Follower>,
    looked_at: Option<Instant>,
    /// How far files were read that lost their path: patterns may find them under their new one.
    read_to: BTreeMap<FileId, u64>,
    /// Paths of problems that were told of.
    told: BTreeSet<PathBuf>,
}

impl Files {
    pub(super) fn new(options: Arc<Options>, offsets: Offsets) -> Self {
        Self {
            options,
            offsets,
            followers: Vec::new(),
            looked_at: None,
            read_to: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Follower> {
        self.followers.iter_mut()
    }

    /// Files that were read to their end after their path was taken are done with.
    pub(super) fn forget_ended(&mut self) {
        for file in self.followers.iter().filter(|file| file.has_ended()) {
            self.read_to.insert(file.id(), file.read_to());
        }
        while self.read_to.len() > FILES_MAX {
            self.read_to.pop_first();
        }
        self.followers.retain(|file| !file.has_ended());
    }

    /// Looks for files that have come or whose path is another's now, if it is time; returns what cannot be followed.
    pub(super) fn look(&mut self) -> Vec<GatherError> {
        if self.looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Vec::new();
        }
        let is_first = self.looked_at.replace(Instant::now()).is_none();
        let mut problems = Vec::new();
        let paths: BTreeSet<_> =
            self.options.files.iter().flat_map(crate::path_glob::PathGlob::files).collect();
        for follower in &mut self.followers {
            let is_still_there = fs::metadata(follower.path()).is_ok_and(|m| id_of(&m) == follower.id());
            if !follower.is_retired() && !is_still_there {
                follower.retire();
            }
        }
        for path in &paths {
            let id = fs::metadata(path).ok().map(|metadata| id_of(&metadata));
            let followed = self.followers.iter().any(|file| match file.is_retired() {
                false => file.path() == path,
                // Renamed, and still being read to its end.
                true => Some(file.id()) == id,
            });
            if followed || self.followers.len() >= FILES_MAX {
                continue;
            }
            match self.follow(path, is_first) {
                Ok(()) => drop(self.told.remove(path)),
                Err(source) => {
                    if self.told.insert(path.clone()) {
                        problems.push(GatherError::Read { path: path.clone(), source });
                    }
                }
            }
        }
        let followers = &self.followers;
        self.offsets.retain(|path| {
            followers.iter().any(|file| file.shown() == path) || paths.contains(Path::new(path))
        });
        problems
    }

    fn follow(&mut self, path: &Path, is_first: bool) -> io::Result<()> {
        let file = open(path, self.options.pipe)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let (id, length) = (id_of(&metadata), metadata.len());
        let saved = self.offsets.get(&path.to_string_lossy()).filter(|_| self.options.start.saved);
        let from = match saved {
            Some(saved) if saved.id == id && saved.offset <= length => saved.offset,
            // Cut, or another file, while nobody looked.
            Some(saved) => {
                self.follow_rest(path, saved.id, saved.offset);
                0
            }
            None if self.read_to.get(&id).is_some_and(|read_to| *read_to <= length) => self.read_to[&id],
            // A file that comes later is new as a whole.
            None if is_first && self.options.start.end => length,
            None => 0,
        };
        self.followers.push(Follower::new(path, file, from, Arc::clone(&self.options), &self.offsets)?);
        Ok(())
    }

    /// What a file that was renamed while nobody looked still has, if it is in the same directory.
    fn follow_rest(&mut self, path: &Path, id: FileId, offset: u64) {
        let Some(entries) = path.parent().and_then(|directory| fs::read_dir(directory).ok()) else { return };
        for entry in entries.flatten() {
            let is_it =
                entry.metadata().is_ok_and(|metadata| id_of(&metadata) == id && metadata.len() >= offset);
            if !is_it || entry.path() == path {
                continue;
            }
            let follower = File::open(entry.path())
                .and_then(|file| Follower::new(path, file, offset, Arc::clone(&self.options), &self.offsets));
            if let Ok(mut follower) = follower {
                follower.retire();
                self.followers.push(follower);
            }
            return;
        }
    }
}

fn open(path: &Path, pipe: bool) -> io::Result<File> {
    if pipe {
        // Open for writing as well, so that it does not end with its first writer.
        return OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path);
    }
    File::open(path)
}
