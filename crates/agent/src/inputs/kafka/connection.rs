//! One connection to one broker: requests and answers in turn, after SASL where it is asked for. Deadlines are the
//! caller's.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::requests::{
    Api, SASL_AUTHENTICATE, SASL_HANDSHAKE, malformed, read_sasl_authenticate, read_sasl_handshake,
    sasl_authenticate, sasl_handshake,
};
use super::scram::{Hash, Scram};
use super::wire::{Read, Writer};
use crate::net::stream::{self, Connector, HostPort, Stream};
use skywatch_kafka_connection::{Mechanism, Sasl};

/// An answer, at most: metadata of a million partitions is within it.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A broker that listens.
pub(super) struct Connection {
    stream: Stream,
    client_id: String,
    correlation: i32,
}

impl Connection {
    pub(super) async fn open(
        address: &HostPort,
        tls: Option<&Connector>,
        client_id: &str,
        sasl: Option<&Sasl>,
    ) -> Result<Self, String> {
        let stream = stream::tcp(address, tls).await?;
        let mut connection = Self { stream, client_id: client_id.to_owned(), correlation: 0 };
        if let Some(sasl) = sasl {
            connection.authenticate(sasl).await?;
        }
        Ok(connection)
    }

    /// Asks, and reads the answer with `read`.
    pub(super) async fn ask<T>(
        &mut self,
        api: Api,
        request: Writer,
        read: impl FnOnce(&[u8]) -> Read<T>,
    ) -> Result<T, String> {
        let answer = self.exchange(api, &request).await.map_err(|why| format!("{}: {why}", api.name))?;
        read(&answer).map_err(malformed(api))
    }

    async fn exchange(&mut self, api: Api, request: &Writer) -> Result<Vec<u8>, String> {
        self.correlation = self.correlation.wrapping_add(1);
        let mut head = Writer::default();
        head.i16(api.key).i16(api.version).i32(self.correlation).string(&self.client_id);
        let length = i32::try_from(head.0.len() + request.0.len()).map_err(|_| "the request is too large")?;
        let message = [&length.to_be_bytes(), head.0.as_slice(), request.0.as_slice()].concat();
        self.stream.write_all(&message).await.map_err(|error| error.to_string())?;
        self.stream.flush().await.map_err(|error| error.to_string())?;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                "the broker closed the connection; perhaps it wants TLS or SASL, or is too old".to_owned()
            }
            _ => error.to_string(),
        };
        let length = self.stream.read_i32().await.map_err(failed)?;
        let length = usize::try_from(length).ok().filter(|length| (4..=ANSWER_BYTES_MAX).contains(length));
        let length = length.ok_or_else(|| "the answer has an impossible length".to_owned())?;
        let correlation = self.stream.read_i32().await.map_err(failed)?;
        if correlation != self.correlation {
            return Err("the answer is to another request".to_owned());
        }
        let mut answer = Vec::new();
        // Grows with what comes, not with what was announced.
        let mut body = (&mut self.stream).take((length - 4) as u64);
        body.read_to_end(&mut answer).await.map_err(failed)?;
        if answer.len() < length - 4 {
            return Err("the connection ended within the answer".to_owned());
        }
        Ok(answer)
    }

    async fn authenticate(&mut self, sasl: &Sasl) -> Result<(), String> {
        let mechanism = sasl.mechanism.name();
        let handshake = self.ask(SASL_HANDSHAKE, sasl_handshake(mechanism), read_sasl_handshake).await?;
        handshake.map_err(|known| format!("the broker has no {mechanism}; it has {}", known.join(", ")))?;
        let hash = match sasl.mechanism {
            Mechanism::Plain => {
                let message = format!("\0{}\0{}", sasl.username, sasl.secret);
                return self.say(message.as_bytes()).await.map(drop);
            }
            Mechanism::OauthBearer => {
                let message = format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", sasl.secret);
                return match self.say(message.as_bytes()).await?.as_slice() {
                    [] => Ok(()),
                    refusal => Err(format!("SASL: {}", String::from_utf8_lossy(refusal))),
                };
            }
            Mechanism::ScramSha256 => Hash::Sha256,
            Mechanism::ScramSha512 => Hash::Sha512,
        };
        let nonce = format!("{:032x}", rand::random::<u128>());
        let scram = Scram::new(hash, &sasl.username, &sasl.secret, nonce);
        let server_first = self.say(scram.first().as_bytes()).await?;
        let (proof, expected) = scram.proof(&String::from_utf8_lossy(&server_first))?;
        let server_last = self.say(proof.as_bytes()).await?;
        if server_last != expected.as_bytes() {
            return Err("SCRAM: the broker does not know the password either".to_owned());
        }
        Ok(())
    }

    async fn say(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        let answer = self.ask(SASL_AUTHENTICATE, sasl_authenticate(message), read_sasl_authenticate).await?;
        answer.map_err(|refusal| format!("SASL: {refusal}"))
    }
}
