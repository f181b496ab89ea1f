//! What a server's answer to a write means. Pure.
//!
//! | answer | meaning |
//! |---|---|
//! | 2xx, empty or without an error | stored |
//! | "hinted handoff queue not empty" | stored: the cluster has the points in its queue |
//! | 400, 422, 5xx "partial write: ... dropped=N" | the rest is stored, N are refused for good |
//! | 5xx "points beyond retention policy" | the same |
//! | 5xx "partial write" alone | too few owners have the points: may succeed later |
//! | 400 and 5xx "unable to parse", and other 400 and 422 about the points | refused for good |
//! | 413 | too large as it is |
//! | 404 "database not found" | to be created |
//! | 401, 403, 408, 429, other 4xx and 5xx, answers that no InfluxDB gives | may succeed later |

use std::time::Duration;

use reqwest::StatusCode;

/// The meaning of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Stored,
    Partial {
        rejected: usize,
        reason: String,
    },
    Rejected {
        reason: String,
    },
    TooLarge {
        reason: String,
    },
    NoDatabase,
    /// `reached` unless nobody answered.
    Retry {
        reason: String,
        after: Option<Duration>,
        reached: bool,
    },
}

/// Causes of a 400 that lie in the request's parameters, hence in a configuration that somebody
/// may put right, and not in the points.
const PARAMETERS: [&str; 5] = [
    "database is required",
    "invalid consistency level",
    "invalid precision",
    "retention policy",
    "authoriz",
];

/// Reads an answer. `retry_after` is what the header of that name asks for, `body` what came with it.
pub(super) fn read(status: StatusCode, retry_after: Option<Duration>, body: &str) -> Answer {
    let error = error_text(body);
    let reason = || reason_of(status, error.as_deref(), body);
    let says = |text: &str| error.as_deref().is_some_and(|error| error.contains(text));
    let partial =
        || Answer::Partial { rejected: dropped(error.as_deref().unwrap_or_default()), reason: reason() };
    let later = || Answer::Retry { reason: reason(), after: retry_after, reached: true };

    if says("hinted handoff queue not empty") {
        return Answer::Stored;
    }
    match status.as_u16() {
        204 => Answer::Stored,
        200..=299 if error.is_none() && (body.trim().is_empty() || body.trim_start().starts_with('{')) => {
            Answer::Stored
        }
        400..=499 if says("database not found") => Answer::NoDatabase,
        413 => Answer::TooLarge { reason: reason() },
        400 | 422 if says("partial write") => partial(),
        // What no repetition changes, whatever status a cluster gives it. A bare "partial write" is none of it: fewer owners
        // have the points than were asked for.
        500..=599 if says("partial write: ") || says("points beyond retention policy") => partial(),
        500..=599 if says("unable to parse") => Answer::Rejected { reason: reason() },
        // A proxy that answers 400 with a page of its own has not looked at the points.
        400 | 422 if error.is_some() && !PARAMETERS.iter().any(|cause| says(cause)) => {
            Answer::Rejected { reason: reason() }
        }
        _ => later(),
    }
}

/// The status and what came with it, for messages.
pub(super) fn reason_of(status: StatusCode, error: Option<&str>, body: &str) -> String {
    match error {
        Some(text) => format!("{}: {text}", status.as_u16()),
        None => format!("{status} {}", shorten(body.trim())).trim_end().to_owned(),
    }
}

/// The server's message: `{"error":"..."}`, or that of the 2.x API.
pub(super) fn error_text(body: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    let text = value.get("error").or_else(|| value.get("message"))?.as_str()?;
    (!text.is_empty()).then(|| shorten(text))
}

/// The count behind `dropped=`; a server that does not tell refused one line at least.
pub(super) fn dropped(text: &str) -> usize {
    text.rsplit_once("dropped=")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .unwrap_or(1)
}

/// Enough of a message for a log line.
fn shorten(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        read(StatusCode::from_u16(status).expect("a status"), None, body)
    }

    fn error(text: &str) -> String {
        serde_json::json!({ "error": text }).to_string()
    }

    #[test]
    fn stored() {
        assert_eq!(answer(204, ""), Answer::Stored);
        assert_eq!(answer(200, ""), Answer::Stored);
        assert_eq!(answer(200, "{\"results\":[]}"), Answer::Stored);
        assert_eq!(answer(500, &error("write failed: hinted handoff queue not empty")), Answer::Stored);
    }

    #[test]
    fn refused_for_good() {
        let conflict = "partial write: field type conflict: input field \"v\" on measurement \"m\" is type integer, already exists as type float dropped=3";
        assert_eq!(
            answer(400, &error(conflict)),
            Answer::Partial { rejected: 3, reason: format!("400: {conflict}") }
        );
        assert!(matches!(
            answer(400, &error("partial write: unable to parse 'x': missing fields")),
            Answer::Partial { rejected: 1, .. }
        ));
        assert!(matches!(
            answer(400, &error("unable to parse 'x': missing fields")),
            Answer::Rejected { .. }
        ));
        assert!(matches!(answer(422, &error("max key length exceeded")), Answer::Rejected { .. }));
    }

    #[test]
    fn refused_for_good_whatever_the_status() {
        for (text, rejected) in [
            ("write failed: partial write: field type conflict: input field dropped=4", 4),
            ("partial write: unable to parse 'x': missing fields", 1),
            ("write failed: points beyond retention policy dropped=2", 2),
        ] {
            let reason = format!("500: {text}");
            assert_eq!(answer(500, &error(text)), Answer::Partial { rejected, reason });
        }
        assert!(matches!(answer(503, &error("unable to parse 'x'")), Answer::Rejected { .. }));
    }

    #[test]
    fn too_large_and_no_database() {
        assert!(matches!(answer(413, &error("Request Entity Too Large")), Answer::TooLarge { .. }));
        assert!(matches!(answer(413, "<html>nginx</html>"), Answer::TooLarge { .. }));
        assert_eq!(answer(404, &error("database not found: \"telegraf\"")), Answer::NoDatabase);
    }

    #[test]
    fn what_may_succeed_later() {
        for (status, body) in [
            (401, error("authorization failed")),
            (403, error("\"bob\" user is not authorized to write to database \"x\"")),
            (404, "404 page not found".to_owned()),
            (400, "<html>bad gateway</html>".to_owned()),
            (400, error("database is required")),
            (400, error("retention policy not found: x")),
            (429, String::new()),
            (500, error("timeout")),
            (500, error("partial write")),
            (500, error("write failed: retention policy not found: x")),
            (502, "<html>partial write</html>".to_owned()),
            (503, String::new()),
            (200, "<html>login</html>".to_owned()),
            (200, error("something")),
            (301, String::new()),
        ] {
            assert!(matches!(answer(status, &body), Answer::Retry { .. }), "{status} {body}");
        }
    }

    #[test]
    fn the_header_tells_when() {
        let wait = Some(Duration::from_secs(7));
        assert_eq!(
            read(StatusCode::SERVICE_UNAVAILABLE, wait, ""),
            Answer::Retry { reason: "503 Service Unavailable".to_owned(), after: wait, reached: true }
        );
    }

    #[test]
    fn long_answers_are_shortened_between_characters() {
        let Answer::Retry { reason, .. } = answer(502, &"ü".repeat(5000)) else { panic!("retry") };
        assert!(reason.len() < 900);
    }
}
