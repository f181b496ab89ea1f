//! HTTP clients: how plugins make them, and how they tell of failures.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{ClientBuilder, Response, Url};

use super::tls::ClientTls;

/// A client that verifies as `tls` says, takes no longer than `timeout` for a whole exchange, follows no redirects
/// and asks no proxy.
pub(crate) fn client(tls: &ClientTls, timeout: Duration) -> Result<ClientBuilder, String> {
    Ok(reqwest::Client::builder()
        .use_preconfigured_tls(tls.client_config()?)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(timeout)
        .timeout(timeout))
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
