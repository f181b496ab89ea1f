//! The options of the `prometheus` input.

use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::discovery::Source;
use super::target::Target;
use crate::config::{ConfigError, Section};
use crate::net::http::{self, Connecting};
use crate::net::tls::ClientTls;
use crate::parsers::prometheus::Version;

/// What `[[inputs.prometheus]]` sets.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) targets: Vec<Target>,
    pub(super) discovery: Option<Source>,
    pub(super) version: Version,
    /// Empty is no tag.
    pub(super) url_tag: String,
    pub(super) ignore_timestamp: bool,
    /// What the pages are, whatever their servers say.
    pub(super) content_type: Option<String>,
    pub(super) authorization: Authorization,
    /// For each target, from connecting to the end of the page.
    pub(super) timeout: Duration,
    /// Bytes of a page.
    pub(super) content_length_limit: Option<usize>,
    pub(super) request_metrics: bool,
    headers: HeaderMap,
    connecting: Connecting,
    tls: ClientTls,
}

/// How requests identify themselves.
#[derive(Debug)]
pub(super) enum Authorization {
    None,
    Basic { username: String, password: String },
    Bearer(String),
    BearerFile(String),
}

/// Options of pods, which mean nothing without them.
const OF_PODS: [&str; 20] = [
    "cache_refresh_interval",
    "kube_config",
    "kubernetes_field_selector",
    "kubernetes_label_selector",
    "monitor_kubernetes_pods_method",
    "monitor_kubernetes_pods_namespace",
    "monitor_kubernetes_pods_path",
    "monitor_kubernetes_pods_port",
    "monitor_kubernetes_pods_scheme",
    "monitor_kubernetes_pods_version",
    "namespace_annotation_drop",
    "namespace_annotation_pass",
    "node_ip",
    "pod_annotation_exclude",
    "pod_annotation_include",
    "pod_label_exclude",
    "pod_label_include",
    "pod_namespace_label_name",
    "pod_scrape_interval",
    "pod_scrape_scope",
];

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        refuse_what_is_not_supported(section)?;
        let urls = section.strings("urls")?.unwrap_or_default();
        let targets = urls
            .iter()
            .map(|text| Target::parse(text).map_err(|why| section.bad("urls", why)))
            .collect::<Result<_, _>>()?;
        let mut discovery = discovery(section, "http_service_discovery")?;
        if let Some(source) = self::discovery(section, "http_sd")? {
            discovery = Some(source);
        }
        let mut text = |key| Ok::<_, ConfigError>(section.string(key)?.filter(|text| !text.is_empty()));
        let (file, token) = (text("bearer_token")?, text("bearer_token_string")?);
        let (username, password) = (text("username")?, text("password")?);
        let content_type = text("content_type_override")?;
        let authorization = match (file, token, username) {
            (Some(_), Some(_), _) => {
                return Err(
                    section.bad("bearer_token", "bearer_token and bearer_token_string exclude each other")
                );
            }
            (Some(path), None, _) => Authorization::BearerFile(path),
            (None, Some(token), _) => Authorization::Bearer(token),
            (None, None, Some(username)) => {
                Authorization::Basic { username, password: password.unwrap_or_default() }
            }
            (None, None, None) => Authorization::None,
        };
        let system_proxy = section.boolean("use_system_proxy")?.unwrap_or(false);
        let connecting = Connecting::from_section(section, "http_proxy_url")?;
        let connecting = Connecting { system_proxy, ..connecting };
        let headers = section.string_table("http_headers")?.unwrap_or_default();
        let headers =
            http::headers("http_headers", &headers).map_err(|why| section.bad("http_headers", why))?;
        let old_timeout = section.duration("response_timeout")?;
        let timeout = section.duration("timeout")?.or(old_timeout).filter(|&timeout| timeout > 0);
        Ok(Self {
            targets,
            discovery,
            version: Version::from_section(section, "metric_version", Version::One)?,
            url_tag: section.string("url_tag")?.unwrap_or_else(|| "url".to_owned()),
            ignore_timestamp: section.boolean("ignore_timestamp")?.unwrap_or(false),
            content_type,
            authorization,
            timeout: Duration::from_nanos(timeout.unwrap_or(5_000_000_000).unsigned_abs()),
            content_length_limit: content_length_limit(section)?,
            request_metrics: section.boolean("enable_request_metrics")?.unwrap_or(false),
            headers,
            connecting,
            tls: ClientTls::from_section(section)?,
        })
    }

    /// A client with these options; one for a socket connects to nothing else.
    pub(super) fn client(&self, socket: Option<&Path>) -> Result<Client, String> {
        let connecting = Connecting { unix_socket: socket.map(Path::to_owned), ..self.connecting.clone() };
        let builder = connecting
            .client(&self.tls, self.timeout)?
            .redirect(Policy::limited(10))
            .default_headers(self.headers.clone());
        builder.build().map_err(|error| http::describe(&error))
    }
}

/// A number of bytes, or text with a unit; nothing is no limit of the user's.
fn content_length_limit(section: &mut Section) -> Result<Option<usize>, ConfigError> {
    let limit = section.size("content_length_limit")?;
    Ok(limit.and_then(|limit| usize::try_from(limit).ok()).filter(|&limit| limit > 0))
}

fn discovery(section: &mut Section, key: &'static str) -> Result<Option<Source>, ConfigError> {
    let mut found = section.sections(key, |inside| {
        let enabled = inside.boolean("enabled")?.unwrap_or(false);
        let interval = inside.duration("query_interval")?.filter(|&interval| interval > 0);
        let url = inside.string("url")?.unwrap_or_default();
        if !enabled {
            return Ok(None);
        }
        let url = Url::parse(&url).map_err(|error| inside.bad("url", format!("{url:?}: {error}")))?;
        let interval = Duration::from_nanos(interval.unwrap_or(300_000_000_000).unsigned_abs());
        Ok(Some(Source { url, interval }))
    })?;
    if found.len() > 1 {
        return Err(section.bad(key, "there is more than one such table"));
    }
    Ok(found.pop().flatten())
}

/// Targets of Kubernetes and Consul: their options are known, and an error where they are in use.
fn refuse_what_is_not_supported(section: &mut Section) -> Result<(), ConfigError> {
    let advice = "list the targets in urls, or have them told by http_service_discovery";
    if section.strings("kubernetes_services")?.is_some_and(|list| !list.is_empty()) {
        return Err(section.bad("kubernetes_services", format!("it is not supported; {advice}")));
    }
    if section.boolean("monitor_kubernetes_pods")?.unwrap_or(false) {
        return Err(section.bad("monitor_kubernetes_pods", format!("it is not supported; {advice}")));
    }
    for key in OF_PODS {
        section.without_effect(key, "monitor_kubernetes_pods is not supported");
    }
    let consul = section.sections("consul", |inside| {
        for key in
            ["agent", "query_interval", "query", "datacenter", "token", "token_file", "username", "password"]
        {
            inside.without_effect(key, "consul is not supported");
        }
        Ok(inside.boolean("enabled")?.unwrap_or(false))
    })?;
    if consul.contains(&true) {
        return Err(section.bad("consul", format!("it is not supported; {advice}")));
    }
    Ok(())
}
