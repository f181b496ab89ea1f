//! A call, its answer, and what can go wrong in between.

use std::{borrow::Cow, fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A request to another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is asked for, as `replication.write`: the room that answers, and its word for it.
    pub method: Cow<'static, str>,
    /// JSON.
    pub head: Bytes,
    /// What goes with it, in the format of the method.
    pub body: Bytes,
}

/// The answer to a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// JSON.
    pub head: Bytes,
    /// What goes with it, in the format of the method.
    pub body: Bytes,
}

/// What kind of "no" an answer is: it decides what the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request can never succeed as it is.
    Invalid,
    /// What it names does not exist (any more).
    NotFound,
    /// It clashes with what is there.
    Conflict,
    /// The node does not hold all that it would have to, to answer.
    Incomplete,
    /// What it holds cannot be read: another node may have it whole.
    Damaged,
    /// The same request will succeed later, or elsewhere.
    Unavailable,
    /// The node does not know the method: it runs an older release.
    Unknown,
    /// The node is at fault.
    Internal,
    /// A kind that a later release has.
    #[serde(other)]
    Other,
}

/// The "no" of a node that got the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// What, where and what to do, in words.
    pub text: String,
}

impl Failure {
    /// A failure with these words.
    pub fn new(kind: FailureKind, text: impl fmt::Display) -> Self {
        Self { kind, text: text.to_string() }
    }

    /// The node is at fault.
    pub fn internal(text: impl fmt::Display) -> Self {
        Self::new(FailureKind::Internal, text)
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no connection: the call was surely not carried out.
    #[error("cannot reach {to}: {reason}")]
    Unreachable {
        /// The node's address.
        to: String,
        /// Why.
        reason: String,
    },
    /// No answer in time: it may have been carried out, or may still be.
    #[error("{to} did not answer within {}", duration(within))]
    TimedOut {
        /// The node's address.
        to: String,
        /// How long the caller waited.
        within: Duration,
    },
    /// The connection broke before the answer was whole: it may have been carried out.
    #[error("the connection to {to} broke: {reason}")]
    Lost {
        /// The node's address.
        to: String,
        /// Why.
        reason: String,
    },
    /// The node answered "no".
    #[error("{to}: {failure}")]
    Failed {
        /// The node's address.
        to: String,
        /// In its words.
        failure: Failure,
    },
    /// The answer cannot be read: the node runs another release, or is no node of this kind.
    #[error("{to} answered what cannot be read: {reason}")]
    Unreadable {
        /// The node's address.
        to: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Ends the reason of a call that was given up because an earlier one had just failed for it.
pub(crate) const NOT_TRIED: &str = ", and it is not tried again yet";

impl CallError {
    /// The "no" of the node, if it answered.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// Whether the host has just answered that no process listens at the address: the node is not merely cut off, it does not
    /// run. Told by the system's own word for it, which is all that is left of it here.
    pub fn nobody_listens(&self) -> bool {
        let is_told = |reason: &str| reason.contains("Connection refused") && !reason.ends_with(NOT_TRIED);
        matches!(self, Self::Unreachable { reason, .. } if is_told(reason))
    }

    /// Whether nothing was tried, since an earlier call had just found the node absent. It is tried again within a second.
    pub fn was_not_tried(&self) -> bool {
        matches!(self, Self::Unreachable { reason, .. } if reason.ends_with(NOT_TRIED))
    }

    /// Whether the node cannot be reached, or does not answer: what another node may be asked for instead.
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Lost { .. })
    }
}

fn duration(duration: &Duration) -> String {
    if duration.as_millis() < 1000 { format!("{} ms", duration.as_millis()) } else { format!("{duration:?}") }
}

/// Places calls.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Asks the node at an address (`host:port`) and waits for its answer, for so long at most. Dropping the future gives
    /// the answer up; the node may carry the call out all the same.
    async fn call(&self, to: &str, call: Call, within: Duration) -> Result<Reply, CallError>;
}

/// Asks a question whose head and answer are of known types; the bodies go with them.
pub async fn ask<Q, A>(
    transport: &dyn Transport,
    to: &str,
    method: &'static str,
    question: &Q,
    body: Bytes,
    within: Duration,
) -> Result<(A, Bytes), CallError>
where
    Q: Serialize + Sync,
    A: DeserializeOwned,
{
    let head = serde_json::to_vec(question).map_err(|error| CallError::Failed {
        to: to.to_owned(),
        failure: Failure::internal(format!("the call cannot be encoded: {error}")),
    })?;
    let call = Call { method: Cow::Borrowed(method), head: head.into(), body };
    let reply = transport.call(to, call, within).await?;
    let answer = serde_json::from_slice(&reply.head)
        .map_err(|error| CallError::Unreadable { to: to.to_owned(), reason: error.to_string() })?;
    Ok((answer, reply.body))
}

/// As [`ask`], where neither question nor answer has a body.
pub async fn tell<Q, A>(
    transport: &dyn Transport,
    to: &str,
    method: &'static str,
    question: &Q,
    within: Duration,
) -> Result<A, CallError>
where
    Q: Serialize + Sync,
    A: DeserializeOwned,
{
    Ok(ask(transport, to, method, question, Bytes::new(), within).await?.0)
}
