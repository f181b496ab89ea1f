//! Runs scenarios, each seed in a thread of its own, and makes a failure small enough to read.

mod report;
mod shrink;

use std::{
    env, fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use crate::{Planned, Trace, entropy::seed_this_thread, world::take_panics};

/// What one run is made from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything but the faults follows from it.
    pub seed: u64,
    /// The faults.
    pub script: Vec<Planned>,
}

/// An invariant that did not hold.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which, in a few words.
    pub invariant: &'static str,
    /// What is wrong.
    pub details: String,
    /// What it is about, as the record mentions it.
    pub words: Vec<String>,
}

impl Violation {
    /// A violation that is about nothing in particular.
    pub fn new(invariant: &'static str, details: impl fmt::Display) -> Self {
        Self { invariant, details: details.to_string(), words: Vec::new() }
    }

    /// One about what the record mentions with these words.
    #[must_use]
    pub fn about(mut self, words: impl IntoIterator<Item = String>) -> Self {
        self.words.extend(words);
        self
    }
}

/// A world, what happens in it, and what has to hold of it.
pub trait Scenario: Send + Sync + 'static {
    /// As its test is called.
    fn name(&self) -> &'static str;
    /// The faults that a seed draws.
    fn script(&self, seed: u64) -> Vec<Planned>;
    /// Builds the world, lets it run, judges it.
    fn run(&self, plan: &Plan, trace: &Trace) -> Result<(), Violation>;
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What happened.
    pub trace: Trace,
    /// What did not hold.
    pub violation: Option<Violation>,
}

/// The longest a run may take by the clock on the wall.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs a plan in a fresh thread, in which all randomness follows from its seed.
pub fn run_one<S: Scenario>(scenario: &Arc<S>, plan: &Plan) -> Outcome {
    let trace = Trace::default();
    let (sender, receiver) = mpsc::channel();
    let (scenario, plan, record) = (Arc::clone(scenario), plan.clone(), trace.clone());
    let running = thread::Builder::new().name(format!("seed {}", plan.seed)).spawn(move || {
        seed_this_thread(plan.seed);
        let result = catch_unwind(AssertUnwindSafe(|| scenario.run(&plan, &record)));
        let result =
            result.unwrap_or_else(|_| Err(Violation::new("nothing panics", take_panics().join("\n"))));
        // Nobody listens any more if this took too long.
        drop(sender.send(result.err()));
    });
    if let Err(error) = running {
        panic!("no thread for a simulation: {error}");
    }
    let violation = receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let details = format!("a run has not ended after {} s: something spins", PATIENCE.as_secs());
        Some(Violation::new("time passes", details))
    });
    Outcome { trace, violation }
}

/// How many seeds ran, and how much happened in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Seeds.
    pub runs: u64,
    /// Events recorded.
    pub events: u64,
}

/// Runs a scenario for so many seeds, or as `SIM_SEED` (the first) and `SIM_RUNS` (how many) say.
///
/// # Panics
/// With a report of the first seed that fails.
pub fn check<S: Scenario>(scenario: S, runs: u64) -> Summary {
    let first = setting("SIM_SEED").unwrap_or(1);
    let runs = setting("SIM_RUNS").unwrap_or(runs);
    let scenario = Arc::new(scenario);
    match find(&scenario, first..first + runs) {
        Ok(summary) => summary,
        Err(found) => {
            let Found { plan, violation } = *found;
            let total = plan.script.len();
            let plan = shrink::shrink(&scenario, plan);
            let mut outcome = run_one(&scenario, &plan);
            // A run that does not repeat itself is told all the same.
            outcome.violation.get_or_insert(violation);
            panic!("{}", report::report(scenario.name(), &plan, total, &outcome));
        }
    }
}

/// A seed that fails.
#[derive(Debug)]
pub struct Found {
    /// What was run.
    pub plan: Plan,
    /// What did not hold.
    pub violation: Violation,
}

/// The first seed that fails, if one does.
pub fn find<S: Scenario>(scenario: &Arc<S>, seeds: Range<u64>) -> Result<Summary, Box<Found>> {
    let next = AtomicU64::new(seeds.start);
    let events = AtomicU64::new(0);
    let failed: Mutex<Option<Box<Found>>> = Mutex::new(None);
    let workers = thread::available_parallelism().map_or(1, |count| count.get().min(4));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while failed.lock().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let plan = Plan { seed, script: scenario.script(seed) };
                    let outcome = run_one(scenario, &plan);
                    events.fetch_add(outcome.trace.digest().1, Ordering::Relaxed);
                    if let Some(violation) = outcome.violation {
                        let mut failed = failed.lock();
                        if failed.as_ref().is_none_or(|other| seed < other.plan.seed) {
                            *failed = Some(Box::new(Found { plan, violation }));
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Some(found) => Err(found),
        None => Ok(Summary { runs: seeds.end - seeds.start, events: events.into_inner() }),
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is {value:?}, which is no number")))
}
