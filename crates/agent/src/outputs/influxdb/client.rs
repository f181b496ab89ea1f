//! The requests to one server.

use std::path::Path;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, Url};

use super::answer::{self, Answer};
use super::answer_v2;
use super::options::{Api, Options};
use crate::net::http::{self, Connecting, describe, shown};

/// Most of an answer that is read: enough for any error, and no more than a stray page may cost.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where points go on a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) database: String,
    /// Empty is the database's default.
    pub(super) retention_policy: String,
}

/// A server and the client to ask it with the output's options.
pub(super) struct Client {
    url: Url,
    http: reqwest::Client,
    timeout: Duration,
    username: Option<String>,
    password: Option<String>,
    consistency: Option<String>,
    api: Api,
    gzip: bool,
}

impl Client {
    /// A client of the server at `url`, or of that behind the socket.
    pub(super) fn new(url: &Url, socket: Option<&Path>, options: &Options) -> Result<Self, String> {
        let connecting = Connecting { unix_socket: socket.map(Path::to_owned), ..options.connecting.clone() };
        let http = connecting
            .client(&options.tls, options.timeout)?
            .user_agent(&options.user_agent)
            .default_headers(http::headers("http_headers", &options.http_headers)?)
            .build()
            .map_err(|error| describe(&error))?;
        Ok(Self {
            url: url.clone(),
            http,
            timeout: options.timeout,
            username: options.username.clone(),
            password: options.password.clone(),
            consistency: options.write_consistency.clone(),
            api: options.api.clone(),
            gzip: options.gzip,
        })
    }

    /// Creates a database; that it exists already is as good.
    pub(super) async fn create_database(&self, database: &str) -> Result<(), String> {
        let escaped = database.replace('\\', "\\\\").replace('"', "\\\"");
        let statement = format!("CREATE DATABASE \"{escaped}\"");
        let mut endpoint = self.endpoint("query");
        endpoint.query_pairs_mut().append_pair("q", &statement);
        let response = self.send(self.http.post(endpoint)).await?;
        let (status, _, body) = read(response).await?;
        if status.is_success() && !body.contains("\"error\"") {
            return Ok(());
        }
        Err(match answer::read(status, None, &body) {
            Answer::Rejected { reason } | Answer::Retry { reason, .. } => reason,
            _ => format!("{status} {body}"),
        })
    }

    /// Writes lines.
    pub(super) async fn write(&self, target: &Target, lines: &[u8]) -> Answer {
        let request = self.http.post(self.write_url(target));
        let request = match self.gzip {
            true => request.header("Content-Encoding", "gzip").body(http::gzip(lines)),
            false => request.body(lines.to_owned()),
        };
        let request = request.header("Content-Type", "text/plain; charset=utf-8");
        let response = match self.send(request).await {
            Ok(response) => read(response).await,
            Err(reason) => Err(reason),
        };
        match response {
            Ok((status, retry_after, body)) => match &self.api {
                Api::V1 => answer::read(status, retry_after, &body),
                Api::V2 { .. } => answer_v2::read(status, retry_after, &body),
            },
            Err(reason) => Answer::Retry { reason, after: None, reached: false },
        }
    }

    fn write_url(&self, target: &Target) -> Url {
        if let Api::V2 { organization, .. } = &self.api {
            let mut endpoint = self.endpoint("api/v2/write");
            let pairs = [("bucket", target.database.as_str()), ("org", organization), ("precision", "ns")];
            endpoint.query_pairs_mut().extend_pairs(pairs);
            return endpoint;
        }
        let mut endpoint = self.endpoint("write");
        {
            let mut pairs = endpoint.query_pairs_mut();
            pairs.append_pair("db", &target.database);
            if !target.retention_policy.is_empty() {
                pairs.append_pair("rp", &target.retention_policy);
            }
            if let Some(consistency) = &self.consistency {
                pairs.append_pair("consistency", consistency);
            }
        }
        endpoint
    }

    /// `path` below the server's own path.
    fn endpoint(&self, path: &str) -> Url {
        let mut endpoint = if self.username.is_some() { shown(&self.url) } else { self.url.clone() };
        let base = endpoint.path().trim_end_matches('/').to_owned();
        endpoint.set_path(&format!("{base}/{path}"));
        endpoint.set_query(None);
        endpoint
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, String> {
        // Credentials of the options; those of a URL the HTTP client sends by itself.
        let request = match (&self.username, &self.api) {
            (_, Api::V2 { token: Some(token), .. }) => {
                request.header("Authorization", format!("Token {token}"))
            }
            (Some(name), _) => request.basic_auth(name, self.password.as_deref()),
            (None, _) => request,
        };
        request.send().await.map_err(|error| {
            if error.is_timeout() {
                format!("no answer within {} ms", self.timeout.as_millis())
            } else {
                describe(&error)
            }
        })
    }
}

async fn read(mut response: Response) -> Result<(reqwest::StatusCode, Option<Duration>, String), String> {
    let status = response.status();
    let retry_after = http::wait_asked_for(&response);
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Err(format!("{status}, and then {}", describe(&error))),
        }
    }
    Ok((status, retry_after, String::from_utf8_lossy(&body).into_owned()))
}
