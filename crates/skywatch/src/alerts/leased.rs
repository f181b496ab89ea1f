//! Alerts in a cluster: every node that was given the rules is ready, and one of them, which has the lease, evaluates.
//!
//! The state of an alert stays with the node that evaluated it. Who takes over begins with what it knew last: an alert that
//! fires may be told once more, and none is left out.

use std::{path::PathBuf, sync::Arc, time::Duration};

use skywatch_cluster::Node;
use skywatch_replication::LeaseHolder;
use tokio::{sync::watch, task::JoinHandle};

use super::Alerts;
use crate::config::RunSettings;

const LEASE: &str = "alerts";
/// How often it is looked whether the lease has moved.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// See the module's header.
pub(crate) struct LeasedAlerts {
    stop: watch::Sender<bool>,
    supervising: JoinHandle<()>,
    asking: JoinHandle<()>,
}

impl LeasedAlerts {
    /// Starts asking for the lease, if the node is a member of a cluster and has rules.
    pub(crate) fn start(settings: &RunSettings, node: &Arc<Node>) -> Option<Self> {
        let rules = settings.alerts.clone()?;
        let member = node.member()?;
        let holder = LeaseHolder::new(LEASE, member.id(), Arc::clone(member.catalogues()));
        let kept = Arc::clone(&holder);
        let (stop, stopped) = watch::channel(false);
        Some(Self {
            stop,
            supervising: tokio::spawn(supervise(
                holder,
                rules,
                Arc::clone(node),
                settings.data.dir.join("alerts"),
                stopped,
            )),
            asking: tokio::spawn(async move { kept.keep().await }),
        })
    }

    /// Stops evaluating and stores the state.
    pub(crate) async fn stop(self) {
        self.asking.abort();
        self.stop.send_replace(true);
        if self.supervising.await.is_err() {
            tracing::error!("alerting panicked");
        }
    }
}

async fn supervise(
    holder: Arc<LeaseHolder>,
    rules: PathBuf,
    node: Arc<Node>,
    state_dir: PathBuf,
    mut stopped: watch::Receiver<bool>,
) {
    let mut running: Option<Alerts> = None;
    // Why the last start failed: it is tried again at each look, and said once.
    let mut complaint = String::new();
    loop {
        let is_over = *stopped.borrow_and_update();
        match (holder.is_held() && !is_over, running.take()) {
            (true, None) => match Alerts::start(rules.clone(), Arc::clone(&node), &state_dir, None).await {
                Ok(alerts) => {
                    complaint.clear();
                    running = Some(alerts);
                }
                Err(error) => {
                    let why = format!("{error:#}");
                    if why != complaint {
                        tracing::error!("alert rules cannot be evaluated: {why}");
                        complaint = why;
                    }
                }
            },
            (false, Some(alerts)) => alerts.stop().await,
            (_, unchanged) => running = unchanged,
        }
        if is_over {
            return;
        }
        // Whether told or not: look again.
        drop(tokio::time::timeout(LOOK_EVERY, stopped.changed()).await);
    }
}
