//! One subscription: its destinations and the lanes to them.

use std::sync::{Arc, atomic::Ordering};

use skywatch_cluster::{Subscribed, SubscribedMode};
use skywatch_monitor::Statistic;
use tokio::task::JoinSet;

use crate::{
    destination::{BadDestination, Destination},
    lane::{Copy, Lane, Shared},
};

/// A subscription at work.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) subscribed: Subscribed,
    destinations: Vec<Arc<Destination>>,
    lanes: Vec<Lane>,
}

impl Route {
    /// Starts the lanes of a subscription.
    pub(crate) fn start(
        subscribed: &Subscribed,
        shared: &Arc<Shared>,
        tasks: &mut JoinSet<()>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Self, BadDestination> {
        let destinations = subscribed
            .destinations
            .iter()
            .map(|url| Destination::parse(url).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let turns: Vec<Vec<Arc<Destination>>> = match subscribed.mode {
            SubscribedMode::All => destinations.iter().map(|each| vec![Arc::clone(each)]).collect(),
            SubscribedMode::Any => vec![destinations.clone()],
        };
        let lanes = turns.into_iter().map(|turn| Lane::start(turn, shared, tasks, runtime)).collect();
        Ok(Self { subscribed: subscribed.clone(), destinations, lanes })
    }

    /// Queues a copy for every lane; how many had no room.
    pub(crate) fn offer(&self, copy: &Arc<Copy>) -> u64 {
        self.lanes.iter().filter(|lane| !lane.offer(copy)).count() as u64
    }

    /// Routes are told in this order.
    pub(crate) fn order(&self) -> (&str, &str, &str) {
        let Subscribed { database, retention_policy, name, .. } = &self.subscribed;
        (database, retention_policy, name)
    }

    /// One a destination.
    pub(crate) fn statistics(&self) -> impl Iterator<Item = Statistic> {
        let Subscribed { database, retention_policy, name, mode, .. } = &self.subscribed;
        let mode = match mode {
            SubscribedMode::All => "ALL",
            SubscribedMode::Any => "ANY",
        };
        self.destinations.iter().map(move |destination| {
            Statistic::new("subscriber")
                .tag("database", &**database)
                .tag("destination", &*destination.url)
                .tag("mode", mode)
                .tag("name", &**name)
                .tag("retention_policy", &**retention_policy)
                .values([
                    ("pointsWritten", destination.points_written.load(Ordering::Relaxed)),
                    ("writeFailures", destination.write_failures.load(Ordering::Relaxed)),
                ])
        })
    }
}
