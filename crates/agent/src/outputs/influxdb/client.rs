//! The requests to one server.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};

use super::answer::{self, Answer};
use super::options::{Options, Tls};

/// Most of an answer that is read: enough for any error, and no more than a stray page may cost.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where points go on a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) database: String,
    /// Empty is the database's default.
    pub(super) retention_policy: String,
}

/// An HTTP client with the output's options.
pub(super) struct Client {
    http: reqwest::Client,
    timeout: Duration,
    username: Option<String>,
    password: Option<String>,
    consistency: Option<String>,
    gzip: bool,
}

impl Client {
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        let builder = reqwest::Client::builder()
            .user_agent(&options.user_agent)
            .default_headers(headers(options)?)
            // A write that is redirected would lose its body or its credentials on the way.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.timeout)
            .timeout(options.timeout);
        let http = tls(builder, &options.tls)?.build().map_err(|error| describe(&error))?;
        Ok(Self {
            http,
            timeout: options.timeout,
            username: options.username.clone(),
            password: options.password.clone(),
            consistency: options.write_consistency.clone(),
            gzip: options.gzip,
        })
    }

    /// Creates a database; that it exists already is as good.
    pub(super) async fn create_database(&self, url: &Url, database: &str) -> Result<(), String> {
        let escaped = database.replace('\\', "\\\\").replace('"', "\\\"");
        let statement = format!("CREATE DATABASE \"{escaped}\"");
        let mut endpoint = self.endpoint(url, "query");
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
    pub(super) async fn write(&self, url: &Url, target: &Target, lines: &str) -> Answer {
        let request = self.http.post(self.write_url(url, target));
        let request = match self.gzip {
            true => request.header("Content-Encoding", "gzip").body(compress(lines)),
            false => request.body(lines.to_owned()),
        };
        let request = request.header("Content-Type", "text/plain; charset=utf-8");
        let response = match self.send(request).await {
            Ok(response) => read(response).await,
            Err(reason) => Err(reason),
        };
        match response {
            Ok((status, retry_after, body)) => answer::read(status, retry_after.as_deref(), &body),
            Err(reason) => Answer::Retry { reason, after: None },
        }
    }

    fn write_url(&self, url: &Url, target: &Target) -> Url {
        let mut endpoint = self.endpoint(url, "write");
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
    fn endpoint(&self, url: &Url, path: &str) -> Url {
        let mut endpoint = if self.username.is_some() { shown(url) } else { url.clone() };
        let base = endpoint.path().trim_end_matches('/').to_owned();
        endpoint.set_path(&format!("{base}/{path}"));
        endpoint.set_query(None);
        endpoint
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, String> {
        // Credentials of the options; those of a URL the HTTP client sends by itself.
        let request = match &self.username {
            Some(name) => request.basic_auth(name, self.password.as_deref()),
            None => request,
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

/// A URL for messages: its password is nobody's business.
pub(super) fn shown(url: &Url) -> Url {
    let mut shown = url.clone();
    // Neither fails: the scheme is http or https.
    shown.set_username("").ok();
    shown.set_password(None).ok();
    shown
}

async fn read(mut response: Response) -> Result<(reqwest::StatusCode, Option<String>, String), String> {
    let status = response.status();
    let retry_after =
        response.headers().get("Retry-After").and_then(|value| value.to_str().ok()).map(str::to_owned);
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

fn compress(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

fn headers(options: &Options) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.http_headers {
        let bad = |what| format!("http_headers: {name:?} has {what}");
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("no valid name"))?;
        headers.insert(key, HeaderValue::from_str(value).map_err(|_| bad("no valid value"))?);
    }
    Ok(headers)
}

fn tls(builder: reqwest::ClientBuilder, tls: &Tls) -> Result<reqwest::ClientBuilder, String> {
    let read = |path: &str| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    let mut builder = builder.danger_accept_invalid_certs(tls.insecure_skip_verify);
    if let Some(path) = &tls.ca {
        let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?)
            .map_err(|error| format!("{path}: {error}"))?;
        builder = certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    if let Some((certificate, key)) = &tls.identity {
        let pem = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
        let identity =
            reqwest::Identity::from_pem(&pem).map_err(|error| format!("{certificate}: {error}"))?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

/// The whole chain of causes without the URL, which may hold a password: reqwest's own text says
/// only that the request failed.
fn describe(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}
