//! Every bound of the engine in one place.

use std::time::Duration;

/// Longest duration a file may ask for: about 100 years.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Shortest evaluation interval.
pub(crate) const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Rules in all files together.
pub(crate) const RULES_MAX: usize = 10_000;
/// Size of one rules file.
pub(crate) const FILE_BYTES_MAX: u64 = 16 << 20;
/// Nesting of a YAML document.
pub(crate) const YAML_DEPTH_MAX: usize = 64;
/// Nodes of a YAML document once aliases are followed.
pub(crate) const YAML_NODES_MAX: usize = 1_000_000;
/// Series one evaluation may return; more is an error of the rule, naming this limit.
pub(crate) const SERIES_PER_RULE_MAX: usize = 10_000;
/// How long one evaluation may take, all its attempts together.
pub(crate) const EVALUATION_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts of one evaluation before it counts as failed.
pub(crate) const EVALUATION_ATTEMPTS_MAX: u32 = 3;
/// Evaluations that run at the same time.
pub(crate) const EVALUATIONS_CONCURRENT_MAX: usize = 4;
/// Bytes a rendered label, annotation, title or message may have.
pub(crate) const RENDERED_BYTES_MAX: usize = 64 << 10;
/// Steps one template may take, so that nested ranges end.
pub(crate) const TEMPLATE_STEPS_MAX: usize = 100_000;
/// Bytes of a stored state that another node is given, or takes over.
pub const STATE_BYTES_MAX: usize = 64 << 20;
/// Templates that include each other, one within the other.
pub(crate) const INCLUDES_DEEP_MAX: usize = 16;
/// Notices that wait for one contact point; beyond it they are merged into one, never dropped.
pub(crate) const NOTICES_WAITING_MAX: usize = 64;
/// Entries of the delivery log.
pub(crate) const DELIVERY_LOG_MAX: usize = 200;
/// Characters of an error text that is kept or shown.
pub(crate) const ERROR_TEXT_MAX: usize = 500;
/// Bytes of an answer of Discord that are read.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 10;
/// First wait after a failed delivery; doubles up to [`BACKOFF_MAX`].
pub(crate) const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait between deliveries that fail.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// Longest wait that a server may impose on us.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// How often a broken channel is tried again: often enough to notice a repair, far below what gets an address blocked.
pub(crate) const BROKEN_RETRY: Duration = Duration::from_secs(3_600);
/// How long one delivery may take.
pub(crate) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);

const _: () = assert!(BACKOFF_MIN.as_millis() < BACKOFF_MAX.as_millis());
const _: () = assert!(EVALUATIONS_CONCURRENT_MAX > 0 && NOTICES_WAITING_MAX > 1);
