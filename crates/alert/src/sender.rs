//! Posting to Discord and reading what its answer means. What is secret never leaves this file but in the request.

use std::{error::Error, fmt::Write, time::Duration};

use reqwest::{Client, Response, redirect};
use serde_json::Value as Json;

use crate::{
    limits::{ANSWER_BYTES_MAX, DELIVERY_TIMEOUT},
    notify::queue::Answer,
    secret::WebhookUrl,
};

/// What Discord wants of clients; others it blocks. `.invalid` because this program has no home page.
const USER_AGENT: &str = concat!(
    "DiscordBot (https://skywatch.invalid, ",
    env!("CARGO_PKG_VERSION"),
    ") Skywatch/",
    env!("CARGO_PKG_VERSION")
);

/// A client that follows no redirect: a webhook that moved is reported, not chased with its token.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(USER_AGENT)
        .timeout(DELIVERY_TIMEOUT)
        .redirect(redirect::Policy::none())
        .build()
        .map_err(reqwest::Error::without_url)
}

/// Posts one message.
pub(crate) async fn post(client: &Client, url: &WebhookUrl, body: &Json) -> Answer {
    let mut target = url.expose().clone();
    // Discord then answers once the message exists, rather than once it was taken in.
    target.query_pairs_mut().append_pair("wait", "true");
    match client.post(target).json(body).send().await {
        Ok(response) => read_answer(response, url).await,
        Err(error) => Answer::Unreachable(redact(&describe(error), url)),
    }
}

/// An error with its causes, without the address.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { error.to_string() };
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _infallible = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

async fn read_answer(mut response: Response, url: &WebhookUrl) -> Answer {
    let status = response.status().as_u16();
    let header =
        |name: &str| -> Option<f64> { response.headers().get(name)?.to_str().ok()?.trim().parse().ok() };
    let header_wait = header("retry-after");
    let remaining = header("x-ratelimit-remaining");
    let reset_after = header("x-ratelimit-reset-after");
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    let json: Json = serde_json::from_slice(&bytes).unwrap_or(Json::Null);
    let body_wait = json["retry_after"].as_f64();
    let wait = match (header_wait, body_wait) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    };
    Answer::Http {
        status,
        retry_after: wait.and_then(seconds),
        pause: reset_after.filter(|_| remaining == Some(0.0)).and_then(seconds),
        code: json["code"].as_u64(),
        detail: if (200..300).contains(&status) {
            String::new()
        } else {
            redact(&detail(&json, status), url)
        },
    }
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// What the server said: Discord's message, code and the places of the errors.
fn detail(json: &Json, status: u16) -> String {
    let mut text = match json["message"].as_str() {
        Some(message) => message.to_owned(),
        None if (300..400).contains(&status) => {
            "it redirects elsewhere; the address must be Discord's own".to_owned()
        }
        None => "no reason was given".to_owned(),
    };
    if let Some(code) = json["code"].as_u64() {
        let _infallible = write!(text, " (code {code})");
    }
    if json["errors"].is_object() {
        let _infallible = write!(text, " {}", json["errors"]);
    }
    text
}

/// Replaces all parts of the address's path and query, should a server repeat them.
fn redact(text: &str, url: &WebhookUrl) -> String {
    let url = url.expose();
    let query = url.query().unwrap_or_default();
    let mut secrets: Vec<&str> =
        url.path().split('/').chain(query.split(['&', '='])).chain(url.password()).collect();
    secrets.retain(|part| part.len() >= 8);
    // The longest first, should one be part of another.
    secrets.sort_by_key(|part| std::cmp::Reverse(part.len()));
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_a_server_repeats_are_taken_out() {
        let url =
            WebhookUrl::parse("https://discord.com/api/webhooks/123456789/tokentoken?thread_id=1234567890")
                .unwrap();
        let text = redact("no /api/webhooks/123456789/tokentoken for 1234567890", &url);
        assert_eq!(text, "no /api/…/…/… for …");
        assert!(!text.contains("tokentoken") && !text.contains("123456789"));
    }

    #[test]
    fn details_name_code_and_places() {
        let json = serde_json::json!({"message": "Invalid Form Body", "code": 50035, "errors": {"content": {"_errors": []}}});
        assert_eq!(detail(&json, 400), "Invalid Form Body (code 50035) {\"content\":{\"_errors\":[]}}");
        assert!(detail(&Json::Null, 301).contains("redirects"));
    }
}
