//! What the data nodes of a cluster know of the alerts that one of them evaluates.
//!
//! ```text
//!   the node with the lease          another node
//!   engine --stores--> state file    state file <--adopts-- newest state
//!      |                   |             ^                      ^
//!      +--page, metrics----+-- alerts.state (RPC) --------------+--> page and metrics as they were seen last
//! ```
//!
//! Whoever does not evaluate asks the node with the lease. The answer is held back for a while until a state newer than the
//! asker's has been stored, so that a state is on the disks of the other nodes about a second after it is on that of the evaluating one.
//! Who takes over asks everybody once more, since another node may have heard more before the evaluating one died.
//!
//! Which state is newer is told by its [`Edition`], never by a clock. Nothing of what is asked for grows without bound: nodes ask one after
//! the other of their questions, and answers have a greatest size (`wire`). A node of a release that does not know the
//! question, or that answers what cannot be read, has no state as far as others are concerned.

mod wire;

use std::{
    path::PathBuf,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use skywatch_alert::{Edition, StoredState, adopt_state, stored_state};
use skywatch_console::{AlertsSnapshot, AlertsView};
use skywatch_http::MetricsSource;
use skywatch_meta::{DataNode, NodeId};
use skywatch_replication::{Catalogues, Member, offload};
use skywatch_rpc::{CallError, Failure, FailureKind, Router, Transport, ask};
use tokio::{sync::watch, time::timeout};

use self::wire::{Answer, Question, Told};
use super::{Alerts, metrics};

/// The lease under which alerts are evaluated.
pub(super) const LEASE: &str = "alerts";

const STATE: &str = "alerts.state";
/// For how long the evaluating node holds its answer back for something new; a page is as old as this at most.
const NEWS_WAIT: Duration = Duration::from_secs(2);
/// How much longer an answer is waited for: a node that hangs must not hold up a takeover.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Nodes that are asked at a time.
const ASKED_AT_ONCE: usize = 16;
/// How long a node that stops waits for another one to have its last state, if any has asked for one within [`ASKED_LATELY`].
const HAND_OVER_LIMIT: Duration = Duration::from_secs(3);
const ASKED_LATELY: Duration = Duration::from_secs(10);

/// See the module's header. Its engine, while this node evaluates, belongs to whoever started it.
pub(crate) struct Desk {
    me: NodeId,
    catalogues: Arc<dyn Catalogues>,
    transport: Arc<dyn Transport>,
    state_dir: PathBuf,
    board: Mutex<Board>,
    /// The newest state that another node was given, or said to have.
    given: watch::Sender<Edition>,
}

/// What is known now. Held for moments only, and never while an engine is asked.
#[derive(Default)]
struct Board {
    /// Of this node, while it evaluates.
    engine: Weak<Alerts>,
    /// What the evaluating node told last.
    seen: Option<Seen>,
    /// Why it tells nothing, if so.
    trouble: Option<String>,
    /// Which state is on disk here; `None` while that has to be looked up.
    stored: Option<Edition>,
    /// When another node asked last.
    asked: Option<Instant>,
    /// Why the own state cannot be given to others, as it was logged.
    complaint: Option<String>,
}

struct Seen {
    /// Who told, as `host:port`.
    by: String,
    edition: Edition,
    page: AlertsSnapshot,
    counted: skywatch_alert::Metrics,
    at: Instant,
}

impl Desk {
    /// Of a member of a cluster whose engine keeps its state in `state_dir`.
    pub(crate) fn new(member: &Member, state_dir: PathBuf) -> Arc<Self> {
        Arc::new(Self::between(
            member.id(),
            Arc::clone(member.catalogues()),
            Arc::clone(member.transport()),
            state_dir,
        ))
    }

    fn between(
        me: NodeId,
        catalogues: Arc<dyn Catalogues>,
        transport: Arc<dyn Transport>,
        state_dir: PathBuf,
    ) -> Self {
        let (board, given) = (Mutex::default(), watch::Sender::default());
        Self { me, catalogues, transport, state_dir, board, given }
    }

    /// Answers other nodes.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let desk = Arc::clone(self);
        Router::new().on(STATE, move |question: Question, _| {
            let desk = Arc::clone(&desk);
            async move { desk.answer(question).await }
        })
    }

    /// For the console of this node.
    pub(crate) fn view(self: &Arc<Self>) -> Arc<dyn AlertsView> {
        let desk = Arc::clone(self);
        Arc::new(move || desk.page())
    }

    /// For `/metrics` of this node.
    pub(crate) fn metrics(self: &Arc<Self>) -> Arc<dyn MetricsSource> {
        Arc::new(DeskMetrics(Arc::clone(self)))
    }

    /// From now on this node evaluates, until the engine is dropped or [`Self::evaluates_no_longer`].
    pub(super) fn evaluates(&self, engine: &Arc<Alerts>) {
        let mut board = self.board.lock();
        board.engine = Arc::downgrade(engine);
        board.trouble = None;
    }

    /// The engine of this node has stopped: what it showed last is shown until another node tells more.
    pub(super) fn evaluates_no_longer(&self, engine: &Alerts) {
        let seen = Seen {
            by: self.own_name(),
            edition: *engine.saved().borrow(),
            page: engine.page(),
            counted: engine.counted(),
            at: Instant::now(),
        };
        let mut board = self.board.lock();
        board.engine = Weak::new();
        board.stored = None;
        board.seen = Some(seen);
    }

    /// Waits until another node has the state that was stored here last, if there is one that asks.
    pub(super) async fn hand_over(&self, last: Edition) {
        let is_asked = self.board.lock().asked.is_some_and(|at| at.elapsed() < ASKED_LATELY);
        if is_asked {
            let mut given = self.given.subscribe();
            if timeout(HAND_OVER_LIMIT, given.wait_for(|given| *given >= last)).await.is_err() {
                tracing::warn!(%last, "no other node has fetched the last state of the alerts");
            }
        }
    }

    /// Asks the node that has the lease; `None` if that is nobody, this node, or one that does not answer. Cancelling it is safe:
    /// nothing is kept before [`Self::take_in`].
    pub(super) async fn ask_evaluator(&self) -> Option<Told> {
        let Some(node) = self.evaluator() else {
            self.board.lock().trouble = None;
            return None;
        };
        match self.ask(&node, NEWS_WAIT).await {
            Ok(told) => Some(told),
            Err(error) => {
                self.board.lock().trouble = Some(in_words(&node, &error));
                None
            }
        }
    }

    /// Keeps what a node told, if it is newer than what is known: its state on disk, its page to be shown.
    pub(super) fn take_in(&self, told: Told) {
        let Told { by, edition, shown, trouble, state } = told;
        if let Some(bytes) = state {
            self.adopt(&by, bytes);
        }
        let mut board = self.board.lock();
        board.trouble = trouble;
        if let Some((page, counted)) = shown
            && board.seen.as_ref().is_none_or(|seen| seen.edition <= edition)
        {
            board.seen = Some(Seen { by, edition, page, counted, at: Instant::now() });
        }
    }

    /// Before this node evaluates: asks every other one for a state that is newer than its own, and puts the newest on disk. Who does not answer
    /// in time is not waited for. Where the disk refuses, the node goes on from what it has, and says so: to evaluate nothing
    /// would be worse than to tell something twice.
    pub(super) async fn take_over(&self) {
        let others: Vec<DataNode> = self
            .catalogues
            .current()
            .data_nodes()
            .iter()
            .filter(|node| node.id != self.me)
            .cloned()
            .collect();
        let asked = others.into_iter().map(|node| async move { self.ask(&node, Duration::ZERO).await });
        let mut answers = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE);
        let mut newest: Option<Told> = None;
        while let Some(answer) = answers.next().await {
            let Ok(told) = answer else { continue };
            let is_newer = newest.as_ref().is_none_or(|newest| newest.edition < told.edition);
            if told.state.is_some() && is_newer {
                newest = Some(told);
            }
        }
        if let Some(Told { by, edition, state: Some(bytes), .. }) = newest {
            tracing::info!(%edition, from = by, "alerts go on from a state that is newer than the own one");
            self.adopt(&by, bytes);
        }
    }

    async fn ask(&self, node: &DataNode, wait: Duration) -> Result<Told, CallError> {
        let question = Question { known: self.stored(), wait_ms: wait.as_millis() as u64 };
        let limit = wait + ANSWER_LIMIT;
        let to = &node.tcp_addr;
        let (answer, body): (Answer, Bytes) =
            ask(&*self.transport, to, STATE, &question, Bytes::new(), limit).await?;
        offload(|| Told::read(to.clone(), answer, &body))
            .map_err(|reason| CallError::Unreadable { to: to.clone(), reason })
    }

    /// Puts a state on disk, if it is newer than the one that is there.
    fn adopt(&self, from: &str, bytes: Vec<u8>) {
        let adopted = offload(|| {
            let state = StoredState::read(bytes).map_err(|problem| problem.to_string())?;
            let is_newer = adopt_state(&self.state_dir, &state).map_err(|error| error.to_string())?;
            Ok::<_, String>((state.edition(), is_newer))
        });
        match adopted {
            Ok((edition, is_newer)) => {
                self.board.lock().stored = is_newer.then_some(edition);
                tracing::debug!(%edition, from, is_newer, "state of the alerts");
            }
            Err(error) => tracing::error!(from, error, "the state of the alerts cannot be taken over"),
        }
    }

    /// Which state is on disk here. One that cannot be used counts as none.
    fn stored(&self) -> Edition {
        if let Some(stored) = self.board.lock().stored {
            return stored;
        }
        let found = offload(|| stored_state(&self.state_dir));
        let stored = found.ok().flatten().map_or_else(Edition::default, |state| state.edition());
        self.board.lock().stored = Some(stored);
        stored
    }

    async fn answer(&self, question: Question) -> Result<(Answer, Bytes), Failure> {
        let saved = {
            let mut board = self.board.lock();
            board.asked = Some(Instant::now());
            board.engine.upgrade().map(|engine| engine.saved())
        };
        if let Some(mut saved) = saved {
            let wait = Duration::from_millis(question.wait_ms).min(NEWS_WAIT);
            let is_news = saved.wait_for(|saved| *saved > question.known);
            // Something new or not, in time or not: what there is is told.
            drop(timeout(wait, is_news).await);
        }
        let engine = self.board.lock().engine.upgrade();
        let (answer, body) = offload(|| {
            let shown = engine.map(|engine| (engine.page(), engine.counted()));
            wire::answer(shown, self.state_to_tell(), question.known)
        });
        let has = answer.edition.max(question.known);
        self.given.send_if_modified(|given| {
            let is_newer = has > *given;
            *given = has.max(*given);
            is_newer
        });
        Ok((answer, body))
    }

    /// The state on disk, if others can be given it; why not is said once.
    fn state_to_tell(&self) -> Option<StoredState> {
        let (state, complaint) = match stored_state(&self.state_dir) {
            Ok(state) => (state, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let mut board = self.board.lock();
        if let Some(why) = complaint.as_ref().filter(|why| board.complaint.as_ref() != Some(why)) {
            tracing::error!("the state of the alerts cannot be given to other nodes: {why}");
        }
        board.complaint = complaint;
        state
    }

    /// The node that has the lease, unless that is this one.
    fn evaluator(&self) -> Option<DataNode> {
        let catalogue = self.catalogues.current();
        let owner = catalogue.lease(LEASE)?.owner;
        catalogue.data_nodes().iter().find(|node| node.id == owner && owner != self.me).cloned()
    }

    fn own_name(&self) -> String {
        let catalogue = self.catalogues.current();
        let own = catalogue.data_nodes().iter().find(|node| node.id == self.me);
        own.map_or_else(|| format!("node {}", self.me.0), |node| node.tcp_addr.clone())
    }

    fn page(&self) -> AlertsSnapshot {
        let engine = self.board.lock().engine.upgrade();
        if let Some(engine) = engine {
            return AlertsSnapshot { evaluated_by: Some(self.own_name()), ..engine.page() };
        }
        let board = self.board.lock();
        let shown = board.seen.as_ref().map(|seen| AlertsSnapshot {
            evaluated_by: Some(seen.by.clone()),
            age_ms: Some(u64::try_from(seen.at.elapsed().as_millis()).unwrap_or(u64::MAX)),
            ..seen.page.clone()
        });
        AlertsSnapshot { evaluator_error: board.trouble.clone(), ..shown.unwrap_or_default() }
    }
}

/// What `/metrics` of this node tells: all, while it evaluates; else how alerts stand as far as it was told, which may be long ago.
struct DeskMetrics(Arc<Desk>);

impl MetricsSource for DeskMetrics {
    fn collect(&self, metrics: &mut skywatch_http::Metrics) {
        let engine = self.0.board.lock().engine.upgrade();
        let help = "1 on the node of the cluster that evaluates alert rules.";
        metrics.gauge("skywatch_alert_evaluating", help, &[], f64::from(u8::from(engine.is_some())));
        let age = match engine {
            Some(engine) => {
                let now = engine.counted();
                metrics::standing(&now, metrics);
                metrics::work_done(&now, metrics);
                Duration::ZERO
            }
            None => {
                let board = self.0.board.lock();
                let Some(seen) = &board.seen else { return };
                metrics::standing(&seen.counted, metrics);
                seen.at.elapsed()
            }
        };
        let help = "Age of what this node knows of alerts.";
        metrics.gauge("skywatch_alert_age_seconds", help, &[], age.as_secs_f64());
    }
}

/// Why the node with the lease tells nothing.
fn in_words(node: &DataNode, error: &CallError) -> String {
    match error.failure() {
        Some(failure) if failure.kind == FailureKind::Unknown => {
            format!("{} evaluates, and runs a release that does not tell other nodes", node.tcp_addr)
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
