//! Which of the catalogue's continuous queries run now.

use std::collections::BTreeMap;

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

    /// Forgets when queries ran, as after a start: another node may have run them meanwhile.
    pub fn forget(&mut self) {
        self.known.clear();
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
        planner.forget();
        assert!(windows(&mut planner, &first, 30 * MINUTE + 1).is_empty());
    }

    #[test]
    fn a_text_that_cannot_run_is_told_once() {
        let mut planner = Planner::default();
        let broken = [ContinuousQuery { text: "SELECT v FROM m".to_owned(), ..query("q", "1m") }];
        assert_eq!(planner.plan(&broken, 0).1.len(), 1);
        assert_eq!(planner.plan(&broken, 60 * MINUTE).1.len(), 0);
    }
}
