//! How probes speak to what runs on this host: one request, one answer, within a second.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

/// From connecting to the last byte that is wanted.
const EXCHANGE_MAX: Duration = Duration::from_secs(1);
/// Of an answer; what tells who answers is at its beginning.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Target {
    pub(super) fn unix(path: impl AsRef<Path>) -> Self {
        Self::Unix(path.as_ref().to_owned())
    }
    pub(super) fn loopback(port: u16) -> Self {
        Self::Tcp((Ipv4Addr::LOCALHOST, port).into())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// The means of the probes: those of this machine, or a test's.
pub(super) trait Reach: fmt::Debug + Send + Sync {
    /// Sends the request and reads until `enough` says so, the other end closes, or there is too much. What has come
    /// until the time is over is the answer, unless that is nothing. An empty request only connects.
    fn exchange(&self, target: &Target, request: &[u8], enough: fn(&[u8]) -> bool) -> io::Result<Vec<u8>>;

    /// Whether this process may send signals to that one.
    fn may_signal(&self, pid: i32) -> io::Result<()>;
}

/// This machine.
#[derive(Debug)]
pub(super) struct Loopback;

impl Reach for Loopback {
    fn exchange(&self, target: &Target, request: &[u8], enough: fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + EXCHANGE_MAX;
        match target {
            Target::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(EXCHANGE_MAX))?;
                converse(&stream, request, enough, deadline, |left| stream.set_read_timeout(Some(left)))
            }
            Target::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, EXCHANGE_MAX)?;
                stream.set_write_timeout(Some(EXCHANGE_MAX))?;
                converse(&stream, request, enough, deadline, |left| stream.set_read_timeout(Some(left)))
            }
        }
    }

    fn may_signal(&self, pid: i32) -> io::Result<()> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(test_kill_process(pid)?)
    }
}

fn converse<S: Copy + Read + Write>(
    mut stream: S,
    request: &[u8],
    enough: fn(&[u8]) -> bool,
    deadline: Instant,
    wait: impl Fn(Duration) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    if request.is_empty() {
        return Ok(answer);
    }
    stream.write_all(request)?;
    let mut piece = [0; 8192];
    while answer.len() < ANSWER_BYTES_MAX && !enough(&answer) {
        let left = deadline.saturating_duration_since(Instant::now());
        let read = if left.is_zero() {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            wait(left).and_then(|()| stream.read(&mut piece))
        };
        match read {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) if !answer.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// What an HTTP server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Page {
    /// Reads an answer; `None` if it is none of HTTP.
    fn parse(answer: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(answer);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut words = head.lines().next()?.strip_prefix("HTTP/1.")?.split(' ');
        let status = words.nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// The value of a header, whose name is given in small letters.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Asks for a page. The address has to be right as part of a request; the version without chunks is spoken.
pub(super) fn get(reach: &dyn Reach, target: &Target, path: &str) -> io::Result<Page> {
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: skywatch\r\nAccept: */*\r\n\r\n");
    let answer = reach.exchange(target, request.as_bytes(), |_| false)?;
    Page::parse(&answer).ok_or_else(|| io::Error::other("the answer is not of HTTP"))
}
