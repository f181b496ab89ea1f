//! Follows the meta nodes: asks one after the other for what is new, and keeps it on disk.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use skywatch_meta::{Applied, Catalogue, CatalogueError, Command, Lease, NodeId};
use skywatch_rpc::{CallError, FailureKind, Transport, tell};
use skywatch_storage::{
    fs::{Fs, replace_file},
    wire::{check_crc, put_crc},
};
use tokio::{sync::watch, time::Instant};

use crate::{
    catalogues::{Catalogues, ExecuteError},
    offload,
};

const FILE: &str = "catalogue.cache";
const MAGIC: &[u8; 8] = b"SKYWCAT\n";

/// How long a meta node waits for something new before it says that there is nothing.
const WATCH_WAIT: Duration = Duration::from_millis(500);
/// How long an answer to that may take on its way besides.
const WATCH_SLACK: Duration = Duration::from_millis(1_000);
/// How long to wait when no meta node answers.
const WATCH_PAUSE: Duration = Duration::from_millis(200);
/// How long one meta node has to carry out a command.
const EXECUTE_TRY: Duration = Duration::from_millis(2_500);
/// How long all of them together have.
const EXECUTE_LIMIT: Duration = Duration::from_secs(6);
const EXECUTE_PAUSE: Duration = Duration::from_millis(150);
/// How long the own copy may take to see what was carried out.
const REACH_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize)]
struct WatchQuestion {
    index: u64,
    wait_ms: u64,
}

#[derive(Debug, Deserialize)]
struct WatchAnswer {
    index: u64,
    /// Whatever was acknowledged longer ago than this is in it; missing where the meta node cannot tell, since it may be
    /// cut off from the others.
    #[serde(default)]
    age_ms: Option<u64>,
    #[serde(default)]
    catalogue: Option<Catalogue>,
}

#[derive(Debug, Serialize)]
struct ExecuteQuestion<'a> {
    command: &'a Command,
}

#[derive(Debug, Deserialize)]
struct ExecuteAnswer {
    index: u64,
    #[serde(default)]
    applied: Option<Applied>,
    #[serde(default)]
    refused: Option<CatalogueError>,
}

#[derive(Debug, Serialize)]
struct LeaseQuestion<'a> {
    name: &'a str,
    owner: NodeId,
    duration_ms: u64,
}

#[derive(Debug, Deserialize)]
struct LeaseAnswer {
    lease: Lease,
}

/// What is kept on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    index: u64,
    meta_addrs: Vec<String>,
    catalogue: Catalogue,
}

/// See the module's header.
#[derive(Debug)]
pub struct Follower {
    transport: Arc<dyn Transport>,
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// The copy and its index.
    copy: RwLock<(u64, Arc<Catalogue>)>,
    index: watch::Sender<u64>,
    /// HTTP addresses of meta nodes: those of the catalogue, and until it has some those that were given.
    meta_addrs: RwLock<Vec<String>>,
    /// The one that answered last.
    favourite: AtomicUsize,
    confirmed: Mutex<Option<Instant>>,
}

impl Follower {
    /// Reads what is kept in `dir`; `meta_addrs` are asked as long as the copy names no meta node.
    pub fn open(
        transport: Arc<dyn Transport>,
        fs: Arc<dyn Fs>,
        dir: &Path,
        meta_addrs: Vec<String>,
    ) -> std::io::Result<Arc<Self>> {
        fs.create_dir_all(dir)?;
        let kept = read(&*fs, &dir.join(FILE))?;
        let (index, catalogue, known) = match kept {
            Some(kept) => (kept.index, kept.catalogue, kept.meta_addrs),
            None => (0, Catalogue::default(), Vec::new()),
        };
        let meta_addrs = if meta_addrs.is_empty() { known } else { meta_addrs };
        let follower = Self {
            transport,
            fs,
            dir: dir.to_owned(),
            copy: RwLock::new((index, Arc::new(catalogue))),
            index: watch::Sender::new(index),
            meta_addrs: RwLock::new(meta_addrs),
            favourite: AtomicUsize::new(0),
            confirmed: Mutex::new(None),
        };
        follower.learn_addresses();
        Ok(Arc::new(follower))
    }

    /// Follows until the future is dropped.
    pub async fn follow(&self) {
        loop {
            if !self.ask_for_news().await {
                tokio::time::sleep(WATCH_PAUSE).await;
            }
        }
    }

    /// Meta nodes, the one that answered last first.
    fn addresses(&self) -> Vec<(usize, String)> {
        let known = self.meta_addrs.read();
        let first = self.favourite.load(Ordering::Relaxed);
        let mut addresses: Vec<(usize, String)> = known.iter().cloned().enumerate().collect();
        if !addresses.is_empty() {
            let first = first % addresses.len();
            addresses.rotate_left(first);
        }
        addresses
    }

    async fn ask_for_news(&self) -> bool {
        for (place, address) in self.addresses() {
            let asked = Instant::now();
            let question = WatchQuestion { index: self.index(), wait_ms: WATCH_WAIT.as_millis() as u64 };
            let answer: Result<WatchAnswer, CallError> =
                tell(&*self.transport, &address, "meta.watch", &question, WATCH_WAIT + WATCH_SLACK).await;
            match answer {
                Ok(answer) => {
                    self.favourite.store(place, Ordering::Relaxed);
                    if let Some(catalogue) = answer.catalogue {
                        self.take(answer.index, catalogue);
                    }
                    // One that lags behind what is known here, or may be cut off, confirms nothing: another is asked.
                    if answer.index >= self.index()
                        && let Some(age_ms) = answer.age_ms
                    {
                        let as_of = asked.checked_sub(Duration::from_millis(age_ms));
                        let mut confirmed = self.confirmed.lock();
                        *confirmed = (*confirmed).max(as_of);
                        return true;
                    }
                }
                Err(error) => tracing::debug!(%error, "a meta node does not tell what is new"),
            }
        }
        false
    }

    fn take(&self, index: u64, catalogue: Catalogue) {
        {
            let mut copy = self.copy.write();
            if index <= copy.0 {
                return;
            }
            let (known, told) = (copy.1.cluster_id(), catalogue.cluster_id());
            if known != 0 && known != told {
                tracing::error!(
                    known,
                    told,
                    "the meta nodes keep the catalogue of another cluster; what this node holds is not theirs to drop"
                );
                return;
            }
            *copy = (index, Arc::new(catalogue));
        }
        self.learn_addresses();
        if let Err(error) = offload(|| self.keep()) {
            tracing::error!(%error, dir = %self.dir.display(), "cannot keep the catalogue on disk; a restart without meta nodes would not know it");
        }
        self.index.send_replace(index);
    }

    fn learn_addresses(&self) {
        let catalogue = self.current();
        let addresses: Vec<String> =
            catalogue.meta_nodes().iter().map(|node| node.http_addr.clone()).collect();
        if !addresses.is_empty() && addresses != *self.meta_addrs.read() {
            *self.meta_addrs.write() = addresses;
        }
    }

    fn keep(&self) -> std::io::Result<()> {
        let (index, catalogue) = self.copy.read().clone();
        let kept =
            Kept { index, meta_addrs: self.meta_addrs.read().clone(), catalogue: (*catalogue).clone() };
        let mut bytes = MAGIC.to_vec();
        serde_json::to_writer(&mut bytes, &kept).map_err(std::io::Error::other)?;
        put_crc(&mut bytes, 0);
        replace_file(&*self.fs, &self.dir.join(FILE), &bytes).map_err(std::io::Error::other)
    }

    /// HTTP addresses of the meta nodes.
    pub fn meta_addrs(&self) -> Vec<String> {
        self.meta_addrs.read().clone()
    }

    /// Asks these meta nodes from now on.
    pub(crate) fn use_meta_addrs(&self, meta_addrs: Vec<String>) {
        *self.meta_addrs.write() = meta_addrs;
    }
}

/// What is kept; nothing if there is no file, or one that cannot be read: the meta nodes have it all.
fn read(fs: &dyn Fs, path: &Path) -> std::io::Result<Option<Kept>> {
    let bytes = match fs.map(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let body = check_crc(&bytes).ok().and_then(|body| body.strip_prefix(MAGIC.as_slice()));
    let kept = body.and_then(|body| serde_json::from_slice(body).ok());
    if kept.is_none() {
        tracing::warn!(path = %path.display(), "the kept catalogue is damaged; the meta nodes are asked for it");
    }
    Ok(kept)
}

#[async_trait]
impl Catalogues for Follower {
    fn current(&self) -> Arc<Catalogue> {
        Arc::clone(&self.copy.read().1)
    }

    fn index(&self) -> u64 {
        self.copy.read().0
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.index.subscribe()
    }

    fn age(&self) -> Option<Duration> {
        (*self.confirmed.lock()).map(|at| at.elapsed())
    }

    async fn execute(&self, command: &Command) -> Result<Applied, ExecuteError> {
        let question = ExecuteQuestion { command };
        let answer: ExecuteAnswer = self.ask("meta.execute", &question).await?;
        if let Some(refused) = answer.refused {
            return Err(ExecuteError::Refused(refused));
        }
        if !self.reach(answer.index, REACH_LIMIT).await {
            return Err(ExecuteError::Unavailable(format!(
                "the change was made, but this node has not heard of it within {REACH_LIMIT:?}"
            )));
        }
        Ok(answer.applied.unwrap_or_default())
    }

    async fn lease(&self, name: &str, owner: NodeId, duration: Duration) -> Result<Lease, ExecuteError> {
        let question = LeaseQuestion { name, owner, duration_ms: duration.as_millis() as u64 };
        let answer: LeaseAnswer = self.ask("meta.lease", &question).await?;
        Ok(answer.lease)
    }
}

impl Follower {
    /// Asks meta nodes in turn until one has an answer.
    async fn ask<Q, A>(&self, method: &'static str, question: &Q) -> Result<A, ExecuteError>
    where
        Q: Serialize + Sync,
        A: serde::de::DeserializeOwned,
    {
        let deadline = Instant::now() + EXECUTE_LIMIT;
        let mut problem = "no meta node is known".to_owned();
        loop {
            for (place, address) in self.addresses() {
                let left = deadline.saturating_duration_since(Instant::now()).min(EXECUTE_TRY);
                if left.is_zero() {
                    break;
                }
                match tell(&*self.transport, &address, method, question, left).await {
                    Ok(answer) => {
                        self.favourite.store(place, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Err(CallError::Failed { failure, .. }) if failure.kind == FailureKind::Invalid => {
                        return Err(ExecuteError::Unavailable(failure.text));
                    }
                    Err(error) => problem = error.to_string(),
                }
            }
            if Instant::now() + EXECUTE_PAUSE >= deadline {
                return Err(ExecuteError::Unavailable(problem));
            }
            tokio::time::sleep(EXECUTE_PAUSE).await;
        }
    }
}
