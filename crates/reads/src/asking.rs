//! Asking the owners of a shard, one after the other, until one has answered.
//!
//! ```text
//!   first owner    |---- no answer within `hedge` ----------------- ... given up after `patience`
//!   next owner                                   |---- answers: taken
//! ```

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use skywatch_meta::NodeId;
use skywatch_query::Reading;
use skywatch_rpc::{CallError, FailureKind, Transport, ask};
use skywatch_storage::ReadError;
use tokio::{runtime::Handle, time::Instant};

use crate::{Remembered, promise::Promise};

/// How long other nodes are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// One call to one node.
    pub call: Duration,
    /// Before another owner is asked as well.
    pub hedge: Duration,
    /// How long a node that did not answer is asked last.
    pub absence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { call: Duration::from_secs(10), hedge: Duration::from_secs(1), absence: Duration::from_secs(5) }
    }
}

/// Nodes that did not answer lately, shared by all queries of a node.
#[derive(Debug, Default)]
pub struct Unreachable(Mutex<BTreeMap<NodeId, Instant>>);

impl Unreachable {
    /// Whether a node did not answer lately.
    pub fn has(&self, node: NodeId) -> bool {
        self.0.lock().get(&node).is_some_and(|until| Instant::now() < *until)
    }

    fn note(&self, node: NodeId, until: Instant) {
        self.0.lock().insert(node, until);
    }

    fn forget(&self, node: NodeId) {
        self.0.lock().remove(&node);
    }
}

/// Owners of a shard whose copies turned out damaged while a query read them, and in which words they said so. They are not asked
/// again. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Damaged(Arc<Mutex<BTreeMap<NodeId, String>>>);

impl Damaged {
    fn has(&self, node: NodeId) -> bool {
        self.0.lock().contains_key(&node)
    }

    fn note(&self, node: NodeId, refusal: &str) {
        self.0.lock().entry(node).or_insert_with(|| refusal.to_owned());
    }

    fn refusals(&self) -> Vec<String> {
        self.0.lock().values().cloned().collect()
    }
}

/// How the owners of one shard are asked on behalf of one query. Blocks: for threads of queries only.
#[derive(Clone)]
pub struct Asking {
    /// Where calls run.
    pub runtime: Handle,
    /// Carries them.
    pub transport: Arc<dyn Transport>,
    /// Who did not answer lately.
    pub unreachable: Arc<Unreachable>,
    /// Series that were told of before.
    pub remembered: Arc<Remembered>,
    /// How long to wait.
    pub patience: Patience,
    /// Stops the query, tells whether it takes less than everything, and counts what is asked for.
    pub reading: Reading,
    /// The shard.
    pub shard: u64,
    /// Its owners that may answer, and their addresses.
    pub owners: Vec<(NodeId, String)>,
    /// Which of them cannot.
    pub damaged: Damaged,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("shard", &self.shard)
            .field("owners", &self.owners)
            .finish_non_exhaustive()
    }
}

/// How often a waiting query looks whether it has been stopped.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Asking {
    /// Asks for something, and has the answer's body read; the first owner with an answer that can be read counts.
    pub(crate) fn ask<Q, A, T>(
        &self,
        method: &'static str,
        question: &Q,
        body: &Bytes,
        read: &(dyn Fn(A, Bytes) -> Result<T, String> + Sync),
    ) -> Result<T, ReadError>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        self.runtime.block_on(self.answer(method, question, body, read))
    }

    /// As [`Self::ask`]; the answer is waited for when it is needed.
    pub(crate) fn begin<Q, A, T>(
        &self,
        method: &'static str,
        question: Q,
        body: Bytes,
        read: impl Fn(A, Bytes) -> Result<T, String> + Send + Sync + 'static,
    ) -> Promise<T>
    where
        Q: Serialize + Send + Sync + 'static,
        A: DeserializeOwned + Send,
        T: Send + 'static,
    {
        let asking = self.clone();
        Promise::new(|keeper| {
            let task = async move { keeper.keep(asking.answer(method, &question, &body, &read).await) };
            self.runtime.spawn(task).abort_handle()
        })
    }

    /// The first answer that can be read, unless the query is stopped before.
    pub(crate) async fn answer<Q, A, T>(
        &self,
        method: &'static str,
        question: &Q,
        body: &Bytes,
        read: &(dyn Fn(A, Bytes) -> Result<T, String> + Sync),
    ) -> Result<T, ReadError>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        tokio::select! {
            answer = self.first(method, question, body, read) => answer,
            () = self.stopped() => Err(ReadError::Stopped),
        }
    }

    async fn stopped(&self) {
        while self.reading.cancel.check().is_ok() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn first<Q, A, T>(
        &self,
        method: &'static str,
        question: &Q,
        body: &Bytes,
        read: &(dyn Fn(A, Bytes) -> Result<T, String> + Sync),
    ) -> Result<T, ReadError>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        let mut owners = self.owners.clone();
        owners.retain(|(node, _)| !self.damaged.has(*node));
        owners.sort_by_key(|(node, _)| self.unreachable.has(*node));
        let mut waiting = owners.iter();
        let mut asked = FuturesUnordered::new();
        let mut reasons: Vec<String> = Vec::new();
        let mut since: Vec<(NodeId, Instant)> = Vec::new();
        loop {
            if asked.is_empty() {
                let Some(next) = waiting.next() else { return Err(self.nobody(&reasons)) };
                since.push((next.0, Instant::now()));
                asked.push(self.one(next, method, question, body));
            }
            let hedge = tokio::time::sleep(self.patience.hedge);
            let answered = tokio::select! {
                answered = asked.next() => answered,
                () = hedge => {
                    if let Some(next) = waiting.next() {
                        since.push((next.0, Instant::now()));
                        asked.push(self.one(next, method, question, body));
                    }
                    None
                }
            };
            let Some((node, answer)) = answered else { continue };
            since.retain(|(asked, _)| *asked != node);
            let refusal = match answer {
                Ok((head, body)) => match read(head, body) {
                    Ok(answer) => {
                        // Who was too slow for this call is asked last by the next ones.
                        for (slow, _) in since.iter().filter(|(_, at)| at.elapsed() >= self.patience.hedge) {
                            self.unreachable.note(*slow, Instant::now() + self.patience.absence);
                        }
                        return Ok(answer);
                    }
                    Err(reason) => format!("node {} answered what cannot be read: {reason}", node.0),
                },
                Err(error) => {
                    let refusal = format!("node {}: {error}", node.0);
                    if error.failure().is_some_and(|failure| failure.kind == FailureKind::Damaged) {
                        self.damaged.note(node, &refusal);
                    }
                    refusal
                }
            };
            reasons.push(refusal);
        }
    }

    async fn one<Q, A>(
        &self,
        (node, addr): &(NodeId, String),
        method: &'static str,
        question: &Q,
        body: &Bytes,
    ) -> (NodeId, Result<(A, Bytes), CallError>)
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
    {
        let began = Instant::now();
        let answer = ask(&*self.transport, addr, method, question, body.clone(), self.patience.call).await;
        let bytes = answer.as_ref().ok().map(|(_, body): &(A, Bytes)| body.len() as u64);
        self.reading.remote.note(self.shard, node.0, began.elapsed(), bytes);
        match &answer {
            Err(error) if error.is_absence() => {
                self.unreachable.note(*node, Instant::now() + self.patience.absence);
            }
            _ => self.unreachable.forget(*node),
        }
        (*node, answer)
    }

    fn nobody(&self, reasons: &[String]) -> ReadError {
        // Also who was not asked any more, or has said since that it does not hold everything.
        let mut all = self.damaged.refusals();
        all.retain(|refusal| !reasons.contains(refusal));
        all.extend_from_slice(reasons);
        ReadError::Unreachable {
            shard: self.shard,
            reason: if all.is_empty() { "no node owns it".to_owned() } else { all.join("; ") },
            advice: "ask again when a node that holds all of it is back".to_owned(),
        }
    }
}
