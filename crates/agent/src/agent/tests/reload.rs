//! Reloads: what goes on, what changes, and that nothing is lost.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;

/// An agent at work, and how to talk to it.
struct AtWork {
    commands: mpsc::Sender<AgentCommand>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<Report, AgentError>>,
}

impl AtWork {
    fn start(text: &str) -> Self {
        let agent = Agent::new(config(text)).expect("inputs");
        let (commands, received) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(agent.run_commanded(received, async {
            stopped.await.ok();
        }));
        Self { commands, stop, running }
    }

    async fn reload(&self, text: &str) {
        let command = AgentCommand::Reload(Box::new(config(text)));
        self.commands.send(command).await.expect("it runs");
        // A second command is taken only once the first is done.
        self.flush().await;
        self.flush().await;
    }

    async fn flush(&self) {
        self.commands.send(AgentCommand::Flush).await.expect("it runs");
    }

    async fn stop(self) -> Report {
        self.stop.send(()).expect("it runs");
        self.running.await.expect("no panic").expect("ran")
    }
}

/// Agents here gather at once and then not again for an hour, and flush only when told to.
const AGENT: &str = "[agent]\nomit_hostname = true\nround_interval = false\ninterval = '1h'\nflush_interval = '1h'\nstatefile = ''\n";

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn count(path: &Path, name: &str) -> usize {
    lines(path).iter().filter(|line| line.split([' ', ',']).next() == Some(name)).count()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct Dir {
    dir: tempfile::TempDir,
}

impl Dir {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An output into a file of this directory, with more options.
    fn output(&self, name: &str, options: &str) -> String {
        let mut text = String::new();
        write!(text, "[[outputs.file]]\nfiles = ['{}']\n{options}\n", self.path(name).display())
            .expect("text");
        text
    }
}

const MEM: &str = "[[inputs.mem]]\nfieldinclude = ['total']\n";
const SWAP: &str = "[[inputs.swap]]\nfieldinclude = ['total']\n";

#[tokio::test]
async fn flush_sends_what_is_there() {
    let dir = Dir::new();
    let work = AtWork::start(&format!("{AGENT}{MEM}{}", dir.output("a", "")));
    until("a flush writes", || {
        work.commands.try_send(AgentCommand::Flush).ok();
        count(&dir.path("a"), "mem") == 1
    })
    .await;
    assert_eq!(work.stop().await.lost(), 0);
}

#[tokio::test]
async fn inputs_that_did_not_change_keep_their_times() {
    let dir = Dir::new();
    let output = dir.output("a", "metric_batch_size = 1");
    let work = AtWork::start(&format!("{AGENT}{MEM}{SWAP}{output}"));
    until("the first gathers", || lines(&dir.path("a")).len() == 2).await;
    let changed = SWAP.replace("total", "used");
    work.reload(&format!("{AGENT}# moved\n{changed}\n{MEM}{output}[[inputs.kernel]]\n")).await;
    until("the changed and the new input gather", || {
        count(&dir.path("a"), "swap") == 2 && count(&dir.path("a"), "kernel") == 1
    })
    .await;
    // Without the changed one, and with other global tags, which concern all inputs.
    work.reload(&format!("{AGENT}[global_tags]\nx = 'y'\n{MEM}{output}")).await;
    until("other tags start it anew", || lines(&dir.path("a")).iter().any(|l| l.starts_with("mem,x=y ")))
        .await;
    let report = work.stop().await;
    assert_eq!(report.lost(), 0);
    assert_eq!(count(&dir.path("a"), "mem"), 2, "once before all reloads, once with other tags");
}

#[tokio::test]
async fn a_changed_output_takes_over_what_its_predecessor_could_not_send() {
    let dir = Dir::new();
    let work =
        AtWork::start(&format!("{AGENT}{MEM}{SWAP}{}", dir.output("absent/a", "metric_batch_size = 1")));
    tokio::time::sleep(Duration::from_millis(300)).await;
    work.reload(&format!("{AGENT}{MEM}{SWAP}{}", dir.output("b", ""))).await;
    until("the successor writes it at once", || lines(&dir.path("b")).len() == 2).await;
    let report = work.stop().await;
    assert_eq!((report.outputs.len(), report.lost(), report.gathered), (1, 0, 2));
}

#[tokio::test]
async fn a_change_from_memory_to_disk_hands_the_metrics_over() {
    let dir = Dir::new();
    let failing = dir.output("absent/a", "metric_batch_size = 1");
    let work = AtWork::start(&format!("{AGENT}{MEM}{SWAP}{failing}"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let on_disk = format!(
        "{failing}buffer_strategy = 'disk'\nbuffer_directory = '{}'\n",
        dir.path("buffers").display()
    );
    work.reload(&format!("{AGENT}{MEM}{SWAP}{on_disk}")).await;
    until("the buffer is made", || dir.path("buffers").exists()).await;
    let report = work.stop().await;
    let kept: u64 = report.outputs.iter().map(|(_, totals)| totals.kept).sum();
    assert_eq!(kept, 2, "they wait on disk: {report:?}");
    // And are there for the next agent.
    std::fs::create_dir(dir.path("absent")).expect("created");
    let agent = Agent::new(config(&format!("{AGENT}{MEM}{on_disk}"))).expect("inputs");
    let report = agent.once().await.expect("ran");
    assert_eq!((report.lost(), lines(&dir.path("absent/a")).len()), (0, 3));
}

#[tokio::test]
async fn an_output_taken_out_flushes_and_one_put_in_starts() {
    let dir = Dir::new();
    let (a, b) = (dir.output("a", "alias = 'a'"), dir.output("b", "alias = 'b'\nmetric_batch_size = 1"));
    let work = AtWork::start(&format!("{AGENT}{MEM}{a}"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    work.reload(&format!("{AGENT}{MEM}{SWAP}{b}")).await;
    until("the last flush of the one, the first write of the other", || {
        count(&dir.path("a"), "mem") == 1 && count(&dir.path("b"), "swap") == 1
    })
    .await;
    assert_eq!((count(&dir.path("a"), "swap"), count(&dir.path("b"), "mem")), (0, 0));
    assert_eq!(work.stop().await.outputs.len(), 2);
}

#[tokio::test]
async fn a_configuration_without_outputs_is_refused_and_the_old_one_goes_on() {
    let dir = Dir::new();
    let work = AtWork::start(&format!("{AGENT}{MEM}{}", dir.output("a", "")));
    work.reload(&format!("{AGENT}{MEM}{SWAP}")).await;
    until("it still works", || {
        work.commands.try_send(AgentCommand::Flush).ok();
        count(&dir.path("a"), "mem") == 1
    })
    .await;
    assert_eq!(work.stop().await.gathered, 1);
}

#[tokio::test]
async fn processors_and_aggregators_come_change_and_go() {
    let dir = Dir::new();
    let output = dir.output("a", "metric_batch_size = 1");
    let window = "[[aggregators.minmax]]\nperiod = '1h'\ngrace = '2s'\nnamepass = ['mem']\n";
    let rename = |to: &str| {
        format!(
            "[[processors.rename]]\n[[processors.rename.replace]]\nmeasurement = 'kernel'\ndest = '{to}'\n"
        )
    };
    let work = AtWork::start(&format!("{AGENT}{MEM}{output}"));
    until("the first gather", || count(&dir.path("a"), "mem") == 1).await;
    work.reload(&format!("{AGENT}{MEM}{output}{window}[[inputs.kernel]]\n{}", rename("one"))).await;
    until("a processor comes", || count(&dir.path("a"), "one") == 1).await;
    work.reload(&format!(
        "{AGENT}{MEM}{output}{window}[[inputs.kernel]]\ninterval = '2h'\n{}",
        rename("two")
    ))
    .await;
    until("it changes", || count(&dir.path("a"), "two") == 1).await;
    // The aggregator has seen nothing yet: `mem` was gathered before it came.
    let again = MEM.replace("total", "free");
    work.reload(&format!("{AGENT}{again}{output}{window}")).await;
    until("it gathers anew", || count(&dir.path("a"), "mem") == 2).await;
    work.reload(&format!("{AGENT}{again}{output}")).await;
    until("the window is closed as it goes", || count(&dir.path("a"), "mem") == 3).await;
    assert!(lines(&dir.path("a"))[4].starts_with("mem free_m"), "{:?}", lines(&dir.path("a")));
    assert_eq!(work.stop().await.lost(), 0);
}
