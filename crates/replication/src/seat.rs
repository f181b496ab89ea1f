//! A data node's seat in a cluster: who it is, how it got in, and how it leaves.
//!
//! A node is nobody until a meta node asks it to join (`node.join`, which is what `ctl add-data` leads to). It then has
//! itself entered in the catalogue and keeps its number and the addresses of the meta nodes in `node.json`. It leaves
//! (`node.leave`) only if the catalogue does not know it any more, since leaving empties its disk.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use skywatch_meta::{Command, NodeId};
use skywatch_model::WallClock;
use skywatch_rpc::{Failure, FailureKind, Router, Transport, tell};
use skywatch_storage::fs::{Fs, replace_file};
use tokio::sync::watch;

use crate::{
    catalogues::{Catalogues, ExecuteError},
    follower::Follower,
    offload,
};

/// Asks a node to join the cluster of some meta nodes.
pub const JOIN: &str = "node.join";
/// Tells a node that it is no member any more.
pub const LEAVE: &str = "node.leave";
/// Asks a node who it is.
pub const STATUS: &str = "node.status";
/// Asks a node for its copy of the catalogue, a [`KnownCatalogue`](crate::KnownCatalogue); whoever recovers a lost one does.
pub const CATALOGUE: &str = "node.catalogue";

const FILE: &str = "node.json";
/// How long a node may take to see that it was removed.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// How long a meta node may take to take note of an announcement.
const ANNOUNCE_LIMIT: Duration = Duration::from_secs(2);

/// What a node tells about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The host's name.
    pub hostname: String,
    /// Where it listens for other nodes.
    pub tcp_bind: String,
    /// Where other nodes reach it.
    pub tcp_addr: String,
    /// Where clients reach it.
    pub http_addr: String,
    /// Whether they do so with TLS.
    pub https: bool,
    /// See [`skywatch_meta::DataNode::labels`].
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its release.
    pub version: String,
}

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub node: NodeId,
    /// HTTP addresses of meta nodes.
    pub meta_addrs: Vec<String>,
}

/// Head of [`JOIN`].
#[derive(Debug, Serialize, Deserialize)]
pub struct JoinQuestion {
    /// HTTP addresses of meta nodes.
    pub meta_addrs: Vec<String>,
    /// Which cluster theirs is: they may have been set up anew at the same addresses. 0 where that is not said.
    #[serde(default)]
    pub cluster_id: u64,
}

/// Answer to [`JOIN`].
#[derive(Debug, Serialize, Deserialize)]
pub struct JoinAnswer {
    /// The node's number.
    pub id: NodeId,
    /// See [`Profile::tcp_addr`].
    pub tcp_addr: String,
    /// See [`Profile::http_addr`].
    pub http_addr: String,
}

/// Head of [`LEAVE`] and [`STATUS`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Empty {}

/// Answer to [`STATUS`], and what `GET /status` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `data`.
    pub node_type: String,
    /// `joined` or `disjoined`.
    pub node_status: String,
    /// Meta nodes it knows.
    pub meta_addrs: Vec<String>,
    /// Its number, if it has one.
    #[serde(default)]
    pub id: Option<NodeId>,
    /// Nanoseconds since the epoch on its clock.
    #[serde(default)]
    pub time_ns: i64,
    /// What it tells about itself.
    #[serde(flatten)]
    pub profile: Profile,
}

/// What a node lets the meta nodes know again and again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Announcement {
    tcp_addr: String,
    http_addr: String,
    http_scheme: String,
    time: i64,
    node_type: String,
    status: String,
    context: BTreeMap<String, String>,
    version: String,
}

#[derive(Debug, Serialize)]
struct AnnounceQuestion {
    announcement: Announcement,
}

/// See the module's header.
#[derive(Debug)]
pub struct Seat {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    transport: Arc<dyn Transport>,
    wall: Arc<dyn WallClock>,
    profile: Profile,
    follower: Arc<Follower>,
    /// Who it is, once it is somebody.
    identity: watch::Sender<Option<Identity>>,
    is_leaving: watch::Sender<bool>,
    joining: Mutex<()>,
}

impl Seat {
    /// Reads who the node is from `dir`, where the copy of the catalogue lies too.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        transport: Arc<dyn Transport>,
        wall: Arc<dyn WallClock>,
        profile: Profile,
    ) -> io::Result<Arc<Self>> {
        fs.create_dir_all(dir)?;
        let identity = read_identity(&*fs, &dir.join(FILE))?;
        let known = identity.as_ref().map(|identity| identity.meta_addrs.clone()).unwrap_or_default();
        let follower = Follower::open(Arc::clone(&transport), Arc::clone(&fs), dir, known)?;
        Ok(Arc::new(Self {
            fs,
            dir: dir.to_owned(),
            transport,
            wall,
            profile,
            follower,
            identity: watch::Sender::new(identity),
            is_leaving: watch::Sender::new(false),
            joining: Mutex::default(),
        }))
    }

    /// The copy of the catalogue.
    pub const fn follower(&self) -> &Arc<Follower> {
        &self.follower
    }

    /// Who the node is.
    pub fn identity(&self) -> Option<Identity> {
        self.identity.borrow().clone()
    }

    /// Waits until the node is somebody.
    pub async fn joined(&self) -> NodeId {
        let mut identity = self.identity.subscribe();
        loop {
            if let Some(identity) = &*identity.borrow_and_update() {
                return identity.node;
            }
            if identity.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the node has been told to leave.
    pub async fn left(&self) {
        let mut is_leaving = self.is_leaving.subscribe();
        if is_leaving.wait_for(|is_leaving| *is_leaving).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Forgets who it was. The caller has removed everything else.
    pub fn forget(&self) -> io::Result<()> {
        self.fs.remove_file(&self.dir.join(FILE))?;
        self.fs.sync_dir(&self.dir)
    }

    /// What it tells about itself.
    pub fn status(&self) -> Status {
        let identity = self.identity();
        Status {
            node_type: "data".into(),
            node_status: if identity.is_some() { "joined" } else { "disjoined" }.into(),
            meta_addrs: self.follower.meta_addrs(),
            id: identity.map(|identity| identity.node),
            time_ns: self.wall.now_ns(),
            profile: self.profile.clone(),
        }
    }

    /// The calls that get it in and out.
    pub fn router(self: &Arc<Self>) -> Router {
        let [joining, leaving, asked, known] = [(); 4].map(|()| Arc::clone(self));
        Router::new()
            .on(JOIN, move |question: JoinQuestion, _| {
                let seat = Arc::clone(&joining);
                async move { Ok((seat.join(question).await?, Bytes::new())) }
            })
            .on(LEAVE, move |_: Empty, _| {
                let seat = Arc::clone(&leaving);
                async move { Ok((seat.leave().await?, Bytes::new())) }
            })
            .on(STATUS, move |_: Empty, _| {
                let seat = Arc::clone(&asked);
                async move { Ok((seat.status(), Bytes::new())) }
            })
            .on(CATALOGUE, move |_: Empty, _| {
                let seat = Arc::clone(&known);
                async move { Ok((seat.follower.known(), Bytes::new())) }
            })
    }

    async fn join(&self, question: JoinQuestion) -> Result<JoinAnswer, Failure> {
        let JoinQuestion { meta_addrs, cluster_id } = question;
        let answer = |id| JoinAnswer {
            id,
            tcp_addr: self.profile.tcp_addr.clone(),
            http_addr: self.profile.http_addr.clone(),
        };
        if meta_addrs.is_empty() {
            return Err(Failure::new(FailureKind::Invalid, "empty meta servers"));
        }
        if let Some(identity) = self.identity() {
            let shares = |address: &String| meta_addrs.contains(address);
            let is_met = self.follower.meta_addrs().iter().chain(&identity.meta_addrs).any(shares);
            let own_id = self.follower.current().cluster_id();
            if !is_met && (own_id == 0 || own_id != cluster_id) {
                return Err(Failure::new(FailureKind::Conflict, "already joined to cluster"));
            }
            if let Some(reason) = self.is_elsewhere(identity.node, cluster_id) {
                let text = format!(
                    "{reason}, and still holds what it had there: stop it, empty its directories, and start it before it is added"
                );
                return Err(Failure::new(FailureKind::Conflict, text));
            }
            if !is_met {
                // The catalogue was recovered by a meta node that had not been one before.
                self.keep(Identity { meta_addrs: meta_addrs.clone(), ..identity })?;
                self.follower.use_meta_addrs(meta_addrs);
            }
            return Ok(answer(identity.node));
        }
        self.check_reachable(&meta_addrs)?;
        self.follower.use_meta_addrs(meta_addrs.clone());
        let command = Command::CreateDataNode {
            tcp_addr: self.profile.tcp_addr.clone(),
            http_addr: self.profile.http_addr.clone(),
            https: self.profile.https,
            labels: self.profile.labels.clone(),
        };
        let entering = tokio::select! {
            entered = self.follower.execute(&command) => entered,
            // Nobody else follows the meta nodes before the node is a member.
            () = self.follower.follow() => Err(ExecuteError::Unavailable("the meta nodes cannot be followed".into())),
        };
        let applied = entering.map_err(|error| match error {
            ExecuteError::Refused(refused) => Failure::new(FailureKind::Conflict, refused),
            error => Failure::new(FailureKind::Unavailable, format!("unable to create data node: {error}")),
        })?;
        let node = applied.node.ok_or_else(|| Failure::internal("the meta node gave no number"))?;
        self.keep(Identity { node, meta_addrs })?;
        Ok(answer(node))
    }

    /// Is this from now on, and keeps it.
    fn keep(&self, identity: Identity) -> Result<(), Failure> {
        offload(|| {
            let _joining = self.joining.lock();
            let json = serde_json::to_vec_pretty(&identity).map_err(io::Error::other)?;
            replace_file(&*self.fs, &self.dir.join(FILE), &json).map_err(io::Error::other)
        })
        .map_err(|error| Failure::internal(format!("cannot keep who this node is: {error}")))?;
        self.identity.send_replace(Some(identity));
        Ok(())
    }

    /// Why this node, which is number `node` somewhere, is no member of the cluster of whoever asks, if so.
    fn is_elsewhere(&self, node: NodeId, cluster_id: u64) -> Option<String> {
        let catalogue = self.follower.current();
        let own_id = catalogue.cluster_id();
        if own_id != 0 && cluster_id != 0 && own_id != cluster_id {
            let text = "already joined to cluster: this node belongs to one that other meta nodes had at these addresses";
            return Some(text.to_owned());
        }
        let is_known = self.follower.index() == 0 || catalogue.data_node(node).is_some();
        (!is_known).then(|| format!("this node was removed as data node {} without being asked", node.0))
    }

    /// A node that says it is at `localhost` would be looked for by others on their own machines.
    fn check_reachable(&self, meta_addrs: &[String]) -> Result<(), Failure> {
        let own = &self.profile.tcp_addr;
        match meta_addrs.iter().find(|address| !is_loopback(address)) {
            Some(other) if is_loopback(own) => Err(Failure::new(
                FailureKind::Invalid,
                format!(
                    "this data node would be known as {own}, which on {other} means another machine: set hostname in its \
                     configuration to a name that every node can resolve, and restart it"
                ),
            )),
            _ => Ok(()),
        }
    }

    async fn leave(&self) -> Result<Empty, Failure> {
        let Some(identity) = self.identity() else { return Ok(Empty {}) };
        let is_gone = || self.follower.current().data_node(identity.node).is_none();
        let mut changes = self.follower.changes();
        let seeing = async {
            while !is_gone() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        drop(tokio::time::timeout(LEAVE_LIMIT, seeing).await);
        // Leaving empties the disk: it is done on the word of the catalogue alone, whoever asks.
        if !is_gone() {
            let text = format!("node {} is still a member: remove it with ctl remove-data", identity.node.0);
            return Err(Failure::new(FailureKind::Conflict, text));
        }
        self.is_leaving.send_replace(true);
        Ok(Empty {})
    }

    /// Lets the meta nodes know that it is there until the future is dropped: again and again, and as soon as it has joined.
    pub async fn announce(&self, every: Duration) {
        let mut identity = self.identity.subscribe();
        loop {
            identity.mark_unchanged();
            let announcement = Announcement {
                tcp_addr: self.profile.tcp_addr.clone(),
                http_addr: self.profile.http_addr.clone(),
                http_scheme: if self.profile.https { "https" } else { "http" }.into(),
                time: self.wall.now_ns(),
                node_type: "data".into(),
                status: if self.identity().is_some() { "joined" } else { "disjoined" }.into(),
                context: BTreeMap::new(),
                version: self.profile.version.clone(),
            };
            let question = AnnounceQuestion { announcement };
            for address in self.follower.meta_addrs() {
                let told: Result<serde_json::Value, _> =
                    tell(&*self.transport, &address, "meta.announce", &question, ANNOUNCE_LIMIT).await;
                if told.is_ok() {
                    break;
                }
            }
            // Time out or news: it is said again.
            drop(tokio::time::timeout(every, identity.changed()).await);
        }
    }
}

/// Whether `host:port` means another machine on every machine.
pub fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn read_identity(fs: &dyn Fs, path: &Path) -> io::Result<Option<Identity>> {
    let bytes = match fs.map(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let identity = serde_json::from_slice(&bytes).map_err(|error| {
        io::Error::other(format!(
            "{} is damaged ({error}): it says who this node is; restore it, or remove the node and add it anew",
            path.display()
        ))
    })?;
    Ok(Some(identity))
}

#[cfg(test)]
mod tests;
