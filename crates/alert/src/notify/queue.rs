//! The queue of one channel: order kept, retried with back-off, what a server asks for honoured. Pure.
//!
//! Nothing is dropped for want of time or room: notices of a group that wait are merged, and beyond
//! [`NOTICES_WAITING_MAX`] even those of different groups are, so that the queue is bounded by the alerts there are.
//! A delivery that was accepted but not yet recorded when the process died is sent again: at least once.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use super::Notice;
use crate::{
    Time,
    labels::shorten,
    limits::{BACKOFF_MAX, BACKOFF_MIN, BROKEN_RETRY, ERROR_TEXT_MAX, NOTICES_WAITING_MAX, RETRY_AFTER_MAX},
};

/// One message of a notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// What is posted.
    pub(crate) body: serde_json::Value,
    /// What is posted instead if that is refused: the same in plain words.
    pub(crate) fallback: serde_json::Value,
}

/// A notice that is being sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sending {
    notice: Notice,
    parts: Vec<Part>,
    /// Parts that have been accepted.
    sent: usize,
    /// Whether the part at `sent` is its fallback already.
    fallback: bool,
    /// Failed attempts in a row.
    failures: u32,
}

/// How a channel is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ChannelStatus {
    /// The last delivery worked, or there was none.
    #[default]
    Healthy,
    /// Deliveries fail and are tried again.
    Retrying {
        /// Why.
        error: String,
    },
    /// The address does not work (deleted webhook, wrong token): rarely tried again.
    Broken {
        /// Why.
        error: String,
        /// Since when.
        since: Time,
    },
}

/// The queue of one channel, as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Channel {
    id: String,
    waiting: VecDeque<Notice>,
    sending: Option<Sending>,
    not_before: Time,
    status: ChannelStatus,
    last_delivered: Option<Time>,
    #[serde(skip)]
    in_flight: bool,
}

/// What came of posting a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// The server answered.
    Http {
        status: u16,
        /// `retry_after` of the body or `Retry-After` of the headers, the longer one.
        retry_after: Option<Duration>,
        /// `X-RateLimit-Reset-After` when `X-RateLimit-Remaining` is 0.
        pause: Option<Duration>,
        /// Discord's error code.
        code: Option<u64>,
        /// What it said, without secrets.
        detail: String,
    },
    /// No answer.
    Unreachable(String),
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// The whole notice has been accepted.
    Delivered,
    /// A part of it has been accepted; more follow.
    PartDelivered,
    /// Too many requests: waits as long as the server asked.
    RateLimited,
    /// Failed; will be tried again.
    Retry,
    /// Refused; a shortened plain text is tried instead.
    Shortened,
    /// Refused in every form: given up.
    Rejected,
    /// The channel does not work.
    Broken,
}

/// One line of the delivery log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// When.
    pub at: Time,
    /// Contact point (and receiver) it went to.
    pub channel: String,
    /// What it was about.
    pub about: String,
    /// What became of it.
    pub attempt: Attempt,
    /// HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// What the server or the network said.
    pub detail: String,
    /// When it is tried again.
    pub next: Option<Time>,
}

impl Channel {
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn status(&self) -> &ChannelStatus {
        &self.status
    }

    pub(crate) fn last_delivered(&self) -> Option<Time> {
        self.last_delivered
    }

    /// Notices that are not delivered yet.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.sending.is_some())
    }

    /// Adds a notice behind those that wait, or into the one of its group.
    pub(crate) fn push(&mut self, notice: Notice) {
        let full = self.waiting.len() >= NOTICES_WAITING_MAX;
        let last = self.waiting.len().saturating_sub(1);
        let same = self.waiting.iter().position(|waiting| waiting.group == notice.group);
        match same.or(full.then_some(last)).and_then(|at| self.waiting.get_mut(at)) {
            Some(waiting) => waiting.merge(notice),
            None => self.waiting.push_back(notice),
        }
    }

    /// The channel has another address: what was broken may work now.
    pub(crate) fn repaired(&mut self) {
        self.status = ChannelStatus::Healthy;
        self.not_before = Time::default();
        if let Some(sending) = &mut self.sending {
            sending.failures = 0;
        }
    }

    /// The clock was set back by this much.
    pub(crate) fn set_back(&mut self, back: Duration) {
        self.not_before = self.not_before.minus(back);
    }

    /// When it wants to send next; `None` when it has nothing to send or waits for an answer.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        (!self.in_flight && self.len() > 0).then_some(self.not_before)
    }

    /// The message to post now, if any. Its answer must be given to [`Channel::answered`].
    pub(crate) fn poll(
        &mut self,
        now: Time,
        render: impl FnOnce(&Notice) -> Vec<Part>,
    ) -> Option<serde_json::Value> {
        if self.next_wake().is_none_or(|at| at > now) {
            return None;
        }
        if self.sending.is_none() {
            let notice = self.waiting.pop_front()?;
            let parts = render(&notice);
            debug_assert!(!parts.is_empty());
            self.sending = Some(Sending { notice, parts, sent: 0, fallback: false, failures: 0 });
        }
        let sending = self.sending.as_ref()?;
        let part = sending.parts.get(sending.sent)?;
        self.in_flight = true;
        Some(if sending.fallback { part.fallback.clone() } else { part.body.clone() })
    }

    /// Takes in the answer to the message in flight. `jitter` is random in 0..1.
    pub(crate) fn answered(&mut self, now: Time, answer: &Answer, jitter: f64) -> Option<DeliveryRecord> {
        self.in_flight = false;
        let mut sending = self.sending.take()?;
        let about = sending.notice.summary();
        let detail = match answer {
            Answer::Http { detail, .. } => detail,
            Answer::Unreachable(error) => error,
        };
        let detail = shorten(detail, ERROR_TEXT_MAX);
        let (attempt, wait) = self.judge(now, answer, jitter, &mut sending, &detail);
        self.not_before = now.plus(wait);
        let done = sending.sent >= sending.parts.len();
        if !done {
            self.sending = Some(sending);
        }
        Some(DeliveryRecord {
            at: now,
            channel: self.id.clone(),
            about,
            attempt,
            status: match answer {
                Answer::Http { status, .. } => Some(*status),
                Answer::Unreachable(_) => None,
            },
            detail,
            next: (!done).then_some(self.not_before),
        })
    }

    /// What an answer means for the message and the channel, and how long to wait now.
    fn judge(
        &mut self,
        now: Time,
        answer: &Answer,
        jitter: f64,
        sending: &mut Sending,
        detail: &str,
    ) -> (Attempt, Duration) {
        match answer {
            Answer::Http { status: 200..=299, pause, .. } => {
                sending.sent += 1;
                sending.fallback = false;
                sending.failures = 0;
                self.status = ChannelStatus::Healthy;
                self.last_delivered = Some(now);
                let done = sending.sent >= sending.parts.len();
                let attempt = if done { Attempt::Delivered } else { Attempt::PartDelivered };
                (attempt, pause.unwrap_or_default().min(RETRY_AFTER_MAX))
            }
            Answer::Http { status: 429, retry_after, pause, .. } => {
                sending.failures = sending.failures.saturating_add(1);
                let asked = match (*retry_after, *pause) {
                    (None, None) => backoff(sending.failures, jitter),
                    (asked, pause) => asked.unwrap_or_default().max(pause.unwrap_or_default()),
                };
                self.retrying(&format!("rate limited: {detail}"));
                (Attempt::RateLimited, lengthen(asked.min(RETRY_AFTER_MAX), jitter))
            }
            // 40333: Cloudflare's block; 20016, 20028: slow mode and write limits. All pass.
            Answer::Http { status, code: Some(40333 | 20016 | 20028), retry_after, .. } => {
                self.retry(sending, &format!("status {status}: {detail}"), *retry_after, jitter)
            }
            Answer::Http { status: status @ (401 | 403 | 404 | 410 | 300..=399), .. } => {
                let error = format!("status {status}: {detail}");
                let since = match &self.status {
                    ChannelStatus::Broken { since, .. } => *since,
                    _ => now,
                };
                self.status = ChannelStatus::Broken { error, since };
                (Attempt::Broken, BROKEN_RETRY)
            }
            Answer::Http { status: 408 | 425 | 500..=599, retry_after, .. } => {
                self.retry(sending, detail, *retry_after, jitter)
            }
            Answer::Http { .. } if sending.fallback => {
                // Even the plain text is refused: the next message may do better than this one.
                sending.sent += 1;
                sending.fallback = false;
                (Attempt::Rejected, Duration::ZERO)
            }
            Answer::Http { .. } => {
                sending.fallback = true;
                (Attempt::Shortened, Duration::ZERO)
            }
            Answer::Unreachable(error) => self.retry(sending, error, None, jitter),
        }
    }

    fn retry(
        &mut self,
        sending: &mut Sending,
        error: &str,
        asked: Option<Duration>,
        jitter: f64,
    ) -> (Attempt, Duration) {
        sending.failures = sending.failures.saturating_add(1);
        self.retrying(error);
        let asked = asked.unwrap_or_default().min(RETRY_AFTER_MAX);
        (Attempt::Retry, backoff(sending.failures, jitter).max(lengthen(asked, jitter)))
    }

    fn retrying(&mut self, error: &str) {
        self.status = ChannelStatus::Retrying { error: shorten(error, ERROR_TEXT_MAX) };
    }

    /// What must always be true.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.waiting.len() > NOTICES_WAITING_MAX {
            return Err(format!("{} holds {} notices", self.id, self.waiting.len()));
        }
        match &self.sending {
            Some(sending) if sending.sent >= sending.parts.len() => {
                Err(format!("{} holds a notice that is sent already", self.id))
            }
            None if self.in_flight => Err(format!("{} waits for an answer to nothing", self.id)),
            _ => Ok(()),
        }
    }
}

/// 1 s, 2 s, 4 s ... up to the maximum, the last half of it random.
fn backoff(failures: u32, jitter: f64) -> Duration {
    let doubled =
        BACKOFF_MIN.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(BACKOFF_MAX).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

/// What a server asks for, and up to a tenth more, so that many clients do not come back at once.
fn lengthen(asked: Duration, jitter: f64) -> Duration {
    asked.mul_f64(1.0 + 0.1 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
