//! Making a connection: TCP, TLS if configured, the greeting.

use skywatch_tls::ClientTls;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
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

/// Connects to a node. The error says why not, in words; dropping the future gives up.
pub(crate) async fn dial(
    to: &str,
    identity: &Identity,
    tls: Option<&ClientTls>,
) -> Result<(FrameReader<Box<dyn Stream>>, Peer), String> {
    let stream = TcpStream::connect(to).await.map_err(|error| error.to_string())?;
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
