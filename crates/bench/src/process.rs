//! The servers under test: started on an empty directory, measured from outside, stopped by pid, data removed.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{Progress, http::Client};

/// How long a server may take until it answers.
const START_MAX: Duration = Duration::from_secs(60);
/// How long it may take to end before it is killed.
const STOP_MAX: Duration = Duration::from_secs(20);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// This project.
    Skywatch,
    /// InfluxDB 1.x.
    Influxdb,
}

impl Kind {
    /// Its name as people know it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Skywatch => "Skywatch",
            Self::Influxdb => "InfluxDB",
        }
    }
}

/// A server that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
}

/// A server that runs. Dropping it stops it and removes its data.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    directory: tempfile::TempDir,
    /// What it calls itself.
    pub(crate) version: String,
    pub(crate) port: u16,
}

impl Server {
    /// Starts it with its data under a new directory in `work_dir` and waits until it answers.
    pub(crate) fn start(
        program: &Program,
        work_dir: Option<&Path>,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let name = program.kind.name();
        let mut builder = tempfile::Builder::new();
        builder.prefix("skywatch-bench-");
        let directory = work_dir.map_or_else(|| builder.tempdir(), |parent| builder.tempdir_in(parent));
        let directory = directory.context("cannot make a directory for the server's data")?;
        let port = free_port()?;
        let log =
            fs::File::create(directory.path().join("log")).context("cannot make the server's log file")?;
        let mut command = command(program, directory.path(), port)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.path.display()))?;
        let mut server = Self { child, directory, version: String::new(), port };
        server.wait_until_ready(progress).with_context(|| {
            let log = fs::read_to_string(server.directory.path().join("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(10).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            format!("{name} does not start; the end of its log:\n{}", tail.join("\n"))
        })?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, progress: &Progress) -> anyhow::Result<()> {
        let client = Client::new(self.port);
        let started = Instant::now();
        loop {
            if let Some(version) = client.ping() {
                self.version = version;
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if started.elapsed() > START_MAX {
                bail!("it does not answer after {} s", START_MAX.as_secs());
            }
            progress.check()?;
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resident memory in bytes: now, and at its highest.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<(u64, u64)> {
        let path = format!("/proc/{}/status", self.child.id());
        let status =
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}; has it ended?"))?;
        let kib = |key: &str| -> Option<u64> {
            status
                .lines()
                .find_map(|line| line.strip_prefix(key))?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse()
                .ok()
        };
        let (now, peak) = kib("VmRSS:").zip(kib("VmHWM:")).context("the kernel tells no resident size")?;
        Ok((now * 1024, peak * 1024))
    }

    /// Bytes its data takes on disk, in whole blocks as the file system counts them.
    pub(crate) fn disk_bytes(&self) -> anyhow::Result<u64> {
        disk_bytes(&self.directory.path().join("data"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let asked = rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok();
        let asked_at = Instant::now();
        while asked && asked_at.elapsed() < STOP_MAX {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn command(program: &Program, directory: &Path, port: u16) -> anyhow::Result<Command> {
    let data = directory.join("data");
    let mut command = Command::new(&program.path);
    match program.kind {
        Kind::Skywatch => {
            command.args(["run", "--no-agent", "--no-console", "--data-dir"]).arg(&data);
            command.args(["--http-bind", &format!("127.0.0.1:{port}")]);
        }
        Kind::Influxdb => {
            let config = directory.join("influxdb.conf");
            fs::write(&config, influxdb_config(&data, port, free_port()?))
                .context("cannot write its config")?;
            command.arg("-config").arg(config);
        }
    }
    Ok(command)
}

/// Defaults, but for where things are and for the log of requests and self-monitoring, which would be work
/// besides what is measured.
fn influxdb_config(data: &Path, http_port: u16, rpc_port: u16) -> String {
    let data = data.display();
    format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc_port}\"\n\
         [meta]\ndir = \"{data}/meta\"\n\
         [data]\ndir = \"{data}/data\"\nwal-dir = \"{data}/wal\"\nquery-log-enabled = false\n\
         [monitor]\nstore-enabled = false\n\
         [http]\nbind-address = \"127.0.0.1:{http_port}\"\nlog-enabled = false\n"
    )
}

/// A port of the loopback address that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// Bytes in the blocks of all files below `path`. Files that vanish meanwhile count nothing.
fn disk_bytes(path: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(0) };
    if !metadata.is_dir() {
        return Ok(metadata.blocks() * 512);
    }
    let Ok(entries) = fs::read_dir(path) else { return Ok(0) };
    entries.map(|entry| disk_bytes(&entry?.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_bytes_are_those_of_all_files_below() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("a")).expect("a directory");
        fs::write(directory.path().join("a/b"), vec![7; 100_000]).expect("a file");
        fs::write(directory.path().join("c"), vec![7; 100_000]).expect("a file");
        let bytes = disk_bytes(directory.path()).expect("readable");
        assert!((200_000..300_000).contains(&bytes), "{bytes}");
        assert_eq!(disk_bytes(&directory.path().join("none")).expect("no error"), 0);
    }

    #[test]
    fn a_program_that_is_none_says_so() {
        let progress = Progress { stop: std::sync::Arc::default() };
        let none = Program { kind: Kind::Influxdb, path: "/does/not/exist".into() };
        let error = Server::start(&none, None, &progress).expect_err("there is no such program");
        assert_eq!(error.to_string(), "cannot start /does/not/exist");
        let ends = Program { kind: Kind::Skywatch, path: "/bin/false".into() };
        let error = Server::start(&ends, None, &progress).expect_err("it ends at once");
        assert!(format!("{error:#}").contains("it ended with exit status: 1"), "{error:#}");
    }
}
