//! Asks the brokers what the matter is, while something is: of which [`super::breaker`] makes what becomes of records.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rdkafka::metadata::MetadataPartition;

use super::breaker::{Cause, Told};
use super::delivery::Shared;
use crate::topic::Admin;

/// How often it is looked whether anything is the matter.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the brokers may take to say something; and the pause before they are asked again.
const ANSWER_MAX: Duration = Duration::from_secs(1);
const ASK_EVERY: Duration = Duration::from_millis(250);

/// What is asked about, and whom.
#[derive(Clone)]
pub(crate) struct Inquiry {
    /// A client of its own: on a connection that carries records an answer waits behind theirs, which a broker gives when
    /// replicas have them.
    pub(crate) admin: Admin,
    pub(crate) topic: String,
    /// How many replicas have to be in step; 0 if nobody knows.
    pub(crate) in_sync_min: Arc<AtomicU32>,
}

impl Inquiry {
    fn matter(&self, partition: &MetadataPartition) -> Option<Cause> {
        let wanted = self.in_sync_min.load(Ordering::Relaxed);
        let found = partition.isr().len() as u32;
        match partition.leader() {
            leader if leader < 0 => Some(Cause::NoLeader),
            _ if found < wanted => Some(Cause::FewInSync { found, wanted }),
            _ => None,
        }
    }

    /// Asks. Blocks.
    fn ask(&self) -> Option<Told> {
        let metadata = self.admin.inner().fetch_metadata(Some(&self.topic), ANSWER_MAX);
        let metadata = metadata.inspect_err(|error| tracing::debug!(%error, "no broker answers")).ok()?;
        let topic = metadata.topics().iter().find(|found| found.name() == self.topic);
        let told = |partition: &MetadataPartition| {
            Some((u32::try_from(partition.id()).ok()?, self.matter(partition)))
        };
        Some(topic.map_or(&[][..], |topic| topic.partitions()).iter().filter_map(told).collect())
    }
}

/// Goes on until the producer ends.
pub(super) async fn inquire(inquiry: Inquiry, shared: Weak<Shared>) {
    loop {
        let Some(known) = shared.upgrade() else { return };
        // Woken at once when the brokers go away.
        tokio::time::timeout(LOOK_EVERY, known.something_happened.notified()).await.ok();
        known.ripen();
        if !known.wonders(Instant::now()) {
            continue;
        }
        let asked = inquiry.clone();
        let mut asking = tokio::task::spawn_blocking(move || asked.ask());
        let told = loop {
            match tokio::time::timeout(LOOK_EVERY, &mut asking).await {
                Ok(told) => break told.ok().flatten(),
                // Meanwhile evidence becomes old enough.
                Err(_) => known.ripen(),
            }
        };
        known.told(Instant::now(), told);
        drop(known);
        tokio::time::sleep(ASK_EVERY).await;
    }
}
