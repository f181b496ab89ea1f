//! The options of the `http` output.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, Method, Url};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::net::http::{Connecting, basic_authorization, describe, headers, unix_url};
use crate::net::tls::ClientTls;
use crate::serializer::Serializer;
use crate::serializers;

/// What `[[outputs.http]]` sets.
pub(super) struct Options {
    pub(super) url: Url,
    pub(super) method: Method,
    pub(super) client: Client,
    pub(super) serializer: Box<dyn Serializer>,
    pub(super) batched: bool,
    pub(super) gzip: bool,
    pub(super) final_statuses: BTreeSet<u16>,
}

/// Ways to identify that are not there: an option that is set is an error, an empty one of a sample file is not.
const NOT_SUPPORTED: [(&str, &str); 8] = [
    ("client_id", "OAuth2 is not supported; use `token` or `headers`"),
    ("client_secret", "OAuth2 is not supported; use `token` or `headers`"),
    ("token_url", "OAuth2 is not supported; use `token` or `headers`"),
    ("audience", "OAuth2 is not supported; use `token` or `headers`"),
    ("cookie_auth_url", "logging in for a cookie is not supported; use `headers`"),
    ("aws_service", "signing requests for AWS is not supported"),
    ("google_application_credentials", "Google's credentials are not supported; use `token`"),
    ("aws_region", "signing requests for AWS is not supported"),
];

impl Options {
    pub(super) fn from_section(section: &mut Section, context: &Context) -> Result<Self, ConfigError> {
        let url = section.string("url")?.filter(|url| !url.is_empty());
        let url = url.unwrap_or_else(|| "http://127.0.0.1:8080/telegraf".to_owned());
        let bad_url = |why: String| section.bad("url", format!("{url:?}: {why}"));
        let (socket, url) = match unix_url(&url) {
            Some(unix) => unix.map(|(socket, url)| (Some(socket), url)).map_err(bad_url)?,
            None => (None, Url::parse(&url).map_err(|error| bad_url(error.to_string()))?),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(section.bad("url", format!("{:?} is none of http, https, http+unix", url.scheme())));
        }
        let method = match section.string("method")?.map(|method| method.to_uppercase()).as_deref() {
            None | Some("" | "POST") => Method::POST,
            Some("PUT") => Method::PUT,
            Some("PATCH") => Method::PATCH,
            Some(other) => {
                return Err(section.bad("method", format!("{other:?} is none of POST, PUT, PATCH")));
            }
        };
        let gzip = match section.string("content_encoding")?.as_deref() {
            None | Some("" | "identity") => false,
            Some("gzip") => true,
            Some(other) => {
                let reason = format!("{other:?} is neither \"identity\" nor \"gzip\"");
                return Err(section.bad("content_encoding", reason));
            }
        };
        for (key, why) in NOT_SUPPORTED {
            if section.string(key)?.is_some_and(|text| !text.is_empty()) {
                return Err(section.bad(key, why));
            }
        }
        let codes = section.integers("non_retryable_statuscodes")?.unwrap_or_default();
        let final_statuses = codes.iter().filter_map(|&code| u16::try_from(code).ok()).collect();
        Ok(Self {
            url,
            method,
            client: client(section, socket)?,
            serializer: serializers::from_section(section, context)?,
            batched: section.boolean("use_batch_format")?.unwrap_or(true),
            gzip,
            final_statuses,
        })
    }
}

fn client(section: &mut Section, socket: Option<std::path::PathBuf>) -> Result<Client, ConfigError> {
    let nanos = |nanos: Option<i64>| nanos.filter(|&n| n > 0).map(|n| Duration::from_nanos(n.unsigned_abs()));
    let timeout = nanos(section.duration("timeout")?).unwrap_or(Duration::from_secs(5));
    let response = nanos(section.duration("response_timeout")?).unwrap_or(timeout);
    let connecting = Connecting {
        unix_socket: socket,
        system_proxy: section.boolean("use_system_proxy")?.unwrap_or(false),
        idle_timeout: nanos(section.duration("idle_conn_timeout")?),
        idle_max: section.count("max_idle_conn_per_host")?.filter(|&most| most > 0),
        ..Connecting::from_section(section, "http_proxy_url")?
    };
    section.without_effect("max_idle_conn", "there is one host; max_idle_conn_per_host counts");
    let tls = ClientTls::from_section(section)?;
    let headers = request_headers(section)?;
    let builder = connecting.client(&tls, timeout.min(response)).map_err(|why| section.bad("url", why))?;
    builder.default_headers(headers).build().map_err(|error| section.bad("url", describe(&error)))
}

fn request_headers(section: &mut Section) -> Result<HeaderMap, ConfigError> {
    let own = section.string_table("headers")?.unwrap_or_default();
    let mut all = headers("headers", &own).map_err(|why| section.bad("headers", why))?;
    all.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    all.entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!("skywatch-agent/", env!("CARGO_PKG_VERSION"))));
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (username, password) = (text(section.string("username")?), text(section.string("password")?));
    let token = text(section.string("token")?);
    let authorization = match (username, password, token) {
        (None, None, None) => return Ok(all),
        (None, None, Some(token)) => format!("Bearer {token}"),
        (username, password, _) => {
            basic_authorization(&username.unwrap_or_default(), &password.unwrap_or_default())
        }
    };
    let mut value = HeaderValue::from_str(&authorization)
        .map_err(|_| section.bad("token", "has characters that no header may have"))?;
    value.set_sensitive(true);
    all.insert(AUTHORIZATION, value);
    Ok(all)
}
