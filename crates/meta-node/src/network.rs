//! Raft over calls: what one member asks another, and who answers.
//!
//! | method | head | body |
//! |---|---|---|
//! | `raft.append`, `raft.vote` | to whom | Raft's request, JSON |
//! | `raft.snapshot` | to whom, Raft's request without its bytes | those bytes |
//! | `raft.fresh` | to whom | |
//! | `raft.missing` | to whom, who asks, the leader | |
//! | `raft.ping` | nothing | |
//!
//! Every call but the last names the member it is for: an address may have got another one since.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use openraft::{
    AnyError, RaftNetwork, RaftNetworkFactory,
    error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Timeout},
    network::{RPCOption, RPCTypes},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
        VoteRequest, VoteResponse,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use skywatch_rpc::{CallError, Failure, FailureKind, Router, Transport, ask};
use tokio::time::Instant;

use crate::{
    freshness::{AskFresh, Freshness},
    raft_types::{Member, Raft, Types},
    succession::{AskMissing, Vigil},
};

/// No call is given up sooner than this: fsync on a loaded disk takes its time.
const CALL_LIMIT_MIN: Duration = Duration::from_millis(500);

/// Entries that could not be sent are not sent again sooner: a member that does not run refuses them at once, and Raft would
/// keep trying as fast as it is refused.
const RETRY_AFTER: Duration = Duration::from_millis(50);

#[derive(Debug, Serialize, Deserialize)]
struct Addressed {
    to: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct SnapshotHead {
    to: u64,
    request: InstallSnapshotRequest<Types>,
}

/// A head that says nothing, and may say more one day.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Nothing {}

/// Makes connections to members; each is just an address.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) me: u64,
}

/// The way to one member.
#[derive(Debug)]
pub(crate) struct Link {
    network: Network,
    target: u64,
    address: String,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, node: &Member) -> Link {
        Link { network: self.clone(), target, address: node.raft_addr.clone() }
    }
}

/// Why a member gave no answer. Raft would wait half a second after `Unreachable`; the next heartbeat comes sooner.
type Problem<E> = RPCError<u64, Member, RaftError<u64, E>>;

impl Link {
    async fn ask<Q, A, E>(
        &self,
        method: (&'static str, RPCTypes),
        head: &Q,
        body: Bytes,
        option: &RPCOption,
    ) -> Result<A, Problem<E>>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
        E: std::error::Error,
    {
        let within = option.hard_ttl().max(CALL_LIMIT_MIN);
        let answer = ask(&*self.network.transport, &self.address, method.0, head, body, within).await;
        answer.map(|(answer, _)| answer).map_err(|error| match error {
            CallError::TimedOut { within, .. } => RPCError::Timeout(Timeout {
                action: method.1,
                id: self.network.me,
                target: self.target,
                timeout: within,
            }),
            other => RPCError::Network(NetworkError::new(&other)),
        })
    }
}

fn unencodable<E: std::error::Error>(error: &serde_json::Error) -> Problem<E> {
    RPCError::Network(NetworkError::from(AnyError::new(error)))
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Problem<openraft::error::Infallible>> {
        let body = serde_json::to_vec(&request).map_err(|error| unencodable(&error))?;
        let head = Addressed { to: self.target };
        let began = Instant::now();
        let answer = self.ask(("raft.append", RPCTypes::AppendEntries), &head, body.into(), &option).await;
        if answer.is_err() {
            tokio::time::sleep_until(began + RETRY_AFTER).await;
        }
        answer
    }

    async fn install_snapshot(
        &mut self,
        mut request: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Problem<InstallSnapshotError>> {
        let bytes = std::mem::take(&mut request.data);
        let head = SnapshotHead { to: self.target, request };
        let answer: Result<InstallSnapshotResponse<u64>, InstallSnapshotError> =
            self.ask(("raft.snapshot", RPCTypes::InstallSnapshot), &head, bytes.into(), &option).await?;
        answer
            .map_err(|error| RPCError::RemoteError(RemoteError::new(self.target, RaftError::APIError(error))))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, Problem<openraft::error::Infallible>> {
        let body = serde_json::to_vec(&request).map_err(|error| unencodable(&error))?;
        self.ask(("raft.vote", RPCTypes::Vote), &Addressed { to: self.target }, body.into(), &option).await
    }
}

/// The member that answers for an address now.
#[derive(Clone)]
pub(crate) struct Answering {
    pub(crate) me: u64,
    pub(crate) raft: Raft,
    pub(crate) freshness: Arc<Freshness>,
    pub(crate) vigil: Arc<Vigil>,
}

impl Answering {
    fn check(&self, to: u64) -> Result<(), Failure> {
        if to == self.me {
            return Ok(());
        }
        let text = format!("the call is for member {to}; at this address there is member {} now", self.me);
        Err(Failure::new(FailureKind::Conflict, text))
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::new(FailureKind::Invalid, format!("the request cannot be read: {error}")))
}

/// Answers the calls of other members; `current` tells who answers now, if anybody.
pub(crate) fn router<F>(current: F) -> Router
where
    F: Fn() -> Result<Answering, Failure> + Clone + Send + Sync + 'static,
{
    let [append, vote, snapshot, fresh] = [(); 4].map(|()| current.clone());
    Router::new()
        .on("raft.append", move |head: Addressed, body: Bytes| {
            let current = append();
            async move {
                let current = current?;
                current.check(head.to)?;
                let answer = current.raft.append_entries(read(&body)?).await.map_err(Failure::internal)?;
                Ok((answer, Bytes::new()))
            }
        })
        .on("raft.vote", move |head: Addressed, body: Bytes| {
            let current = vote();
            async move {
                let current = current?;
                current.check(head.to)?;
                let answer = current.raft.vote(read(&body)?).await.map_err(Failure::internal)?;
                Ok((answer, Bytes::new()))
            }
        })
        .on("raft.snapshot", move |head: SnapshotHead, body: Bytes| {
            let current = snapshot();
            async move {
                let current = current?;
                current.check(head.to)?;
                let mut request = head.request;
                request.data = body.to_vec();
                let answer = match current.raft.install_snapshot(request).await {
                    Ok(answer) => Ok(answer),
                    Err(RaftError::APIError(error)) => Err(error),
                    Err(RaftError::Fatal(error)) => return Err(Failure::internal(error)),
                };
                Ok((answer, Bytes::new()))
            }
        })
        .on("raft.fresh", move |question: AskFresh, _| {
            let current = fresh();
            async move {
                let current = current?;
                current.check(question.to)?;
                Ok((current.freshness.answer()?, Bytes::new()))
            }
        })
        .on("raft.missing", move |question: AskMissing, _| {
            let current = current();
            async move {
                let current = current?;
                current.check(question.to)?;
                Ok((current.vigil.answer(&current.raft, &question).await, Bytes::new()))
            }
        })
        .on("raft.ping", |_: Nothing, _| async { Ok((Nothing {}, Bytes::new())) })
}
