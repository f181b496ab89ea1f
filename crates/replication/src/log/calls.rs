//! What data nodes tell each other about the log: how far each has applied it, and what each has acknowledged.

use serde::{Deserialize, Serialize};

/// Asks a node how far it is.
pub(super) const POSITIONS: &str = "log.positions";
/// Asks a node to answer once it has applied some records.
pub(super) const REACH: &str = "log.reach";

/// Head of [`POSITIONS`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PositionsQuestion {}

/// Answer to [`POSITIONS`], and what is shown of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LagAnswer {
    /// The log's name.
    pub log: String,
    /// By partition, the first place behind everything that this node has acknowledged to clients. Missing while it cannot
    /// tell what it had acknowledged before it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Vec<(u32, u64)>>,
    /// The partitions that it reads.
    pub partitions: Vec<PartitionLag>,
    /// Records that were set aside since the start.
    pub set_aside: u64,
    /// Why the log cannot be reached, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
}

/// How far a node has applied a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionLag {
    /// Which.
    pub partition: u32,
    /// The first record that it has not applied.
    pub applied: u64,
    /// The first place behind the last record, as far as it has heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// Records between the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// For how long the oldest of these has waited, about; 0 if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Everything that had been acknowledged so long ago is applied; missing if that is not known of any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_ms: Option<u64>,
    /// Whether queries may be answered from it.
    pub fresh: bool,
    /// One word: `fresh`, `behind` (it catches up), `silent` (nothing is heard of the log's end), `stuck`.
    pub state: String,
    /// Why it does not go on, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl PartitionLag {
    /// With the word that says the rest.
    #[must_use]
    pub(super) fn described(self) -> Self {
        let state = match (self.fresh, &self.trouble, self.lag) {
            (true, ..) => "fresh",
            (false, Some(_), _) => "stuck",
            (false, None, Some(1..)) => "behind",
            (false, None, _) => "silent",
        };
        Self { state: state.to_owned(), ..self }
    }
}

/// Head of [`REACH`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReachQuestion {
    /// Partition and offset of the last record of each.
    pub(super) positions: Vec<(u32, u64)>,
    pub(super) within_ms: u64,
}

/// Answer to [`REACH`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReachAnswer {
    pub(super) reached: bool,
}
