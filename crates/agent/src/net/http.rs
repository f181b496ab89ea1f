//! HTTP clients: how plugins make them, and how they tell of failures.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{ClientBuilder, Proxy, Response, Url};

use super::interface::interface_address;
use super::tls::ClientTls;
use crate::config::{ConfigError, Section};

/// A client that verifies as `tls` says, takes no longer than `timeout` for a whole exchange, follows no redirects
/// and asks no proxy.
pub(crate) fn client(tls: &ClientTls, timeout: Duration) -> Result<ClientBuilder, String> {
    Ok(proxied_client(tls, timeout)?.no_proxy())
}

fn proxied_client(tls: &ClientTls, timeout: Duration) -> Result<ClientBuilder, String> {
    Ok(reqwest::Client::builder()
        .use_preconfigured_tls(tls.client_config()?)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout)
        .timeout(timeout))
}

/// How connections are made, besides [`ClientTls`]: what some plugins' tables say of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connecting {
    /// The address of this machine to connect from.
    pub(crate) local_address: Option<IpAddr>,
    /// The proxy to ask.
    pub(crate) proxy: Option<Url>,
    /// Ask the proxy of the environment (`HTTPS_PROXY` and so on), where `proxy` names none.
    pub(crate) system_proxy: bool,
    /// Connect to this socket, whatever the URL says.
    pub(crate) unix_socket: Option<PathBuf>,
    /// How long a connection is kept that nobody uses.
    pub(crate) idle_timeout: Option<Duration>,
    /// Most connections kept that nobody uses.
    pub(crate) idle_max: Option<usize>,
}

impl Connecting {
    /// Takes `local_address` (an address or the name of an interface) and the proxy's URL out of a table.
    pub(crate) fn from_section(section: &mut Section, proxy_key: &'static str) -> Result<Self, ConfigError> {
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let local = match text(section.string("local_address")?) {
            Some(local) => Some(local_address(&local).map_err(|why| section.bad("local_address", why))?),
            None => None,
        };
        let proxy = match text(section.string(proxy_key)?) {
            Some(url) => {
                Some(Url::parse(&url).map_err(|why| section.bad(proxy_key, format!("{url:?}: {why}")))?)
            }
            None => None,
        };
        Ok(Self { local_address: local, proxy, ..Self::default() })
    }

    /// A [`client`] that connects so.
    pub(crate) fn client(&self, tls: &ClientTls, timeout: Duration) -> Result<ClientBuilder, String> {
        let mut builder = match self.system_proxy && self.proxy.is_none() {
            true => proxied_client(tls, timeout)?,
            false => client(tls, timeout)?,
        };
        if let Some(url) = &self.proxy {
            builder = builder.proxy(Proxy::all(url.clone()).map_err(|error| describe(&error))?);
        }
        if let Some(path) = &self.unix_socket {
            builder = builder.unix_socket(path.clone());
        }
        if let Some(idle) = self.idle_timeout {
            builder = builder.pool_idle_timeout(idle);
        }
        if let Some(most) = self.idle_max {
            builder = builder.pool_max_idle_per_host(most);
        }
        Ok(builder.local_address(self.local_address))
    }
}

/// An address, or the first one of the interface of that name.
fn local_address(text: &str) -> Result<IpAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    interface_address(text)
        .ok_or_else(|| format!("{text:?} is neither an address nor an interface that has one"))
}

/// The socket and the URL behind it of `unix:///run/x.sock`, or `http+unix:///run/x.sock:/path`; nothing of other URLs.
pub(crate) fn unix_url(text: &str) -> Option<Result<(PathBuf, Url), String>> {
    let rest = text.strip_prefix("unix://").or_else(|| text.strip_prefix("http+unix://"))?;
    let (socket, path) = rest.split_once(':').unwrap_or((rest, "/"));
    if socket.is_empty() {
        return Some(Err("names no socket".to_owned()));
    }
    let url = Url::parse("http://localhost").and_then(|url| url.join(path));
    Some(url.map(|url| (socket.into(), url)).map_err(|error| error.to_string()))
}

/// A body, compressed by gzip.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

/// How long an answer asks to be left alone: its header `Retry-After`.
pub(crate) fn wait_asked_for(response: &Response) -> Option<Duration> {
    let header = response.headers().get("Retry-After")?.to_str().ok()?;
    retry_after(header, jiff::Timestamp::now())
}

/// The header is a number of seconds, or a date.
fn retry_after(header: &str, now: jiff::Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// Headers of an option's table.
pub(crate) fn headers<'a>(
    option: &str,
    table: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in table {
        let bad = |what| format!("{option}: {name:?} has {what}");
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("no valid name"))?;
        headers.insert(key, HeaderValue::from_str(value).map_err(|_| bad("no valid value"))?);
    }
    Ok(headers)
}

/// The value of `Authorization` for a name and a password.
pub(crate) fn basic_authorization(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
}

/// The body of an answer, at most `limit` bytes of it; an error if there is more.
pub(crate) async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(format!("the answer is larger than {limit} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A URL for messages: its password is nobody's business.
pub(crate) fn shown(url: &Url) -> Url {
    let mut shown = url.clone();
    // Neither fails for a URL that has a host.
    shown.set_username("").ok();
    shown.set_password(None).ok();
    shown
}

/// The whole chain of causes without the URL, which may hold a password: reqwest's own text says
/// only that the request failed.
pub(crate) fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-10-21T07:27:00Z".parse().expect("a time");
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:00 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:00:00 GMT", now), Some(Duration::ZERO), "past");
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }
}
