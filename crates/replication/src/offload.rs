//! Blocking work inside asynchronous code.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does work that blocks, as storage does. On a runtime with several threads the others go on meanwhile; on one with a
/// single thread, as in a simulation, everything waits, so that one seed gives one history.
pub fn offload<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
