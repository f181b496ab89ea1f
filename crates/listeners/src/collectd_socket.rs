//! `[[collectd]]`: datagrams of collectd's network plugin.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use parking_lot::Mutex;
use skywatch_model::{line::PointBatch, wall_clock_ns};
use tokio::{net::UdpSocket, sync::watch};

use crate::{
    batch::{BatchConfig, Gatherer},
    collectd::{Parser, Passwords, TypesDb},
    datagrams,
    statistics::{Counters, add},
};

/// One `[[collectd]]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectdConfig {
    /// Address and port.
    pub bind: String,
    /// Where points go.
    pub batch: BatchConfig,
    /// Size of the kernel's buffer; 0 leaves it as it is.
    pub read_buffer_bytes: usize,
    /// What datagrams need to be taken, and what becomes of them.
    pub parser: Parser,
    /// Lines of `user: password`; without, signatures are not looked at.
    pub auth_file: Option<PathBuf>,
}

/// Most bytes of files of types together.
const TYPES_BYTES_MAX: u64 = 4 << 20;

/// Reads a `types.db`, or all files of a directory.
pub fn read_types(path: &Path) -> io::Result<TypesDb> {
    let mut files = match fs::read_dir(path) {
        Ok(entries) => {
            let paths = entries.map(|entry| Ok(entry?.path()));
            paths.collect::<io::Result<Vec<_>>>()?.into_iter().filter(|path| path.is_file()).collect()
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => vec![path.to_owned()],
        Err(error) => return Err(error),
    };
    // Of a type that is in several files the last counts.
    files.sort();
    let mut text = String::new();
    for file in files {
        if fs::metadata(&file)?.len() + text.len() as u64 > TYPES_BYTES_MAX {
            return Err(io::Error::other(format!("more than {TYPES_BYTES_MAX} bytes of types")));
        }
        text.push_str(&fs::read_to_string(&file)?);
        text.push('\n');
    }
    TypesDb::parse(&text).map_err(io::Error::other)
}

/// Passwords of a file, which is read again when it has changed.
pub(crate) struct AuthFile {
    path: Option<PathBuf>,
    known: Mutex<(Option<SystemTime>, HashMap<String, String>)>,
}

impl fmt::Debug for AuthFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl AuthFile {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, known: Mutex::default() }
    }
}

impl Passwords for AuthFile {
    fn of(&self, user: &str) -> Option<String> {
        let path = self.path.as_deref()?;
        let mut known = self.known.lock();
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        if modified.is_none() || modified != known.0 {
            match fs::read_to_string(path) {
                Ok(text) => *known = (modified, passwords(&text)),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot read collectd's auth-file");
                }
            }
        }
        known.1.get(user).cloned()
    }

    fn are_known(&self) -> bool {
        self.path.is_some()
    }
}

fn passwords(text: &str) -> HashMap<String, String> {
    let line = |line: &str| {
        let (user, password) = line.split_once(':')?;
        let (user, password) = (user.trim(), password.trim());
        (!user.starts_with('#') && !user.is_empty()).then(|| (user.to_owned(), password.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Reads datagrams until told to stop.
pub(crate) async fn read(
    socket: UdpSocket,
    parser: Parser,
    passwords: AuthFile,
    gatherer: Gatherer,
    counters: Arc<Counters>,
    stop: watch::Receiver<bool>,
) {
    let counting = Arc::clone(&counters);
    let take = move |datagram: &[u8], batch: &mut _| take(datagram, &parser, &passwords, batch, &counting);
    datagrams::read(socket, take, gatherer, counters, stop).await;
}

fn take(
    datagram: &[u8],
    parser: &Parser,
    passwords: &AuthFile,
    batch: &mut PointBatch<'static>,
    counters: &Counters,
) {
    match parser.parse(datagram, wall_clock_ns(), passwords, batch) {
        Ok(taken) => {
            add(&counters.points_received, taken.points);
            add(&counters.points_invalid, taken.dropped);
            if taken.unknown > 0 {
                tracing::debug!(
                    lists = taken.unknown,
                    "collectd sent values of types that types.db does not have"
                );
            }
        }
        Err(error) => {
            add(&counters.parse_failures, 1);
            tracing::info!(%error, "collectd parse error");
        }
    }
}
