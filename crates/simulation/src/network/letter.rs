//! Requests and answers while they travel, and where an answer ends up.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use skywatch_rpc::{Call, CallError, Reply, Router};
use tokio::sync::oneshot;

use super::{Host, SimNetwork};
use crate::random::{FNV_START, fnv1a};

/// When an answer arrives, and which.
pub(super) type Arrival = (Duration, Result<Reply, CallError>);

/// Where the caller waits. What comes first fills it.
pub(super) type Slot = Arc<Mutex<Option<oneshot::Sender<Arrival>>>>;

/// The caller gets an answer, unless it has one or gave up.
pub(super) fn fill(slot: &Slot, at: Duration, result: Result<Reply, CallError>) {
    if let Some(sender) = slot.lock().take() {
        // Whoever gave up has dropped the other end, and needs no answer.
        drop(sender.send((at, result)));
    }
}

/// The two ends of a call and what it is told apart by.
#[derive(Clone)]
pub(crate) struct Line {
    pub(super) caller: Host,
    pub(super) callee: Host,
    /// At which the caller knows the callee.
    pub(super) address: String,
    pub(super) slot: Slot,
    pub(super) id: u64,
}

/// A message on its way.
pub(crate) enum Letter {
    Request { line: Line, call: Call },
    Answer { line: Line, result: Result<Reply, CallError> },
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { line, call } => {
                let content = fingerprint(&call.head, &call.body);
                write!(
                    f,
                    "{} -> {}  {} #{} {content:08x}",
                    line.caller.0, line.callee.0, call.method, line.id
                )
            }
            Self::Answer { line, result } => {
                write!(f, "{} <= {}  #{} ", line.caller.0, line.callee.0, line.id)?;
                match result {
                    Ok(reply) => write!(f, "{:08x}", fingerprint(&reply.head, &reply.body)),
                    Err(error) => write!(f, "{error}"),
                }
            }
        }
    }
}

fn fingerprint(head: &[u8], body: &[u8]) -> u32 {
    fnv1a(fnv1a(FNV_START, head), body) as u32
}

/// A request that has arrived, for the node to answer in a task of its own.
pub(crate) struct Delivery {
    pub(super) at: Duration,
    pub(super) router: Router,
    pub(super) call: Call,
    pub(super) owed: Owed,
}

impl Delivery {
    /// Whose node answers.
    pub(crate) const fn host(&self) -> Host {
        self.owed.host
    }

    /// What the node's task does.
    pub(crate) async fn carry_out(self) {
        let Self { at, router, call, owed } = self;
        owed.network.time.sleep_until(at).await;
        let result = router.answer(call).await;
        if let Some(line) = owed.network.settle(owed.host, owed.number) {
            let result = result.map_err(|failure| CallError::Failed { to: line.address.clone(), failure });
            owed.network.post_answer(&line, &result);
        }
    }
}

/// An answer owed to a caller, who may notice if it is never given.
pub(super) struct Owed {
    pub(super) network: SimNetwork,
    pub(super) host: Host,
    pub(super) number: u64,
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(line) = self.network.settle(self.host, self.number) {
            self.network.broke(&line);
        }
    }
}
