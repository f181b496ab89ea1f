//! `http`: documents that servers give, asked for at every interval, in any data format.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Url};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::net::http::{self, Connecting};
use crate::net::parallel::{Asked, Parallel};
use crate::net::tls::ClientTls;
use crate::parser::{Defaults, Parser};

/// Bytes of an answer, at most.
const ANSWER_MAX: usize = 256 << 20;

/// The input.
#[derive(Debug)]
struct Http {
    targets: Vec<Target>,
    request: Arc<Request>,
    timeout: Duration,
    parser: Mutex<Box<dyn Parser>>,
    parallel: Parallel,
}

/// A URL, and what connects to it.
#[derive(Debug, Clone)]
struct Target {
    /// As the tag and errors have it.
    shown: String,
    url: Url,
    client: Client,
}

/// What is sent to every URL.
#[derive(Debug)]
struct Request {
    method: Method,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    /// A file that holds a token, read for every request: it may be renewed.
    token_file: Option<String>,
    basic: Option<(String, String)>,
    success: Vec<u16>,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let urls = section.strings("urls")?.unwrap_or_default();
    if urls.is_empty() {
        return Err(section.bad("urls", "say what is asked"));
    }
    unsupported(section)?;
    let timeout = section.duration("timeout")?.filter(|nanos| *nanos > 0).unwrap_or(5_000_000_000);
    let timeout = Duration::from_nanos(timeout.unsigned_abs());
    let tls = ClientTls::from_section(section)?;
    let mut connecting = Connecting::from_section(section, "http_proxy_url")?;
    connecting.system_proxy = section.boolean("use_system_proxy")?.unwrap_or(false);
    let client = |socket: Option<PathBuf>| {
        let connecting = Connecting { unix_socket: socket, ..connecting.clone() };
        let builder = connecting.client(&tls, timeout)?.redirect(reqwest::redirect::Policy::limited(10));
        builder.build().map_err(|error| http::describe(&error))
    };
    let shared = client(None).map_err(|why| section.bad("tls_ca", why))?;
    let targets = urls
        .iter()
        .map(|text| target(text, &shared, client).map_err(|why| section.bad("urls", why)))
        .collect::<Result<Vec<_>, _>>()?;
    let request = request(section)?;
    let parser = crate::parsers::from_section(section, context, "influx")?;
    Ok(Box::new(Http {
        targets,
        request: Arc::new(request),
        timeout,
        parser: Mutex::new(parser),
        parallel: Parallel::default(),
    }))
}

/// A URL of http or https, or a socket in the file system: `http+unix:///run/x.sock:/path`.
fn target(
    text: &str,
    shared: &Client,
    client: impl Fn(Option<PathBuf>) -> Result<Client, String>,
) -> Result<Target, String> {
    if let Some(socket) = http::unix_url(text) {
        let (path, url) = socket?;
        return Ok(Target { shown: text.to_owned(), url, client: client(Some(path))? });
    }
    let url = Url::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => {
            Ok(Target { shown: http::shown(&url).to_string(), url, client: shared.clone() })
        }
        other => Err(format!("{text:?}: only http, https and http+unix are supported, not {other:?}")),
    }
}

/// Options of other ways to log in.
fn unsupported(section: &mut Section) -> Result<(), ConfigError> {
    for key in ["client_id", "client_secret", "token_url", "cookie_auth_url"] {
        if section.string(key)?.is_some_and(|text| !text.is_empty()) {
            return Err(
                section.bad(key, "is not supported; use a token, a token file, or a user and a password")
            );
        }
    }
    if section.boolean("use_system_proxy")?.unwrap_or(false) {
        return Err(section.bad("use_system_proxy", "proxies are not supported"));
    }
    for key in
        ["idle_conn_timeout", "max_idle_conn", "max_idle_conn_per_host", "response_timeout", "local_address"]
    {
        section.without_effect(key, "connections are kept as long as servers keep them");
    }
    Ok(())
}

fn request(section: &mut Section) -> Result<Request, ConfigError> {
    let method = section.string("method")?.filter(|text| !text.is_empty());
    let method = method.as_deref().unwrap_or("GET").to_ascii_uppercase();
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| section.bad("method", "no HTTP method"))?;
    let table = section.string_table("headers")?.unwrap_or_default();
    let mut headers = http::headers("headers", &table).map_err(|why| section.bad("headers", why))?;
    let mut body = section.string("body")?.filter(|body| !body.is_empty()).map(String::into_bytes);
    match section.string("content_encoding")?.as_deref() {
        None | Some("" | "identity") => {}
        Some("gzip") => {
            body = body.map(|body| http::gzip(&body));
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Some(other) => {
            let reason = format!("{other:?} is neither \"identity\" nor \"gzip\"");
            return Err(section.bad("content_encoding", reason));
        }
    }
    let mut text = |key| Ok::<_, ConfigError>(section.string(key)?.filter(|text| !text.is_empty()));
    let (token, token_file) = (text("token")?, text("token_file")?.or(text("bearer_token")?));
    let (username, password) = (text("username")?, text("password")?);
    if token.is_some() && token_file.is_some() {
        return Err(section.bad("token", "either a token or a token_file, not both"));
    }
    if let Some(token) = token {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        headers.insert(
            AUTHORIZATION,
            value.map_err(|_| section.bad("token", "has characters no header may have"))?,
        );
    }
    let codes = section.integers("success_status_codes")?.filter(|codes| !codes.is_empty());
    let success = codes.unwrap_or_else(|| vec![200]);
    Ok(Request {
        method,
        headers,
        body,
        token_file,
        basic: username.map(|name| (name, password.unwrap_or_default())),
        success: success.into_iter().filter_map(|code| u16::try_from(code).ok()).collect(),
    })
}

impl Input for Http {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let now_ns = acc.now_ns();
        let targets: Vec<_> = self
            .targets
            .iter()
            .map(|target| {
                let (request, target) = (Arc::clone(&self.request), target.clone());
                let parser = self.parser.lock().fresh();
                (target.shown.clone(), async move {
                    match request.send(&target).await {
                        Ok(document) => parse(parser, &document, &target.shown, now_ns),
                        Err(problem) => Asked { metrics: Vec::new(), problem: Some(problem) },
                    }
                })
            })
            .collect();
        // The client's own deadline is told in better words.
        self.parallel.ask(acc, self.timeout + Duration::from_secs(1), targets)
    }
}

fn parse(mut parser: Box<dyn Parser>, document: &[u8], url: &str, now_ns: i64) -> Asked {
    let mut metrics: Vec<Metric> = Vec::new();
    let parsed = parser.parse(document, &Defaults { name: "http".into(), now_ns }, &mut metrics);
    metrics.iter_mut().for_each(|metric| metric.set_tag_if_absent("url", url));
    Asked { metrics, problem: parsed.err().map(|error| error.to_string()) }
}

impl Request {
    async fn send(&self, Target { url, client, .. }: &Target) -> Result<Vec<u8>, String> {
        let mut request = client.request(self.method.clone(), url.clone()).headers(self.headers.clone());
        if let Some(path) = &self.token_file {
            let token = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            request = request.bearer_auth(token.trim());
        }
        if let Some((name, password)) = &self.basic {
            request = request.basic_auth(name, Some(password));
        }
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let answer = request.send().await.map_err(|error| http::describe(&error))?;
        let status = answer.status();
        if !self.success.contains(&status.as_u16()) {
            return Err(format!("answered {status}"));
        }
        http::body(answer, ANSWER_MAX).await
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::HeaderMap as Headers;
    use axum::routing::{get, post};

    use super::*;
    use crate::config::section_for_tests;
    use crate::processors::testing::lines;

    /// A server on a thread of its own; returns its address.
    fn server() -> std::net::SocketAddr {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
                sender.send(listener.local_addr().expect("bound")).expect("the test waits");
                let router = Router::new()
                    .route("/a", get(|| async { "m x=1i 5\n" }))
                    .route("/tagged", get(|| async { "m,url=own x=2i 5\n" }))
                    .route("/bad", get(|| async { "m x=3i 5\nbad\n" }))
                    .route(
                        "/echo",
                        post(|headers: Headers, body: String| async move {
                            let header =
                                |name: &str| headers.get(name).map(|v| v.to_str().expect("text").to_owned());
                            format!(
                                "m,a={},h={} x={body}i 5",
                                header("authorization").expect("sent").replace(' ', "_"),
                                header("x-h").expect("sent")
                            )
                        }),
                    );
                axum::serve(listener, router).await.expect("served");
            });
        });
        receiver.recv().expect("started")
    }

    fn gather(options: &str) -> (Vec<String>, Vec<String>) {
        let mut section = section_for_tests(options);
        let mut input = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok(), "unknown options in {options}");
        let mut acc = Accumulator::new(9);
        input.gather(&mut acc).expect("gathered");
        let (metrics, errors) = acc.into_parts();
        (lines(&metrics), errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn one_that_fails_costs_only_itself() {
        let at = server();
        let (lines, errors) = gather(&format!(
            "urls = ['http://{at}/a', 'http://{at}/tagged', 'http://{at}/bad', 'http://{at}/none', 'http://127.0.0.1:1/']"
        ));
        assert_eq!(
            lines,
            [
                format!("m,url=http://{at}/a x=1i 5"),
                "m,url=own x=2i 5".to_owned(),
                format!("m,url=http://{at}/bad x=3i 5")
            ]
        );
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(
            errors[0].contains("unable to parse 'bad'") && errors[1].ends_with("answered 404 Not Found"),
            "{errors:?}"
        );
    }

    #[test]
    fn what_is_sent() {
        let at = server();
        let dir = tempfile::tempdir().expect("temporary directory");
        let token = dir.path().join("token");
        fs::write(&token, "secret\n").expect("written");
        let (lines, errors) = gather(&format!(
            "urls = ['http://{at}/echo']\nmethod = 'POST'\nbody = '7'\ntoken_file = '{}'\n[headers]\nX-H = 'h'\n",
            token.display()
        ));
        assert_eq!(
            (lines, errors.len()),
            (vec![format!("m,a=Bearer_secret,h=h,url=http://{at}/echo x=7i 5")], 0)
        );
    }

    #[test]
    fn faults_are_named() {
        for (options, want) in [
            ("", "say what is asked"),
            ("urls = ['ftp://h']", "only http, https"),
            ("urls = ['http://h']\ntoken = 'a'\ntoken_file = 'b'", "not both"),
            ("urls = ['http://h']\nclient_id = 'a'", "not supported"),
            ("urls = ['http://h']\ncontent_encoding = 'br'", "neither"),
        ] {
            let error =
                build(&mut section_for_tests(options), &Context::default()).expect_err(want).to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
