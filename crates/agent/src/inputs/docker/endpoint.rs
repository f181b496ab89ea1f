//! Where an engine is, and how it is asked: HTTP over a Unix socket, over TCP, and over TLS.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use super::json::text;
use crate::net::http;
use crate::net::tls::ClientTls;

/// An answer of the engine, at most. The longest is the list of containers: some thousands of bytes each.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Where an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// Scheme, host and port.
    Http(String),
}

impl Endpoint {
    /// `unix://PATH`, `tcp://HOST:PORT`, `http://...`, `https://...`; `tls` makes TLS of `tcp`.
    pub(super) fn parse(text: &str, tls: bool) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("{text:?} is no URL such as \"unix:///var/run/docker.sock\""))?;
        let scheme = match scheme {
            "unix" if rest.starts_with('/') => return Ok(Self::Unix(rest.into())),
            "unix" => return Err(format!("{text:?} holds no absolute path")),
            "tcp" | "http" if tls => "https",
            "tcp" | "http" => "http",
            "https" => "https",
            other => return Err(format!("{other:?} is none of unix, tcp, http, https")),
        };
        let base = format!("{scheme}://{}", rest.trim_end_matches('/'));
        match reqwest::Url::parse(&base) {
            Ok(url) if url.has_host() => Ok(Self::Http(base)),
            _ => Err(format!("{text:?} names no host")),
        }
    }

    /// As Docker's own client finds it: `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.
    pub(super) fn from_env(
        env: &dyn Fn(&str) -> Option<String>,
        tls: &mut ClientTls,
    ) -> Result<Self, String> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        if let Some(directory) = env("DOCKER_CERT_PATH") {
            let file = |name: &str| format!("{directory}/{name}");
            tls.enabled = true;
            tls.ca = Some(file("ca.pem"));
            tls.identity = Some((file("cert.pem"), file("key.pem")));
            tls.insecure_skip_verify |= env("DOCKER_TLS_VERIFY").is_none();
        }
        let host = env("DOCKER_HOST").unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        Self::parse(&host, tls.enabled)
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{}", path.display()),
            Self::Http(base) => base.clone(),
        }
    }
}

/// Why the engine did not give what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such thing (any more).
    Absent,
    /// Anything else, in words.
    Other(String),
}

impl From<Refusal> for String {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Absent => "the engine does not know what was asked for".to_owned(),
            Refusal::Other(text) => text,
        }
    }
}

/// A client of one engine.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    base: String,
}

impl Api {
    /// Reads the files of TLS; connects with each request, so that a restarted engine leaves no stale connection.
    pub(super) fn new(endpoint: &Endpoint, tls: &ClientTls, timeout: Duration) -> Result<Self, String> {
        let builder = http::client(tls, timeout)?.pool_max_idle_per_host(0);
        let (builder, base) = match endpoint {
            Endpoint::Unix(path) => (builder.unix_socket(path.as_path()), "http://docker".to_owned()),
            Endpoint::Http(base) => (builder, base.clone()),
        };
        Ok(Self { client: builder.build().map_err(|error| http::describe(&error))?, base })
    }

    /// The answer to a request.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Refusal> {
        let other = |error: reqwest::Error| Refusal::Other(http::describe(&error));
        let response = self.client.get(format!("{}{path}", self.base)).send().await.map_err(other)?;
        let status = response.status();
        let body = http::body(response, ANSWER_BYTES_MAX).await.map_err(Refusal::Other)?;
        let parsed = serde_json::from_slice(&body);
        if status.is_success() {
            return parsed.map_err(|error| Refusal::Other(format!("{path}: not understood: {error}")));
        }
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Err(Refusal::Absent);
        }
        let message = parsed.as_ref().map_or("", |body| text(body, "/message")).trim();
        Err(Refusal::Other(format!("{path}: {status}: {message}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let http = |base: &str| Ok(Endpoint::Http(base.to_owned()));
        assert_eq!(Endpoint::parse("unix:///run/p.sock", false), Ok(Endpoint::Unix("/run/p.sock".into())));
        assert_eq!(Endpoint::parse("tcp://h:2375", false), http("http://h:2375"));
        assert_eq!(Endpoint::parse("tcp://h:2376/", true), http("https://h:2376"));
        assert_eq!(Endpoint::parse("https://h", false), http("https://h"));
        for bad in
            ["", "/var/run/docker.sock", "unix://", "unix://docker.sock", "tcp://", "npipe:////./pipe/x"]
        {
            assert!(Endpoint::parse(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_environment_of_dockers_own_client() {
        let mut tls = ClientTls::default();
        let default = Endpoint::from_env(&|_| None, &mut tls);
        assert_eq!(default, Ok(Endpoint::Unix("/var/run/docker.sock".into())));
        assert!(!tls.enabled);
        let env = |name: &str| match name {
            "DOCKER_HOST" => Some("tcp://h:2376".to_owned()),
            "DOCKER_TLS_VERIFY" => Some("1".to_owned()),
            "DOCKER_CERT_PATH" => Some("/certs".to_owned()),
            _ => None,
        };
        assert_eq!(Endpoint::from_env(&env, &mut tls), Ok(Endpoint::Http("https://h:2376".to_owned())));
        assert!(tls.enabled && !tls.insecure_skip_verify);
        assert_eq!(tls.ca.as_deref(), Some("/certs/ca.pem"));
        assert_eq!(tls.identity, Some(("/certs/cert.pem".to_owned(), "/certs/key.pem".to_owned())));
    }
}
