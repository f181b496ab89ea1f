//! A client of D-Bus, as small as calls of methods allow: over a Unix socket, one call after another, each answered before
//! the deadline. Signals and whatever else a bus sends meanwhile are passed over.

mod wire;

use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::{Duration, Instant};

pub(crate) use self::wire::Value;
use self::wire::{Header, Kind};

/// What one message may hold; the protocol's own limit is 128 MiB.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a server may say before the first message, in one line.
const LINE_BYTES_MAX: usize = 1024;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BusError {
    /// The address is not understood.
    #[error("the address {0:?} has no unix:path= and no unix:abstract=")]
    Address(String),
    /// There is no connection, or there is none any more.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The deadline has passed.
    #[error("no answer within the time limit")]
    Late,
    /// The server does not accept this process's user.
    #[error("it refuses this user: {0}")]
    Refused(String),
    /// What came is no D-Bus.
    #[error("its answer is not understood: {0}")]
    Malformed(&'static str),
    /// The method answered with an error.
    #[error("{name}: {text}")]
    Method {
        /// As in `org.freedesktop.DBus.Error.UnknownMethod`.
        name: String,
        /// For people.
        text: String,
    },
}

impl BusError {
    /// Whether the connection is as good as before.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, Self::Method { .. })
    }
}

/// What is called, of whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
}

/// A connection to a bus.
#[derive(Debug)]
pub(crate) struct Bus {
    stream: UnixStream,
    serial: u32,
    deadline: Instant,
}

impl Bus {
    /// Connects to the first address of a list such as `unix:path=/run/dbus/system_bus_socket;unix:abstract=x` that works.
    pub(crate) fn connect(addresses: &str, patience: Duration) -> Result<Self, BusError> {
        let mut error = BusError::Address(addresses.to_owned());
        for address in addresses.split(';').filter_map(socket_address) {
            let connected = address.and_then(|address| UnixStream::connect_addr(&address));
            match connected.map_err(BusError::from).and_then(|stream| Self::greet(stream, patience)) {
                Ok(bus) => return Ok(bus),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    fn greet(stream: UnixStream, patience: Duration) -> Result<Self, BusError> {
        let mut bus = Self { stream, serial: 0, deadline: Instant::now() + patience };
        let uid = rustix::process::geteuid().as_raw().to_string();
        let uid: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        bus.send(format!("\0AUTH EXTERNAL {uid}\r\n").as_bytes())?;
        let line = bus.line()?;
        if !line.starts_with("OK ") {
            return Err(BusError::Refused(line));
        }
        bus.send(b"BEGIN\r\n")?;
        let hello = Method {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
        };
        bus.call(hello, &[])?;
        Ok(bus)
    }

    /// Until when calls are to be answered from here on.
    pub(crate) fn within(&mut self, patience: Duration) {
        self.deadline = Instant::now() + patience;
    }

    /// Calls a method and returns the values it answers with. After an error that [is no answer](BusError::is_answer) the
    /// connection is of no use any more.
    pub(crate) fn call(&mut self, method: Method<'_>, arguments: &[Value]) -> Result<Vec<Value>, BusError> {
        self.serial = self.serial.checked_add(1).unwrap_or(1);
        self.send(&wire::call(self.serial, method, arguments))?;
        loop {
            let (header, body) = self.message()?;
            if header.reply_to != Some(self.serial) {
                continue;
            }
            let values = wire::decode(&header, &body).map_err(BusError::Malformed)?;
            match header.kind {
                Kind::Return => return Ok(values),
                Kind::Error => {
                    let text = values.into_iter().next().and_then(Value::into_text).unwrap_or_default();
                    return Err(BusError::Method { name: header.error_name, text });
                }
                Kind::Other => {}
            }
        }
    }

    fn message(&mut self) -> Result<(Header, Vec<u8>), BusError> {
        let mut fixed = [0; wire::FIXED_BYTES];
        self.fill(&mut fixed)?;
        let lengths = wire::lengths(&fixed).map_err(BusError::Malformed)?;
        if lengths.fields > MESSAGE_BYTES_MAX || lengths.body > MESSAGE_BYTES_MAX {
            return Err(BusError::Malformed("a message of more than 16 MiB"));
        }
        let mut fields = vec![0; lengths.fields.next_multiple_of(8)];
        self.fill(&mut fields)?;
        let mut body = vec![0; lengths.body];
        self.fill(&mut body)?;
        let fields = fields.get(..lengths.fields).unwrap_or_default();
        let header = wire::header(&fixed, fields).map_err(BusError::Malformed)?;
        Ok((header, body))
    }

    fn line(&mut self) -> Result<String, BusError> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            if line.len() > LINE_BYTES_MAX {
                return Err(BusError::Malformed("an endless line"));
            }
            let mut byte = [0];
            self.fill(&mut byte)?;
            line.extend(byte);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write_all(bytes).map_err(late)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BusError> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(rest) {
                Ok(0) => return Err(BusError::Io(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(late(error)),
            }
        }
        Ok(())
    }

    fn left(&self) -> Result<Duration, BusError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(BusError::Late) } else { Ok(left) }
    }
}

fn late(error: io::Error) -> BusError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => BusError::Late,
        _ => BusError::Io(error),
    }
}

/// `unix:path=/run/bus,guid=...` or `unix:abstract=name`; `None` for other transports.
fn socket_address(address: &str) -> Option<io::Result<SocketAddr>> {
    let mut options =
        address.trim().strip_prefix("unix:")?.split(',').filter_map(|pair| pair.split_once('='));
    options.find_map(|(key, value)| match key {
        "path" => Some(SocketAddr::from_pathname(value)),
        "abstract" => Some(SocketAddr::from_abstract_name(value)),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
