//! The network between nodes: it carries calls as badly as a real one may, and never worse.
//!
//! What becomes of a message is drawn when it enters a link, from the stream of that link:
//!
//! | what happens | what the caller is told |
//! |---|---|
//! | there is no such host, nothing listens there, the link is cut | `Unreachable` soon, or nothing until its time is up |
//! | the request is lost | `Unreachable` or `Lost` soon, or nothing until its time is up |
//! | the link is cut, or the node crashes, while the request travels or is carried out | `Lost` soon, or nothing |
//! | the request arrives twice, or late, after later ones | the answer that arrives first, if in time |
//! | the answer is lost, or the link back is cut | `Lost` soon, or nothing until its time is up |
//!
//! `Unreachable` is told only where the request goes nowhere.

mod letter;
mod link;
mod transport;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use skywatch_rpc::{Call, CallError, Reply, Router};
use skywatch_storage::fs::SimFs;

pub(crate) use letter::{Delivery, Letter};
use letter::{Line, Owed, Slot, fill};
pub use link::Weather;
use link::{Fate, fate};
pub use transport::SimTransport;

use crate::{
    SimTime, Trace,
    random::{Random, stream},
};

/// A machine on the network, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(pub usize);

/// Answers a call in place of the node it goes to, which never sees it: a planted fault of the software, for tests
/// that want it found.
pub type Interceptor = Arc<dyn Fn(&str, &Call) -> Option<Reply> + Send + Sync>;

/// See the module's header. Clones are the same network.
#[derive(Clone)]
pub struct SimNetwork {
    time: SimTime,
    trace: Trace,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for SimNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("SimNetwork").field("weather", &state.weather).field("cuts", &state.cuts).finish()
    }
}

struct State {
    seed: u64,
    weather: Weather,
    /// Directed: nothing goes from the first to the second.
    cuts: BTreeSet<(Host, Host)>,
    /// Their messages, both ways, neither weather nor cuts concern.
    sheltered: BTreeSet<Host>,
    /// Disks, of which it is known whether their machine has power.
    disks: BTreeMap<Host, SimFs>,
    /// Which host an address belongs to, whether or not something listens there.
    addresses: BTreeMap<String, Host>,
    listeners: BTreeMap<String, Router>,
    links: BTreeMap<(Host, Host), Random>,
    letters: BTreeMap<(Duration, u64), Letter>,
    /// Answers that hosts owe, in the order in which the requests arrived. A crash breaks them in this order, since that in
    /// which a runtime drops its tasks is no history to rely on.
    owed: BTreeMap<(Host, u64), Line>,
    posted: u64,
    interceptor: Option<Interceptor>,
}

impl SimNetwork {
    pub(crate) fn new(seed: u64, time: SimTime, trace: Trace) -> Self {
        let state = State {
            seed,
            weather: Weather::default(),
            cuts: BTreeSet::new(),
            sheltered: BTreeSet::new(),
            disks: BTreeMap::new(),
            addresses: BTreeMap::new(),
            listeners: BTreeMap::new(),
            links: BTreeMap::new(),
            letters: BTreeMap::new(),
            owed: BTreeMap::new(),
            posted: 0,
            interceptor: None,
        };
        Self { time, trace, state: Arc::new(Mutex::new(state)) }
    }

    /// Says that an address is one of a host.
    pub fn assign(&self, address: &str, host: Host) {
        self.state.lock().addresses.insert(address.to_owned(), host);
    }

    /// Sets what links do to messages from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.state.lock().weather = weather;
    }

    /// Sets which hosts' messages do not reach which.
    pub fn set_cuts(&self, cuts: BTreeSet<(Host, Host)>) {
        self.state.lock().cuts = cuts;
    }

    /// Says which disk a host has: with its power the host's end of the network goes too.
    pub(crate) fn plug_in(&self, host: Host, disk: SimFs) {
        self.state.lock().disks.insert(host, disk);
    }

    pub(crate) fn shelter(&self, hosts: BTreeSet<Host>) {
        self.state.lock().sheltered = hosts;
    }

    /// Lets a function answer calls in the place of nodes.
    pub fn intercept(&self, interceptor: Interceptor) {
        self.state.lock().interceptor = Some(interceptor);
    }

    /// Calls to the address are answered from now on.
    pub(crate) fn listen(&self, address: &str, router: Router) {
        self.state.lock().listeners.insert(address.to_owned(), router);
    }

    /// The host crashed: nothing answers there. What answered is given back, to be dropped.
    pub(crate) fn hang_up(&self, host: Host) -> Vec<Router> {
        let now = self.time.now();
        let mut state = self.state.lock();
        let owed: Vec<u64> =
            state.owed.range((host, 0)..=(host, u64::MAX)).map(|((_, number), _)| *number).collect();
        for number in owed {
            if let Some(line) = state.owed.remove(&(host, number)) {
                state.may_tell(now, &line, "the node went away");
            }
        }
        let State { addresses, listeners, .. } = &mut *state;
        let of_host = |address: &String| addresses.get(address) == Some(&host);
        let gone: Vec<String> = listeners.keys().filter(|address| of_host(address)).cloned().collect();
        gone.iter().filter_map(|address| listeners.remove(address)).collect()
    }

    /// Letters that arrive before a time, in the order in which they do.
    pub(crate) fn take_due(&self, until: Duration) -> Vec<(Duration, Letter)> {
        let mut state = self.state.lock();
        let later = state.letters.split_off(&(until, 0));
        let due = std::mem::replace(&mut state.letters, later);
        due.into_iter().map(|((at, _), letter)| (at, letter)).collect()
    }

    /// What happens to a letter that arrives at a time. A request to a node that listens is for the node to answer.
    pub(crate) fn deliver(&self, at: Duration, letter: Letter) -> Option<Delivery> {
        let mut state = self.state.lock();
        let told = letter.to_string();
        match letter {
            Letter::Request { line, call } => {
                let cut = state.is_cut(line.caller, line.callee);
                let router = state.listeners.get(&line.address).filter(|_| !cut).cloned();
                let Some(router) = router else {
                    self.trace.message(at, format!("{told} finds nobody"));
                    state.may_tell(at, &line, "reset on the way");
                    return None;
                };
                self.trace.message(at, format!("{told} arrives"));
                let (host, number) = (line.callee, state.next_number());
                state.owed.insert((host, number), line);
                Some(Delivery { at, router, call, owed: Owed { network: self.clone(), host, number } })
            }
            Letter::Answer { line, .. } if state.is_cut(line.callee, line.caller) => {
                self.trace.message(at, format!("{told} is cut off"));
                None
            }
            Letter::Answer { line, result } => {
                self.trace.message(at, format!("{told} arrives"));
                fill(&line.slot, at, result);
                None
            }
        }
    }

    /// Places a call.
    fn post_request(&self, caller: Host, address: &str, call: &Call, slot: Slot) {
        let now = self.time.now();
        let mut state = self.state.lock();
        let id = state.next_number();
        if state.is_dark(caller) {
            return;
        }
        let unreachable =
            |reason: &str| Err(CallError::Unreachable { to: address.to_owned(), reason: reason.to_owned() });
        let Some(&callee) = state.addresses.get(address) else {
            fill(&slot, now, unreachable("no such host"));
            return;
        };
        let line = Line { caller, callee, address: address.to_owned(), slot, id };
        let letter = Letter::Request { line: line.clone(), call: call.clone() };
        let answered = state.interceptor.as_ref().and_then(|intercept| intercept(address, call));
        if let Some(reply) = answered {
            self.trace.message(now, format!("{letter} is answered on the way"));
            fill(&line.slot, now + state.weather.delay_min, Ok(reply));
            return;
        }
        let nobody = !state.listeners.contains_key(address);
        // In the system's words where it is the callee's machine that says so.
        let is_sure = nobody && !state.is_cut(caller, callee);
        let reason = if is_sure { "Connection refused" } else { "no route to host" };
        match state.fate(caller, callee, nobody) {
            Fate::Refused { after } => {
                self.trace.message(now, format!("{letter} is refused"));
                fill(&line.slot, now + after, unreachable(reason));
            }
            Fate::Swallowed { breaks_after } => {
                self.trace.message(now, format!("{letter} is lost"));
                if let Some(after) = breaks_after {
                    let reason = "reset on the way".to_owned();
                    fill(&line.slot, now + after, Err(CallError::Lost { to: line.address, reason }));
                }
            }
            Fate::Arrives { after } => {
                self.trace.message(now, letter.to_string());
                for delay in after {
                    state.put(now + delay, Letter::Request { line: line.clone(), call: call.clone() });
                }
            }
        }
    }

    /// Sends an answer on its way.
    fn post_answer(&self, line: &Line, result: &Result<Reply, CallError>) {
        let now = self.time.now();
        let mut state = self.state.lock();
        if state.is_dark(line.callee) {
            return;
        }
        let letter = Letter::Answer { line: line.clone(), result: result.clone() };
        match state.fate(line.callee, line.caller, false) {
            Fate::Arrives { after } => {
                self.trace.message(now, letter.to_string());
                for delay in after {
                    state.put(now + delay, Letter::Answer { line: line.clone(), result: result.clone() });
                }
            }
            Fate::Refused { after } | Fate::Swallowed { breaks_after: Some(after) } => {
                self.trace.message(now, format!("{letter} is lost, which is noticed"));
                let reason = "reset before the answer was whole".to_owned();
                let result = Err(CallError::Lost { to: line.address.clone(), reason });
                state.put(now + after, Letter::Answer { line: line.clone(), result });
            }
            Fate::Swallowed { breaks_after: None } => {
                self.trace.message(now, format!("{letter} is lost"));
            }
        }
    }

    /// The answer is not owed any more. Whose it was, unless that has been settled already.
    fn settle(&self, host: Host, number: u64) -> Option<Line> {
        self.state.lock().owed.remove(&(host, number))
    }

    /// The node's task ended without an answer.
    fn broke(&self, line: &Line) {
        self.state.lock().may_tell(self.time.now(), line, "the node went away");
    }
}

impl State {
    fn next_number(&mut self) -> u64 {
        self.posted += 1;
        self.posted
    }

    fn put(&mut self, at: Duration, letter: Letter) {
        let number = self.next_number();
        self.letters.insert((at, number), letter);
    }

    fn link(&mut self, from: Host, to: Host) -> &mut Random {
        let seed = self.seed;
        self.links.entry((from, to)).or_insert_with(|| stream(seed, &format!("link {} {}", from.0, to.0)))
    }

    /// Whether the host's power has failed: what its process still does in this step has not happened.
    fn is_dark(&self, host: Host) -> bool {
        self.disks.get(&host).is_some_and(SimFs::power_is_off)
    }

    fn is_sheltered(&self, from: Host, to: Host) -> bool {
        from == to || self.sheltered.contains(&from) || self.sheltered.contains(&to)
    }

    fn is_cut(&self, from: Host, to: Host) -> bool {
        self.cuts.contains(&(from, to)) && !self.is_sheltered(from, to)
    }

    /// What becomes of a message. A node that speaks to itself does so undisturbed.
    fn fate(&mut self, from: Host, to: Host, nobody: bool) -> Fate {
        let calm = self.is_sheltered(from, to);
        let weather = if calm { Weather::calm(self.weather.delay_min) } else { self.weather };
        let cut = self.is_cut(from, to);
        fate(self.link(from, to), weather, nobody || cut)
    }

    /// Every other time the caller learns soon that its connection broke; else it waits in vain.
    fn may_tell(&mut self, at: Duration, line: &Line, reason: &str) {
        let delay = self.weather.delay_max;
        if self.link(line.callee, line.caller).per_mille(500) {
            let error = CallError::Lost { to: line.address.clone(), reason: reason.to_owned() };
            fill(&line.slot, at + delay, Err(error));
        }
    }
}
