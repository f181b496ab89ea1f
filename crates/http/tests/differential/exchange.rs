//! One request and what of its answer clients can see.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A request on a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Request {
    pub(crate) fn get(target: &str) -> Self {
        Self { method: "GET", target: target.to_owned(), headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn post(target: &str, body: &str) -> Self {
        Self { method: "POST", body: body.to_owned(), ..Self::get(target) }
    }

    pub(crate) fn form(self) -> Self {
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// Status, the headers that matter, and the body in the chunks it came in.
#[derive(PartialEq)]
pub(crate) struct Exchange {
    status: u16,
    headers: Vec<(String, String)>,
    chunks: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.status, self.headers)?;
        self.chunks.iter().try_for_each(|chunk| write!(f, "\n    {:?}", String::from_utf8_lossy(chunk)))
    }
}

/// Headers in which the two may differ: times, names and versions. The order of `Allow` is random in InfluxDB.
const OWN_HEADERS: [&str; 8] = [
    "date",
    "request-id",
    "x-request-id",
    "x-influxdb-version",
    "x-skywatch-version",
    "connection",
    "allow",
    "transfer-encoding",
];

/// Sends a request and reads the answer to the end of the connection.
pub(crate) fn send(address: SocketAddr, request: &Request) -> Exchange {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut head =
        format!("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", request.body.len()));
    // In one piece: InfluxDB resets connections whose body arrives after it has refused the head.
    stream.write_all(format!("{head}{}", request.body).as_bytes()).unwrap();
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    assert!(end.is_ok(), "{address} answered {request:?} with {answer:?} and {end:?}");
    read(request, &answer)
}

fn read(request: &Request, answer: &[u8]) -> Exchange {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "Transfer-Encoding" && value == "chunked");
    headers.retain(|(name, _)| !OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
    headers.sort();
    let chunks = if chunked { read_chunks(body) } else { vec![body.to_vec()] };
    // Where a whole answer is cut into chunks is nobody's business; InfluxDB also cuts chunks of over 2 KiB.
    let whole = !request.target.contains("chunked=true") || request.target.contains("pretty=true");
    Exchange { status, headers, chunks: if whole { vec![chunks.concat()] } else { chunks } }
}

fn read_chunks(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    loop {
        let line = body.windows(2).position(|window| window == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return chunks;
        }
        chunks.push(body[line + 2..line + 2 + length].to_vec());
        body = &body[line + 2 + length + 2..];
    }
}
