//! A Kafka for clusters to write through: one that is there, or one broker on loopback that ends with the measurement.

use std::{
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{
    Progress,
    process::{Ending, end, free_port, spawn_logged},
};

/// How long a broker may take to start.
const START_MAX: Duration = Duration::from_secs(60);

/// Where a Kafka is to be had.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// There: addresses with commas between them. Topics that are made stay there.
    Brokers(String),
    /// Started by `scripts/kafka.sh`.
    Script(PathBuf),
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Broker {
    addresses: Vec<String>,
    own: Option<(Child, tempfile::TempDir)>,
    topics: AtomicU32,
}

/// A topic for one cluster.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) name: String,
    /// What the configuration of a data node says of it.
    pub(super) config: String,
}

impl Broker {
    /// Starts one, unless one is there.
    pub(super) fn start(source: &Source, work_dir: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let script = match source {
            Source::Brokers(addresses) => {
                let addresses = addresses.split(',').map(str::to_owned).collect();
                return Ok(Self { addresses, own: None, topics: AtomicU32::new(0) });
            }
            Source::Script(script) => script,
        };
        let directory = tempfile::Builder::new().prefix("skywatch-bench-kafka-").tempdir_in(work_dir);
        let directory = directory.context("cannot make a directory for Kafka's data")?;
        let (port, controller) = (free_port()?, free_port()?);
        let mut command = Command::new(script);
        command.arg("run").arg(directory.path().join("data"));
        command.args([port.to_string(), controller.to_string()]).env("KAFKA_HEAP", "-Xms512m -Xmx512m");
        let log = directory.path().join("log");
        let mut child = spawn_logged(command, &log)?;
        let since = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = child.try_wait()?;
            if ended.is_some() || since.elapsed() > START_MAX || progress.check().is_err() {
                end(&mut child, Ending::Kill);
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("Kafka does not start: {}", said.lines().last().unwrap_or("it does not answer"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let addresses = vec![format!("127.0.0.1:{port}")];
        Ok(Self { addresses, own: Some((child, directory)), topics: AtomicU32::new(0) })
    }

    /// Whether it was started for the measurement.
    pub(super) const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// A topic that nobody has used.
    pub(super) fn topic(&self) -> Topic {
        let number = self.topics.fetch_add(1, Ordering::Relaxed);
        let name = format!("skywatch-bench-{}-{number}", std::process::id());
        let config = format!(
            "[replication]\nmode = \"kafka\"\n[kafka]\nbrokers = {:?}\ntopic = \"{name}\"\ndead-letter-topic = \"{name}-dead\"\n",
            self.addresses
        );
        Topic { name, config }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            end(child, Ending::Kill);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_has_a_topic_of_its_own() {
        let source = Source::Brokers("a:1,b:2".to_owned());
        let broker = Broker::start(&source, Path::new("/"), &Progress::silent()).expect("it is there");
        let (one, other) = (broker.topic(), broker.topic());
        assert_ne!(one.name, other.name);
        assert!(one.config.contains("brokers = [\"a:1\", \"b:2\"]\n"), "{}", one.config);
    }

    #[test]
    fn a_script_that_ends_says_why() {
        let source = Source::Script("/bin/false".into());
        let error = Broker::start(&source, &std::env::temp_dir(), &Progress::silent()).expect_err("it ends");
        assert!(error.to_string().starts_with("Kafka does not start"), "{error}");
    }
}
