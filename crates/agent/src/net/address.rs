//! Addresses to listen on: `tcp://:8094`, `udp://127.0.0.1:8125`, `unix:///run/skywatch.sock`, `unixgram://...`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// Host and port; an empty host is every address of this machine.
    Tcp(String),
    /// The same, for datagrams.
    Udp(String),
    /// A socket in the file system.
    Unix(PathBuf),
    /// The same, for datagrams.
    Unixgram(PathBuf),
}

impl Address {
    /// Reads an address; one without a scheme is TCP.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        let host_and_port = || match rest.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => Ok(rest.to_owned()),
            _ => Err(format!("{text:?} does not end in a port, as \"{scheme}://:8094\" does")),
        };
        match scheme {
            "tcp" | "tcp4" | "tcp6" | "http" | "https" => host_and_port().map(Self::Tcp),
            "udp" | "udp4" | "udp6" | "ip" => host_and_port().map(Self::Udp),
            "unix" | "unixpacket" if !rest.is_empty() => Ok(Self::Unix(rest.into())),
            "unixgram" if !rest.is_empty() => Ok(Self::Unixgram(rest.into())),
            "unix" | "unixgram" => Err(format!("{text:?} names no file")),
            other => Err(format!("{other:?} is none of tcp, udp, unix, unixgram")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Unixgram(path) => write!(f, "unixgram://{}", path.display()),
        }
    }
}

/// Accepts connections.
#[derive(Debug)]
pub(crate) enum StreamListener {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "held to be dropped")] SocketFile),
}

/// Receives datagrams.
#[derive(Debug)]
pub(crate) enum DatagramSocket {
    Udp(UdpSocket),
    Unix(UnixDatagram, #[expect(dead_code, reason = "held to be dropped")] SocketFile),
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket's file; it goes with its listener.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        std::fs::remove_file(&self.0).ok();
    }
}

impl StreamListener {
    /// Listens. `mode` are the permissions of a socket in the file system.
    pub(crate) async fn bind(address: &Address, mode: Option<u32>) -> io::Result<Self> {
        match address {
            Address::Tcp(host) if host.starts_with(':') => {
                // Both families where there are both.
                match TcpListener::bind(format!("[::]{host}")).await {
                    Ok(listener) => Ok(Self::Tcp(listener)),
                    Err(_) => TcpListener::bind(format!("0.0.0.0{host}")).await.map(Self::Tcp),
                }
            }
            Address::Tcp(host) => TcpListener::bind(host).await.map(Self::Tcp),
            Address::Unix(path) => {
                let file = claim(path).await?;
                let listener = UnixListener::bind(path)?;
                set_mode(path, mode)?;
                Ok(Self::Unix(listener, file))
            }
            Address::Udp(_) | Address::Unixgram(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "datagrams know no connections"))
            }
        }
    }

    /// The next connection, and whose it is: [`NOWHERE`] for a socket in the file system.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), canonical(peer)))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), NOWHERE))
            }
        }
    }

    /// Where it listens; the port is the one given by the system if 0 was asked for.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Unix(..) => Ok(NOWHERE),
        }
    }
}

impl From<TcpListener> for StreamListener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// The address of who has none.
pub(crate) const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// An address of IPv4 that came in over IPv6 is one of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl DatagramSocket {
    /// Listens. `mode` as for [`StreamListener::bind`]; `buffer` are bytes the kernel keeps, 0 its own number.
    pub(crate) async fn bind(address: &Address, mode: Option<u32>, buffer: usize) -> io::Result<Self> {
        let socket = match address {
            Address::Udp(host) if host.starts_with(':') => match UdpSocket::bind(format!("[::]{host}")).await
            {
                Ok(socket) => Self::Udp(socket),
                Err(_) => Self::Udp(UdpSocket::bind(format!("0.0.0.0{host}")).await?),
            },
            Address::Udp(host) => Self::Udp(UdpSocket::bind(host).await?),
            Address::Unixgram(path) => {
                let file = claim(path).await?;
                let socket = UnixDatagram::bind(path)?;
                set_mode(path, mode)?;
                Self::Unix(socket, file)
            }
            Address::Tcp(_) | Address::Unix(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a connection is no datagram"));
            }
        };
        if buffer > 0 {
            match &socket {
                Self::Udp(udp) => rustix::net::sockopt::set_socket_recv_buffer_size(udp, buffer)?,
                Self::Unix(unix, _) => rustix::net::sockopt::set_socket_recv_buffer_size(unix, buffer)?,
            }
        }
        Ok(socket)
    }

    /// The next datagram's length, and whose it is, as with [`StreamListener::accept`].
    pub(crate) async fn receive(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Self::Udp(socket) => {
                let (length, peer) = socket.recv_from(into).await?;
                Ok((length, canonical(peer)))
            }
            Self::Unix(socket, _) => Ok((socket.recv_from(into).await?.0, NOWHERE)),
        }
    }
}

/// Makes room for a socket's file: one that nobody listens on any more was left by a crash.
async fn claim(path: &Path) -> io::Result<SocketFile> {
    match UnixStream::connect(path).await {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    Ok(SocketFile(path.to_owned()))
}

fn set_mode(path: &Path, mode: Option<u32>) -> io::Result<()> {
    match mode {
        Some(mode) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)),
        None => Ok(()),
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Address::parse(":8094"), Ok(Address::Tcp(":8094".to_owned())));
        assert_eq!(Address::parse("udp://127.0.0.1:1"), Ok(Address::Udp("127.0.0.1:1".to_owned())));
        assert_eq!(Address::parse("unix:///run/a.sock"), Ok(Address::Unix("/run/a.sock".into())));
        for bad in ["tcp://host", "vsock://1:2", "unix://", "tcp://:70000"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        assert!(path.exists());
        let address = Address::Unix(path.clone());
        let listener = StreamListener::bind(&address, Some(0o600)).await.expect("left behind");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(StreamListener::bind(&address, None).await.is_err(), "in use");
        assert!(path.exists(), "and still there");
        drop(listener);
        assert!(!path.exists());
    }
}
