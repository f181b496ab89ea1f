//! Follows the meta nodes: asks for what is new, and keeps it on disk.

mod meta_nodes;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream::FuturesUnordered};
use meta_nodes::{MetaNodes, Repeat};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use skywatch_meta::{Applied, Catalogue, CatalogueError, CatalogueLevel, Command, Lease, NodeId};
use skywatch_rpc::{CallError, Transport};
use skywatch_storage::{
    fs::{Fs, replace_file},
    wire::{check_crc, put_crc},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use crate::{
    catalogues::{Catalogues, ExecuteError},
    now::tell_now,
    offload,
    standing::TRUST,
};

const FILE: &str = "catalogue.cache";
const MAGIC: &[u8; 8] = b"SKYWCAT\n";

/// How long a meta node waits for something new before it says that there is nothing. What it says then is how old the copy may be
/// where an assurance runs out, see [`crate::assurance`].
const WATCH_WAIT: Duration = Duration::from_millis(150);
/// How long an answer to that may take on its way besides.
const WATCH_SLACK: Duration = Duration::from_millis(850);
/// How long a meta node may take to say how it stands.
const LOOK_LIMIT: Duration = Duration::from_millis(500);
/// One that has confirmed nothing for so long is not the only one that is asked.
const WATCH_HEDGE: Duration = Duration::from_millis(300);
/// As [`WATCH_WAIT`] where nothing has been confirmed for that long: all meta nodes are asked then, since another one may lead soon.
const SEARCH_WAIT: Duration = Duration::from_millis(50);
/// How often each of them is asked then, unless it has not answered the last time yet.
const SEARCH_EVERY: Duration = Duration::from_millis(100);
/// The same while most of them cannot be reached.
const AWAY_EVERY: Duration = Duration::from_millis(200);
/// How old the copy is at most while the meta nodes answer this node.
const MET_WITHIN: Duration = Duration::from_millis(600);
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
    /// For how long the question had been there at that moment.
    #[serde(default)]
    waited_ms: u64,
    /// HTTP address of the leader; empty if the meta node hears of none.
    #[serde(default)]
    leader: String,
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

/// A catalogue as a data node knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KnownCatalogue {
    /// How many changes it has seen; of two of one cluster the higher is the newer.
    pub index: u64,
    /// As of then.
    pub catalogue: Catalogue,
}

impl KnownCatalogue {
    /// Where it lies below a data node's directory `meta`.
    pub const FILE: &str = FILE;

    /// Reads what a data node keeps; damage is an error, as is a catalogue that this release cannot know.
    pub fn read(fs: &dyn Fs, path: &Path) -> std::io::Result<Self> {
        let damaged = || std::io::Error::new(std::io::ErrorKind::InvalidData, "it is damaged");
        let Kept { index, catalogue, .. } = read(fs, path)?.ok_or_else(damaged)?;
        Ok(Self { index, catalogue })
    }
}

/// What is looked at before the rest.
#[derive(Debug, Deserialize)]
struct KeptLevel {
    catalogue: CatalogueLevel,
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
    /// Wakes those that wait for an index, in the order in which they came: those of a watch are woken in any order, and a simulation
    /// would not repeat itself.
    news: Notify,
    meta_nodes: MetaNodes,
    confirmed: Mutex<Option<Instant>>,
    /// The index of a catalogue that was found to be of a later release.
    unreadable: AtomicU64,
}

impl Follower {
    /// Reads what is kept in `dir`; `meta_addrs` are asked as long as the copy names no meta node. A copy whose feature level
    /// is that of a later release is an error: this node would serve a cluster that it does not know all of.
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
            meta_nodes: MetaNodes::new(Arc::clone(&transport), meta_addrs),
            transport,
            fs,
            dir: dir.to_owned(),
            copy: RwLock::new((index, Arc::new(catalogue))),
            index: watch::Sender::new(index),
            news: Notify::new(),
            confirmed: Mutex::new(None),
            unreadable: AtomicU64::new(0),
        };
        follower.learn_addresses();
        Ok(Arc::new(follower))
    }

    /// Follows until the future is dropped: asks the one meta node that confirmed last, and all of them when it does not do so.
    pub async fn follow(&self) {
        let mut asked = FuturesUnordered::new();
        let mut under_way = BTreeSet::new();
        let mut next = Instant::now();
        let mut is_calm_until = next;
        loop {
            tokio::select! {
                biased;
                Some((place, address, answer)) = asked.next(), if !asked.is_empty() => {
                    under_way.remove(&address);
                    (next, is_calm_until) = if self.is_confirmed(place, answer) {
                        (Instant::now(), Instant::now() + WATCH_HEDGE)
                    } else {
                        (next.min(Instant::now() + SEARCH_WAIT), is_calm_until.min(Instant::now()))
                    };
                }
                () = sleep_until(next) => {
                    let is_calm = Instant::now() < is_calm_until;
                    let (wait, count) = if is_calm { (WATCH_WAIT, 1) } else { (SEARCH_WAIT, usize::MAX) };
                    for (place, address) in self.meta_nodes.by_favour().into_iter().take(count) {
                        if under_way.insert(address.clone()) {
                            asked.push(async move {
                                let answer = self.ask_for_news(&address, wait).await;
                                (place, address, answer)
                            });
                        }
                    }
                    let is_met = self.meta_nodes.most_answered(MET_WITHIN);
                    let every = if is_met { SEARCH_EVERY } else { AWAY_EVERY };
                    next = if is_calm { is_calm_until } else { Instant::now() + every };
                }
            }
        }
    }

    /// What a meta node says, and the moment at which it had waited for it.
    async fn ask_for_news(&self, address: &str, wait: Duration) -> Result<(WatchAnswer, Instant), CallError> {
        let asked = Instant::now();
        let question = WatchQuestion { index: self.index(), wait_ms: wait.as_millis() as u64 };
        let answer: WatchAnswer =
            self.meta_nodes.tell(address, "meta.watch", &question, wait + WATCH_SLACK).await?;
        let answered = asked + Duration::from_millis(answer.waited_ms);
        Ok((answer, answered))
    }

    /// Takes what a meta node said. Whether that confirms that the copy is as new as any. One that lags behind what is known here,
    /// or may be cut off, confirms nothing: another is asked.
    fn is_confirmed(&self, place: usize, answer: Result<(WatchAnswer, Instant), CallError>) -> bool {
        let (answer, answered) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "a meta node does not tell what is new");
                return false;
            }
        };
        if let Some(catalogue) = answer.catalogue {
            if let Err(error) = CatalogueLevel::of(&catalogue).check() {
                if self.unreadable.swap(answer.index, Ordering::Relaxed) != answer.index {
                    tracing::error!(%error, "this node cannot follow the catalogue of the meta nodes");
                }
                return false;
            }
            self.take(answer.index, catalogue);
        }
        let Some(age_ms) = answer.age_ms.filter(|_| answer.index >= self.index()) else { return false };
        let as_of = answered.checked_sub(Duration::from_millis(age_ms));
        let mut confirmed = self.confirmed.lock();
        *confirmed = (*confirmed).max(as_of);
        self.meta_nodes.prefer(place);
        true
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
        self.news.notify_waiters();
    }

    fn learn_addresses(&self) {
        let catalogue = self.current();
        let addresses: Vec<String> =
            catalogue.meta_nodes().iter().map(|node| node.http_addr.clone()).collect();
        if !addresses.is_empty() {
            self.meta_nodes.use_addresses(addresses);
        }
    }

    fn keep(&self) -> std::io::Result<()> {
        let KnownCatalogue { index, catalogue } = self.known();
        let kept = Kept { index, meta_addrs: self.meta_addrs(), catalogue };
        let mut bytes = MAGIC.to_vec();
        serde_json::to_writer(&mut bytes, &kept).map_err(std::io::Error::other)?;
        put_crc(&mut bytes, 0);
        replace_file(&*self.fs, &self.dir.join(FILE), &bytes).map_err(std::io::Error::other)
    }

    /// The copy and how new it is.
    pub fn known(&self) -> KnownCatalogue {
        let (index, catalogue) = self.copy.read().clone();
        KnownCatalogue { index, catalogue: (*catalogue).clone() }
    }

    /// HTTP addresses of the meta nodes.
    pub fn meta_addrs(&self) -> Vec<String> {
        self.meta_nodes.addresses()
    }

    /// Asks these meta nodes from now on.
    pub(crate) fn use_meta_addrs(&self, meta_addrs: Vec<String>) {
        self.meta_nodes.use_addresses(meta_addrs);
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
    if let Some(Ok(KeptLevel { catalogue })) = body.map(serde_json::from_slice) {
        let told =
            |error| std::io::Error::other(format!("{}: the catalogue as last kept: {error}", path.display()));
        catalogue.check().map_err(told)?;
    }
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

    fn is_met(&self) -> bool {
        self.age().is_some_and(|age| age < MET_WITHIN) || self.meta_nodes.most_answered(MET_WITHIN)
    }

    async fn execute(&self, command: &Command) -> Result<Applied, ExecuteError> {
        let question = ExecuteQuestion { command };
        let repeat = if command.is_repeatable() { Repeat::Harmless } else { Repeat::Unwanted };
        let answer: ExecuteAnswer = self.meta_nodes.ask("meta.execute", &question, repeat).await?;
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
        let answer: LeaseAnswer = self.meta_nodes.ask("meta.lease", &question, Repeat::Harmless).await?;
        Ok(answer.lease)
    }

    async fn reach(&self, index: u64, within: Duration) -> bool {
        let reached = async {
            loop {
                let news = self.news.notified();
                if self.index() >= index {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(within, reached).await.is_ok()
    }

    async fn nobody_confirms(&self) -> bool {
        let addresses = self.meta_addrs();
        let question = WatchQuestion { index: u64::MAX, wait_ms: 0 };
        let asked = addresses.iter().map(|address| async {
            tell_now(&*self.transport, address, "meta.watch", &question, LOOK_LIMIT).await
        });
        let answers: Vec<Result<WatchAnswer, CallError>> = futures_util::future::join_all(asked).await;
        let is_young = |age_ms: u64| u128::from(age_ms) < TRUST.as_millis();
        let confirms = |answer: &WatchAnswer| answer.age_ms.is_some_and(is_young);
        let is_idle = |answer: &Result<WatchAnswer, CallError>| match answer {
            Ok(answer) => answer.leader.is_empty(),
            Err(error) => error.nobody_listens(),
        };
        let idle = answers.iter().filter(|answer| is_idle(answer)).count();
        !answers.iter().flatten().any(confirms) && addresses.len() - idle < addresses.len() / 2 + 1
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use skywatch_meta::FEATURE_LEVEL;
    use skywatch_storage::fs::OsFs;

    use super::*;

    /// A file of this level, with something in it that this release cannot know where the level is a later one.
    fn kept(level: u32) -> (tempfile::TempDir, std::io::Result<Option<Kept>>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let mut catalogue = serde_json::to_value(Catalogue::default()).unwrap();
        catalogue["feature_level"] = level.into();
        if level > FEATURE_LEVEL {
            catalogue["databases"] = "elsewhere".into();
        }
        keep(directory.path(), &catalogue);
        let read = read(&OsFs, &path);
        (directory, read)
    }

    /// Leaves a copy of a catalogue in a directory, as a follower would.
    pub(crate) fn keep(directory: &Path, catalogue: &impl Serialize) {
        let json = serde_json::json!({ "index": 7, "meta_addrs": ["m:8091"], "catalogue": catalogue });
        let mut bytes = MAGIC.to_vec();
        bytes.extend(json.to_string().bytes());
        put_crc(&mut bytes, 0);
        std::fs::write(directory.join(FILE), bytes).unwrap();
    }

    #[test]
    fn what_a_later_release_kept_stops_the_start() {
        assert_eq!(kept(FEATURE_LEVEL).1.unwrap().unwrap().index, 7);
        let error = kept(FEATURE_LEVEL + 1).1.unwrap_err().to_string();
        assert!(error.contains(FILE) && error.contains("use a newer skywatch"), "{error}");
    }

    #[test]
    fn what_is_damaged_is_asked_for_anew() {
        let (directory, _) = kept(FEATURE_LEVEL);
        let path = directory.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[12] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(read(&OsFs, &path).unwrap().is_none());
    }
}
