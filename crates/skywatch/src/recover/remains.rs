//! What is left of a catalogue, and with whom: files, and nodes that run.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use skywatch_meta_node::{
    Directory, Remains, Transports,
    data_calls::{Watch, Watched},
};
use skywatch_replication::{
    KnownCatalogue,
    seat::{self, Empty},
};
use skywatch_rpc::tell;
use skywatch_storage::fs::OsFs;

/// How long a node may take to say what it knows.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Path(PathBuf),
    /// A data node.
    Node(String),
}

impl Source {
    /// What is there is a path; else it has to be an address.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let path = Path::new(text);
        if path.exists() {
            return Ok(Self::Path(path.to_owned()));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !text.contains('/') && port.parse::<u16>().is_ok() => {
                Ok(Self::Node(text.to_owned()))
            }
            _ => bail!(
                "--from {text}: there is no such file or directory, and it is no HOST:PORT of a data node"
            ),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    MetaNode,
    DataNode,
}

/// Somebody who was asked, or a file.
#[derive(Debug)]
pub(super) struct Asked {
    kind: Kind,
    pub(super) address: String,
    /// Why it cannot be told.
    known: Result<Remains, String>,
    /// Whom it takes for the leader.
    leader: String,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Gathered(Vec<Asked>);

impl Gathered {
    /// Looks into the directory of the meta node that begins anew.
    pub(super) fn read_own(&mut self, dir: &Path) -> Result<()> {
        let file = Directory::new(dir).file();
        if !file.exists() {
            return Ok(());
        }
        let known = skywatch_meta_node::remains(&Directory::new(dir)).map_err(|error| {
            anyhow!("{error} (stop the meta node first; a store that is damaged has to be moved away)")
        })?;
        if let Some(remains) = known {
            self.note(Kind::File, file.display().to_string(), Ok(remains));
        }
        Ok(())
    }

    /// Reads files, and asks nodes until everybody was asked whom the newest catalogue names.
    pub(super) async fn gather(&mut self, sources: &[Source], transports: &Transports) -> Result<()> {
        let mut nodes = Vec::new();
        for source in sources {
            match source {
                Source::Path(path) => self.read(path)?,
                Source::Node(address) => nodes.push((Kind::DataNode, address.clone())),
            }
        }
        let mut asked = BTreeSet::new();
        loop {
            if let Some(newest) = self.find_newest() {
                let metas = newest.catalogue.meta_nodes().iter();
                nodes.extend(metas.map(|node| (Kind::MetaNode, node.http_addr.clone())));
                let datas = newest.catalogue.data_nodes().iter();
                nodes.extend(datas.map(|node| (Kind::DataNode, node.tcp_addr.clone())));
            }
            nodes.retain(|(_, address)| asked.insert(address.clone()));
            if nodes.is_empty() {
                return Ok(());
            }
            let asking = nodes.drain(..).map(|(kind, address)| ask(transports, kind, address));
            self.0.extend(futures_util::future::join_all(asking).await);
        }
    }

    fn read(&mut self, path: &Path) -> Result<()> {
        let (file, is_store) = file_of(path)?;
        let known = match is_store {
            true => {
                let dir = file.parent().unwrap_or(Path::new("."));
                let remains = skywatch_meta_node::remains(&Directory::new(dir))?;
                remains.with_context(|| {
                    format!("{}: its meta node was no member of a cluster", file.display())
                })?
            }
            false => {
                let known = KnownCatalogue::read(&OsFs, &file).with_context(|| file.display().to_string())?;
                Remains { index: known.index, catalogue: Arc::new(known.catalogue) }
            }
        };
        self.note(Kind::File, file.display().to_string(), Ok(known));
        Ok(())
    }

    fn note(&mut self, kind: Kind, address: String, known: Result<Remains, String>) {
        self.0.push(Asked { kind, address, known, leader: String::new() });
    }

    fn find_newest(&self) -> Option<&Remains> {
        self.0.iter().filter_map(|asked| asked.known.as_ref().ok()).max_by_key(|known| known.index)
    }

    /// The newest catalogue; all of them have to be of one cluster.
    pub(super) fn newest(&self) -> Result<&Remains> {
        let Some(newest) = self.find_newest() else {
            bail!(
                "no catalogue is left here: say with --from where to look, as in --from data-1:8088 for a data node that runs"
            );
        };
        let id = newest.catalogue.cluster_id();
        let other =
            |asked: &&Asked| asked.known.as_ref().is_ok_and(|known| known.catalogue.cluster_id() != id);
        match self.0.iter().find(other) {
            Some(other) => bail!("{} is of another cluster than the newest catalogue", other.address),
            None => Ok(newest),
        }
    }

    /// A cluster that has a leader needs no recovery.
    pub(super) fn check_leaderless(&self) -> Result<()> {
        match self.0.iter().find(|asked| !asked.leader.is_empty()) {
            Some(Asked { address, leader, .. }) => bail!(
                "there is nothing to recover: {address} says that {leader} leads the meta nodes; take lost ones out with \
                 skywatch ctl -bind {leader} remove-meta -force HOST:PORT"
            ),
            None => Ok(()),
        }
    }

    /// Data nodes that did not say what they know.
    pub(super) fn silent_data_nodes(&self) -> impl Iterator<Item = &Asked> {
        self.0.iter().filter(|asked| asked.kind == Kind::DataNode && asked.known.is_err())
    }

    /// For people: who knows what.
    pub(super) fn lines(&self) -> Vec<String> {
        let newest = self.find_newest().map(|newest| newest.index);
        let mut lines = vec!["What is left of the catalogue:".to_owned()];
        for Asked { kind, address, known, .. } in &self.0 {
            let kind = match kind {
                Kind::File => "",
                Kind::MetaNode => "meta node ",
                Kind::DataNode => "data node ",
            };
            lines.push(match known {
                Ok(known) => {
                    let mark = if Some(known.index) == newest { '*' } else { ' ' };
                    format!("{mark} {:>12}  {kind}{address}: {}", known.index, counts(&known.catalogue))
                }
                Err(reason) => format!("  {:>12}  {kind}{address}: {reason}", "-"),
            });
        }
        lines
    }
}

fn counts(catalogue: &skywatch_meta::Catalogue) -> String {
    let one = |count: usize, name: &str| format!("{count} {name}{}", if count == 1 { "" } else { "s" });
    let parts = [
        one(catalogue.databases().len(), "database"),
        one(catalogue.live_shards().count(), "shard"),
        one(catalogue.users().len(), "user"),
        one(catalogue.meta_nodes().len(), "meta node"),
        one(catalogue.data_nodes().len(), "data node"),
    ];
    parts.join(", ")
}

/// The file that a path means, and whether it is the store of a meta node.
fn file_of(path: &Path) -> Result<(PathBuf, bool)> {
    let is_store = |file: &Path| file.file_name() == Directory::new("").file().file_name();
    if path.is_file() {
        return Ok((path.to_owned(), is_store(path)));
    }
    let below = [
        Directory::new(path).file(),
        path.join("meta").join(KnownCatalogue::FILE),
        path.join(KnownCatalogue::FILE),
    ];
    let found = below.iter().find(|file| file.is_file());
    let found = found.with_context(|| {
        let names: Vec<String> = below.iter().map(|file| file.display().to_string()).collect();
        format!("--from {}: none of {} is there", path.display(), names.join(", "))
    })?;
    Ok((found.clone(), is_store(found)))
}

async fn ask(transports: &Transports, kind: Kind, address: String) -> Asked {
    let (answer, leader) = match kind {
        Kind::MetaNode => {
            let question = Watch { index: 0, wait_ms: 0 };
            let answer: Result<Watched, _> =
                tell(&*transports.meta, &address, "meta.watch", &question, ASK_LIMIT).await;
            match answer {
                Ok(Watched { index, leader, catalogue, .. }) => (Ok((index, catalogue)), leader),
                Err(error) => (Err(error), String::new()),
            }
        }
        Kind::File | Kind::DataNode => {
            let answer: Result<KnownCatalogue, _> =
                tell(&*transports.data, &address, seat::CATALOGUE, &Empty {}, ASK_LIMIT).await;
            (answer.map(|known| (known.index, Some(known.catalogue))), String::new())
        }
    };
    let known = match answer {
        Ok((index, Some(catalogue))) if catalogue.cluster_id() != 0 => {
            Ok(Remains { index, catalogue: Arc::new(catalogue) })
        }
        Ok(_) => Err("it belongs to no cluster".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    Asked { kind, address, known, leader }
}

#[cfg(test)]
mod tests {
    use skywatch_meta::{Catalogue, Command};

    use super::*;

    fn known(index: u64, cluster: u64) -> Result<Remains, String> {
        let mut catalogue = Catalogue::default();
        catalogue.apply(&Command::NameCluster { id: cluster }).unwrap();
        Ok(Remains { index, catalogue: Arc::new(catalogue) })
    }

    #[test]
    fn the_newest_of_one_cluster_counts() {
        let mut gathered = Gathered::default();
        assert!(gathered.newest().unwrap_err().to_string().contains("--from data-1:8088"));
        gathered.note(Kind::File, "a".to_owned(), known(3, 1));
        gathered.note(Kind::DataNode, "b:8088".to_owned(), known(5, 1));
        gathered.note(Kind::DataNode, "c:8088".to_owned(), Err("connection refused".to_owned()));
        assert_eq!(gathered.newest().unwrap().index, 5);
        let silent: Vec<&str> = gathered.silent_data_nodes().map(|asked| asked.address.as_str()).collect();
        assert_eq!(silent, ["c:8088"]);
        let lines = gathered.lines();
        assert!(
            lines[2].starts_with("* ") && lines[3].contains("data node c:8088: connection refused"),
            "{lines:?}"
        );
        gathered.note(Kind::File, "d".to_owned(), known(4, 2));
        assert_eq!(
            gathered.newest().unwrap_err().to_string(),
            "d is of another cluster than the newest catalogue"
        );
    }

    #[test]
    fn a_cluster_that_is_led_is_left_alone() {
        let mut gathered = Gathered::default();
        gathered.note(Kind::MetaNode, "m1:8091".to_owned(), known(3, 1));
        assert!(gathered.check_leaderless().is_ok());
        gathered.0[0].leader = "m2:8091".to_owned();
        let error = gathered.check_leaderless().unwrap_err().to_string();
        assert!(error.contains("ctl -bind m2:8091 remove-meta -force"), "{error}");
    }

    #[test]
    fn sources_are_paths_or_addresses() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().to_str().unwrap();
        assert_eq!(Source::parse(text).unwrap(), Source::Path(directory.path().to_owned()));
        assert_eq!(Source::parse("data-1:8088").unwrap(), Source::Node("data-1:8088".to_owned()));
        for bad in ["/nowhere", "data-1", ":8088", "data-1:port", "/nowhere:80"] {
            assert!(Source::parse(bad).is_err(), "{bad}");
        }
        let error = file_of(directory.path()).unwrap_err().to_string();
        assert!(error.contains("raft.redb") && error.contains("meta/catalogue.cache"), "{error}");
        let file = directory.path().join("raft.redb");
        std::fs::write(&file, "").unwrap();
        assert_eq!(file_of(directory.path()).unwrap(), (file, true));
    }
}
