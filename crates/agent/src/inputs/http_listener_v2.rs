//! `http_listener_v2`: metrics that others post, in any data format.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use parking_lot::Mutex;
use serde_json::json;

use super::listener_options::{HttpEntrance, bytes, credentials};
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::net::http_server::Handler;
use crate::net::request::{Answer, BodyError, Credentials, empty, header, json, read_body};
use crate::parser::{Defaults, Parser};
use crate::service::{Feed, Service, ServiceFuture};

/// The input.
#[derive(Debug)]
struct HttpListener {
    entrance: HttpEntrance,
    options: Arc<Options>,
    parser: Box<dyn Parser>,
}

/// What requests are judged by.
#[derive(Debug)]
struct Options {
    paths: Vec<String>,
    path_tag: bool,
    methods: Vec<String>,
    success: StatusCode,
    answer_headers: HeaderMap,
    body_max: usize,
    body_timeout: Duration,
    /// Metrics are in the query string instead of the body.
    from_query: bool,
    credentials: Option<Credentials>,
    /// Headers of requests and the tags they become.
    header_tags: BTreeMap<String, String>,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Service>, ConfigError> {
    let entrance = HttpEntrance::from_section(section, ":8080")?;
    let body_timeout = entrance.read_timeout();
    let success = section.count("http_success_code")?.unwrap_or(204);
    let success = u16::try_from(success).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let success = success.ok_or_else(|| section.bad("http_success_code", "no HTTP status"))?;
    let from_query = match section.string("data_source")?.as_deref() {
        None | Some("" | "body") => false,
        Some("query") => true,
        Some(other) => {
            return Err(section.bad("data_source", format!("{other:?} is neither \"body\" nor \"query\"")));
        }
    };
    let paths = section.strings("paths")?.unwrap_or_else(|| vec!["/telegraf".to_owned()]);
    let mut all_paths = paths;
    // Its name before 1.20, still accepted.
    all_paths.extend(section.string("path")?);
    let answer_headers = answer_headers(section)?;
    Ok(Box::new(HttpListener {
        entrance,
        options: Arc::new(Options {
            paths: all_paths,
            path_tag: section.boolean("path_tag")?.unwrap_or(false),
            methods: section.strings("methods")?.unwrap_or_else(|| vec!["POST".to_owned(), "PUT".to_owned()]),
            success,
            answer_headers,
            body_max: bytes(section, "max_body_size")?.filter(|size| *size > 0).unwrap_or(500 << 20),
            body_timeout,
            from_query,
            credentials: credentials(section)?,
            header_tags: section.string_table("http_header_tags")?.unwrap_or_default(),
        }),
        parser: crate::parsers::from_section(section, context, "influx")?,
    }))
}

fn answer_headers(section: &mut Section) -> Result<HeaderMap, ConfigError> {
    let table = section.string_table("http_headers")?.unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (name, value) in &table {
        let name = HeaderName::from_bytes(name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) else {
            return Err(section.bad("http_headers", "there is no such header"));
        };
        headers.insert(name, value);
    }
    Ok(headers)
}

impl Service for HttpListener {
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a> {
        Box::pin(async move {
            let door = Door {
                options: Arc::clone(&self.options),
                parser: Mutex::new(self.parser.fresh()),
                feed: feed.clone(),
            };
            self.entrance.serve(feed, door).await
        })
    }
}

/// Answers requests.
struct Door {
    options: Arc<Options>,
    /// Made new for every request; this one only knows how.
    parser: Mutex<Box<dyn Parser>>,
    feed: Feed,
}

impl Handler for Door {
    async fn handle(&self, _: SocketAddr, request: Request<Incoming>) -> Answer {
        let mut answer = self.answer(request).await.unwrap_or_else(|refusal| refusal);
        for (name, value) in &self.options.answer_headers {
            answer.headers_mut().insert(name.clone(), value.clone());
        }
        answer
    }
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Answer> {
        let options = &self.options;
        if options.credentials.as_ref().is_some_and(|wanted| !wanted.are_in(request.headers())) {
            return Err(refusal(StatusCode::UNAUTHORIZED, "user name or password is wrong"));
        }
        let path = request.uri().path().to_owned();
        if !options.paths.contains(&path) {
            return Err(refusal(StatusCode::NOT_FOUND, "there is nothing at this path"));
        }
        if !options.methods.iter().any(|method| method == request.method().as_str()) {
            return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "not with this method"));
        }
        let tags: Vec<_> = options
            .header_tags
            .iter()
            .filter_map(|(name, tag)| Some((tag.clone(), header(request.headers(), name)?.to_owned())))
            .collect();
        let data = if options.from_query {
            let refused = || refusal(StatusCode::BAD_REQUEST, "the query string is not well encoded");
            from_query(&request).ok_or_else(refused)?
        } else {
            read_body(request, options.body_max, options.body_timeout).await.map_err(body_refusal)?
        };
        let mut metrics = Vec::new();
        let defaults = Defaults { name: "http_listener_v2".into(), now_ns: crate::agent::wall_clock_ns() };
        let mut parser = self.parser.lock().fresh();
        let parsed = parser.parse(&data, &defaults, &mut metrics);
        for metric in &mut metrics {
            tags.iter().for_each(|(tag, value)| metric.set_tag(tag.clone(), value.clone()));
            if options.path_tag {
                metric.set_tag("http_listener_v2_path", path.clone());
            }
        }
        match parsed {
            Ok(()) => {
                self.feed.send(metrics).await;
                Ok(empty(options.success))
            }
            Err(error) => Err(refusal(StatusCode::BAD_REQUEST, &error.to_string())),
        }
    }
}

/// The query string, decoded, as a document; `None` if its encoding is broken.
fn from_query(request: &Request<Incoming>) -> Option<Bytes> {
    let query = request.uri().query().unwrap_or_default().replace('+', " ");
    percent_decode(&query).map(Bytes::from)
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

fn refusal(status: StatusCode, reason: &str) -> Answer {
    json(status, &json!({ "error": reason }))
}

/// How a body that cannot be taken is answered.
fn body_refusal(error: BodyError) -> Answer {
    match error {
        BodyError::TooLarge => refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
        BodyError::Broken(why) | BodyError::Encoding(why) => refusal(StatusCode::BAD_REQUEST, &why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        assert_eq!(percent_decode("m%2Ca=b x=1").as_deref(), Some(b"m,a=b x=1".as_slice()));
        assert_eq!(percent_decode("%2"), None);
        assert_eq!(percent_decode("%zz"), None);
    }
}
