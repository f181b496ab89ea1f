//! `influxdb_v2_listener`: writes as clients send them to InfluxDB 2.x.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::json;
use skywatch_model::line::Precision;

use super::listener_options::{HttpEntrance, bytes};
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::net::http_server::Handler;
use crate::net::request::{Answer, BodyError, empty, header, json, parameters, read_body, same};
use crate::parsers::influx;
use crate::service::{Feed, Service, ServiceFuture};

/// The input.
#[derive(Debug)]
struct InfluxDbV2Listener {
    entrance: HttpEntrance,
    options: Arc<Options>,
}

/// What requests are judged by.
#[derive(Debug)]
struct Options {
    body_max: usize,
    body_timeout: Duration,
    bucket_tag: Option<String>,
    token: Option<String>,
    /// Metrics that are taken and not yet delivered, at most; `None` does not watch.
    undelivered_max: Option<usize>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Service>, ConfigError> {
    let entrance = HttpEntrance::from_section(section, ":8086")?;
    section.without_effect("parser_type", "there is one parser of line protocol");
    let options = Options {
        body_max: bytes(section, "max_body_size")?.filter(|size| *size > 0).unwrap_or(32 << 20),
        body_timeout: entrance.read_timeout(),
        bucket_tag: section.string("bucket_tag")?.filter(|tag| !tag.is_empty()),
        token: section.string("token")?.filter(|token| !token.is_empty()),
        undelivered_max: section.count("max_undelivered_metrics")?.filter(|most| *most > 0),
    };
    Ok(Box::new(InfluxDbV2Listener { entrance, options: Arc::new(options) }))
}

impl Service for InfluxDbV2Listener {
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a> {
        Box::pin(async move {
            let door =
                Door { options: Arc::clone(&self.options), feed: feed.clone(), undelivered: Arc::default() };
            self.entrance.serve(feed, door).await
        })
    }
}

/// Answers requests.
struct Door {
    options: Arc<Options>,
    feed: Feed,
    undelivered: Arc<AtomicUsize>,
}

impl Handler for Door {
    async fn handle(&self, _: SocketAddr, request: Request<Incoming>) -> Answer {
        self.answer(request).await.unwrap_or_else(|refusal| refusal)
    }
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Answer> {
        match request.uri().path() {
            "/ping" => return Ok(empty(StatusCode::NO_CONTENT)),
            "/health" => {
                let health = json!({ "name": "skywatch", "message": "ready for writes", "status": "pass" });
                return Ok(json(StatusCode::OK, &health));
            }
            "/ready" => return Ok(json(StatusCode::OK, &json!({ "status": "ready" }))),
            _ => {}
        }
        if let Some(token) = &self.options.token {
            let sent = header(request.headers(), "authorization").unwrap_or_default();
            if !same(sent.as_bytes(), format!("Token {token}").as_bytes())
                && !same(sent.as_bytes(), format!("Bearer {token}").as_bytes())
            {
                return Err(refusal(StatusCode::UNAUTHORIZED, "unauthorized", "unauthorized access"));
            }
        }
        if request.uri().path() != "/api/v2/write" {
            return Err(refusal(StatusCode::NOT_FOUND, "not found", "there is nothing at this path"));
        }
        if request.method() != "POST" {
            return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", "writes are posted"));
        }
        self.write(request).await
    }

    async fn write(&self, request: Request<Incoming>) -> Result<Answer, Answer> {
        let parameters = parameters(&request);
        let parameter =
            |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let precision = match parameter("precision").unwrap_or_default() {
            "" | "ns" => Precision::Nanosecond,
            "us" => Precision::Microsecond,
            "ms" => Precision::Millisecond,
            "s" => Precision::Second,
            other => {
                let reason = format!("precision {other:?} is none of ns, us, ms, s");
                return Err(refusal(StatusCode::BAD_REQUEST, "invalid", &reason));
            }
        };
        let bucket = parameter("bucket").unwrap_or_default().to_owned();
        let data =
            read_body(request, self.options.body_max, self.options.body_timeout).await.map_err(|error| {
                match error {
                    BodyError::TooLarge => {
                        refusal(StatusCode::PAYLOAD_TOO_LARGE, "request too large", "the body is too large")
                    }
                    BodyError::Broken(why) | BodyError::Encoding(why) => {
                        refusal(StatusCode::BAD_REQUEST, "invalid", &why)
                    }
                }
            })?;
        let mut metrics = Vec::new();
        let now_ns = crate::agent::wall_clock_ns();
        if let Err(error) = influx::parse_lines(&data, precision, now_ns, &mut metrics) {
            // All or nothing.
            return Err(refusal(StatusCode::BAD_REQUEST, "invalid", &error.to_string()));
        }
        if let Some(tag) = self.options.bucket_tag.as_ref().filter(|_| !bucket.is_empty()) {
            metrics.iter_mut().for_each(|metric| metric.set_tag(tag.clone(), bucket.clone()));
        }
        let Some(most) = self.options.undelivered_max else {
            self.feed.send(metrics).await;
            return Ok(empty(StatusCode::NO_CONTENT));
        };
        let count = metrics.len();
        if count > most {
            let reason = format!("{count} metrics in one request and a limit of {most}");
            return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "request too large", &reason));
        }
        if self.undelivered.fetch_add(count, Ordering::AcqRel) + count > most {
            self.undelivered.fetch_sub(count, Ordering::AcqRel);
            let reason = "earlier metrics are not delivered yet";
            return Err(refusal(StatusCode::TOO_MANY_REQUESTS, "unavailable", reason));
        }
        let undelivered = Arc::clone(&self.undelivered);
        let delivered = move || {
            undelivered.fetch_sub(count, Ordering::AcqRel);
        };
        self.feed.send_tracked(metrics, delivered).await;
        Ok(empty(StatusCode::NO_CONTENT))
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    json(status, &json!({ "code": code, "message": message }))
}
