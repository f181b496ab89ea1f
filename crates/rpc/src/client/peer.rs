//! One node that is called: its connections, and whether it is worth trying.

use std::sync::{Arc, atomic::Ordering};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use super::{
    absence::Absence,
    connection::{Connection, End},
};
use crate::{PeerStatistics, counters::PeerCounters};

/// Bytes waiting on a connection that make another worth while.
const CROWDED_BYTES: usize = 1 << 20;

/// A node, by its address.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its address.
    pub to: String,
    pub counters: PeerCounters,
    /// Places for calls under way.
    pub places: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connections: Vec<Arc<Connection>>,
    /// Closed when the attempt has come to something.
    dialling: Option<watch::Receiver<()>>,
    absence: Option<Absence>,
    release: Option<String>,
}

/// What a call does to get a connection.
#[derive(Debug)]
pub(crate) enum Choice {
    /// Use this one.
    Use(Arc<Connection>),
    /// Use this one, and make another beside it.
    UseAndDial(Arc<Connection>, Dialling),
    /// Connect first.
    Dial(Dialling),
    /// Somebody is connecting: look again when the channel closes.
    Wait(watch::Receiver<()>),
    /// The node was not reachable a moment ago.
    Absent(String),
}

/// The right to connect: held by one at a time.
#[derive(Debug)]
pub(crate) struct Dialling {
    told: watch::Sender<()>,
    begun: Instant,
}

impl Dialling {
    /// Closed when the attempt has come to something.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.told.subscribe()
    }
}

impl Peer {
    pub(crate) fn new(to: &str, calls_max: usize) -> Self {
        Self {
            to: to.to_owned(),
            counters: PeerCounters::default(),
            places: Semaphore::new(calls_max),
            state: Mutex::default(),
        }
    }

    /// How to get a connection now.
    pub(crate) fn choose(&self, now: Instant, connections_max: usize) -> Choice {
        let mut state = self.state.lock();
        let open = state.connections.iter();
        let open = open.filter_map(|it| Some(((it.is_doubtful(now), it.queued_bytes()?), it)));
        if let Some(((is_doubtful, queued), best)) = open.min_by_key(|(merits, _)| *merits) {
            let best = Arc::clone(best);
            if !is_doubtful {
                state.absence = None;
            }
            let is_tried = state.dialling.is_some() || state.absence.as_ref().is_some_and(|it| it.holds(now));
            let wants_another = is_doubtful || queued > CROWDED_BYTES;
            return match wants_another && !is_tried && state.connections.len() < connections_max {
                true => Choice::UseAndDial(best, state.dial(now)),
                false => Choice::Use(best),
            };
        }
        match (&state.dialling, &state.absence) {
            // One call tries; the others need not wait for what will probably fail again.
            (Some(_), Some(absence)) => Choice::Absent(absence.reason.clone()),
            (Some(dialling), None) => Choice::Wait(dialling.clone()),
            (None, Some(absence)) if absence.holds(now) => Choice::Absent(absence.reason.clone()),
            (None, _) => Choice::Dial(state.dial(now)),
        }
    }

    /// The attempt to connect has come to this.
    pub(crate) fn dialled(&self, outcome: Result<(Arc<Connection>, String), String>, right: Dialling) {
        let mut state = self.state.lock();
        state.dialling = None;
        match outcome {
            Ok((connection, release)) => {
                state.connections.push(connection);
                state.release = Some(release);
                if state.absence.take().is_some() {
                    tracing::info!(to = self.to, "the node is reachable again");
                }
            }
            Err(reason) => {
                self.counters.dial_failures.fetch_add(1, Ordering::Relaxed);
                self.miss(&mut state, right.begun, reason);
            }
        }
        drop(state);
        drop(right);
    }

    /// A connection has ended.
    pub(crate) fn ended(&self, connection: &Arc<Connection>, end: &End) {
        let mut state = self.state.lock();
        state.connections.retain(|other| !Arc::ptr_eq(other, connection));
        if *end == End::Silent {
            // Another attempt would only be silence again, and cost its caller the dial timeout.
            self.miss(&mut state, Instant::now(), "it gives no sign of life".to_owned());
        }
    }

    /// What was tried from then on was in vain.
    fn miss(&self, state: &mut State, begun: Instant, reason: String) {
        if state.absence.as_ref().is_none_or(|absence| absence.reason != reason) {
            tracing::warn!(to = self.to, reason, "a node cannot be reached");
        }
        state.absence = Some(Absence::after(state.absence.as_ref(), begun, Instant::now(), reason));
    }

    /// Ends all connections.
    pub(crate) fn close(&self) {
        for connection in &self.state.lock().connections {
            connection.close();
        }
    }

    /// Whether nothing would be lost by forgetting it.
    pub(crate) fn is_forgettable(&self) -> bool {
        let state = self.state.lock();
        let is_unused = self.counters.in_flight.load(Ordering::Relaxed) == 0;
        is_unused && state.connections.is_empty() && state.dialling.is_none()
    }

    pub(crate) fn statistics(&self) -> PeerStatistics {
        let (connections, release, absent) = {
            let state = self.state.lock();
            let absent = state.absence.as_ref().map(|absence| absence.reason.clone());
            (state.connections.len(), state.release.clone(), absent)
        };
        let counters = &self.counters;
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        PeerStatistics {
            to: self.to.clone(),
            release,
            connections,
            absent,
            calls: load(&counters.calls),
            in_flight: load(&counters.in_flight),
            unreachable: load(&counters.unreachable),
            timed_out: load(&counters.timed_out),
            lost: load(&counters.lost),
            failed: load(&counters.failed),
            dials: load(&counters.dials),
            dial_failures: load(&counters.dial_failures),
            sent_bytes: load(&counters.traffic.sent),
            received_bytes: load(&counters.traffic.received),
        }
    }
}

impl State {
    fn dial(&mut self, begun: Instant) -> Dialling {
        let (told, dialling) = watch::channel(());
        self.dialling = Some(dialling);
        Dialling { told, begun }
    }
}
