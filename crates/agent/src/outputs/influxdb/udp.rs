//! Lines to a server's UDP listener: packed into datagrams of `udp_payload` bytes, longer lines split between fields.
//!
//! Nothing tells whether a datagram arrives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

/// A server reached by datagrams.
pub(super) struct Datagrams {
    /// Host and port.
    address: String,
    local: Option<IpAddr>,
    payload: usize,
    socket: Option<UdpSocket>,
}

impl Datagrams {
    pub(super) fn new(address: &str, local: Option<IpAddr>, payload: usize) -> Self {
        Self { address: address.to_owned(), local, payload, socket: None }
    }

    /// Sends lines; the host's name is looked up again after a failure.
    pub(super) async fn send(&mut self, lines: &[u8], within: Duration) -> Result<(), String> {
        let sent = timeout(within, self.send_all(lines)).await;
        let result = sent.unwrap_or_else(|_| Err(format!("not sent within {} ms", within.as_millis())));
        if result.is_err() {
            self.socket = None;
        }
        result
    }

    async fn send_all(&mut self, lines: &[u8]) -> Result<(), String> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.address, self.local).await?,
        };
        for datagram in pack(lines, self.payload) {
            socket.send(datagram).await.map_err(|error| error.to_string())?;
        }
        self.socket = Some(socket);
        Ok(())
    }
}

async fn connect(address: &str, local: Option<IpAddr>) -> Result<UdpSocket, String> {
    let mut addresses = lookup_host(address).await.map_err(|error| error.to_string())?;
    let to = addresses.next().ok_or_else(|| "the name has no address".to_owned())?;
    let any =
        if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let from = SocketAddr::new(local.unwrap_or(any), 0);
    let socket = UdpSocket::bind(from).await.map_err(|error| error.to_string())?;
    socket.connect(to).await.map_err(|error| error.to_string())?;
    Ok(socket)
}

/// As many whole lines a datagram as fit; a line that does not fit stands alone.
fn pack(lines: &[u8], payload: usize) -> Vec<&[u8]> {
    let mut datagrams = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let mut end = 0;
        for line in rest.split_inclusive(|&byte| byte == b'\n') {
            if end > 0 && end + line.len() > payload {
                break;
            }
            end += line.len();
        }
        let (datagram, behind) = rest.split_at(end);
        datagrams.push(datagram);
        rest = behind;
    }
    datagrams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_hold_whole_lines() {
        let text = |payload| -> Vec<String> {
            pack(b"a 1\nbb 2\nc 3\nlonger 4\n", payload)
                .into_iter()
                .map(|datagram| String::from_utf8_lossy(datagram).into_owned())
                .collect()
        };
        assert_eq!(text(9), ["a 1\nbb 2\n", "c 3\n", "longer 4\n"]);
        assert_eq!(text(1), ["a 1\n", "bb 2\n", "c 3\n", "longer 4\n"]);
        assert_eq!(text(100).len(), 1);
        assert!(pack(b"", 10).is_empty());
    }
}
