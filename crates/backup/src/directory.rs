//! A directory of backups on disk. Files appear under their names only when they are whole and durable.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use skywatch_cluster::backup::{Checksum, FileCopy, Hasher, PIECE_BYTES};

use crate::{Error, error::io_error, format::Record, plan::StoredFile};

/// Ends the names of files that are still being written; leftovers of an interruption are removed by the next backup.
const PARTIAL_SUFFIX: &str = ".partial";

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Directory {
    dir: PathBuf,
    /// Holds the flock until dropped. The file stays.
    _lock: Option<File>,
}

impl Directory {
    /// For a new backup: created if missing, and nobody else's meanwhile.
    pub(crate) fn create(dir: &Path) -> Result<Self, Error> {
        let files = dir.join("files");
        fs::create_dir_all(&files).map_err(io_error("create", &files))?;
        sync_dir(dir)?;
        let path = dir.join("LOCK");
        let mut options = File::options();
        let lock = options.write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(io_error("create", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::Locked(dir.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
        }
        Ok(Self { dir: dir.to_owned(), _lock: Some(lock) })
    }

    /// To read from, also where nothing can be written.
    pub(crate) fn open(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), _lock: None }
    }

    /// Numbers of the backups here, ascending.
    pub(crate) fn numbers(&self) -> Result<Vec<u64>, Error> {
        let number = |name: &str| name.strip_prefix("backup-")?.strip_suffix(".json")?.parse().ok();
        let mut numbers: Vec<u64> = match names(&self.dir) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names?.iter().filter_map(|name| number(name)).collect(),
        };
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn record_path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("backup-{number:010}.json"))
    }

    pub(crate) fn record(&self, number: u64) -> Result<Record, Error> {
        let path = self.record_path(number);
        let bytes = fs::read(&path).map_err(io_error("read", &path))?;
        Record::decode(&path, &bytes)
    }

    /// All of them by their numbers; nothing for one that cannot be read by this release.
    pub(crate) fn records(&self) -> Result<Vec<(u64, Option<Record>)>, Error> {
        let read = |number| match self.record(number) {
            Ok(record) => Ok((number, Some(record))),
            Err(Error::DamagedRecord { .. } | Error::TooNew { .. }) => Ok((number, None)),
            Err(error) => Err(error),
        };
        self.numbers()?.into_iter().map(read).collect()
    }

    /// Backup `number`; or the latest, of those with the `database` if one is named. One of a part is taken only if there is none
    /// of the whole.
    pub(crate) fn choose(&self, number: Option<u64>, database: Option<&str>) -> Result<(u64, Record), Error> {
        let numbers = self.numbers()?;
        let latest = *numbers.last().ok_or_else(|| Error::NoBackup(self.dir.clone()))?;
        if let Some(wanted) = number {
            if !numbers.contains(&wanted) {
                let there = numbers.iter().map(ToString::to_string).collect();
                return Err(Error::NotThere { what: "backup number", name: wanted.to_string(), there });
            }
            return Ok((wanted, self.record(wanted)?));
        }
        let mut of_a_part = None;
        for number in numbers.into_iter().rev() {
            let record = self.record(number)?;
            if !database.is_none_or(|name| record.databases.iter().any(|it| it.name == name)) {
                continue;
            }
            if record.part.is_whole() {
                return Ok((number, record));
            }
            of_a_part.get_or_insert((number, record));
        }
        // Where none has the database, the latest tells which there are.
        of_a_part.map_or_else(|| Ok((latest, self.record(latest)?)), Ok)
    }

    /// Makes a record durable; from then on the backup exists.
    pub(crate) fn commit(&self, number: u64, record: &Record) -> Result<(), Error> {
        let path = self.record_path(number);
        let partial = partial_name(&path);
        let mut file = File::create(&partial).map_err(io_error("create", &partial))?;
        file.write_all(&record.encode()).map_err(io_error("write", &partial))?;
        file.sync_all().map_err(io_error("sync", &partial))?;
        fs::rename(&partial, &path).map_err(io_error("rename", &partial))?;
        sync_dir(&self.dir)
    }

    /// Forgets a backup.
    pub(crate) fn remove_record(&self, number: u64) -> Result<(), Error> {
        let path = self.record_path(number);
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
        sync_dir(&self.dir)
    }

    fn shard_dir(&self, shard: u64) -> PathBuf {
        self.dir.join("files").join(shard.to_string())
    }

    pub(crate) fn file_path(&self, shard: u64, file: &FileCopy) -> PathBuf {
        self.shard_dir(shard).join(format!("{}-{}", file.checksum, file.name))
    }

    /// The files of all shards that are here whole.
    pub(crate) fn files(&self) -> Result<Vec<StoredFile>, Error> {
        let files = self.dir.join("files");
        let mut stored = Vec::new();
        for shard in names(&files)?.iter().filter_map(|name| name.parse::<u64>().ok()) {
            let dir = self.shard_dir(shard);
            for name in names(&dir)? {
                let path = dir.join(&name);
                let known = name.split_once('-').filter(|(_, name)| !name.ends_with(PARTIAL_SUFFIX));
                if let Some((checksum, name)) = known
                    && let Ok(checksum) = checksum.parse()
                {
                    let size_bytes = fs::metadata(&path).map_err(io_error("read", &path))?.len();
                    stored.push(StoredFile { shard, name: name.to_owned(), size_bytes, checksum });
                }
            }
        }
        Ok(stored)
    }

    /// Removes what an interruption left.
    pub(crate) fn remove_partial(&self) -> Result<(), Error> {
        let files = self.dir.join("files");
        let shards = names(&files)?.into_iter().map(|name| files.join(name));
        for dir in shards.chain([self.dir.clone()]).filter(|dir| dir.is_dir()) {
            for name in names(&dir)?.iter().filter(|name| name.ends_with(PARTIAL_SUFFIX)) {
                let path = dir.join(name);
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
        Ok(())
    }

    pub(crate) fn remove_file(&self, file: &StoredFile) -> Result<(), Error> {
        let name = FileCopy { name: file.name.clone(), size_bytes: file.size_bytes, checksum: file.checksum };
        let path = self.file_path(file.shard, &name);
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
        let dir = self.shard_dir(file.shard);
        if names(&dir)?.is_empty() {
            fs::remove_dir(&dir).map_err(io_error("remove", &dir))?;
        }
        Ok(())
    }

    /// Begins a file whose checksum is not known yet.
    pub(crate) fn receive(&self, shard: u64, name: &str) -> Result<Receiving<'_>, Error> {
        let dir = self.shard_dir(shard);
        if !dir.exists() {
            fs::create_dir(&dir).map_err(io_error("create", &dir))?;
            sync_dir(&self.dir.join("files"))?;
        }
        let path = dir.join(format!("{name}{PARTIAL_SUFFIX}"));
        let file = File::create(&path).map_err(io_error("create", &path))?;
        Ok(Receiving {
            directory: self,
            shard,
            name: name.to_owned(),
            path,
            file,
            size_bytes: 0,
            hasher: Hasher::default(),
        })
    }

    /// Makes the names of a shard's files durable.
    pub(crate) fn sync_shard(&self, shard: u64) -> Result<(), Error> {
        let dir = self.shard_dir(shard);
        if dir.exists() { sync_dir(&dir) } else { Ok(()) }
    }

    /// Reads a file in pieces.
    pub(crate) fn read_file(
        &self,
        shard: u64,
        file: &FileCopy,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let path = self.file_path(shard, file);
        let mut source = File::open(&path).map_err(io_error("read", &path))?;
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            match source.read(&mut buffer).map_err(io_error("read", &path))? {
                0 => return Ok(()),
                count => each(&buffer[..count])?,
            }
        }
    }
}

/// A file that is arriving.
#[derive(Debug)]
pub(crate) struct Receiving<'a> {
    directory: &'a Directory,
    shard: u64,
    name: String,
    path: PathBuf,
    file: File,
    pub(crate) size_bytes: u64,
    hasher: Hasher,
}

impl Receiving<'_> {
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size_bytes += bytes.len() as u64;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Of what has arrived.
    pub(crate) fn checksum(&self) -> Checksum {
        self.hasher.finish()
    }

    /// Makes the content durable and gives it its name; see [`Directory::sync_shard`].
    pub(crate) fn finish(self) -> Result<FileCopy, Error> {
        self.file.sync_all().map_err(io_error("sync", &self.path))?;
        let checksum = self.checksum();
        let copy = FileCopy { name: self.name, size_bytes: self.size_bytes, checksum };
        let path = self.directory.file_path(self.shard, &copy);
        fs::rename(&self.path, &path).map_err(io_error("rename", &self.path))?;
        Ok(copy)
    }
}

fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        names.push(entry.map_err(io_error("list", dir))?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL_SUFFIX);
    name.into()
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(io_error("sync", dir))
}
