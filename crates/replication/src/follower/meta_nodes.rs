//! Which meta node is asked, and when another one is asked besides it: one that is frozen or cut off says nothing, and nobody should
//! have to wait until that is certain.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::{Mutex, RwLock};
use serde::{Serialize, de::DeserializeOwned};
use skywatch_rpc::{CallError, FailureKind, Transport, tell};
use tokio::time::{Instant, sleep_until};

use crate::catalogues::ExecuteError;

/// How long one meta node has to carry out a command.
const TRY: Duration = Duration::from_millis(2_500);
/// How long all of them together have.
const LIMIT: Duration = Duration::from_secs(6);
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(150);
/// One that has not answered for so long is not the only one that is asked.
const HEDGE: Duration = Duration::from_millis(250);

/// Whether a question may reach several meta nodes, and each of them at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It has the same effect once and several times: who does not answer soon is not waited for.
    Harmless,
    /// Only when the one that was asked has failed, or has had its time.
    Unwanted,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct MetaNodes {
    transport: Arc<dyn Transport>,
    /// HTTP addresses: those of the catalogue, and until it has some those that were given.
    addresses: RwLock<Vec<String>>,
    /// The one that answered last.
    favourite: AtomicUsize,
    /// When each answered last, whatever it said.
    answered: Mutex<BTreeMap<String, Instant>>,
}

impl MetaNodes {
    pub(super) fn new(transport: Arc<dyn Transport>, addresses: Vec<String>) -> Self {
        Self {
            transport,
            addresses: RwLock::new(addresses),
            favourite: AtomicUsize::new(0),
            answered: Mutex::default(),
        }
    }

    /// All of them, in the catalogue's order.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.addresses.read().clone()
    }

    /// Asks these from now on.
    pub(super) fn use_addresses(&self, addresses: Vec<String>) {
        if addresses != *self.addresses.read() {
            self.answered.lock().retain(|address, _| addresses.contains(address));
            *self.addresses.write() = addresses;
        }
    }

    /// All of them, the one that answered last first.
    pub(super) fn by_favour(&self) -> Vec<(usize, String)> {
        let known = self.addresses.read();
        let first = self.favourite.load(Ordering::Relaxed);
        let mut addresses: Vec<(usize, String)> = known.iter().cloned().enumerate().collect();
        if !addresses.is_empty() {
            let first = first % addresses.len();
            addresses.rotate_left(first);
        }
        addresses
    }

    /// This one is asked first from now on.
    pub(super) fn prefer(&self, place: usize) {
        self.favourite.store(place, Ordering::Relaxed);
    }

    /// Whether more than half of them have answered lately.
    pub(super) fn most_answered(&self, within: Duration) -> bool {
        let count = self.addresses.read().len();
        let answered = self.answered.lock().values().filter(|at| at.elapsed() < within).count();
        answered * 2 > count
    }

    /// Asks one of them.
    pub(super) async fn tell<Q, A>(
        &self,
        address: &str,
        method: &'static str,
        question: &Q,
        within: Duration,
    ) -> Result<A, CallError>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        let answer = tell(&*self.transport, address, method, question, within).await;
        if answer.as_ref().map_or_else(|error| !error.is_absence(), |_| true) {
            self.answered.lock().insert(address.to_owned(), Instant::now());
        }
        answer
    }

    /// Asks until one has an answer.
    pub(super) async fn ask<Q, A>(
        &self,
        method: &'static str,
        question: &Q,
        repeat: Repeat,
    ) -> Result<A, ExecuteError>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        let deadline = Instant::now() + LIMIT;
        let mut problem = "no meta node is known".to_owned();
        let mut waiting = VecDeque::new();
        let mut asked = BTreeSet::new();
        let mut under_way = FuturesUnordered::new();
        let mut next = Instant::now();
        loop {
            let may_ask = next < deadline && (repeat == Repeat::Harmless || under_way.is_empty());
            tokio::select! {
                biased;
                Some((place, address, answer)) = under_way.next(), if !under_way.is_empty() => match answer {
                    Ok(answer) => {
                        self.prefer(place);
                        return Ok(answer);
                    }
                    Err(CallError::Failed { failure, .. }) if failure.kind == FailureKind::Invalid => {
                        return Err(ExecuteError::Unavailable(failure.text));
                    }
                    Err(error) => {
                        problem = error.to_string();
                        asked.remove(&address);
                        next = Instant::now() + if waiting.is_empty() { PAUSE } else { Duration::ZERO };
                    }
                },
                () = sleep_until(next), if may_ask => {
                    if waiting.is_empty() {
                        waiting.extend(self.by_favour());
                        waiting.retain(|(_, address)| !asked.contains(address));
                    }
                    if let Some((place, address)) = waiting.pop_front() {
                        let within = deadline.saturating_duration_since(Instant::now()).min(TRY);
                        asked.insert(address.clone());
                        under_way.push(async move {
                            let answer = self.tell(&address, method, question, within).await;
                            (place, address, answer)
                        });
                    }
                    next = Instant::now() + HEDGE;
                }
                () = sleep_until(deadline) => return Err(ExecuteError::Unavailable(problem)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
