//! Asking many targets at once, for inputs that are asked at every interval and talk over the network.
//!
//! A gather blocks its own thread. Within it a small runtime, which lives as long as the input, runs one future for each
//! target, [`AT_ONCE_MAX`] at a time and each with a deadline: a dead target costs its own deadline and nobody else's.
//! What they bring is added in the order of the targets, so that two gathers of the same readings say the same.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::runtime::{Builder, Runtime};

use crate::input::{Accumulator, GatherError};
use crate::metric::Metric;

/// Targets that are asked at the same time, at most: as many connections, and as many answers in memory.
const AT_ONCE_MAX: usize = 64;

/// What a target brought.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Its metrics, kept even when there is a problem.
    pub(crate) metrics: Vec<Metric>,
    /// What went wrong.
    pub(crate) problem: Option<String>,
}

impl From<Result<Vec<Metric>, String>> for Asked {
    fn from(result: Result<Vec<Metric>, String>) -> Self {
        match result {
            Ok(metrics) => Self { metrics, problem: None },
            Err(problem) => Self { metrics: Vec::new(), problem: Some(problem) },
        }
    }
}

/// The runtime of an input's targets.
#[derive(Debug, Default)]
pub(crate) struct Parallel {
    runtime: Option<Runtime>,
}

impl Parallel {
    /// Asks every target, and reports under its name the one that has a problem or no answer within `timeout`.
    pub(crate) fn ask<F>(
        &mut self,
        acc: &mut Accumulator,
        timeout: Duration,
        targets: impl IntoIterator<Item = (String, F)>,
    ) -> Result<(), GatherError>
    where
        F: Future<Output = Asked>,
    {
        let asked = targets.into_iter().enumerate().map(|(at, (name, future))| async move {
            let asked = match tokio::time::timeout(timeout, future).await {
                Ok(asked) => asked,
                Err(_) => Asked {
                    metrics: Vec::new(),
                    problem: Some(format!("no answer within {} ms", timeout.as_millis())),
                },
            };
            (at, name, asked)
        });
        let everything = stream::iter(asked).buffer_unordered(AT_ONCE_MAX).collect::<Vec<_>>();
        let mut answers = self.runtime()?.block_on(everything);
        answers.sort_by_key(|(at, ..)| *at);
        for (_, service, asked) in answers {
            asked.metrics.into_iter().for_each(|metric| acc.add(metric));
            if let Some(reason) = asked.problem {
                acc.report(GatherError::Service { service, reason });
            }
        }
        Ok(())
    }

    fn runtime(&mut self) -> Result<&Runtime, GatherError> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => Builder::new_current_thread().enable_all().build().map_err(|error| {
                GatherError::Service { service: "the agent".to_owned(), reason: error.to_string() }
            })?,
        };
        Ok(self.runtime.insert(runtime))
    }
}

impl Drop for Parallel {
    fn drop(&mut self) {
        // A name that is still being resolved must not hold up the end of its input.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_silent_target_costs_only_its_own_deadline() {
        let mut acc = Accumulator::new(0);
        let timeout = Duration::from_millis(200);
        let targets = (0..AT_ONCE_MAX).map(|at| {
            let name = format!("t{at}");
            let metric = Metric::new(name.clone(), 0).field("x", 1_u64);
            (name, async move {
                match at {
                    3 | 4 => std::future::pending().await,
                    5 => Asked { metrics: vec![metric], problem: Some("half".to_owned()) },
                    _ => Ok(vec![metric]).into(),
                }
            })
        });
        let start = Instant::now();
        Parallel::default().ask(&mut acc, timeout, targets).expect("a runtime");
        assert!(start.elapsed() < 2 * timeout, "the two waited at the same time");
        let (metrics, errors) = acc.into_parts();
        let names: Vec<_> = metrics.iter().map(|metric| metric.name.to_string()).collect();
        let wanted = (0..AT_ONCE_MAX).filter(|at| !matches!(at, 3 | 4)).map(|at| format!("t{at}"));
        assert_eq!(names, wanted.collect::<Vec<_>>(), "in their order");
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, ["t3: no answer within 200 ms", "t4: no answer within 200 ms", "t5: half"]);
    }
}
