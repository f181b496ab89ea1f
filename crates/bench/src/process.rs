//! The servers under test: started on an empty directory, measured from outside, stopped by pid, data removed.

pub(crate) mod usage;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
pub(crate) use usage::Usage;

use crate::{Progress, http::Client};

/// How long a server may take until it answers; millions of series may have to be read from a log.
const START_MAX: Duration = Duration::from_secs(600);
/// How long it may take to end before it is killed.
const STOP_MAX: Duration = Duration::from_secs(60);
/// How often the size of the data is looked at while it settles.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// This project.
    Skywatch,
    /// InfluxDB 1.x.
    Influxdb,
    /// VictoriaMetrics, a single node.
    VictoriaMetrics,
}

impl Kind {
    /// Its name as people know it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Skywatch => "Skywatch",
            Self::Influxdb => "InfluxDB",
            Self::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    /// How long it leaves data alone that is not written to before it compacts what it has not compacted yet, with
    /// a little more: Skywatch 75 s, InfluxDB the 5 s it is configured with here and looks at every second;
    /// VictoriaMetrics is asked.
    pub(crate) const fn cold_after(self) -> Duration {
        match self {
            Self::Skywatch => Duration::from_secs(80),
            Self::Influxdb => Duration::from_secs(10),
            Self::VictoriaMetrics => Duration::ZERO,
        }
    }

    /// Debian's package with it, which knows its version if the server does not say.
    const fn package(self) -> Option<&'static str> {
        match self {
            Self::Skywatch => None,
            Self::Influxdb => Some("influxdb"),
            Self::VictoriaMetrics => Some("victoria-metrics"),
        }
    }
}

/// A server that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
}

impl Program {
    /// Whether there is such a program: a path to a file, or a name that one of the directories of `PATH` has.
    pub(crate) fn is_there(&self) -> bool {
        if self.path.components().count() > 1 {
            return self.path.is_file();
        }
        let directories = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&directories).any(|directory| directory.join(&self.path).is_file())
    }
}

/// How to end a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is asked, and given time to.
    Orderly,
    /// It is killed without a word.
    Kill,
}

/// A server that runs. Dropping it stops it and removes its data.
#[derive(Debug)]
pub(crate) struct Server {
    program: Program,
    child: Child,
    directory: tempfile::TempDir,
    /// What it calls itself.
    pub(crate) version: String,
    pub(crate) port: u16,
}

impl Server {
    /// Starts it with its data under a new directory in `work_dir` and waits until it answers.
    pub(crate) fn start(program: &Program, work_dir: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("skywatch-bench-").tempdir_in(work_dir);
        let directory = directory.context("cannot make a directory for the server's data")?;
        let port = free_port()?;
        let child = spawn(program, directory.path(), port)?;
        let mut server = Self { program: program.clone(), child, directory, version: String::new(), port };
        let client = Client::new(program.kind, port);
        let said = server.wait_for(progress, || client.ping())?;
        server.version = if said.is_empty() { package_version(program.kind) } else { said };
        Ok(server)
    }

    /// Which one it is.
    pub(crate) fn kind(&self) -> Kind {
        self.program.kind
    }

    /// Its name and version.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kind().name(), self.version).trim_end().to_owned()
    }

    /// Ends it, starts it again on the same data, and waits until `ready` gives something; returns that with the
    /// time since the start.
    pub(crate) fn restart<T>(
        &mut self,
        ending: Ending,
        progress: &Progress,
        ready: impl FnMut() -> Option<T>,
    ) -> anyhow::Result<(T, Duration)> {
        self.end(ending);
        let started = Instant::now();
        self.child = spawn(&self.program, self.directory.path(), self.port)?;
        let answer = self.wait_for(progress, ready)?;
        Ok((answer, started.elapsed()))
    }

    /// Waits until `ready` gives something, as long as a server may take to start.
    fn wait_for<T>(
        &mut self,
        progress: &Progress,
        mut ready: impl FnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        let why = loop {
            if let Some(answer) = ready() {
                return Ok(answer);
            }
            if let Some(status) = self.child.try_wait()? {
                break format!("it ended with {status}");
            }
            if started.elapsed() > START_MAX {
                break format!("it does not answer after {} s", START_MAX.as_secs());
            }
            progress.check()?;
            std::thread::sleep(Duration::from_millis(5));
        };
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().skip(log.lines().count().saturating_sub(10)).collect();
        bail!("{} does not start: {why}; the end of its log:\n{}", self.kind().name(), tail.join("\n"))
    }

    /// Waits until it has had the time to begin what it does when it is left alone, and the size of its data has
    /// not changed for `quiet`; at most `longest`. Returns whether it settled.
    pub(crate) fn settle(
        &self,
        quiet: Duration,
        longest: Duration,
        progress: &Progress,
    ) -> anyhow::Result<bool> {
        let data = self.directory.path().join("data");
        settle(|| usage::disk_bytes(&data), self.kind().cold_after(), quiet, longest, progress)
    }

    /// What it has taken of the machine since it was started.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        usage::of_process(self.child.id())
    }

    /// Bytes its data takes on disk, in whole blocks as the file system counts them.
    pub(crate) fn disk_bytes(&self) -> anyhow::Result<u64> {
        usage::disk_bytes(&self.directory.path().join("data"))
    }

    fn end(&mut self, ending: Ending) {
        end(&mut self.child, ending);
    }
}

/// Ends a process of ours.
pub(crate) fn end(child: &mut Child, ending: Ending) {
    let pid = rustix::process::Pid::from_child(child);
    let asked = ending == Ending::Orderly
        && rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok();
    let asked_at = Instant::now();
    while asked && asked_at.elapsed() < STOP_MAX {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap_or_default();
    child.wait().map(drop).unwrap_or_default();
}

/// See [`Server::settle`]; changes within `at_least` are waited for.
pub(crate) fn settle(
    mut size: impl FnMut() -> anyhow::Result<u64>,
    at_least: Duration,
    quiet: Duration,
    longest: Duration,
    progress: &Progress,
) -> anyhow::Result<bool> {
    let started = Instant::now();
    let (mut bytes, mut since) = (size()?, started);
    while since.elapsed() < quiet || started.elapsed() < at_least {
        if started.elapsed() >= longest {
            return Ok(false);
        }
        progress.check()?;
        std::thread::sleep(LOOK_EVERY.min(quiet));
        let now = size()?;
        if now != bytes {
            (bytes, since) = (now, Instant::now());
        }
    }
    Ok(true)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Ending::Orderly);
    }
}

fn spawn(program: &Program, directory: &Path, port: u16) -> anyhow::Result<Child> {
    spawn_logged(command(program, directory, port)?, &directory.join("log"))
}

/// Starts a process whose output goes to the end of a file.
pub(crate) fn spawn_logged(mut command: Command, log: &Path) -> anyhow::Result<Child> {
    let log = fs::File::options().create(true).append(true).open(log);
    let log = log.context("cannot make the server's log file")?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("cannot start {}", Path::new(command.get_program()).display()))
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
        Kind::VictoriaMetrics => {
            command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
            command.arg(format!("-storageDataPath={}", data.display()));
            // The data is of 2016, and shall not be dropped for its age.
            command.arg("-retentionPeriod=100y");
        }
    }
    Ok(command)
}

/// Defaults, but for where things are, for the log of requests and self-monitoring, which would be work besides
/// what is measured, for limits of cardinality, and for how long a shard is left alone before it is compacted:
/// ten minutes and four hours would have it measured uncompacted.
fn influxdb_config(data: &Path, http_port: u16, rpc_port: u16) -> String {
    let data = data.display();
    format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc_port}\"\n\
         [meta]\ndir = \"{data}/meta\"\n\
         [data]\ndir = \"{data}/data\"\nwal-dir = \"{data}/wal\"\nquery-log-enabled = false\n\
         cache-snapshot-write-cold-duration = \"5s\"\ncompact-full-write-cold-duration = \"5s\"\n\
         max-series-per-database = 0\nmax-values-per-tag = 0\n\
         [monitor]\nstore-enabled = false\n\
         [http]\nbind-address = \"127.0.0.1:{http_port}\"\nlog-enabled = false\n"
    )
}

/// The version of the package a server came with, as far as Debian knows; without the distribution's own part.
fn package_version(kind: Kind) -> String {
    let Some(package) = kind.package() else { return String::new() };
    let asked = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    let version = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    upstream_version(&version.unwrap_or_default()).to_owned()
}

/// `1.79.5` of `1.79.5+ds1-2+b5`.
fn upstream_version(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    version.split(['+', '-', '~']).next().unwrap_or_default()
}

/// A port of the loopback address that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_none_says_so() {
        let directory = tempfile::tempdir().expect("a directory");
        let start = |kind, path: &str| {
            Server::start(&Program { kind, path: path.into() }, directory.path(), &Progress::silent())
        };
        let error = start(Kind::Influxdb, "/does/not/exist").expect_err("there is no such program");
        assert_eq!(error.to_string(), "cannot start /does/not/exist");
        let error = start(Kind::Skywatch, "/bin/false").expect_err("it ends at once");
        assert!(format!("{error:#}").contains("Skywatch does not start: it ended with exit status: 1"));
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 0, "nothing is left behind");
    }

    #[test]
    fn programs_are_found_by_path_and_by_name() {
        let is_there = |path: &str| Program { kind: Kind::Influxdb, path: path.into() }.is_there();
        assert!(is_there("/bin/false") && is_there("false"));
        assert!(!is_there("/bin/no-such-program") && !is_there("no-such-program") && !is_there("/bin"));
    }

    #[test]
    fn data_that_changes_has_not_settled() {
        let ms = Duration::from_millis;
        let settle = |growth: u64, at_least, longest| {
            let (mut size, started) = (0, Instant::now());
            let look = || {
                size += growth;
                Ok(size)
            };
            let settled = settle(look, at_least, ms(300), longest, &Progress::silent());
            (settled.expect("no error"), started.elapsed())
        };
        let (has_settled, time) = settle(0, ms(600), ms(60_000));
        assert!(has_settled && time >= ms(600) && time < ms(60_000), "{time:?}");
        assert!(!settle(0, ms(60_000), ms(50)).0, "it had less time than it needs to begin");
        assert!(!settle(1, ms(0), ms(1000)).0, "it grows all the time");
    }

    #[test]
    fn skywatch_is_given_the_time_its_store_takes() {
        let cold_after = skywatch_storage::StoreOptions::default().cold_after;
        assert!(Kind::Skywatch.cold_after() > cold_after, "{cold_after:?}");
    }

    #[test]
    fn versions_are_those_of_the_program() {
        for (package, version) in
            [("1.79.5+ds1-2+b5", "1.79.5"), ("1.6.7~rc0-1+b13", "1.6.7"), ("2:3.1-1", "3.1"), ("", "")]
        {
            assert_eq!(upstream_version(package), version);
        }
    }
}
