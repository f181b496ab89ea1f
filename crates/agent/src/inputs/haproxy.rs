//! `haproxy`: the statistics of HAProxy, from its status page or from its sockets.
//!
//! All servers are asked at the same time and each with a deadline; [`stats`] reads what they answer.

mod options;
mod stats;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, Url};
use tokio::io::AsyncWriteExt;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::net::http;
use crate::net::parallel::Parallel;
use crate::net::stream::{self, HostPort, Stream};
use options::{Options, Server, sockets};

/// The answer of one server, at most: some hundred bytes for each of a hundred thousand backend servers.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The input.
#[derive(Debug)]
struct HaProxy {
    options: Options,
    http: Client,
    parallel: Parallel,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let options = Options::from_section(section)?;
    let client = || {
        http::client(&options.tls, options.timeout)?
            .redirect(reqwest::redirect::Policy::limited(10))
            .build()
            .map_err(|error| http::describe(&error))
    };
    let http = client().map_err(|why| section.bad("servers", why))?;
    Ok(Box::new(HaProxy { options, http, parallel: Parallel::default() }))
}

/// A server whose sockets are found.
enum Target {
    Page(Url),
    Tcp(HostPort),
    Socket(PathBuf),
}

impl Input for HaProxy {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let Self { options, http, parallel } = self;
        let (options, http, now_ns) = (&*options, &*http, acc.now_ns());
        let targets = options.servers.iter().flat_map(targets).map(|(server, target)| {
            let name = server.clone();
            let asked = async move {
                let answer = match target {
                    Target::Page(url) => page(http, options, url).await,
                    Target::Tcp(address) => show_stat(stream::tcp(&address, None).await).await,
                    Target::Socket(path) => show_stat(stream::unix(&path).await).await,
                };
                answer.and_then(|text| stats::parse(&text, &server, options.keep_field_names, now_ns)).into()
            };
            (name, asked)
        });
        parallel.ask(acc, Duration::max(options.timeout, Duration::from_millis(1)), targets)
    }
}

/// What a server of the configuration stands for, with the value of its tag `server`.
fn targets(server: &Server) -> Vec<(String, Target)> {
    match server {
        Server::Page { url, tag } => vec![(tag.clone(), Target::Page(url.clone()))],
        Server::Tcp { address, tag } => vec![(tag.clone(), Target::Tcp(address.clone()))],
        Server::Sockets(pattern) => sockets(pattern)
            .into_iter()
            .map(|path| (path.to_string_lossy().into_owned(), Target::Socket(path)))
            .collect(),
    }
}

async fn page(http: &Client, options: &Options, url: Url) -> Result<Vec<u8>, String> {
    let mut request = http.get(url);
    if let Some(username) = &options.username {
        request = request.basic_auth(username, options.password.as_ref());
    }
    let response = request.send().await.map_err(|error| http::describe(&error))?;
    if response.status() != 200 {
        return Err(format!("the status page answers {}", response.status()));
    }
    http::body(response, ANSWER_BYTES_MAX).await
}

async fn show_stat(stream: Result<Stream, String>) -> Result<Vec<u8>, String> {
    let mut stream = stream?;
    stream.write_all(b"show stat\n").await.map_err(|error| format!("cannot send the command: {error}"))?;
    stream::read_to_end(&mut stream, ANSWER_BYTES_MAX).await
}

#[cfg(test)]
mod tests;
