//! What a connection is: calls or HTTP, with TLS or without, and who is at its other end.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{listener::Server, web::Prefixed};
use crate::{
    client::Stream,
    wire::{
        CALLS, MAGIC,
        handshake::{self, BINDING_LABEL, ChannelBinding, HandshakeError, Peer, refuse},
        reader::{FrameReader, ReadError},
    },
};

/// The first byte of a TLS connection.
const TLS: u8 = 0x16;

/// What a client gets to read that speaks plain HTTP where HTTPS is spoken; Go's servers say the same.
const HTTP_TO_HTTPS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// What a client gets to read that shows no certificate where one is wanted.
const HTTP_WITHOUT_CERTIFICATE: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 43\r\n\
      Connection: close\r\n\r\n{\"error\":\"a client certificate is required\"}";

/// What a connection turned out to be.
pub(crate) enum Greeted {
    /// Calls of another node.
    Calls(Box<FrameReader<Box<dyn Stream>>>, Peer),
    /// HTTP.
    Http(Prefixed<Box<dyn Stream>>),
    /// It went away, or was told what it did wrong, without having claimed to be a node.
    Gone,
}

/// Finds out. The error says why a node was refused, or what passes for one.
pub(crate) async fn greet(server: &Server, stream: TcpStream) -> Result<Greeted, String> {
    let mut first = [0];
    if !matches!(stream.peek(&mut first).await, Ok(1)) {
        return Ok(Greeted::Gone);
    }
    match (&server.options.tls, first[0]) {
        (None, TLS) => Err("it speaks TLS, and none is configured here".to_owned()),
        (None, _) => told_apart(server, Box::new(stream), [0; 32], true).await,
        (Some(tls), TLS) => {
            let stream = match tls.acceptor().accept(stream).await {
                Ok(stream) => stream,
                Err(error) => return Err(format!("the TLS handshake failed: {error}")),
            };
            let shows_one = !tls.asks_for_certificate() || shows_certificate(&stream);
            let binding = stream
                .get_ref()
                .1
                .export_keying_material([0; 32], BINDING_LABEL, None)
                .map_err(|error| format!("TLS gives no secret of the connection: {error}"))?;
            told_apart(server, Box::new(stream), binding, shows_one).await
        }
        (Some(_), CALLS) => {
            let reason = "it speaks TLS only, and who connects does not";
            turn_away(stream, reason).await;
            Err("it does not speak TLS".to_owned())
        }
        (Some(_), _) => {
            tell(stream, HTTP_TO_HTTPS).await;
            Ok(Greeted::Gone)
        }
    }
}

fn shows_certificate(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty())
}

/// Refuses a node that is not understood; what it has sent is read, since closing before would cost it the reason.
async fn turn_away(mut stream: impl Stream, reason: &str) {
    let _taken = stream.read(&mut [0; 4096]).await;
    refuse(&mut stream, reason).await;
}

/// The same for an HTTP client. What comes of it does not matter any more.
async fn tell(mut stream: impl Stream, answer: &[u8]) {
    let _taken = stream.read(&mut [0; 4096]).await;
    drop(stream.write_all(answer).await);
    drop(stream.shutdown().await);
}

async fn told_apart(
    server: &Server,
    mut stream: Box<dyn Stream>,
    binding: ChannelBinding,
    shows_certificate: bool,
) -> Result<Greeted, String> {
    let Ok(first) = stream.read_u8().await else { return Ok(Greeted::Gone) };
    if first != CALLS {
        if server.http.is_some() && server.options.http_needs_certificate && !shows_certificate {
            tell(stream, HTTP_WITHOUT_CERTIFICATE).await;
            return Ok(Greeted::Gone);
        }
        return Ok(Greeted::Http(Prefixed::new(first, stream)));
    }
    if !shows_certificate {
        let reason = "it takes calls only from nodes that show a certificate of its authorities, and who connects \
                      shows none";
        turn_away(stream, reason).await;
        return Err("it shows no certificate".to_owned());
    }
    let mut magic = [0; 3];
    if stream.read_exact(&mut magic).await.is_err() {
        return Ok(Greeted::Gone);
    }
    if magic != MAGIC {
        return Err(
            "it speaks another protocol; nodes of an InfluxDB cluster cannot join one of Skywatch".to_owned()
        );
    }
    let mut reader = FrameReader::new(stream);
    match handshake::accept(&mut reader, &server.options.identity, binding).await {
        Ok(peer) => Ok(Greeted::Calls(Box::new(reader), peer)),
        Err(HandshakeError::Read(ReadError::Ended | ReadError::Io(_)) | HandshakeError::Write(_)) => {
            Ok(Greeted::Gone)
        }
        Err(error) => Err(error.to_string()),
    }
}
