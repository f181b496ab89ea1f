//! A meta node: hosts the catalogue on Raft and answers for it.
//!
//! [`MetaNode`] is the node. Below it [`Store`] keeps Raft's log, vote and snapshots on a [`Disk`], and the catalogue is
//! the state machine. [`data_calls`] is what data nodes ask it; what it asks them is in `skywatch_replication`.

pub mod data_calls;

mod announcements;
mod disk;
mod freshness;
mod http;
mod machine;
mod network;
mod node;
mod raft_types;
mod recovery;
mod runtime;
mod settings;
mod store;
mod succession;

pub use announcements::Announcement;
pub use data_calls::Watched;
pub use disk::{Directory, Disk, Memory};
pub use http::{Authority, Identified, Login, Passwords, Refusal};
pub use node::{ExecuteError, MembershipError, MetaNode, NUMBER_MAX, StartError, Transports};
pub use raft_types::{Member, Outcome, Types};
pub use recovery::{INDEX_LEAP, RecoveryError, Remains, begin_anew, remains};
pub use runtime::SteadyRuntime;
pub use settings::{Settings, Timing};
pub use store::{Store, StoreError};
