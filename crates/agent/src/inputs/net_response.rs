//! `net_response`: whether an address answers, over TCP or UDP, and how fast.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use regex::Regex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::go_regex;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::net::parallel::{Asked, Parallel};
use crate::net::stream::HostPort;

/// What is read of an answer, at most: a line, or a datagram.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The input.
#[derive(Debug)]
struct NetResponse {
    options: Options,
    parallel: Parallel,
}

/// What `[[inputs.net_response]]` sets.
#[derive(Debug)]
struct Options {
    udp: bool,
    address: HostPort,
    timeout: Duration,
    read_timeout: Duration,
    /// Empty sends nothing.
    send: String,
    /// Found in the answer, or the answer is none.
    expect: Option<Regex>,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success = 0,
    Timeout = 1,
    ConnectionFailed = 2,
    ReadFailed = 3,
    StringMismatch = 4,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Timeout => "timeout",
            Self::ConnectionFailed => "connection_failed",
            Self::ReadFailed => "read_failed",
            Self::StringMismatch => "string_mismatch",
        }
    }

    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::ConnectionFailed,
        }
    }
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(NetResponse { options: Options::from_section(section)?, parallel: Parallel::default() }))
}

impl Options {
    fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let udp = match section.string("protocol")?.as_deref() {
            Some("tcp") => false,
            Some("udp") => true,
            other => {
                let given = other.map_or("none is given".to_owned(), |other| format!("{other:?} is neither"));
                return Err(section.bad("protocol", format!("it is tcp or udp; {given}")));
            }
        };
        let address = section.string("address")?.unwrap_or_default();
        let mut address = HostPort::parse(&address, None).map_err(|why| section.bad("address", why))?;
        if address.host.is_empty() {
            address.host = "localhost".to_owned();
        }
        let mut duration = |key| {
            let nanos = section.duration(key)?.filter(|&nanos| nanos > 0).unwrap_or(1_000_000_000);
            Ok::<_, ConfigError>(Duration::from_nanos(nanos.unsigned_abs()))
        };
        let (timeout, read_timeout) = (duration("timeout")?, duration("read_timeout")?);
        let send = section.string("send")?.unwrap_or_default();
        let expect = section.string("expect")?.filter(|text| !text.is_empty());
        if udp && (send.is_empty() || expect.is_none()) {
            return Err(
                section.bad("send", "over UDP there has to be something to send and something to expect")
            );
        }
        let expect = expect.map(|text| go_regex::compile(&text)).transpose();
        let expect = expect.map_err(|why| section.bad("expect", why))?;
        Ok(Self { udp, address, timeout, read_timeout, send, expect })
    }

    /// How long it may take in all.
    fn patience(&self) -> Duration {
        // To resolve the name, to connect, to send, and to read.
        3 * self.timeout + self.read_timeout
    }
}

impl Input for NetResponse {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let Self { options, parallel } = self;
        let HostPort { host, port } = &options.address;
        let metric = acc
            .metric("net_response")
            .tag("server", host)
            .tag("port", port.to_string())
            .tag("protocol", if options.udp { "udp" } else { "tcp" });
        let options = &*options;
        let asked = async move {
            let (outcome, response_time) = if options.udp { udp(options).await } else { tcp(options).await };
            Asked { metrics: vec![finished(metric, options, outcome, response_time)], problem: None }
        };
        parallel.ask(acc, options.patience(), [(format!("{host} port {port}"), asked)])
    }
}

fn finished(metric: Metric, options: &Options, outcome: Outcome, time: Option<Duration>) -> Metric {
    let mut metric = metric.tag("result", outcome.name());
    if let Some(time) = time {
        metric.set_field("response_time", time.as_secs_f64());
    }
    metric.set_field("result_code", outcome as u64);
    metric.set_field("result_type", outcome.name());
    match outcome {
        Outcome::Success if options.expect.is_some() => metric.set_field("string_found", true),
        Outcome::StringMismatch => metric.set_field("string_found", false),
        _ => {}
    }
    metric
}

/// What comes within the time; running out of it is an error like others.
async fn within<T>(limit: Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, future).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn judged(options: &Options, answer: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(answer);
    match &options.expect {
        Some(expect) if !expect.is_match(&text) => Outcome::StringMismatch,
        _ => Outcome::Success,
    }
}

async fn tcp(options: &Options) -> (Outcome, Option<Duration>) {
    let HostPort { host, port } = &options.address;
    let start = Instant::now();
    let connected = within(options.timeout, TcpStream::connect((host.as_str(), *port))).await;
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error) => return (Outcome::of(&error), None),
    };
    let mut response_time = start.elapsed();
    if !options.send.is_empty() {
        // A peer that takes nothing will answer nothing; reading tells.
        within(options.timeout, stream.write_all(options.send.as_bytes())).await.ok();
        response_time = start.elapsed();
    }
    if options.expect.is_none() {
        return (Outcome::Success, Some(response_time));
    }
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream).take(ANSWER_BYTES_MAX);
    let read = within(options.read_timeout, reader.read_until(b'\n', &mut line)).await;
    response_time = start.elapsed();
    let outcome = match read {
        Ok(1..) => judged(options, &line),
        Ok(0) | Err(_) => Outcome::ReadFailed,
    };
    (outcome, Some(response_time))
}

async fn udp(options: &Options) -> (Outcome, Option<Duration>) {
    let HostPort { host, port } = &options.address;
    let start = Instant::now();
    let Ok(socket) = within(options.timeout, connected_udp(host, *port)).await else {
        return (Outcome::ConnectionFailed, None);
    };
    if within(options.timeout, socket.send(options.send.as_bytes())).await.is_err() {
        return (Outcome::ConnectionFailed, None);
    }
    let mut answer = vec![0; 64 * 1024];
    match within(options.read_timeout, socket.recv(&mut answer)).await {
        Ok(length) => (judged(options, answer.get(..length).unwrap_or_default()), Some(start.elapsed())),
        Err(_) => (Outcome::ReadFailed, None),
    }
}

/// A socket that talks to this address alone.
pub(super) async fn connected_udp(host: &str, port: u16) -> io::Result<UdpSocket> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host((host, port)).await? {
        let own: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(own).await?;
        match socket.connect(address).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, UdpSocket as StdUdp};
    use std::thread;

    use super::*;
    use crate::config::section_for_tests;
    use skywatch_model::FieldValue;

    fn gather(options: &str) -> Metric {
        let mut section = section_for_tests(options);
        let mut input = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().expect("every option is known").is_empty());
        let mut acc = Accumulator::new(0);
        input.gather(&mut acc).expect("a runtime");
        let (mut metrics, errors) = acc.into_parts();
        assert!(errors.is_empty() && metrics.len() == 1, "{errors:?}");
        metrics.remove(0)
    }

    fn shown(metric: &Metric) -> String {
        let tags: Vec<_> =
            metric.tags().iter().filter(|(k, _)| k != "port").map(|(k, v)| format!("{k}={v}")).collect();
        let fields = metric.fields().iter().map(|(key, value)| match value {
            FieldValue::Float(seconds) if (0.0..5.0).contains(seconds) => format!("{key}=f"),
            FieldValue::Unsigned(number) => format!("{key}={number}u"),
            FieldValue::String(text) => format!("{key}={text}"),
            other => format!("{key}={other:?}"),
        });
        format!("{} {}", tags.join(","), fields.collect::<Vec<_>>().join(","))
    }

    /// A server that reads something and answers with a line, for so many connections.
    fn echo(connections: usize) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("bound").port();
        thread::spawn(move || {
            for stream in listener.incoming().take(connections) {
                let mut stream = stream.expect("a connection");
                let mut read = [0; 16];
                let length = stream.read(&mut read).expect("something");
                stream.write_all(b"got ").and_then(|()| stream.write_all(&read[..length])).ok();
                stream.write_all(b"\r\nmore\n").ok();
            }
        });
        port
    }

    #[test]
    fn over_tcp() {
        let port = echo(3);
        let address = format!("protocol = \"tcp\"\naddress = \"127.0.0.1:{port}\"\n");
        let with = |more: &str| shown(&gather(&format!("{address}{more}")));
        let tags = "protocol=tcp,result";
        assert_eq!(
            with(""),
            format!("{tags}=success,server=127.0.0.1 response_time=f,result_code=0u,result_type=success")
        );
        assert_eq!(
            with("send = \"hi\"\nexpect = \"got h.\""),
            format!(
                "{tags}=success,server=127.0.0.1 response_time=f,result_code=0u,result_type=success,string_found=Boolean(true)"
            )
        );
        assert_eq!(
            with("send = \"hi\"\nexpect = \"more\""),
            format!(
                "{tags}=string_mismatch,server=127.0.0.1 response_time=f,result_code=4u,result_type=string_mismatch,\
                 string_found=Boolean(false)"
            ),
            "only the first line counts"
        );
        let silent = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = silent.local_addr().expect("bound").port();
        let text =
            format!("protocol = \"tcp\"\naddress = \":{port}\"\nexpect = \"x\"\nread_timeout = \"50ms\"");
        assert_eq!(
            shown(&gather(&text)),
            format!(
                "{tags}=read_failed,server=localhost response_time=f,result_code=3u,result_type=read_failed"
            )
        );
        drop(silent);
        assert_eq!(
            shown(&gather(&text)),
            format!("{tags}=connection_failed,server=localhost result_code=2u,result_type=connection_failed")
        );
    }

    #[test]
    fn over_udp() {
        let socket = StdUdp::bind("127.0.0.1:0").expect("bound");
        let port = socket.local_addr().expect("bound").port();
        thread::spawn(move || {
            let mut read = [0; 16];
            let (length, peer) = socket.recv_from(&mut read).expect("something");
            socket.send_to(&read[..length], peer).expect("sent");
            // The second gets no answer.
            socket.recv_from(&mut read).expect("something");
            thread::sleep(Duration::from_secs(2));
        });
        let text = format!(
            "protocol = \"udp\"\naddress = \"127.0.0.1:{port}\"\nsend = \"ping\"\nexpect = \"pi\"\nread_timeout = \"100ms\""
        );
        assert_eq!(
            shown(&gather(&text)),
            "protocol=udp,result=success,server=127.0.0.1 response_time=f,result_code=0u,result_type=success,\
             string_found=Boolean(true)"
        );
        assert_eq!(
            shown(&gather(&text)),
            "protocol=udp,result=read_failed,server=127.0.0.1 result_code=3u,result_type=read_failed"
        );
    }

    #[test]
    fn options_that_are_wrong_say_so() {
        for (options, wanted) in [
            ("address = \"a:1\"", "it is tcp or udp; none is given"),
            ("protocol = \"icmp\"", "\"icmp\" is neither"),
            ("protocol = \"tcp\"", "has no port"),
            ("protocol = \"udp\"\naddress = \"a:1\"\nsend = \"x\"", "something to expect"),
            ("protocol = \"tcp\"\naddress = \"a:1\"\nexpect = \"(\"", "missing closing )"),
        ] {
            let error =
                Options::from_section(&mut section_for_tests(options)).expect_err(options).to_string();
            assert!(error.contains(wanted), "{options}: {error}");
        }
    }
}
