//! The greeting: protocol, cluster, and the proof on both sides that the shared secret is known.
//!
//! ```text
//!   who connects                              node
//!     2 "SKY", Hello {protocols, nonce}  ->
//!                                        <-   Challenge {protocol, nonce}      or Refused {reason}
//!     Proof {HMAC(secret, ...)}          ->
//!                                        <-   Accepted {HMAC(secret, ...)}     or Refused {reason}
//! ```
//!
//! Who connects proves it first, so that a stranger gets nothing to try passwords on. A proof covers both greetings as
//! they travelled, each side's word for itself, and with TLS the very connection: it is worth nothing anywhere else.
//! This file is pure but for the two functions at its end that exchange the frames.

use bytes::BytesMut;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{
    CALLS, MAGIC, PROTOCOLS,
    frame::{Kind, PAYLOAD_BYTES_MAX, encode},
    reader::{FrameReader, ReadError},
};
use crate::{Identity, Secret};

/// Most characters of a reason that are sent or believed.
const REASON_CHARS_MAX: usize = 1000;

/// A secret of 32 bytes that only the two ends of a TLS connection know; nothing without TLS.
pub(crate) type ChannelBinding = [u8; 32];

/// What the binding is called in TLS.
pub(crate) const BINDING_LABEL: &[u8] = b"EXPORTER-skywatch-calls";

/// Why two nodes do not come together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the connection broke: {0}")]
    Read(#[from] ReadError),
    #[error("the connection broke: {0}")]
    Write(#[from] std::io::Error),
    #[error("what answers there is no Skywatch node, or one of another age: {0}")]
    Strange(String),
    /// The other side's words.
    #[error("it refuses this node: {0}")]
    Refused(String),
    /// Ours.
    #[error("{0}")]
    Refuse(String),
}

/// The other side, as it presented itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its release.
    pub release: String,
    /// The version of the protocol that both speak.
    pub protocol: u16,
}

#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    protocols: (u16, u16),
    release: String,
    #[serde(default)]
    cluster: Option<u64>,
    #[serde(default)]
    proves: bool,
    nonce: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Challenge {
    protocol: u16,
    release: String,
    #[serde(default)]
    proves: bool,
    nonce: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Proof {
    #[serde(default)]
    proof: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    reason: String,
}

fn nonce() -> String {
    hex(&rand::random::<[u8; 32]>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What both sides have seen of the greeting.
#[derive(Debug)]
struct Transcript {
    hello: Vec<u8>,
    challenge: Vec<u8>,
    binding: ChannelBinding,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Connecting,
    Node,
}

impl Transcript {
    fn mac(&self, secret: &Secret, side: Side) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(secret.bytes()).expect("HMAC takes keys of any length");
        mac.update(match side {
            Side::Connecting => b"skywatch calls: who connects",
            Side::Node => b"skywatch calls: the node",
        });
        for part in [&self.hello[..], &self.challenge, &self.binding] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }

    fn proof(&self, secret: Option<&Secret>, side: Side) -> Proof {
        let proof = secret.map(|secret| hex(&self.mac(secret, side).finalize().into_bytes()));
        Proof { proof: proof.unwrap_or_default() }
    }

    /// Whether a side has proved that it knows the secret; takes the same time whatever is wrong.
    fn holds(&self, secret: Option<&Secret>, side: Side, proof: &Proof) -> bool {
        let Some(secret) = secret else { return true };
        unhex(&proof.proof).is_some_and(|proof| self.mac(secret, side).verify_slice(&proof).is_ok())
    }
}

/// The newest version that both speak.
fn common_protocol(ours: (u16, u16), theirs: (u16, u16)) -> Option<u16> {
    let newest = ours.1.min(theirs.1);
    (newest >= ours.0.max(theirs.0)).then_some(newest)
}

/// What the node has against who connects.
fn objection(identity: &Identity, hello: &Hello) -> Option<String> {
    if common_protocol(PROTOCOLS, hello.protocols).is_none() {
        return Some(format!(
            "release {} speaks versions {} to {} of the protocol, release {} speaks {} to {}: upgrade one \
             release at a time",
            identity.release, PROTOCOLS.0, PROTOCOLS.1, hello.release, hello.protocols.0, hello.protocols.1
        ));
    }
    if let (Some(ours), Some(theirs)) = (identity.cluster.get(), hello.cluster)
        && ours != theirs
    {
        return Some(format!("it belongs to cluster {ours:x}, and who connects to cluster {theirs:x}"));
    }
    match (identity.secret.is_some(), hello.proves) {
        (true, false) => Some(
            "it takes calls only from nodes that know the cluster's secret, and none is configured on the side that \
             connects ([meta] internal-shared-secret, meta-internal-shared-secret on data nodes)"
                .to_owned(),
        ),
        (false, true) => Some(
            "a secret is configured on the side that connects, and none here ([meta] internal-shared-secret, \
             meta-internal-shared-secret on data nodes)"
                .to_owned(),
        ),
        (true, true) | (false, false) => None,
    }
}

const WRONG_SECRET: &str = "the two nodes are configured with different secrets ([meta] internal-shared-secret, \
                            meta-internal-shared-secret on data nodes)";

async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    preface: &[u8],
    kind: Kind,
    message: &(impl Serialize + Sync),
) -> Result<Vec<u8>, HandshakeError> {
    let payload = serde_json::to_vec(message).map_err(|error| HandshakeError::Strange(error.to_string()))?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(HandshakeError::Strange("the greeting is too long".to_owned()));
    }
    let mut out = BytesMut::from(preface);
    encode(kind, 0, true, [&payload, &[]], &mut out);
    stream.write_all(&out).await?;
    stream.flush().await?;
    Ok(payload)
}

async fn receive<M: DeserializeOwned, S: AsyncRead + Unpin>(
    reader: &mut FrameReader<S>,
    expected: Kind,
) -> Result<(M, Vec<u8>), HandshakeError> {
    let header = reader.next().await.map_err(|error| match error {
        ReadError::Frame(error) => HandshakeError::Strange(error.to_string()),
        other => HandshakeError::Read(other),
    })?;
    let payload = reader.payload().to_vec();
    let strange = |error: serde_json::Error| HandshakeError::Strange(error.to_string());
    if header.kind == Kind::Refused {
        let refusal: Refusal = serde_json::from_slice(&payload).map_err(strange)?;
        return Err(HandshakeError::Refused(refusal.reason.chars().take(REASON_CHARS_MAX).collect()));
    }
    if header.kind != expected {
        return Err(HandshakeError::Strange(format!("{:?} where {expected:?} was expected", header.kind)));
    }
    Ok((serde_json::from_slice(&payload).map_err(strange)?, payload))
}

/// Says why who connects is refused. What comes of it does not matter any more.
pub(crate) async fn refuse(stream: &mut (impl AsyncWrite + Unpin), reason: &str) {
    let reason = reason.chars().take(REASON_CHARS_MAX).collect();
    drop(send(stream, &[], Kind::Refused, &Refusal { reason }).await);
    drop(stream.shutdown().await);
}

/// Greets a node that was connected to.
pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    reader: &mut FrameReader<S>,
    identity: &Identity,
    binding: ChannelBinding,
) -> Result<Peer, HandshakeError> {
    let secret = identity.secret.as_ref();
    let hello = Hello {
        protocols: PROTOCOLS,
        release: identity.release.clone(),
        cluster: identity.cluster.get(),
        proves: secret.is_some(),
        nonce: nonce(),
    };
    let preface = [&[CALLS], &MAGIC[..]].concat();
    let hello = send(reader.stream_mut(), &preface, Kind::Hello, &hello).await?;
    let (challenge, challenge_bytes) = receive::<Challenge, _>(reader, Kind::Challenge).await?;
    if secret.is_some() && !challenge.proves {
        // A node without the secret refuses us by itself; one that does not is no node of this cluster.
        return Err(HandshakeError::Refuse(
            "it does not prove that it knows the cluster's secret".to_owned(),
        ));
    }
    let transcript = Transcript { hello, challenge: challenge_bytes, binding };
    send(reader.stream_mut(), &[], Kind::Proof, &transcript.proof(secret, Side::Connecting)).await?;
    let (accepted, _) = receive::<Proof, _>(reader, Kind::Accepted).await?;
    if !transcript.holds(secret, Side::Node, &accepted) {
        return Err(HandshakeError::Refuse(WRONG_SECRET.to_owned()));
    }
    Ok(Peer { release: challenge.release, protocol: challenge.protocol })
}

/// Greets who connects; the first four bytes have been read.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    reader: &mut FrameReader<S>,
    identity: &Identity,
    binding: ChannelBinding,
) -> Result<Peer, HandshakeError> {
    let (hello, hello_bytes) = receive::<Hello, _>(reader, Kind::Hello).await?;
    if let Some(reason) = objection(identity, &hello) {
        refuse(reader.stream_mut(), &reason).await;
        return Err(HandshakeError::Refuse(reason));
    }
    let protocol = common_protocol(PROTOCOLS, hello.protocols).unwrap_or(PROTOCOLS.1);
    let secret = identity.secret.as_ref();
    let release = identity.release.clone();
    let challenge = Challenge { protocol, release, proves: secret.is_some(), nonce: nonce() };
    let challenge = send(reader.stream_mut(), &[], Kind::Challenge, &challenge).await?;
    let transcript = Transcript { hello: hello_bytes, challenge, binding };
    let (proof, _) = receive::<Proof, _>(reader, Kind::Proof).await?;
    if !transcript.holds(secret, Side::Connecting, &proof) {
        refuse(reader.stream_mut(), WRONG_SECRET).await;
        return Err(HandshakeError::Refuse(WRONG_SECRET.to_owned()));
    }
    send(reader.stream_mut(), &[], Kind::Accepted, &transcript.proof(secret, Side::Node)).await?;
    Ok(Peer { release: hello.release, protocol })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::*;

    fn identity(secret: &str, cluster_id: u64) -> Identity {
        let identity = Identity { secret: Secret::new(secret), ..Identity::new("test") };
        identity.cluster.set(cluster_id);
        identity
    }

    async fn node(
        mut stream: DuplexStream,
        identity: &Identity,
        binding: u8,
    ) -> Result<Peer, HandshakeError> {
        let mut preface = [0; 4];
        stream.read_exact(&mut preface).await?;
        assert_eq!(&preface, b"\x02SKY");
        accept(&mut FrameReader::new(stream), identity, [binding; 32]).await
    }

    /// What both sides say of a greeting between two nodes.
    async fn greet(ours: &Identity, theirs: &Identity, bindings: [u8; 2]) -> [String; 2] {
        let (a, b) = duplex(4096);
        let mut reader = FrameReader::new(a);
        let (ours, theirs) =
            tokio::join!(connect(&mut reader, ours, [bindings[0]; 32]), node(b, theirs, bindings[1]));
        [ours, theirs].map(|outcome| match outcome {
            Ok(peer) => format!("{} {}", peer.release, peer.protocol),
            Err(error) => error.to_string(),
        })
    }

    #[tokio::test]
    async fn nodes_of_one_cluster_come_together() {
        for secret in ["", "swordfish"] {
            let (one, other) = (identity(secret, 7), identity(secret, 0));
            assert_eq!(greet(&one, &other, [1, 1]).await, ["test 1", "test 1"]);
            assert_eq!(greet(&other, &one, [1, 1]).await, ["test 1", "test 1"]);
        }
    }

    #[tokio::test]
    async fn strangers_are_told_why_they_are_refused() {
        let cases = [
            (identity("a", 0), identity("b", 0), "different secrets"),
            (identity("", 0), identity("b", 0), "none is configured on the side that connects"),
            (
                identity("a", 0),
                identity("", 0),
                "a secret is configured on the side that connects, and none here",
            ),
            (identity("a", 1), identity("a", 2), "cluster 2"),
        ];
        for (ours, theirs, expected) in cases {
            let [ours, theirs] = greet(&ours, &theirs, [1, 1]).await;
            assert!(ours.starts_with("it refuses this node: ") && ours.contains(expected), "{ours}");
            assert!(theirs.contains(expected), "{theirs}");
        }
    }

    #[tokio::test]
    async fn a_proof_is_worth_nothing_on_another_connection() {
        let [ours, theirs] = greet(&identity("a", 0), &identity("a", 0), [1, 2]).await;
        assert!(
            ours.contains("different secrets") && theirs.contains("different secrets"),
            "{ours}, {theirs}"
        );
    }

    #[tokio::test]
    async fn a_node_that_proves_nothing_is_not_spoken_to() {
        let (a, mut b) = duplex(4096);
        let server = async move {
            let challenge = Challenge { protocol: 1, release: "x".into(), proves: true, nonce: "0".into() };
            send(&mut b, &[], Kind::Challenge, &challenge).await.unwrap();
            // An echo of what the other side proved.
            let mut reader = FrameReader::new(b);
            reader.stream_mut().read_exact(&mut [0; 4]).await.unwrap();
            receive::<serde_json::Value, _>(&mut reader, Kind::Hello).await.unwrap();
            let (proof, _) = receive::<Proof, _>(&mut reader, Kind::Proof).await.unwrap();
            send(reader.stream_mut(), &[], Kind::Accepted, &proof).await.unwrap();
        };
        let ours = identity("a", 0);
        let mut reader = FrameReader::new(a);
        let (outcome, ()) = tokio::join!(connect(&mut reader, &ours, [0; 32]), server);
        assert!(outcome.unwrap_err().to_string().contains("different secrets"));
    }

    #[test]
    fn releases_agree_on_the_newest_protocol_of_both() {
        assert_eq!(common_protocol((1, 3), (2, 5)), Some(3));
        assert_eq!(common_protocol((1, 1), (1, 4)), Some(1));
        assert_eq!(common_protocol((3, 4), (1, 2)), None);
    }
}
