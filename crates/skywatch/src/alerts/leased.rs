//! Alerts in a cluster: of the nodes that were given rules, the one with the lease evaluates, and every other is ready to go on.
//!
//! ```text
//!               lease granted: take over the newest state, start the engine
//!   looking on ------------------------------------------------------------> evaluating
//!       ^  asks the evaluating node, keeps its state                              |
//!       +------------------ lease lost, or held anew: stop the engine ------------+
//! ```
//!
//! The engine never runs while a state is adopted. A lease that was held, lost and held again counts as lost, since another node may have
//! evaluated in between.

use std::{path::PathBuf, sync::Arc, time::Duration};

use skywatch_cluster::Node;
use skywatch_replication::LeaseHolder;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    Alerts,
    desk::{Desk, LEASE},
};
use crate::config::RunSettings;

/// How often it is looked whether the lease has moved.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between an answer of the evaluating node and the next question: so much later than there is a state is on other disks.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The same where the node did not answer, or nobody is known to evaluate.
const ASK_ANYWAY: Duration = Duration::from_secs(2);

/// See the module's header.
pub(crate) struct LeasedAlerts {
    stop: watch::Sender<bool>,
    supervising: JoinHandle<()>,
    asking: Option<JoinHandle<()>>,
}

impl LeasedAlerts {
    /// Looks on what the evaluating node tells; asks for the lease too, if this node was given rules.
    pub(crate) fn start(
        settings: &RunSettings,
        node: &Arc<Node>,
        desk: &Arc<Desk>,
        console_url: Option<String>,
    ) -> Option<Self> {
        let member = node.member()?;
        let candidate = settings.alerts.clone().map(|rules| Candidate {
            holder: LeaseHolder::new(LEASE, member.id(), Arc::clone(member.catalogues())),
            rules,
            node: Arc::clone(node),
            state_dir: settings.data.dir.join("alerts"),
            console_url,
        });
        let asking = candidate.as_ref().map(|candidate| {
            let holder = Arc::clone(&candidate.holder);
            tokio::spawn(async move { holder.keep().await })
        });
        let (stop, stopped) = watch::channel(false);
        let supervisor = Supervisor { desk: Arc::clone(desk), candidate, running: None, taken_over: None };
        Some(Self { stop, supervising: tokio::spawn(supervisor.run(stopped)), asking })
    }

    /// Stops evaluating, stores the state, and gives another node the time to fetch it.
    pub(crate) async fn stop(self) {
        if let Some(asking) = self.asking {
            asking.abort();
        }
        self.stop.send_replace(true);
        if self.supervising.await.is_err() {
            tracing::error!("alerting panicked");
        }
    }
}

/// What a node needs to evaluate.
struct Candidate {
    holder: Arc<LeaseHolder>,
    rules: PathBuf,
    node: Arc<Node>,
    state_dir: PathBuf,
    console_url: Option<String>,
}

/// Sees to it that this node evaluates while it has the lease, and knows what the evaluating node does while it has not.
struct Supervisor {
    desk: Arc<Desk>,
    /// `None` for a node without rules, which only looks on.
    candidate: Option<Candidate>,
    /// The engine, and the term for which it was started.
    running: Option<(u64, Arc<Alerts>)>,
    /// The term for which the newest state was taken over, and why the engine could not be started then: it is tried again
    /// at each look, and said once.
    taken_over: Option<(u64, String)>,
}

impl Supervisor {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            // Whoever would tell it to stop may be gone.
            let is_over = *stopped.borrow_and_update() || stopped.has_changed().is_err();
            let term = self.term().filter(|_| !is_over);
            if self.running.as_ref().is_some_and(|(started, _)| term != Some(*started)) {
                self.end(is_over).await;
            }
            if is_over {
                return;
            }
            if let Some(term) = self.term().filter(|_| self.running.is_none()) {
                self.begin(term).await;
            }
            match self.term() {
                // Whether told or not: look again.
                Some(_) => drop(timeout(LOOK_EVERY, stopped.changed()).await),
                None => self.look_on(&mut stopped).await,
            }
        }
    }

    /// Of the lease, while this node has it.
    fn term(&self) -> Option<u64> {
        self.candidate.as_ref()?.holder.term()
    }

    /// Starts to evaluate from the newest state that is known anywhere.
    async fn begin(&mut self, term: u64) {
        let Some(candidate) = &self.candidate else { return };
        if self.taken_over.as_ref().is_none_or(|(earlier, _)| *earlier != term) {
            self.desk.take_over().await;
            self.taken_over = Some((term, String::new()));
        }
        // Others may have been slow to answer.
        if candidate.holder.term() != Some(term) {
            return;
        }
        let Candidate { rules, node, state_dir, console_url, .. } = candidate;
        match Alerts::start(rules.clone(), Arc::clone(node), state_dir, console_url.clone(), Some(term)).await
        {
            Ok(alerts) => {
                let alerts = Arc::new(alerts);
                self.desk.evaluates(&alerts);
                self.running = Some((term, alerts));
            }
            Err(error) => self.complain(format!("{error:#}")),
        }
    }

    fn complain(&mut self, why: String) {
        let Some((_, complaint)) = &mut self.taken_over else { return };
        if why != *complaint {
            tracing::error!("alert rules cannot be evaluated: {why}");
            *complaint = why;
        }
    }

    /// Stops the engine; where the whole node stops, another one is given the time to fetch what was stored last.
    async fn end(&mut self, for_good: bool) {
        let Some((_, alerts)) = self.running.take() else { return };
        alerts.stop().await;
        self.desk.evaluates_no_longer(&alerts);
        if for_good {
            let last = *alerts.saved().borrow();
            self.desk.hand_over(last).await;
        }
    }

    /// Asks the evaluating node once, and pauses; gives up as soon as there is something else to do.
    async fn look_on(&self, stopped: &mut watch::Receiver<bool>) {
        let told = tokio::select! {
            told = self.desk.ask_evaluator() => told,
            () = self.granted() => return,
            _ = stopped.changed() => return,
        };
        let pause = match told {
            Some(told) => {
                let pause = if told.is_of_use() { ASK_AGAIN } else { ASK_ANYWAY };
                self.desk.take_in(told);
                pause
            }
            None => ASK_ANYWAY,
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = self.granted() => {}
            _ = stopped.changed() => {}
        }
    }

    /// Completes when this node has the lease.
    async fn granted(&self) {
        while self.term().is_none() {
            sleep(LOOK_EVERY).await;
        }
    }
}
