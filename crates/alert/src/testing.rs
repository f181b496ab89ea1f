//! A stand-in for Discord: keeps its documented limits, its rate limit, and what it was sent.
//!
//! Written from Discord's documentation, apart from the code that builds messages, so that a mistake there is not
//! repeated here. `tests/discord_stand_in.py` is the same for tests that have no Rust.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json as JsonBody, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value as Json, json};
use tokio::task::JoinHandle;

/// An answer to give instead of the usual one.
#[derive(Debug, Clone, PartialEq)]
pub enum Scripted {
    /// This status with this JSON.
    Status(u16, Json),
    /// 429 asking for this many seconds.
    RateLimit(f64),
    /// 429 as Cloudflare gives it: no JSON, no rate headers, `Retry-After` alone.
    Cloudflare(u64),
    /// Accepts the message but answers only after this long.
    Slow(Duration),
}

/// A message that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Path it was posted to.
    pub path: String,
    /// Its JSON.
    pub body: Json,
    /// When.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct Memory {
    received: Vec<Received>,
    refused: Vec<(u16, Json)>,
    scripted: VecDeque<Scripted>,
    /// Times of the last requests within the window.
    window: VecDeque<Instant>,
    requests: usize,
    user_agents: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    memory: Mutex<Memory>,
    /// Requests allowed per window.
    limit: usize,
    window: Duration,
}

impl Shared {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running stand-in; stops when dropped.
#[derive(Debug)]
pub struct DiscordStandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for DiscordStandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl DiscordStandIn {
    /// Starts on a free port of loopback, allowing 5 requests per 2 s as Discord was seen to.
    pub async fn start() -> io::Result<Self> {
        Self::start_at("127.0.0.1:0".parse().map_err(io::Error::other)?, 5, Duration::from_secs(2)).await
    }

    /// Starts at an address with a rate limit of `limit` requests per `window`.
    pub async fn start_at(address: SocketAddr, limit: usize, window: Duration) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { memory: Mutex::default(), limit, window });
        let router = Router::new().fallback(webhook).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the stand-in for Discord stopped");
            }
        });
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A webhook address of it.
    pub fn webhook(&self, name: &str) -> String {
        format!("http://{}/api/webhooks/1234567890/{name}-s3cret-token", self.address)
    }

    /// Gives these answers to the next requests.
    pub fn script(&self, answers: impl IntoIterator<Item = Scripted>) {
        self.shared.memory().scripted.extend(answers);
    }

    /// Messages accepted so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.memory().received.clone()
    }

    /// Statuses and reasons of the requests refused so far.
    pub fn refused(&self) -> Vec<(u16, Json)> {
        self.shared.memory().refused.clone()
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shared.memory().requests
    }

    /// `User-Agent`s seen.
    pub fn user_agents(&self) -> Vec<String> {
        self.shared.memory().user_agents.clone()
    }
}

async fn webhook(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let scripted = {
        let mut memory = shared.memory();
        memory.requests += 1;
        let agent = headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default();
        memory.user_agents.push(agent.to_owned());
        memory.scripted.pop_front()
    };
    let refuse = |status: u16, reason: Json| {
        shared.memory().refused.push((status, reason.clone()));
        answer(status, &reason, &[])
    };
    match scripted {
        Some(Scripted::Status(status, reason)) => return refuse(status, reason),
        Some(Scripted::RateLimit(seconds)) => return limited(&shared, seconds),
        Some(Scripted::Cloudflare(seconds)) => {
            shared.memory().refused.push((429, Json::Null));
            return (
                StatusCode::TOO_MANY_REQUESTS,
                [("retry-after", seconds.to_string())],
                "error code: 1015",
            )
                .into_response();
        }
        Some(Scripted::Slow(wait)) => tokio::time::sleep(wait).await,
        None => {}
    }
    let now = Instant::now();
    let (remaining, reset) = {
        let mut memory = shared.memory();
        while memory.window.front().is_some_and(|first| now.duration_since(*first) >= shared.window) {
            memory.window.pop_front();
        }
        let first = memory.window.front().copied().unwrap_or(now);
        let reset = shared.window.saturating_sub(now.duration_since(first)).as_secs_f64();
        if memory.window.len() >= shared.limit {
            drop(memory);
            return limited(&shared, reset);
        }
        memory.window.push_back(now);
        (shared.limit - memory.window.len(), reset)
    };
    let Ok(json) = serde_json::from_slice::<Json>(&body) else {
        return refuse(400, json!({"message": "The request body contains invalid JSON.", "code": 50109}));
    };
    if let Err(problem) = check_message(&json) {
        return refuse(400, problem);
    }
    shared.memory().received.push(Received { path: uri.path().to_owned(), body: json.clone(), at: now });
    let rate = [
        ("x-ratelimit-limit", shared.limit.to_string()),
        ("x-ratelimit-remaining", remaining.to_string()),
        ("x-ratelimit-reset-after", format!("{reset:.3}")),
        ("x-ratelimit-bucket", "stand-in".to_owned()),
    ];
    if uri.query().is_some_and(|query| query.contains("wait=true")) {
        answer(200, &json!({"id": "1", "content": json["content"]}), &rate)
    } else {
        answer(204, &Json::Null, &rate)
    }
}

fn limited(shared: &Shared, seconds: f64) -> Response {
    let reason = json!({"message": "You are being rate limited.", "retry_after": seconds, "global": false});
    shared.memory().refused.push((429, reason.clone()));
    let headers = [
        ("retry-after", format!("{}", seconds.ceil())),
        ("x-ratelimit-limit", shared.limit.to_string()),
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset-after", format!("{seconds:.3}")),
        ("x-ratelimit-scope", "user".to_owned()),
    ];
    answer(429, &reason, &headers)
}

fn answer(status: u16, body: &Json, headers: &[(&'static str, String)]) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = if body.is_null() {
        status.into_response()
    } else {
        (status, JsonBody(body.clone())).into_response()
    };
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// What is wrong with a message, by the documentation of webhooks and embeds.
pub fn check_message(message: &Json) -> Result<(), Json> {
    let mut check = Check::default();
    check.message(message);
    if check.problems.is_empty() {
        return Ok(());
    }
    let code = if check.problems.iter().any(|problem| problem.starts_with("Cannot send an empty")) {
        50006
    } else {
        50035
    };
    Err(json!({"message": "Invalid Form Body", "code": code, "errors": {"_errors": check.problems}}))
}

#[derive(Debug, Default)]
struct Check {
    problems: Vec<String>,
    total: usize,
}

fn length(text: &str) -> usize {
    text.trim().encode_utf16().count()
}

impl Check {
    fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// The length of a text that may not be longer than `max`, nor empty if `required`.
    fn text(&mut self, place: &str, value: &Json, max: usize, required: bool) -> usize {
        match value {
            Json::Null if !required => 0,
            Json::String(text) => {
                let length = length(text);
                if length > max {
                    self.problem(format!("{place}: Must be {max} or fewer in length, is {length}."));
                }
                if length == 0 && required {
                    self.problem(format!("{place}: This field is required"));
                }
                length
            }
            _ => {
                self.problem(format!("{place}: This field is required"));
                0
            }
        }
    }

    fn message(&mut self, message: &Json) {
        let content = self.text("content", &message["content"], 2000, false);
        let none = Vec::new();
        let embeds = message["embeds"].as_array().unwrap_or(&none);
        if content == 0 && embeds.is_empty() {
            self.problem("Cannot send an empty message".to_owned());
        }
        if embeds.len() > 10 {
            self.problem("embeds: Must be 10 or fewer in length.".to_owned());
        }
        let mut urls: Vec<&str> = Vec::new();
        for (at, embed) in embeds.iter().enumerate() {
            self.embed(&format!("embeds.{at}"), embed);
            if let Some(url) = embed["url"].as_str() {
                // Discord merges them into one, and the second is never seen.
                if urls.contains(&url) {
                    self.problem(format!("embeds.{at}.url: shared with another embed"));
                }
                urls.push(url);
            }
        }
        if self.total > 6000 {
            self.problem(format!("embeds: Embed size exceeds maximum size of 6000: {}", self.total));
        }
        self.username(&message["username"]);
        self.mentions(&message["allowed_mentions"]);
    }

    fn embed(&mut self, place: &str, embed: &Json) {
        self.total += self.text(&format!("{place}.title"), &embed["title"], 256, false);
        self.total += self.text(&format!("{place}.description"), &embed["description"], 4096, false);
        self.total += self.text(
            &format!("{place}.footer.text"),
            &embed["footer"]["text"],
            2048,
            !embed["footer"].is_null(),
        );
        self.total += self.text(
            &format!("{place}.author.name"),
            &embed["author"]["name"],
            256,
            !embed["author"].is_null(),
        );
        let none = Vec::new();
        let fields = embed["fields"].as_array().unwrap_or(&none);
        if fields.len() > 25 {
            self.problem(format!("{place}.fields: Must be 25 or fewer in length."));
        }
        for (at, field) in fields.iter().enumerate() {
            self.total += self.text(&format!("{place}.fields.{at}.name"), &field["name"], 256, true);
            self.total += self.text(&format!("{place}.fields.{at}.value"), &field["value"], 1024, true);
        }
        if let Some(url) = embed["url"].as_str()
            && !url.starts_with("http://")
            && !url.starts_with("https://")
        {
            self.problem(format!("{place}.url: Not a well formed URL."));
        }
        match &embed["color"] {
            Json::Null => {}
            color if color.as_u64().is_some_and(|color| color <= 0xFF_FF_FF) => {}
            _ => self.problem(format!("{place}.color: int value should be between 0 and 16777215.")),
        }
        let empty = ["title", "description", "fields", "image", "thumbnail", "author", "footer"]
            .iter()
            .all(|key| embed[*key].is_null() || embed[*key] == "" || embed[*key] == json!([]));
        if empty {
            self.problem(format!("{place}: an embed must not be empty"));
        }
    }

    fn username(&mut self, username: &Json) {
        if username.is_null() {
            return;
        }
        self.text("username", username, 80, true);
        let lower = username.as_str().unwrap_or_default().to_lowercase();
        for word in ["clyde", "discord"] {
            if lower.contains(word) {
                self.problem(format!("username: Username cannot contain \"{word}\""));
            }
        }
    }

    fn mentions(&mut self, mentions: &Json) {
        for kind in ["users", "roles"] {
            let parsed = mentions["parse"].as_array().is_some_and(|parse| parse.contains(&json!(kind)));
            let listed = mentions[kind].as_array().map_or(0, Vec::len);
            if parsed && listed > 0 {
                self.problem(format!(
                    "allowed_mentions: parse:[\"{kind}\"] and {kind}: [ids...] are mutually exclusive."
                ));
            }
            if listed > 100 {
                self.problem(format!("allowed_mentions.{kind}: Must be 100 or fewer in length."));
            }
        }
    }
}
