//! What a meta node does by itself: it looks at leases, tells others whom it heard of, and finishes what was begun.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use skywatch_meta::{Command, FEATURE_LEVEL};
use skywatch_rpc::{CallError, tell};
use tokio::time::Instant;

use super::{Inner, Leadership, MetaNode};
use crate::{data_calls::Announce, network::Nothing};

const PAUSE: Duration = Duration::from_millis(250);
const SETTLE_EVERY: Duration = Duration::from_secs(1);
const GOSSIP_LIMIT: Duration = Duration::from_secs(1);

/// Goes on until the node is gone.
pub(super) async fn keep(inner: Weak<Inner>) {
    let (mut settled, mut announced) = (Instant::now(), Instant::now());
    let mut gossiped: Option<Instant> = None;
    let (mut turn, mut members) = (0, 0);
    loop {
        tokio::time::sleep(PAUSE).await;
        let Some(inner) = inner.upgrade() else { return };
        let node = MetaNode { inner: Arc::clone(&inner) };
        if node.leadership() == Leadership::Mine {
            inner.leases.see(node.seen().catalogue.leases());
            if settled.elapsed() >= SETTLE_EVERY {
                node.settle().await;
                settled = Instant::now();
            }
        } else {
            inner.leases.forget();
        }
        if announced.elapsed() >= SETTLE_EVERY {
            node.announce_level().await;
            announced = Instant::now();
        }
        // What is new is for everybody at once, so that all show the same; and whoever is new knows nobody yet.
        let members_now = node.seen().catalogue.meta_nodes().len();
        let is_news = inner.announcements.take_news() || members_now != members;
        members = members_now;
        if is_news || gossiped.is_none_or(|at| at.elapsed() >= inner.settings.gossip_every) {
            node.gossip(if is_news { None } else { Some(turn) }).await;
            turn += 1;
            gossiped = Some(Instant::now());
        }
    }
}

impl MetaNode {
    /// Says what this release knows, once after each change of it.
    async fn announce_level(&self) {
        let catalogue = self.seen().catalogue;
        let raft_addr = &self.inner.settings.raft_addr;
        let Some(node) = catalogue.meta_nodes().iter().find(|node| node.raft_addr == *raft_addr) else {
            return;
        };
        if catalogue.known_level(node.id) != FEATURE_LEVEL {
            let command = Command::AnnounceFeatureLevel { node: node.id, level: FEATURE_LEVEL };
            if let Err(error) = self.execute(command).await {
                tracing::debug!(%error, "cannot say what this release knows yet");
            }
        }
    }

    /// Tells one other meta node, each in its turn, or all of them whom this one heard of.
    async fn gossip(&self, turn: Option<usize>) {
        self.inner.announcements.hear(self.announcement(), Duration::ZERO);
        let me = &self.inner.settings.http_addr;
        let catalogue = self.seen().catalogue;
        let others: Vec<&str> = catalogue
            .meta_nodes()
            .iter()
            .map(|node| node.http_addr.as_str())
            .filter(|address| address != me)
            .collect();
        match turn {
            Some(turn) if !others.is_empty() => self.gossip_with(others[turn % others.len()]).await,
            Some(_) => {}
            None => drop(join_all(others.iter().map(|to| self.gossip_with(to))).await),
        }
    }

    async fn gossip_with(&self, to: &str) {
        for (announcement, age) in self.inner.announcements.all() {
            let question = Announce { announcement, age_ms: age.as_millis() as u64 };
            let told: Result<Nothing, CallError> =
                tell(&*self.inner.transport, to, "meta.announce", &question, GOSSIP_LIMIT).await;
            if let Err(error) = told {
                tracing::debug!(%error, "another meta node does not listen to gossip");
                return;
            }
        }
    }
}
