//! What a meta node is told when it starts.

use std::time::Duration;

/// How often members hear of the leader, and how long they wait before they elect another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The leader shows itself this often.
    pub heartbeat: Duration,
    /// A leader that was not heard of for twice this is replaced; a leader that no majority has answered for this long
    /// does not answer for it any more.
    pub election: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat: Duration::from_millis(200), election: Duration::from_secs(1) }
    }
}

/// What a meta node is told when it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` at which data nodes, operators and other meta nodes reach its HTTP API.
    pub http_addr: String,
    /// `host:port` at which other meta nodes reach its Raft.
    pub raft_addr: String,
    /// Whether somebody said what this host is called; if not, its addresses say `localhost`, which is no address for
    /// other hosts.
    pub is_named: bool,
    /// Whether the HTTP API speaks TLS.
    pub https: bool,
    /// Make a cluster of one at the first start, without being asked.
    pub single_server: bool,
    /// See [`Timing`].
    pub timing: Timing,
    /// After so many changes a snapshot is taken, and the log before the one before it goes.
    pub snapshot_after: u64,
    /// How often it tells another meta node whom it heard of.
    pub gossip_every: Duration,
    /// How long somebody who announced itself counts as heard of.
    pub announcement_lasts: Duration,
    /// Whether databases that are created without a policy begin with `autogen`; the leader's word counts.
    pub autogen: bool,
    /// How long a lease that is asked for over HTTP lasts.
    pub lease_lasts: Duration,
    /// The release that runs here.
    pub version: String,
    /// What numbers are drawn from.
    pub seed: u64,
}

impl Settings {
    /// The defaults, at these addresses.
    pub fn new(http_addr: impl Into<String>, raft_addr: impl Into<String>, seed: u64) -> Self {
        Self {
            http_addr: http_addr.into(),
            raft_addr: raft_addr.into(),
            is_named: true,
            https: false,
            single_server: false,
            timing: Timing::default(),
            snapshot_after: 1_000,
            gossip_every: Duration::from_secs(5),
            announcement_lasts: Duration::from_secs(30),
            autogen: true,
            lease_lasts: Duration::from_secs(60),
            version: env!("CARGO_PKG_VERSION").into(),
            seed,
        }
    }

    pub(crate) fn raft(&self) -> openraft::Config {
        let millis = |duration: Duration| duration.as_millis().try_into().unwrap_or(u64::MAX);
        openraft::Config {
            cluster_name: "skywatch".into(),
            heartbeat_interval: millis(self.timing.heartbeat),
            election_timeout_min: millis(self.timing.election / 2),
            election_timeout_max: millis(self.timing.election),
            install_snapshot_timeout: 5_000,
            max_payload_entries: 128,
            snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(self.snapshot_after),
            snapshot_max_chunk_size: 1 << 20,
            // Enough to go on from the snapshot before the latest.
            max_in_snapshot_log_to_keep: self.snapshot_after * 2,
            replication_lag_threshold: self.snapshot_after * 2,
            purge_batch_size: 64,
            ..openraft::Config::default()
        }
    }

    /// The longest between two looks that Raft takes at its timers.
    pub(crate) fn tick(&self) -> Duration {
        self.timing.heartbeat * 3 / 2
    }
}
