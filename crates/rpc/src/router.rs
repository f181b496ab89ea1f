//! Which handler answers which method.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Call, Failure, FailureKind, Reply};

/// Answers the calls of one method.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Answers; whoever asked may have given up meanwhile.
    async fn answer(&self, call: Call) -> Result<Reply, Failure>;
}

/// Handlers by method.
#[derive(Clone, Default)]
pub struct Router {
    handlers: BTreeMap<&'static str, Arc<dyn Handler>>,
    /// Answers what nobody here does, once it is there.
    later: Option<Arc<OnceLock<Router>>>,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}

impl Router {
    /// Without handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a handler for a method, which has none yet.
    #[must_use]
    pub fn with(mut self, method: &'static str, handler: Arc<dyn Handler>) -> Self {
        let earlier = self.handlers.insert(method, handler);
        assert!(earlier.is_none(), "{method} is answered twice");
        self
    }

    /// With a function that answers a method: from the head's question and the body to the answer and its body.
    #[must_use]
    pub fn on<Q, A, F, R>(self, method: &'static str, answer: F) -> Self
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
        F: Fn(Q, Bytes) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(A, Bytes), Failure>> + Send + 'static,
    {
        self.with(method, Arc::new(Typed { answer, types: std::marker::PhantomData }))
    }

    /// With the handlers of another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (method, handler) in other.handlers {
            self = self.with(method, handler);
        }
        self
    }

    /// With every call counted that is answered.
    #[must_use]
    pub fn counted(mut self, counts: &CallCounts) -> Self {
        for (method, handler) in &mut self.handlers {
            let count = Arc::clone(counts.0.lock().entry(method).or_default());
            *handler = Arc::new(Counted { handler: Arc::clone(handler), count });
        }
        self
    }

    /// With another that answers what this one does not, once it is there: a node answers few calls before it is a member
    /// of a cluster.
    #[must_use]
    pub fn and_later(mut self, later: Arc<OnceLock<Self>>) -> Self {
        self.later = Some(later);
        self
    }

    fn handler(&self, method: &str) -> Option<&Arc<dyn Handler>> {
        let later = || self.later.as_ref().and_then(|later| later.get()?.handler(method));
        self.handlers.get(method).or_else(later)
    }

    /// Answers a call.
    pub async fn answer(&self, call: Call) -> Result<Reply, Failure> {
        match self.handler(&call.method) {
            Some(handler) => handler.answer(call).await,
            None => Err(Failure::new(FailureKind::Unknown, format!("{} {}", call.method, self.unanswered()))),
        }
    }

    fn unanswered(&self) -> &'static str {
        if self.later.as_ref().is_some_and(|later| later.get().is_none()) {
            return "is not answered yet: the node has just been started, or belongs to no cluster";
        }
        "is not answered here: the node runs another release, or has another role"
    }
}

/// How many calls of each method were answered, with whatever answer.
#[derive(Debug, Clone, Default)]
pub struct CallCounts(Arc<Mutex<BTreeMap<&'static str, Arc<AtomicU64>>>>);

impl CallCounts {
    /// Calls of one method so far.
    pub fn answered(&self, method: &str) -> u64 {
        self.0.lock().get(method).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

struct Counted {
    handler: Arc<dyn Handler>,
    count: Arc<AtomicU64>,
}

#[async_trait]
impl Handler for Counted {
    async fn answer(&self, call: Call) -> Result<Reply, Failure> {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.handler.answer(call).await
    }
}

struct Typed<F, Q, A> {
    answer: F,
    types: std::marker::PhantomData<fn(Q) -> A>,
}

#[async_trait]
impl<Q, A, F, R> Handler for Typed<F, Q, A>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
    F: Fn(Q, Bytes) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(A, Bytes), Failure>> + Send + 'static,
{
    async fn answer(&self, call: Call) -> Result<Reply, Failure> {
        let question = serde_json::from_slice(&call.head).map_err(|error| {
            Failure::new(FailureKind::Invalid, format!("the head of {} cannot be read: {error}", call.method))
        })?;
        let (answer, body) = (self.answer)(question, call.body).await?;
        let head = serde_json::to_vec(&answer).map_err(Failure::internal)?;
        Ok(Reply { head: head.into(), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &'static str, head: &'static str) -> Call {
        Call { method: method.into(), head: head.into(), body: Bytes::from_static(b"body") }
    }

    #[tokio::test]
    async fn questions_reach_their_handler_and_nothing_else_does() {
        let counts = CallCounts::default();
        let router =
            Router::new().on("test.double", |number: u32, body| async move { Ok((number * 2, body)) });
        let router = router.counted(&counts);
        let reply = router.answer(call("test.double", "21")).await.expect("an answer");
        assert_eq!((&*reply.head, &*reply.body), (&b"42"[..], &b"body"[..]));
        let refused = router.answer(call("test.double", "\"x\"")).await.expect_err("no number");
        assert_eq!(refused.kind, FailureKind::Invalid);
        let unknown = router.answer(call("test.halve", "42")).await.expect_err("no such method");
        assert_eq!(unknown.kind, FailureKind::Unknown);
        assert_eq!((counts.answered("test.double"), counts.answered("test.halve")), (2, 0));
        let later = Arc::new(OnceLock::new());
        let router = router.and_later(Arc::clone(&later));
        let absent = router.answer(call("test.halve", "42")).await.expect_err("not yet");
        assert!(absent.text.starts_with("test.halve is not answered yet"), "{absent:?}");
        let halve = |number: u32, body| async move { Ok((number / 2, body)) };
        later.set(Router::new().on("test.halve", halve)).expect("set once");
        assert_eq!(&*router.answer(call("test.halve", "42")).await.expect("now it is there").head, b"21");
        let unknown = router.answer(call("test.treble", "42")).await.expect_err("never");
        assert!(unknown.text.starts_with("test.treble is not answered here"), "{unknown:?}");
    }
}
