//! What is told of a run that failed.

use std::fmt::Write;

use super::{Outcome, Plan};

/// Lines of the record in a report, of each kind.
const LINES_MAX: usize = 120;

/// Which seed, which faults it takes, what did not hold, and all that is known of what it is about.
pub(super) fn report(name: &str, plan: &Plan, drawn: usize, outcome: &Outcome) -> String {
    let mut text = String::new();
    let seed = plan.seed;
    let Some(violation) = &outcome.violation else {
        return format!("{name}: seed {seed} failed once, and not again: it is not deterministic");
    };
    let mut line = |line: String| {
        // Writing to a string does not fail.
        let _written = writeln!(text, "{line}");
    };
    line(format!("{name}: seed {seed} breaks this: {}", violation.invariant));
    line(violation.details.clone());
    line(format!("\nfaults it takes, {} of {drawn}:", plan.script.len()));
    plan.script.iter().for_each(|planned| line(planned.to_string()));
    let words: Vec<&str> = violation.words.iter().map(String::as_str).collect();
    if !words.is_empty() {
        line(format!("\nwhat is known of {}:", words.join(", ")));
        latest(outcome.trace.story(&words)).for_each(&mut line);
    }
    line("\nwhat happened:".to_owned());
    latest(outcome.trace.story(&[])).for_each(&mut line);
    line("\nthe latest messages:".to_owned());
    latest(outcome.trace.messages(&[])).for_each(&mut line);
    line(format!("\nagain: SIM_SEED={seed} SIM_RUNS=1 cargo test -p skywatch-simulation {name}"));
    text
}

fn latest(lines: Vec<String>) -> impl Iterator<Item = String> {
    let skipped = lines.len().saturating_sub(LINES_MAX);
    let gap = (skipped > 0).then(|| format!("           ({skipped} earlier)"));
    gap.into_iter().chain(lines.into_iter().skip(skipped))
}
