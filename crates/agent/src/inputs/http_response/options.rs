//! The options of the `http_response` input.

use std::time::Duration;

use regex::bytes::Regex;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Url};

use crate::config::{ConfigError, Section};
use crate::go_regex;
use crate::net::http::{self, Connecting};
use crate::net::interface::interface_address;
use crate::net::tls::ClientTls;

/// The time for a request, unless the options have one of at least a second.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What is read of a body, at most, unless the options say otherwise.
const BODY_BYTES_MAX: u64 = 32 << 20;

/// What `[[inputs.http_response]]` sets.
#[derive(Debug)]
pub(super) struct Options {
    /// As written, for the tag, and as understood.
    pub(super) urls: Vec<(String, Url)>,
    pub(super) timeout: Duration,
    pub(super) method: Method,
    body: Option<String>,
    body_form: Vec<(String, String)>,
    headers: HeaderMap,
    username: Option<String>,
    password: Option<String>,
    bearer_token: Option<String>,
    follow_redirects: bool,
    /// Headers of answers, and the tags they become.
    pub(super) header_tags: Vec<(String, String)>,
    /// The field the body becomes.
    pub(super) body_field: Option<String>,
    pub(super) body_bytes_max: usize,
    pub(super) string_match: Option<Regex>,
    pub(super) status_code: Option<u16>,
    connecting: Connecting,
    tls: ClientTls,
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let mut urls = section.strings("urls")?.unwrap_or_default();
        // Its name before 1.12.
        urls.extend(section.string("address")?.filter(|text| !text.is_empty()));
        if urls.is_empty() {
            urls.push("http://localhost".to_owned());
        }
        let urls = urls
            .into_iter()
            .map(|text| match parse_url(&text) {
                Ok(url) => Ok((text, url)),
                Err(why) => Err(section.bad("urls", why)),
            })
            .collect::<Result<_, _>>()?;
        let timeout = Duration::from_nanos(section.duration("response_timeout")?.unwrap_or(0).unsigned_abs());
        let mut text = |key| Ok::<_, ConfigError>(section.string(key)?.filter(|text| !text.is_empty()));
        let (method, body, body_field) = (text("method")?, text("body")?, text("response_body_field")?);
        let (username, password) = (text("username")?, text("password")?);
        let (bearer_token, interface) = (text("bearer_token")?, text("interface")?);
        let (string_match, cookies) = (text("response_string_match")?, text("cookie_auth_url")?);
        if cookies.is_some() {
            return Err(section.bad("cookie_auth_url", "authentication by cookies is not supported"));
        }
        for key in ["cookie_auth_method", "cookie_auth_username", "cookie_auth_password", "cookie_auth_body"]
        {
            section.without_effect(key, "authentication by cookies is not supported");
        }
        section.without_effect("cookie_auth_headers", "authentication by cookies is not supported");
        section.without_effect("cookie_auth_renewal", "authentication by cookies is not supported");
        let method = method.unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase();
        let method = Method::from_bytes(method.as_bytes());
        let method = method.map_err(|_| section.bad("method", "it is no method of HTTP"))?;
        let form = section.list_table("body_form")?.unwrap_or_default();
        let headers = section.string_table("headers")?.unwrap_or_default();
        let status_code = section.count("response_status_code")?.filter(|&code| code > 0);
        let status_code = status_code.map(u16::try_from).transpose();
        let body_bytes_max = section.size("response_body_max_size")?.filter(|&bytes| bytes > 0);
        let mut connecting = Connecting::from_section(section, "http_proxy")?;
        if let Some(name) = interface {
            let unknown = || section.bad("interface", format!("{name:?} has no address"));
            connecting.local_address = Some(interface_address(&name).ok_or_else(unknown)?);
        }
        connecting.system_proxy = section.boolean("use_system_proxy")?.unwrap_or(false);
        Ok(Self {
            urls,
            timeout: if timeout < Duration::from_secs(1) { TIMEOUT } else { timeout },
            method,
            body,
            body_form: form
                .into_iter()
                .flat_map(|(key, values)| values.into_iter().map(move |value| (key.clone(), value)))
                .collect(),
            headers: http::headers("headers", &headers).map_err(|why| section.bad("headers", why))?,
            username,
            password,
            bearer_token,
            follow_redirects: section.boolean("follow_redirects")?.unwrap_or(false),
            header_tags: section.string_table("http_header_tags")?.unwrap_or_default().into_iter().collect(),
            body_field,
            body_bytes_max: usize::try_from(body_bytes_max.unwrap_or(BODY_BYTES_MAX)).unwrap_or(usize::MAX),
            string_match: string_match
                .map(|text| go_regex::compile_for_bytes(&text))
                .transpose()
                .map_err(|why| section.bad("response_string_match", why))?,
            status_code: status_code
                .map_err(|_| section.bad("response_status_code", "it is no status of HTTP"))?,
            connecting,
            tls: ClientTls::from_section(section)?,
        })
    }

    pub(super) fn client(&self) -> Result<Client, String> {
        let redirects = if self.follow_redirects { Policy::limited(10) } else { Policy::none() };
        let builder = self.connecting.client(&self.tls, self.timeout)?.redirect(redirects);
        // Every probe is to see all of the way: a connection that is kept would hide most of it.
        builder.pool_max_idle_per_host(0).build().map_err(|error| http::describe(&error))
    }

    /// The request to a URL. An error is one of this machine: a token that cannot be read.
    pub(super) fn request(&self, client: &Client, url: &Url) -> Result<RequestBuilder, String> {
        let mut request = client.request(self.method.clone(), url.clone());
        if let Some(path) = &self.bearer_token {
            let token =
                std::fs::read_to_string(path).map_err(|error| format!("bearer_token {path}: {error}"))?;
            request = request.bearer_auth(token.trim());
        }
        if self.username.is_some() || self.password.is_some() {
            request =
                request.basic_auth(self.username.as_deref().unwrap_or_default(), self.password.as_ref());
        }
        if !self.body_form.is_empty() {
            request = request.form(&self.body_form);
        } else if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        Ok(request.headers(self.headers.clone()))
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("{text:?}: {other:?} is neither http nor https")),
    }
}
