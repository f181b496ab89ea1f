//! Continuous queries: when they run, over which time, and the thread that runs them.
//!
//! ```text
//!   text of the catalogue -> Definition -> Schedule --(last run, now)--> Window -> SELECT ... INTO, bounded
//!                                             \___________ Planner ___________/          Service
//! ```
//!
//! [`Planner`] is pure: it is told the queries and the time, and says what is to run. [`Service`] asks it once an
//! interval, and runs one query after the other through its [`Host`], which also says whether this node may run any:
//! among many nodes exactly one does.

mod definition;
mod planner;
mod schedule;
mod service;

pub use definition::{Definition, DefinitionError};
pub use planner::{ContinuousQuery, PlannedRun, Planner, Refused, TAKEN_FOR_RUN};
pub use schedule::{Decision, Schedule, Window};
pub use service::{Host, RunError, Runner, Service, ServiceConfig};
