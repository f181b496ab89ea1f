//! The access log: one line a request, in the combined log format that InfluxDB writes.
//!
//! ```text
//! 127.0.0.1 - alice [28/Nov/2026:13:17:38 +0000] "GET /query?q=... HTTP/1.1" 200 106 "-" "curl/8" <request id> 311
//! ```
//!
//! The last number is microseconds. Passwords never reach it. A thread of its own writes the lines; when the disk does
//! not keep up, lines are left out and their number is told, and no request waits.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap, Version,
    header::{AUTHORIZATION, HeaderName, REFERER, USER_AGENT},
    http::request::Parts,
};
use jiff::Timestamp;

use crate::{params::Params, peer::Peer, redact::redacted_uri};

/// Lines that wait to be written.
const LINES_MAX: usize = 8_192;
/// Longest part of a line that a client chooses; the rest of a URI that carries a query is cut.
const PART_BYTES_MAX: usize = 16 << 10;

/// Which requests are logged, and where to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessLogConfig {
    /// File that lines are appended to; `None` means standard error.
    pub path: Option<PathBuf>,
    /// Statuses that are logged; empty means all.
    pub status_filters: Vec<StatusFilter>,
    /// Leave out requests that write.
    pub suppress_writes: bool,
}

/// `404`, `40x` or `5xx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusFilter {
    base: u16,
    divisor: u16,
}

/// The text is no status filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status filter: expected NNN, NNx or Nxx, such as 404, 40x or 5xx")]
pub struct BadStatusFilter(String);

impl std::str::FromStr for StatusFilter {
    type Err = BadStatusFilter;

    fn from_str(text: &str) -> Result<Self, BadStatusFilter> {
        let bad = || BadStatusFilter(text.to_owned());
        let digits = text.trim_end_matches(['x', 'X']);
        let divisor = match (digits.len(), text.len()) {
            (3, 3) => 1,
            (2, 3) => 10,
            (1, 3) => 100,
            _ => return Err(bad()),
        };
        let base = digits.parse::<u16>().map_err(|_| bad())?;
        if digits.starts_with(['+', '0']) { Err(bad()) } else { Ok(Self { base, divisor }) }
    }
}

impl StatusFilter {
    /// Whether the filter lets this status through.
    pub const fn matches(self, status: u16) -> bool {
        status / self.divisor == self.base
    }
}

/// Where lines go. Dropping it writes what waits.
#[derive(Debug)]
pub(crate) struct AccessLog {
    config: AccessLogConfig,
    lines: Option<SyncSender<String>>,
    left_out: Arc<AtomicU64>,
    writer: Option<std::thread::JoinHandle<()>>,
}

/// What is known of a request when its answer has been sent.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The line up to the protocol, made from the request.
    request: String,
    /// Referrer, agent and id.
    client: String,
    is_write: bool,
}

impl AccessLog {
    /// Opens the file, if there is one, and starts the thread.
    pub(crate) fn open(config: AccessLogConfig) -> io::Result<Self> {
        let target = match &config.path {
            Some(path) => Target::File(open(path)?),
            None => Target::StandardError,
        };
        let (lines, waiting) = sync_channel(LINES_MAX);
        let left_out = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&left_out);
        let writer = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_lines(target, &waiting, &count))?;
        Ok(Self { config, lines: Some(lines), left_out, writer: Some(writer) })
    }

    /// Notes what a request says of itself.
    pub(crate) fn entry(&self, peer: Peer, parts: &Parts, id: &str, is_write: bool) -> Entry {
        let time = Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000");
        let user = named_user(parts);
        let user = user.as_deref().unwrap_or("-");
        let version = match parts.version {
            Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        };
        let uri = redacted_uri(&parts.uri);
        let (method, user, uri) = (&parts.method, printable(user), printable(&uri));
        let request = format!("{peer} - {user} [{time}] \"{method} {uri} {version}\"");
        let header = |name: &HeaderName| printable(header_or_dash(&parts.headers, name));
        let client = format!("\"{}\" \"{}\" {}", header(&REFERER), header(&USER_AGENT), printable(id));
        Entry { request, client, is_write }
    }

    /// Writes the line of a request that was answered.
    pub(crate) fn answered(&self, entry: &Entry, status: u16, sent_bytes: u64, took: Duration) {
        let AccessLogConfig { status_filters, suppress_writes, .. } = &self.config;
        let is_wanted =
            status_filters.is_empty() || status_filters.iter().any(|filter| filter.matches(status));
        if !is_wanted || (*suppress_writes && entry.is_write) {
            return;
        }
        let Entry { request, client, .. } = entry;
        let line = format!("{request} {status} {sent_bytes} {client} {}\n", took.as_micros());
        if self.lines.as_ref().is_some_and(|lines| lines.try_send(line).is_err()) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        drop(self.lines.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the access log's thread panicked");
        }
    }
}

enum Target {
    StandardError,
    File(File),
}

fn open(path: &Path) -> io::Result<File> {
    // Appending lets a rotated file be truncated under us.
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_lines(mut target: Target, lines: &Receiver<String>, left_out: &AtomicU64) {
    let mut is_failing = false;
    while let Ok(first) = lines.recv() {
        let mut text = String::new();
        for line in std::iter::once(first).chain(lines.try_iter()) {
            if let Target::StandardError = target {
                text.push_str("[httpd] ");
            }
            text.push_str(&line);
            if text.len() > 1 << 20 {
                break;
            }
        }
        let missing = left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            text.push_str(&format!("{missing} lines were left out: the log did not keep up\n"));
        }
        let outcome = match &mut target {
            Target::StandardError => io::stderr().write_all(text.as_bytes()),
            Target::File(file) => file.write_all(text.as_bytes()),
        };
        if let (Err(error), false) = (&outcome, is_failing) {
            tracing::error!(%error, "cannot write to the access log");
        }
        is_failing = outcome.is_err();
    }
}

fn header_or_dash<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty()).unwrap_or("-")
}

/// What the client calls itself, whether it may or not: `u` in the URL, else Basic or Token credentials.
fn named_user(parts: &Parts) -> Option<String> {
    let from_url = Params::parse(parts.uri.query().unwrap_or_default()).get("u").to_owned();
    if !from_url.is_empty() {
        return Some(from_url);
    }
    let (scheme, credentials) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let name = match scheme {
        "Token" => credentials.split_once(':')?.0.to_owned(),
        "Basic" => {
            let decoded = STANDARD.decode(credentials.trim()).ok()?;
            String::from_utf8(decoded).ok()?.split_once(':')?.0.to_owned()
        }
        _ => return None,
    };
    Some(name).filter(|name| !name.is_empty())
}

/// A client's text cannot begin a line of its own, nor make one endless.
fn printable(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(PART_BYTES_MAX)];
    cut.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hyper::Request;

    use super::*;

    fn logged(config: AccessLogConfig, status: u16, is_write: bool, request: Request<()>) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = AccessLog::open(AccessLogConfig { path: Some(path.clone()), ..config }).unwrap();
        let (parts, ()) = request.into_parts();
        let entry = log.entry(Peer::Address(Ipv4Addr::LOCALHOST.into()), &parts, "id-1", is_write);
        log.answered(&entry, status, 106, Duration::from_micros(311));
        drop(log);
        std::fs::read_to_string(path).unwrap()
    }

    fn get(uri: &str) -> Request<()> {
        Request::get(uri).header("User-Agent", "a \u{9}b").body(()).unwrap()
    }

    #[test]
    fn a_line_has_influxdbs_form() {
        let line = logged(AccessLogConfig::default(), 200, false, get("/query?u=me&q=a&p=secret"));
        let (before, after) = line.split_once('[').unwrap();
        let (time, after) = after.split_once(']').unwrap();
        assert_eq!(before, "127.0.0.1 - me ");
        assert_eq!((time.len(), &time[2..3], &time[20..]), (26, "/", " +0000"));
        assert_eq!(
            after,
            " \"GET /query?p=%5BREDACTED%5D&q=a&u=me HTTP/1.1\" 200 106 \"-\" \"a  b\" id-1 311\n"
        );
    }

    #[test]
    fn filters_and_writes() {
        let only = |filters: &[&str]| AccessLogConfig {
            status_filters: filters.iter().map(|filter| filter.parse().unwrap()).collect(),
            suppress_writes: true,
            ..AccessLogConfig::default()
        };
        assert_eq!(logged(only(&["5xx"]), 404, false, get("/x")), "");
        assert!(!logged(only(&["5xx", "404"]), 404, false, get("/x")).is_empty());
        assert!(!logged(only(&["40X"]), 404, false, get("/x")).is_empty());
        assert_eq!(logged(only(&[]), 204, true, get("/write")), "");
        for bad in ["", "x", "xxx", "4", "4xxx", "+4x", "4x4", "abc"] {
            assert!(bad.parse::<StatusFilter>().is_err(), "{bad}");
        }
    }

    #[test]
    fn users_by_their_credentials() {
        let named = |value: &str| {
            let request = Request::get("/").header("Authorization", value).body(()).unwrap();
            named_user(&request.into_parts().0)
        };
        assert_eq!(named("Basic Ym9iOnB3").as_deref(), Some("bob"));
        assert_eq!(named("Token alice:pw").as_deref(), Some("alice"));
        assert_eq!(named("Basic ???"), None);
        assert_eq!(named("Bearer x.y.z"), None);
    }
}
