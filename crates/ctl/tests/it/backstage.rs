//! A server with prepared answers that remembers what it was asked, and a way to run a command line against it.

use std::{
    collections::BTreeMap,
    io::BufReader,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Response},
};
use skywatch_ctl::{Environment, Streams};
use tokio::net::TcpListener;

/// What a server says to one method and path.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) after: Duration,
}

impl Reply {
    pub(crate) fn ok(body: &str) -> Self {
        Self { status: 200, body: body.to_owned(), headers: Vec::new(), after: Duration::ZERO }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: 204, ..Self::ok("") }
    }

    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self { status, ..Self::ok(&format!(r#"{{"error":"{message}"}}"#)) }
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self { status: 307, headers: vec![("Location", to.to_owned())], ..Self::ok("") }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }
}

/// A request as it came: `POST /join addr=m2%3A8091`, and its headers.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
}

#[derive(Clone, Default)]
struct Shared {
    replies: Arc<BTreeMap<String, Reply>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A node that answers as told.
pub(crate) struct StandIn {
    pub(crate) address: String,
    shared: Shared,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl StandIn {
    /// `replies` by method and path, such as `GET /show-cluster`.
    pub(crate) async fn start(replies: &[(&str, Reply)]) -> Self {
        let replies = replies.iter().map(|(name, reply)| ((*name).to_owned(), reply.clone())).collect();
        let shared = Shared { replies: Arc::new(replies), ..Shared::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback");
        let address = listener.local_addr().expect("it is bound").to_string();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("serving goes on") });
        Self { address, shared, server }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("nobody panicked").clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// What was asked to be changed.
    pub(crate) fn posts(&self) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.starts_with("POST")).collect()
    }

    /// Runs a command line whose words are separated by spaces, with this node as `-bind`.
    pub(crate) async fn ctl(&self, line: &str) -> Ran {
        self.ctl_answering(line, "").await
    }

    pub(crate) async fn ctl_answering(&self, line: &str, answers: &str) -> Ran {
        ctl(&format!("-bind {} {line}", self.address), answers).await
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = text(to_bytes(body, 1 << 20).await.expect("a whole body").to_vec());
    let name = format!("{} {}", parts.method, parts.uri.path());
    let parameters = parts.uri.query().unwrap_or(&body);
    let line = format!("{name} {parameters}").trim_end().to_owned();
    shared.asked.lock().expect("nobody panicked").push(Asked { line, headers: parts.headers });
    let reply = match shared.replies.get(&name) {
        Some(reply) => reply.clone(),
        None => Reply { status: 404, ..Reply::ok("404 page not found\n") },
    };
    tokio::time::sleep(reply.after).await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(reply.body)).expect("a prepared answer is one")
}

/// What a command line did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) status: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn fine(out: &str) -> Self {
        Self { status: 0, out: out.to_owned(), err: String::new() }
    }

    pub(crate) fn failed(err: &str) -> Self {
        Self { status: 1, out: String::new(), err: err.to_owned() }
    }
}

pub(crate) async fn ctl(line: &str, answers: &str) -> Ran {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    ctl_words(&words, answers).await
}

pub(crate) async fn ctl_words(words: &[String], answers: &str) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let streams = Streams {
        out: &mut out,
        err: &mut err,
        input: &mut BufReader::new(answers.as_bytes()),
        is_terminal: false,
    };
    let environment = Environment {
        program: "influxd-ctl".to_owned(),
        hostname: "cluster-node-03".to_owned(),
        ..Environment::default()
    };
    let status = skywatch_ctl::run(words, environment, streams).await;
    Ran { status, out: text(out), err: text(err) }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}
