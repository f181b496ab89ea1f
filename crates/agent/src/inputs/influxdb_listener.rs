//! `influxdb_listener`: writes as clients send them to InfluxDB 1.x.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use skywatch_model::line::Precision;

use super::listener_options::{HttpEntrance, bytes, credentials};
use crate::config::{ConfigError, Section};
use crate::context::{Context, Surroundings};
use crate::net::address::Address;
use crate::net::http_server::Handler;
use crate::net::request::{Answer, BodyError, Credentials, empty, header, json, parameters, read_body, same};
use crate::parsers::influx;
use crate::service::{Feed, Service, ServiceFuture};
use crate::statistics::Statistics;

/// What clients are told we are.
const VERSION: &str = "1.0";

/// The input.
#[derive(Debug)]
struct InfluxDbListener {
    entrance: HttpEntrance,
    options: Arc<Options>,
    surroundings: Surroundings,
}

/// What the `internal` input tells of the listener.
#[derive(Debug)]
struct Counts {
    bytes_received: Arc<AtomicI64>,
    requests_received: Arc<AtomicI64>,
    requests_served: Arc<AtomicI64>,
    writes_served: Arc<AtomicI64>,
    queries_served: Arc<AtomicI64>,
    pings_served: Arc<AtomicI64>,
    not_founds_served: Arc<AtomicI64>,
    auth_failures: Arc<AtomicI64>,
}

impl Counts {
    fn of(statistics: &Statistics, address: &Address) -> Self {
        // As Telegraf's configuration has it, without a scheme.
        let address = match address {
            Address::Tcp(address) => address.clone(),
            other => other.to_string(),
        };
        let count = |field| statistics.own("influxdb_listener", vec![("address", address.clone())], field);
        Self {
            bytes_received: count("bytes_received"),
            requests_received: count("requests_received"),
            requests_served: count("requests_served"),
            writes_served: count("writes_served"),
            queries_served: count("queries_served"),
            pings_served: count("pings_served"),
            not_founds_served: count("not_founds_served"),
            auth_failures: count("auth_failures"),
        }
    }
}

fn add(counter: &AtomicI64, number: usize) {
    counter.fetch_add(i64::try_from(number).unwrap_or(i64::MAX), Ordering::Relaxed);
}

/// What requests are judged by.
#[derive(Debug)]
struct Options {
    body_max: usize,
    body_timeout: Duration,
    database_tag: Option<String>,
    retention_policy_tag: Option<String>,
    credentials: Option<Credentials>,
    /// Secret and user name of JSON web tokens.
    token: Option<(String, String)>,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Service>, ConfigError> {
    let entrance = HttpEntrance::from_section(section, ":8186")?;
    let body_timeout = entrance.read_timeout();
    section.without_effect("max_line_size", "a line may be as long as the body");
    section.without_effect("parser_type", "there is one parser of line protocol");
    let mut text = |key| Ok::<_, ConfigError>(section.string(key)?.filter(|text| !text.is_empty()));
    let (database_tag, retention_policy_tag) = (text("database_tag")?, text("retention_policy_tag")?);
    let (secret, user) = (text("token_shared_secret")?, text("token_username")?);
    let token = match (secret, user) {
        (Some(secret), Some(user)) => Some((secret, user)),
        (None, None) => None,
        _ => {
            let reason = "token_shared_secret and token_username belong together";
            return Err(section.bad("token_shared_secret", reason));
        }
    };
    let credentials = credentials(section)?;
    if credentials.is_some() && token.is_some() {
        return Err(section.bad("basic_username", "either a user with a password or tokens, not both"));
    }
    let body_max = bytes(section, "max_body_size")?.filter(|size| *size > 0).unwrap_or(32 << 20);
    Ok(Box::new(InfluxDbListener {
        entrance,
        options: Arc::new(Options {
            body_max,
            body_timeout,
            database_tag,
            retention_policy_tag,
            credentials,
            token,
        }),
        surroundings: context.surroundings().clone(),
    }))
}

impl Service for InfluxDbListener {
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a> {
        Box::pin(async move {
            let counts = Counts::of(&self.surroundings.shared().statistics, self.entrance.address());
            let door = Door { options: Arc::clone(&self.options), feed: feed.clone(), counts };
            self.entrance.serve(feed, door).await
        })
    }
}

/// Answers requests.
struct Door {
    options: Arc<Options>,
    feed: Feed,
    counts: Counts,
}

impl Handler for Door {
    async fn handle(&self, _: SocketAddr, request: Request<Incoming>) -> Answer {
        add(&self.counts.requests_received, 1);
        let mut answer = self.answer(request).await.unwrap_or_else(|refusal| refusal);
        add(&self.counts.requests_served, 1);
        answer.headers_mut().insert("X-Influxdb-Version", HeaderValue::from_static(VERSION));
        answer
    }
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Answer> {
        let path = request.uri().path().to_owned();
        let parameters = parameters(&request);
        let parameter =
            |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if path == "/ping" {
            add(&self.counts.pings_served, 1);
            let verbose = parameter("verbose").is_some_and(|value| !matches!(value, "" | "0" | "false"));
            return Ok(match verbose {
                true => json(StatusCode::OK, &json!({ "version": VERSION })),
                false => empty(StatusCode::NO_CONTENT),
            });
        }
        if !self.is_allowed(request.headers(), parameter("u"), parameter("p")) {
            add(&self.counts.auth_failures, 1);
            return Err(refusal(StatusCode::UNAUTHORIZED, "user name, password or token is wrong"));
        }
        match path.as_str() {
            "/write" => {
                let precision = precision(parameter("precision"));
                let database = parameter("db").unwrap_or_default().to_owned();
                let policy = parameter("rp").unwrap_or_default().to_owned();
                let answer = self.write(request, precision, &database, &policy).await;
                add(&self.counts.writes_served, 1);
                answer
            }
            // Clients create their database before they write; here it is always there.
            "/query" => {
                add(&self.counts.queries_served, 1);
                Ok(json(StatusCode::OK, &json!({ "results": [] })))
            }
            _ => {
                add(&self.counts.not_founds_served, 1);
                Err(refusal(StatusCode::NOT_FOUND, "there is nothing at this path"))
            }
        }
    }

    async fn write(
        &self,
        request: Request<Incoming>,
        precision: Precision,
        database: &str,
        policy: &str,
    ) -> Result<Answer, Answer> {
        let data = read_body(request, self.options.body_max, self.options.body_timeout)
            .await
            .map_err(body_refusal)?;
        add(&self.counts.bytes_received, data.len());
        let mut metrics = Vec::new();
        let parsed = influx::parse_lines(&data, precision, crate::agent::wall_clock_ns(), &mut metrics);
        for (tag, value) in
            [(&self.options.database_tag, database), (&self.options.retention_policy_tag, policy)]
        {
            if let Some(tag) = tag.as_ref().filter(|_| !value.is_empty()) {
                metrics.iter_mut().for_each(|metric| metric.set_tag(tag.clone(), value));
            }
        }
        // Good lines are kept whatever stands beside them.
        self.feed.send(metrics).await;
        match parsed {
            Ok(()) => Ok(empty(StatusCode::NO_CONTENT)),
            Err(error) => Err(refusal(StatusCode::BAD_REQUEST, &error.to_string())),
        }
    }

    fn is_allowed(&self, headers: &HeaderMap, user: Option<&str>, password: Option<&str>) -> bool {
        if let Some(wanted) = &self.options.credentials {
            let in_query = user.zip(password).is_some_and(|(user, password)| {
                same(user.as_bytes(), wanted.username.as_bytes())
                    & same(password.as_bytes(), wanted.password.as_bytes())
            });
            return in_query || wanted.are_in(headers);
        }
        if let Some((secret, user)) = &self.options.token {
            let now = crate::agent::wall_clock_ns() / 1_000_000_000;
            return header(headers, "authorization")
                .and_then(|value| value.strip_prefix("Bearer "))
                .is_some_and(|token| is_valid(token, secret, user, now));
        }
        true
    }
}

/// The unit of a request's times; one that nobody knows is nanoseconds, as in InfluxDB 1.x.
fn precision(parameter: Option<&str>) -> Precision {
    parameter.and_then(Precision::parse).unwrap_or_default()
}

/// Whether a JSON web token (RFC 7519, signed with HMAC-SHA256) is this user's and has not expired at `now`, in
/// seconds since the Unix epoch.
fn is_valid(token: &str, secret: &str, user: &str, now: i64) -> bool {
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).ok();
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let Some((head, claims)) = signed.split_once('.') else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(signed.as_bytes());
    let (Some(head), Some(claims), Some(signature)) = (json(head), json(claims), decode(signature)) else {
        return false;
    };
    head.get("alg").and_then(Value::as_str) == Some("HS256")
        && mac.verify_slice(&signature).is_ok()
        && claims.get("username").and_then(Value::as_str) == Some(user)
        && claims.get("exp").and_then(Value::as_f64).is_some_and(|expires| expires > now as f64)
}

fn refusal(status: StatusCode, reason: &str) -> Answer {
    let mut answer = json(status, &json!({ "error": reason }));
    if let Ok(value) = HeaderValue::from_str(&reason.replace(['\r', '\n'], " ")) {
        answer.headers_mut().insert("X-Influxdb-Error", value);
    }
    answer
}

fn body_refusal(error: BodyError) -> Answer {
    match error {
        BodyError::TooLarge => refusal(StatusCode::PAYLOAD_TOO_LARGE, "http: request body too large"),
        BodyError::Broken(why) | BodyError::Encoding(why) => refusal(StatusCode::BAD_REQUEST, &why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(head: &str, claims: &str, secret: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn counts_have_telegrafs_names() {
        let statistics = Statistics::default();
        let _counts = Counts::of(&statistics, &Address::parse(":8186").expect("an address"));
        let all = statistics.own_all();
        let fields: Vec<_> = all.iter().map(|one| one.field).collect();
        assert_eq!(
            fields,
            [
                "bytes_received",
                "requests_received",
                "requests_served",
                "writes_served",
                "queries_served",
                "pings_served",
                "not_founds_served",
                "auth_failures"
            ]
        );
        assert!(all.iter().all(|one| one.tags == [("address", ":8186".to_owned())]), "{all:?}");
    }

    #[test]
    fn a_precision_that_nobody_knows_is_nanoseconds() {
        assert_eq!(precision(Some("ms")), Precision::Millisecond);
        for unit in [None, Some(""), Some("ns"), Some("rfc3339"), Some("1s")] {
            assert_eq!(precision(unit), Precision::Nanosecond, "{unit:?}");
        }
    }

    #[test]
    fn tokens() {
        let head = r#"{"alg":"HS256","typ":"JWT"}"#;
        let good = token(head, r#"{"username":"u","exp":100}"#, "secret");
        assert!(is_valid(&good, "secret", "u", 99));
        assert!(!is_valid(&good, "secret", "u", 100), "expired");
        assert!(!is_valid(&good, "other", "u", 99));
        assert!(!is_valid(&good, "secret", "v", 99));
        assert!(!is_valid(&token(head, r#"{"username":"u"}"#, "secret"), "secret", "u", 99), "never expires");
        let none = token(r#"{"alg":"none"}"#, r#"{"username":"u","exp":100}"#, "secret");
        assert!(!is_valid(&none, "secret", "u", 99));
        assert!(!is_valid("a.b", "secret", "u", 99));
    }
}
