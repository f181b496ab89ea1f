//! Making a connection: TCP, TLS if configured, the greeting.

use std::{io, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use skywatch_tls::ClientTls;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use crate::{
    Identity,
    wire::{
        handshake::{self, BINDING_LABEL, Peer},
        reader::FrameReader,
    },
};

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Whoever has not answered for so long is knocked at again. The system does so by itself, at first after a second: longer than a
/// connection should take once a cut has ended.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Makes a TCP connection, for as long as the future is not dropped. The first attempt that comes to something counts.
async fn connect(to: &str) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    loop {
        attempts.push(TcpStream::connect(to));
        if let Ok(Some(outcome)) = timeout(AGAIN_AFTER, attempts.next()).await {
            return outcome;
        }
    }
}

/// Connects to a node. The error says why not, in words; dropping the future gives up.
pub(crate) async fn dial(
    to: &str,
    identity: &Identity,
    tls: Option<&ClientTls>,
) -> Result<(FrameReader<Box<dyn Stream>>, Peer), String> {
    let stream = connect(to).await.map_err(|error| error.to_string())?;
    // Calls are written whole; waiting for more would only delay them. Failing to say so does no harm.
    drop(stream.set_nodelay(true));
    let mut binding = [0; 32];
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(stream),
        Some(tls) => {
            let name = ClientTls::server_name(to).map_err(|error| error.to_string())?;
            let stream = tls
                .connector()
                .connect(name, stream)
                .await
                .map_err(|error| format!("the TLS handshake failed, if it speaks TLS at all: {error}"))?;
            let session = stream.get_ref().1;
            binding = session
                .export_keying_material(binding, BINDING_LABEL, None)
                .map_err(|error| format!("TLS gives no secret of the connection: {error}"))?;
            Box::new(stream)
        }
    };
    let mut reader = FrameReader::new(stream);
    let peer = handshake::connect(&mut reader, identity, binding).await.map_err(|error| error.to_string())?;
    Ok((reader, peer))
}
