//! Copies of what was written, for whoever subscribed to it.
//!
//! A write is copied after its points are durable, and only if somebody wants it. Whoever takes copies must not make a
//! write wait.

use std::fmt;

use skywatch_meta::Catalogue;
use skywatch_model::line::PointBatch;

use crate::{node::NodeCore, router::ShardPart, statistics::add};

/// To how many destinations of a subscription a copy goes.
pub use skywatch_meta::SubscriptionMode as SubscribedMode;

/// A subscription of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// Whose writes.
    pub database: String,
    /// Of which policy.
    pub retention_policy: String,
    /// Unique within the policy.
    pub name: String,
    /// To every destination, or to one in turn.
    pub mode: SubscribedMode,
    /// URLs.
    pub destinations: Vec<String>,
}

/// What was written to a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// To which database.
    pub database: String,
    /// To which policy.
    pub retention_policy: String,
    /// A line a point, with nanoseconds.
    pub lines: String,
    /// Where each line ends, behind its line feed: a text may have line feeds of its own.
    pub line_ends: Vec<usize>,
}

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// It will be sent to everyone.
    Taken,
    /// There was no room for it somewhere.
    Dropped,
}

/// Takes copies of writes to other servers.
pub trait Forwarder: Send + Sync + fmt::Debug {
    /// These are the subscriptions from now on.
    fn reconcile(&self, subscriptions: &[Subscribed]);

    /// Whether anybody wants writes to this policy; asked for every write.
    fn wants(&self, database: &str, retention_policy: &str) -> bool;

    /// Takes a copy; must not block.
    fn forward(&self, copied: Copied) -> Forwarded;
}

impl NodeCore {
    /// Tells the forwarder of the catalogue's subscriptions.
    pub(crate) fn tell_subscriptions(&self) {
        if let Some(forwarder) = self.forwarder.get() {
            // Of two changes at once, the one that is told last must tell of both.
            let _telling = self.telling_subscriptions.lock();
            forwarder.reconcile(&subscriptions(&self.host.current()));
        }
    }

    /// Copies the points of `parts` that were not refused, if anybody wants them.
    pub(crate) fn forward(
        &self,
        database: &str,
        policy: &str,
        batch: &PointBatch<'_>,
        parts: &[ShardPart],
        refused: &[u32],
    ) {
        let Some(forwarder) = self.forwarder.get() else { return };
        let catalogue = self.host.current();
        let Some(policy) = catalogue.database(database).and_then(|it| it.retention_policy(policy)) else {
            return;
        };
        if !forwarder.wants(database, &policy.name) {
            return;
        }
        let (lines, line_ends) = copy_lines(batch, parts, refused);
        if line_ends.is_empty() {
            return;
        }
        let retention_policy = policy.name.clone();
        let copied = Copied { database: database.to_owned(), retention_policy, lines, line_ends };
        match forwarder.forward(copied) {
            Forwarded::Taken => add(&self.counters.copies_taken, 1),
            Forwarded::Dropped => add(&self.counters.copies_dropped, 1),
        }
    }
}

/// Every subscription, in the order in which `SHOW SUBSCRIPTIONS` lists them.
fn subscriptions(catalogue: &Catalogue) -> Vec<Subscribed> {
    let mut found = Vec::new();
    for database in catalogue.databases() {
        for policy in &database.retention_policies {
            found.extend(policy.subscriptions.iter().map(|subscription| Subscribed {
                database: database.name.clone(),
                retention_policy: policy.name.clone(),
                name: subscription.name.clone(),
                mode: subscription.mode,
                destinations: subscription.destinations.clone(),
            }));
        }
    }
    found
}

/// The points in the order in which they were written.
fn copy_lines(batch: &PointBatch<'_>, parts: &[ShardPart], refused: &[u32]) -> (String, Vec<usize>) {
    let mut points: Vec<u32> = parts.iter().flat_map(|part| &part.points).copied().collect();
    points.sort_unstable();
    let mut refused = refused.to_vec();
    refused.sort_unstable();
    points.retain(|point| refused.binary_search(point).is_err());
    let mut lines = String::with_capacity(batch.size_bytes());
    let mut line_ends = Vec::with_capacity(points.len());
    for point in points {
        batch.point(point as usize).append_line(&mut lines);
        line_ends.push(lines.len());
    }
    (lines, line_ends)
}
