//! Which of the catalogue's continuous queries run now.

use std::{collections::BTreeMap, time::Duration};

use skywatch_influxql::Statement;

use crate::{Decision, Definition, DefinitionError, Window};

/// A continuous query of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContinuousQuery {
    /// Its database.
    pub database: String,
    /// Unique within the database.
    pub name: String,
    /// Its `CREATE CONTINUOUS QUERY` statement.
    pub text: String,
}

/// A run that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// Database of the query.
    pub database: String,
    /// Its name.
    pub name: String,
    /// What it computes.
    pub window: Window,
    /// The statement to execute.
    pub statement: Statement,
}

/// A query that cannot run, told once.
#[derive(Debug)]
pub struct Refused {
    /// Database of the query.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Why.
    pub error: DefinitionError,
}

/// By then whoever runs the queries has run what was due, or has died meanwhile: its lease lasts seconds, and a run seldom longer.
pub const TAKEN_FOR_RUN: Duration = Duration::from_secs(60);

/// Remembers when each query ran last. A query that is dropped, or created anew with another text, is forgotten.
#[derive(Debug, Default)]
pub struct Planner {
    known: BTreeMap<(String, String), Known>,
}

#[derive(Debug)]
struct Known {
    text: String,
    /// `None` when the text cannot run.
    definition: Option<Definition>,
    last_run_ns: Option<i64>,
}

impl Planner {
    /// What is to run at `now_ns`, in the order of `queries`, and what turned out never to. Whether a run succeeds makes
    /// no difference to the next: it comes at the next interval.
    pub fn plan(&mut self, queries: &[ContinuousQuery], now_ns: i64) -> (Vec<PlannedRun>, Vec<Refused>) {
        let mut before = std::mem::take(&mut self.known);
        let (mut runs, mut refused) = (Vec::new(), Vec::new());
        for query in queries {
            let key = (query.database.clone(), query.name.clone());
            let same = before.remove(&key).filter(|known| known.text == query.text);
            let mut known = same.unwrap_or_else(|| learn(query, &mut refused));
            runs.extend(known.decide(query, now_ns));
            self.known.insert(key, known);
        }
        (runs, refused)
    }

    /// This node does not run the queries now, but may have to go on where another one is: `another_runs` says whether there is one.
    /// What that has due is taken for run after [`TAKEN_FOR_RUN`]: to compute it twice does no harm. What came to an end
    /// before this node knew of a query is nobody's.
    pub fn follow(&mut self, queries: &[ContinuousQuery], another_runs: bool, now_ns: i64) {
        let mut before = std::mem::take(&mut self.known);
        let ran_ns = now_ns.saturating_sub(i64::try_from(TAKEN_FOR_RUN.as_nanos()).unwrap_or(i64::MAX));
        for query in queries {
            let key = (query.database.clone(), query.name.clone());
            let same = before.remove(&key).filter(|known| known.text == query.text);
            // A text that cannot run is told by whoever is to run it.
            let mut known = same.unwrap_or_else(|| learn(query, &mut Vec::new()));
            let Some(definition) = &known.definition else { continue };
            let last_due = |at_ns| definition.schedule().last_due(at_ns);
            let begun_ns = known.last_run_ns.unwrap_or_else(|| last_due(now_ns));
            known.last_run_ns = Some(if another_runs { begun_ns.max(last_due(ran_ns)) } else { begun_ns });
            self.known.insert(key, known);
        }
    }
}

fn learn(query: &ContinuousQuery, refused: &mut Vec<Refused>) -> Known {
    let definition = match Definition::parse(&query.text) {
        Ok(definition) => Some(definition),
        Err(error) => {
            refused.push(Refused { database: query.database.clone(), name: query.name.clone(), error });
            None
        }
    };
    Known { text: query.text.clone(), definition, last_run_ns: None }
}

impl Known {
    fn decide(&mut self, query: &ContinuousQuery, now_ns: i64) -> Option<PlannedRun> {
        let definition = self.definition.as_ref()?;
        match definition.schedule().decide(self.last_run_ns, now_ns) {
            Decision::Wait => None,
            Decision::Skip { last_run_ns } => {
                self.last_run_ns = Some(last_run_ns);
                None
            }
            Decision::Run { last_run_ns, window } => {
                self.last_run_ns = Some(last_run_ns);
                Some(PlannedRun {
                    database: query.database.clone(),
                    name: query.name.clone(),
                    window,
                    statement: definition.statement(window),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn query(name: &str, interval: &str) -> ContinuousQuery {
        ContinuousQuery {
            database: "db".to_owned(),
            name: name.to_owned(),
            text: format!(
                "CREATE CONTINUOUS QUERY {name} ON db BEGIN SELECT mean(v) INTO {name} FROM m GROUP BY \
                 time({interval}) END"
            ),
        }
    }

    fn windows(planner: &mut Planner, queries: &[ContinuousQuery], now_ns: i64) -> Vec<(String, i64, i64)> {
        let (runs, refused) = planner.plan(queries, now_ns);
        assert!(refused.is_empty(), "{refused:?}");
        let minutes = |time_ns: i64| time_ns / MINUTE;
        let of = |run: PlannedRun| (run.name, minutes(run.window.start_ns), minutes(run.window.end_ns));
        runs.into_iter().map(of).collect()
    }

    #[test]
    fn each_query_runs_at_its_own_interval() {
        let mut planner = Planner::default();
        let queries = [query("one", "1m"), query("five", "5m")];
        let ran: Vec<_> = (0..=40)
            .flat_map(|quarter| windows(&mut planner, &queries, 4 * MINUTE + quarter * MINUTE / 4 + 1))
            .collect();
        let of =
            |name: &str| ran.iter().filter(|run| run.0 == name).map(|run| (run.1, run.2)).collect::<Vec<_>>();
        assert_eq!(of("one"), (4..14).map(|minute| (minute, minute + 1)).collect::<Vec<_>>());
        assert_eq!(of("five"), [(0, 5), (5, 10)]);
    }

    #[test]
    fn a_query_created_anew_begins_anew() {
        let mut planner = Planner::default();
        let first = [query("q", "1m")];
        assert!(windows(&mut planner, &first, 10 * MINUTE + 1).is_empty());
        let changed = [query("q", "2m")];
        assert!(
            windows(&mut planner, &changed, 11 * MINUTE + 1).is_empty(),
            "the first run is remembered only"
        );
        assert_eq!(windows(&mut planner, &changed, 12 * MINUTE), [("q".to_owned(), 10, 12)]);
        assert!(windows(&mut planner, &[], 13 * MINUTE).is_empty());
        // Back after it was dropped: what was missed meanwhile is not made good.
        assert!(windows(&mut planner, &first, 20 * MINUTE + 1).is_empty());
    }

    #[test]
    fn a_query_goes_on_where_another_node_was() {
        let (minutely, hourly) = (query("m", "1m"), query("h", "1h"));
        let both = [minutely, hourly];
        let mut planner = Planner::default();
        // Another node runs them until shortly before 1:00:30 at the earliest.
        for second in 0..30 {
            planner.follow(&both, true, 50 * MINUTE + second);
        }
        for quarter in 0..=42 {
            planner.follow(&both, true, 50 * MINUTE + quarter * MINUTE / 4);
        }
        let taken_over = windows(&mut planner, &both, 60 * MINUTE + 40 * MINUTE / 60);
        assert_eq!(taken_over, [("m".to_owned(), 59, 60), ("h".to_owned(), 0, 60)]);
        assert_eq!(windows(&mut planner, &both, 61 * MINUTE), [("m".to_owned(), 60, 61)]);

        // Nobody runs them for ten minutes, then this node does.
        for minute in 61..=71 {
            planner.follow(&both, false, minute * MINUTE + 1);
        }
        assert_eq!(windows(&mut planner, &both, 71 * MINUTE + 2), [("m".to_owned(), 61, 71)]);
    }

    #[test]
    fn what_came_before_a_query_was_known_is_nobodys() {
        let queries = [query("q", "1m")];
        let mut planner = Planner::default();
        planner.follow(&queries, true, 10 * MINUTE + 1);
        planner.follow(&queries, true, 11 * MINUTE + 1);
        assert_eq!(windows(&mut planner, &queries, 11 * MINUTE + 2), [("q".to_owned(), 10, 11)]);
        let changed = [query("q", "2m")];
        planner.follow(&changed, true, 12 * MINUTE + 1);
        assert!(windows(&mut planner, &changed, 12 * MINUTE + 2).is_empty());
        // One whose text is none is told by the node that is to run it.
        let broken = [ContinuousQuery { text: "SELECT v FROM m".to_owned(), ..query("q", "1m") }];
        planner.follow(&broken, true, 0);
        assert_eq!(planner.plan(&broken, 1).1.len(), 1);
    }

    #[test]
    fn a_text_that_cannot_run_is_told_once() {
        let mut planner = Planner::default();
        let broken = [ContinuousQuery { text: "SELECT v FROM m".to_owned(), ..query("q", "1m") }];
        assert_eq!(planner.plan(&broken, 0).1.len(), 1);
        assert_eq!(planner.plan(&broken, 60 * MINUTE).1.len(), 0);
    }
}
