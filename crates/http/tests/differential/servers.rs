//! The two servers, each with a directory and ports of its own.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use skywatch_cluster::{Node, NodeConfig};
use skywatch_http::{HttpConfig, Server};
use skywatch_query::Limits;
use skywatch_storage::{CardinalityLimits, Durability, MemoryBudget};
use tokio::sync::oneshot;

/// InfluxDB itself; killed when dropped.
pub(crate) struct Influxd {
    pub address: SocketAddr,
    process: Child,
    _dir: tempfile::TempDir,
}

impl Influxd {
    /// Starts it; it must be installed.
    pub(crate) fn start() -> Self {
        let program = "/usr/bin/influxd";
        let dir = tempfile::tempdir().unwrap();
        let (address, rpc) = (free_address(), free_address());
        let root = dir.path().display();
        let config = format!(
            "reporting-disabled = true\nbind-address = \"{rpc}\"\n[meta]\ndir = \"{root}/meta\"\n\
             [data]\ndir = \"{root}/data\"\nwal-dir = \"{root}/wal\"\n[monitor]\nstore-enabled = false\n\
             [http]\nbind-address = \"{address}\"\nlog-enabled = false\n"
        );
        let file = dir.path().join("influxdb.conf");
        std::fs::write(&file, config).unwrap();
        let process = Command::new(program)
            .arg("-config")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { address, process, _dir: dir };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "influxd does not answer");
            thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

impl Drop for Influxd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A whole node on a thread of its own; stopped when dropped.
pub(crate) struct Skywatch {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Skywatch {
    pub(crate) fn start() -> Self {
        let (tell_address, told_address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let dir = tempfile::tempdir().unwrap();
            let node = Node::open(NodeConfig {
                data_dir: dir.path().to_owned(),
                durability: Durability::None,
                memory: Arc::new(MemoryBudget::new(1 << 30)),
                cardinality: CardinalityLimits::default(),
                limits: Limits::default(),
                autogen: true,
                upkeep: skywatch_cluster::UpkeepSettings::default(),
                monitor: Arc::default(),
            })
            .unwrap();
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let config = HttpConfig { bind: "127.0.0.1:0".to_owned(), ..HttpConfig::default() };
                let server = Server::bind(config).await.unwrap();
                tell_address.send(server.local_addr()).unwrap();
                server.serve(Arc::clone(&node) as Arc<_>, async { drop(stopped.await) }).await;
            });
            node.close();
        });
        Self { address: told_address.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Skywatch {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
