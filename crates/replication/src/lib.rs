//! Copies of what is written: how owners of a shard get and keep the same cells.
//!
//! ```text
//! client ── Coordinator ─┬─ Owner (this node) ── shard
//!                        ├─ call ── Owner (another) ── shard
//!                        └─ Hints (another that is behind) ··· Handoff ··· Owner
//! ```
//!
//! What travels and waits are [`operation`]s. Since each carries its version, an owner may get them in any order, and
//! again. Who lacks some is written in the catalogue ([`Standing`]) before a client is told that they are stored.
//!
//! All of it runs in one thread under virtual time where a simulation wants that: timers are tokio's, clocks, disks and
//! networks are handed in.

mod assurance;
pub mod calls;
mod catalogues;
mod clocks;
mod coordinator;
pub mod copy;
pub mod entropy;
mod floors;
mod follower;
mod handoff;
mod heartbeat;
pub mod hints;
mod leases;
pub mod listing;
pub mod log;
mod member;
mod now;
mod offload;
pub mod operation;
mod owner;
mod place;
mod rate;
mod restore;
pub mod seat;
mod silence;
mod standing;

pub use catalogues::{Catalogues, ExecuteError};
pub use coordinator::{Consistency, Coordinator, InvalidConsistency, Outcome, Owners, Part};
pub use copy::{Copies, CopyStatus};
pub use entropy::{Doubts, Entropy, EntropySettings, EntropyStats};
pub use floors::Pending;
pub use follower::{Follower, KnownCatalogue};
pub use handoff::{GapFiller, Handoff};
pub use leases::{LEASE_DURATION, LeaseHolder};
pub use member::{ForgetSettings, Greeting, Member, MemberSettings, Parts};
pub use offload::offload;
pub use owner::{Admission, ApplyError, NoLimits, Owner, Report};
pub use restore::restore_copies;
pub use standing::Standing;
