//! `meta.watch`: the catalogue for those who follow it. It is encoded once for all of them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_rpc::{Call, Failure, FailureKind, Handler, Reply};
use tokio::time::Instant;

use super::{Inner, Leadership, MetaNode, closed};
use crate::{
    data_calls::{Watch, Watched},
    machine::Seen,
};

/// Nobody is kept waiting longer, whatever was asked for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The latest catalogue that somebody asked for, as JSON.
#[derive(Debug, Default)]
pub(super) struct Frozen(Mutex<Option<(u64, Bytes)>>);

impl Frozen {
    fn of(&self, seen: &Seen) -> Result<Bytes, Failure> {
        let mut frozen = self.0.lock();
        if let Some((index, bytes)) = &*frozen
            && *index == seen.index
        {
            return Ok(bytes.clone());
        }
        let bytes: Bytes = serde_json::to_vec(&*seen.catalogue).map_err(Failure::internal)?.into();
        *frozen = Some((seen.index, bytes.clone()));
        Ok(bytes)
    }
}

pub(super) struct WatchHandler(pub(super) std::sync::Weak<Inner>);

#[async_trait]
impl Handler for WatchHandler {
    async fn answer(&self, call: Call) -> Result<Reply, Failure> {
        let question: Watch = serde_json::from_slice(&call.head).map_err(|error| {
            Failure::new(FailureKind::Invalid, format!("the head of meta.watch cannot be read: {error}"))
        })?;
        let inner: Arc<Inner> = self.0.upgrade().ok_or_else(closed)?;
        MetaNode { inner }.watch(&question).await
    }
}

impl MetaNode {
    /// Waits until the catalogue has gone beyond an index, or in vain.
    pub(crate) async fn beyond(&self, index: u64, wait: Duration) {
        let machine = self.running().machine;
        // In vain is an answer too.
        drop(tokio::time::timeout(wait.min(WAIT_MAX), machine.beyond(index)).await);
    }

    async fn watch(&self, question: &Watch) -> Result<Reply, Failure> {
        let asked = Instant::now();
        self.beyond(question.index, Duration::from_millis(question.wait_ms)).await;
        // The age is that of what was seen before it was looked at, so that it is never told too young.
        let waited = asked.elapsed();
        let age = self.age();
        let seen = self.seen();
        let head = Watched {
            index: seen.index,
            term: seen.applied.map_or(0, |id| id.leader_id.term),
            leader: match self.leadership() {
                Leadership::Mine => self.inner.settings.http_addr.clone(),
                Leadership::Other(_, member) => member.http_addr,
                Leadership::Unknown => String::new(),
            },
            // Rounded so that nothing looks younger than it is.
            age_ms: age.map(|age| age.as_millis() as u64 + 1),
            waited_ms: waited.as_millis() as u64,
            catalogue: None,
        };
        let mut head = serde_json::to_vec(&head).map_err(Failure::internal)?;
        if seen.index > question.index {
            let catalogue = self.inner.frozen.of(&seen)?;
            splice(&mut head, &catalogue);
        }
        Ok(Reply { head: head.into(), body: Bytes::new() })
    }
}

/// Puts the encoded catalogue in the place of the `null` that a head without one ends with.
fn splice(head: &mut Vec<u8>, catalogue: &[u8]) {
    const EMPTY: &[u8] = b"null}";
    assert!(head.ends_with(EMPTY), "the catalogue is the last field of the answer");
    head.truncate(head.len() - EMPTY.len());
    head.reserve(catalogue.len() + 1);
    head.extend_from_slice(catalogue);
    head.push(b'}');
}
