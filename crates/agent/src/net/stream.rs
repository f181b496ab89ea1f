//! Connections of protocols without a client library: TCP, with or without TLS, and Unix sockets.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::tls::ClientTls;

/// A connection, whatever is below it.
pub(crate) type Stream = Pin<Box<dyn Duplex>>;

/// What a connection can do.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// A host and its port, as an address names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// A name or an address; one of IPv6 without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl HostPort {
    /// Reads `host:port`, `host`, `:port`, `[::1]:port` or `::1`.
    pub(crate) fn parse(text: &str, default_port: Option<u16>) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(|| format!("{text:?} has [ without ]"))?;
                match rest.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if rest.is_empty() => (host, None),
                    None => return Err(format!("{text:?} has {rest:?} after its address")),
                }
            }
            // More than one colon and no brackets: an address of IPv6 by itself.
            None if text.matches(':').count() > 1 => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| format!("{port:?} in {text:?} is no port"))?,
            None => default_port.ok_or_else(|| format!("{text:?} has no port"))?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// The TLS of a plugin's connections, made once of its options.
#[derive(Clone)]
pub(crate) struct Connector {
    connector: TlsConnector,
    server_name: Option<String>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl Connector {
    /// `None` if the options do not ask for TLS.
    pub(crate) fn new(tls: &ClientTls) -> Result<Option<Self>, String> {
        if !tls.enabled {
            return Ok(None);
        }
        let connector = TlsConnector::from(Arc::new(tls.client_config()?));
        Ok(Some(Self { connector, server_name: tls.server_name.clone() }))
    }
}

/// Connects over TCP, and over TLS where there is a connector. Has no deadline of its own.
pub(crate) async fn tcp(address: &HostPort, tls: Option<&Connector>) -> Result<Stream, String> {
    let host = if address.host.is_empty() { "localhost" } else { address.host.as_str() };
    let stream = TcpStream::connect((host, address.port))
        .await
        .map_err(|error| format!("cannot connect to {host} port {}: {error}", address.port))?;
    let Some(tls) = tls else { return Ok(Box::pin(stream)) };
    let name = tls.server_name.as_deref().unwrap_or(host);
    let server =
        ServerName::try_from(name.to_owned()).map_err(|_| format!("{name:?} is no name TLS can verify"))?;
    let stream =
        tls.connector.connect(server, stream).await.map_err(|error| format!("TLS with {name}: {error}"))?;
    Ok(Box::pin(stream))
}

/// Connects to a Unix socket. Has no deadline of its own.
pub(crate) async fn unix(path: &Path) -> Result<Stream, String> {
    let stream = UnixStream::connect(path).await.map_err(|error| format!("cannot connect: {error}"))?;
    Ok(Box::pin(stream))
}

/// Everything up to the end of the stream; an error if it is more than `limit` bytes.
pub(crate) async fn read_to_end(stream: &mut Stream, limit: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match stream.take(most).read_to_end(&mut bytes).await {
        Ok(_) if bytes.len() > limit => Err(format!("the answer is larger than {limit} bytes")),
        Ok(_) => Ok(bytes),
        // A peer that closes TLS without saying so has told everything all the same.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !bytes.is_empty() => Ok(bytes),
        Err(error) => Err(format!("cannot read the answer: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (text, host, port) in [
            ("zk-1:2182", "zk-1", 2182),
            ("zk-1", "zk-1", 2181),
            (":2181", "", 2181),
            ("", "", 2181),
            ("[::1]:99", "::1", 99),
            ("[fe80::1]", "fe80::1", 2181),
            ("::1", "::1", 2181),
        ] {
            let wanted = HostPort { host: host.to_owned(), port };
            assert_eq!(HostPort::parse(text, Some(2181)), Ok(wanted), "{text}");
        }
        for (text, error) in [
            ("a:x", "\"x\" in \"a:x\" is no port"),
            ("a:70000", "\"70000\" in \"a:70000\" is no port"),
            ("[::1", "\"[::1\" has [ without ]"),
            ("[::1]9", "\"[::1]9\" has \"9\" after its address"),
            ("a", "\"a\" has no port"),
        ] {
            assert_eq!(HostPort::parse(text, None).expect_err("bad"), error);
        }
    }
}
