//! Whole clusters in one thread and virtual time, with every fault a seed can think of.
//!
//! ```text
//! World ─┬─ Node: a runtime of its own, dropped with every task when the node crashes
//!        │    ├─ Program      what runs there; boots with a Machine and answers calls with a Router
//!        │    ├─ SimNetwork   carries calls: delayed, lost, doubled, out of order, cut one way or both
//!        │    ├─ SimWall      a wall clock that is wrong, and jumps
//!        │    └─ SimDisk      a disk that loses power, fills up, fails
//!        ├─ Script            which faults strike when, drawn from the seed
//!        └─ Trace             what happened, and a hash of it: one seed, one history
//! ```
//!
//! Every node's runtime has a paused clock of its own. The world takes all of them forward together in steps no longer
//! than the shortest delay of a message, so that nothing can arrive in a node's past. A [`Scenario`] builds a world,
//! lets it run and judges it; [`check`] does so for many seeds, takes needless faults out of the script of one that
//! fails, and tells what is left:
//!
//! ```text
//! SIM_SEED=7 SIM_RUNS=1 cargo test -p skywatch-simulation NAME    one seed again
//! SIM_RUNS=10000 cargo test -p skywatch-simulation NAME           a night's worth
//! ```

pub mod catalogue;
pub mod client;
pub mod data_cluster;
pub mod data_node;
pub mod invariants;
pub mod ledger;
pub mod meta_cluster;
pub mod outage;
pub mod raft_disk;

mod clock;
mod disk;
mod entropy;
mod faults;
mod log_weather;
mod network;
mod node;
mod random;
mod runner;
mod time;
mod trace;
mod world;

#[cfg(test)]
mod register;

pub use clock::SimWall;
pub use disk::{DiskPlan, SimDisk};
pub use entropy::seed_this_thread;
pub use faults::{Fault, Menu, Planned, draw};
pub use network::{Host, Interceptor, SimNetwork, SimTransport, Weather};
pub use node::{Machine, Program};
pub use random::{Random, stream};
pub use runner::{Found, Outcome, Plan, Scenario, Summary, Violation, check, find, run_one};
pub use time::SimTime;
pub use trace::Trace;
pub use world::{Spec, World};
