//! What became of a batch, from what became of its groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::metric::Metric;
use crate::output::{Fates, WriteOutcome};
use crate::serializer::Unwritable;

/// Groups so far.
#[derive(Default)]
pub(super) struct BatchResult {
    pub(super) fates: Fates,
    /// Metrics that a server refused without saying which.
    unknown: Option<(usize, String)>,
}

impl BatchResult {
    /// Adds a group: its metrics with their indices in the batch, those that have no line, and what became of the
    /// others. Returns the outcome of the whole batch where a group decides it.
    pub(super) fn add(
        &mut self,
        group: &[(usize, Arc<Metric>)],
        unwritable: Vec<(usize, Unwritable)>,
        outcome: WriteOutcome,
    ) -> Option<WriteOutcome> {
        let index = |at: usize| group.get(at).map(|(index, _)| *index);
        let mut refused: BTreeMap<usize, String> =
            unwritable.into_iter().map(|(at, why)| (at, why.to_string())).collect();
        match outcome {
            WriteOutcome::Stored => {}
            WriteOutcome::Partial { rejected, reason } => {
                let (before, _) = self.unknown.get_or_insert((0, reason));
                *before += rejected;
            }
            WriteOutcome::Each(fates) => refused.extend(fates.rejected),
            // Groups written before are written again with the halves; a point written twice is one point.
            whole @ (WriteOutcome::Rejected { .. } | WriteOutcome::TooLarge { .. }) => return Some(whole),
            WriteOutcome::Retry { reason, after } => {
                let kept = (0..group.len()).filter(|at| !refused.contains_key(at)).filter_map(index);
                self.fates.kept.extend(kept);
                self.fates.after = self.fates.after.max(after);
                if self.fates.reason.is_empty() {
                    self.fates.reason = reason;
                }
            }
        }
        self.fates.rejected.extend(refused.into_iter().filter_map(|(at, why)| Some((index(at)?, why))));
        None
    }

    pub(super) fn outcome(self) -> WriteOutcome {
        let Self { fates, unknown } = self;
        match unknown {
            None if fates == Fates::default() => WriteOutcome::Stored,
            None => WriteOutcome::Each(fates),
            // Which were refused is not known, so all are written again.
            Some(_) if !fates.kept.is_empty() => {
                WriteOutcome::Retry { reason: fates.reason, after: fates.after }
            }
            Some((rejected, reason)) => {
                WriteOutcome::Partial { rejected: rejected + fates.rejected.len(), reason }
            }
        }
    }
}
