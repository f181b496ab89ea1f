//! A cluster of one meta node and some data nodes on loopback. Dropping it stops them and removes their data.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::broker::Topic;
use crate::{
    Progress,
    http::Client,
    process::{Ending, Kind, end, free_port, settle, spawn_logged, usage},
};

/// How long the cluster may take to form, and a node to answer.
const START_MAX: Duration = Duration::from_secs(120);

/// See the module's header.
#[derive(Debug)]
pub(super) struct Cluster {
    program: PathBuf,
    directory: tempfile::TempDir,
    /// Its processes: the meta node, then the data nodes.
    meta: Node,
    pub(super) data: Vec<Node>,
}

/// A process of it.
#[derive(Debug)]
pub(super) struct Node {
    role: &'static str,
    directory: PathBuf,
    child: Option<Child>,
    /// Where others reach it.
    peers: u16,
    /// Where clients reach it.
    pub(super) port: u16,
}

impl Node {
    /// A client of a data node.
    pub(super) fn client(&self) -> Client {
        Client::new(Kind::Skywatch, self.port)
    }

    /// The number it has in the cluster.
    pub(super) fn id(&self) -> anyhow::Result<u64> {
        let status = Client::new(Kind::Skywatch, self.peers).status()?;
        status["id"].as_u64().context("a node has no number")
    }

    /// Bytes of its data on disk, and of what it keeps for others.
    pub(super) fn disk_bytes(&self) -> anyhow::Result<u64> {
        usage::disk_bytes(&self.directory.join("data"))
    }

    /// Bytes of what it keeps for others.
    pub(super) fn hint_bytes(&self) -> anyhow::Result<u64> {
        usage::disk_bytes(&self.directory.join("data/hh"))
    }

    /// Starts its process.
    pub(super) fn start(&mut self, program: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(program);
        command.arg(self.role).arg("--config").arg(self.directory.join("node.toml"));
        self.child = Some(spawn_logged(command, &self.directory.join("log"))?);
        Ok(())
    }

    /// Ends it, for as long as nobody starts it again.
    pub(super) fn stop(&mut self, ending: Ending) {
        if let Some(mut child) = self.child.take() {
            end(&mut child, ending);
        }
    }

    fn check_running(&mut self) -> anyhow::Result<()> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        let Some(status) = ended else { return Ok(()) };
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().skip(log.lines().count().saturating_sub(10)).collect();
        bail!("a {} node ended with {status}; the end of its log:\n{}", self.role, tail.join("\n"))
    }
}

impl Cluster {
    /// Starts and joins the nodes, which write through this topic of Kafka if there is one.
    pub(super) fn start(
        program: &Path,
        nodes: usize,
        topic: Option<&Topic>,
        work_dir: &Path,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("skywatch-bench-").tempdir_in(work_dir);
        let directory = directory.context("cannot make a directory for the cluster's data")?;
        let node = |role: &'static str, number: usize| -> anyhow::Result<Node> {
            let directory = directory.path().join(format!("{role}-{number}"));
            let (peers, port) = (free_port()?, free_port()?);
            fs::create_dir_all(&directory).context("cannot make a directory for a node's data")?;
            let through = topic.filter(|_| role == "data").map_or("", |topic| &topic.config);
            fs::write(directory.join("node.toml"), config(role, &directory, peers, port) + through)
                .context("cannot write a node's configuration")?;
            Ok(Node { role, directory, child: None, peers, port })
        };
        let data = (1..=nodes).map(|number| node("data", number)).collect::<anyhow::Result<_>>()?;
        let meta = node("meta", 1)?;
        let mut cluster = Self { program: program.to_owned(), directory, meta, data };
        for node in cluster.data.iter_mut().chain([&mut cluster.meta]) {
            node.start(program)?;
        }
        let meta = format!("127.0.0.1:{}", cluster.meta.port);
        cluster.ctl(progress, &["add-meta", &meta])?;
        for number in 0..nodes {
            let peers = format!("127.0.0.1:{}", cluster.data[number].peers);
            cluster.ctl(progress, &["add-data", &peers])?;
        }
        cluster.wait(START_MAX, progress, "every node to be ready", |cluster| {
            Ok(cluster.data.iter().all(|node| node.client().is_ready()))
        })?;
        if let Some(topic) = topic {
            cluster.wait(START_MAX, progress, "the cluster to write through Kafka", |cluster| {
                Ok(cluster.said_by_ctl(&["show-lag"])?.is_some_and(|said| said.contains(&topic.name)))
            })?;
        }
        Ok(cluster)
    }

    /// A command of `skywatch ctl`, again while nodes are still starting.
    fn ctl(&mut self, progress: &Progress, arguments: &[&str]) -> anyhow::Result<()> {
        let what = format!("ctl {}", arguments.join(" "));
        self.wait(START_MAX, progress, &what, |cluster| Ok(cluster.said_by_ctl(arguments)?.is_some()))
    }

    /// What a command of `skywatch ctl` says, if it succeeds.
    fn said_by_ctl(&self, arguments: &[&str]) -> anyhow::Result<Option<String>> {
        let bind = format!("127.0.0.1:{}", self.meta.port);
        let output = Command::new(&self.program).args(["ctl", "-bind", &bind]).args(arguments).output();
        let output = output.context("cannot run ctl")?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Waits until something is so; an error if it takes too long or a node ends that should run.
    pub(super) fn wait(
        &mut self,
        longest: Duration,
        progress: &Progress,
        what: &str,
        mut is_so: impl FnMut(&mut Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let since = Instant::now();
        while !is_so(self)? {
            progress.check()?;
            for node in self.data.iter_mut().chain([&mut self.meta]) {
                node.check_running()?;
            }
            if since.elapsed() > longest {
                bail!(
                    "waited {} s in vain for {what}; see {}",
                    longest.as_secs(),
                    self.directory.path().display()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Where clients reach the data nodes.
    pub(super) fn ports(&self) -> Vec<u16> {
        self.data.iter().map(|node| node.port).collect()
    }

    /// Starts a data node again on the data it had.
    pub(super) fn start_again(&mut self, number: usize) -> anyhow::Result<()> {
        self.data[number].start(&self.program)
    }

    /// See [`settle`](crate::process::settle).
    pub(super) fn settle(
        &self,
        quiet: Duration,
        longest: Duration,
        progress: &Progress,
    ) -> anyhow::Result<bool> {
        let size = || self.data.iter().map(Node::disk_bytes).sum();
        settle(size, Kind::Skywatch.cold_after(), quiet, longest, progress)
    }

    /// Processor time that the data nodes have taken.
    pub(super) fn processor(&self) -> anyhow::Result<Duration> {
        let running = self.data.iter().filter_map(|node| node.child.as_ref());
        running.map(|child| Ok(usage::of_process(child.id())?.processor)).sum()
    }

    /// Bytes that data nodes have sent each other: calls and answers.
    pub(super) fn bytes_between(&self) -> anyhow::Result<u64> {
        let of_node =
            |node: &Node| Ok::<_, anyhow::Error>(between(&node.client().metrics()?, self.meta.port));
        self.data.iter().map(of_node).sum()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.data.iter_mut().rev().chain([&mut self.meta]) {
            node.stop(Ending::Orderly);
        }
    }
}

/// Bytes of calls to other data nodes and of their answers, from the text of `/metrics`.
fn between(metrics: &str, meta_port: u16) -> u64 {
    let meta = format!(":{meta_port}\"");
    let is_counted = |line: &&str| {
        let counts = ["skywatch_rpc_call_bytes_total{", "skywatch_rpc_reply_bytes_total{"];
        counts.iter().any(|name| line.starts_with(name)) && !line.contains(&meta)
    };
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
    metrics.lines().filter(is_counted).filter_map(value).sum::<f64>() as u64
}

fn config(role: &str, directory: &Path, peers: u16, port: u16) -> String {
    let dir = directory.join("data");
    let dir = dir.display();
    match role {
        "meta" => format!(
            "hostname = \"127.0.0.1\"\n[meta]\ndir = \"{dir}\"\nbind-address = \"127.0.0.1:{peers}\"\n\
             http-bind-address = \"127.0.0.1:{port}\"\n"
        ),
        _ => format!(
            "hostname = \"127.0.0.1\"\nbind-address = \"127.0.0.1:{peers}\"\n[data]\ndir = \"{dir}\"\n\
             memory-budget = \"1g\"\n[http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_between_data_nodes_are_those_of_calls_and_answers() {
        let metrics = "# TYPE skywatch_rpc_call_bytes_total counter\n\
            skywatch_rpc_call_bytes_total{to=\"127.0.0.1:7001\"} 100\n\
            skywatch_rpc_call_bytes_total{to=\"127.0.0.1:8091\"} 7\n\
            skywatch_rpc_reply_bytes_total{to=\"127.0.0.1:7001\"} 2000\n\
            skywatch_rpc_calls_total{to=\"127.0.0.1:7001\"} 5\n\
            skywatch_rpc_received_bytes_total 100\n";
        assert_eq!(between(metrics, 8091), 2100);
        assert_eq!(between("", 8091), 0);
    }
}
