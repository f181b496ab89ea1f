//! What a 2.x server's answer to a write means. Pure.
//!
//! | answer | meaning |
//! |---|---|
//! | 200, 201, 202, 204, 206, 207, 208 | stored |
//! | 413 | too large as it is |
//! | 400, 422 "partial write: ... dropped=N" | the rest is stored, N are refused for good |
//! | 400, 406, 422 and other 4xx | refused for good |
//! | 401, 403, 404, 407, 408, 429 | may succeed later: somebody may put right the token or the bucket |
//! | 5xx and others | may succeed later |

use std::time::Duration;

use reqwest::StatusCode;

use super::answer::{Answer, dropped, error_text, reason_of};

/// Reads an answer. `retry_after` is what the header of that name asks for, `body` what came with it.
pub(super) fn read(status: StatusCode, retry_after: Option<Duration>, body: &str) -> Answer {
    let error = error_text(body);
    let reason = reason_of(status, error.as_deref(), body);
    match status.as_u16() {
        200 | 201 | 202 | 204 | 206 | 207 | 208 => Answer::Stored,
        413 => Answer::TooLarge { reason },
        400 | 422 if error.as_deref().is_some_and(|text| text.contains("partial write")) => {
            Answer::Partial { rejected: dropped(error.as_deref().unwrap_or_default()), reason }
        }
        401 | 403 | 404 | 407 | 408 | 429 => Answer::Retry { reason, after: retry_after, reached: true },
        400..=499 => Answer::Rejected { reason },
        _ => Answer::Retry { reason, after: retry_after, reached: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        let answer = |status, body: &str| read(StatusCode::from_u16(status).expect("a status"), None, body);
        for status in [200, 201, 202, 204, 206, 207, 208] {
            assert_eq!(answer(status, ""), Answer::Stored);
        }
        assert!(matches!(answer(413, ""), Answer::TooLarge { .. }));
        let partial = r#"{"code":"invalid","message":"partial write: points beyond retention dropped=3"}"#;
        assert!(matches!(answer(400, partial), Answer::Partial { rejected: 3, .. }));
        for status in [400, 405, 406, 422] {
            assert!(matches!(answer(status, r#"{"message":"no"}"#), Answer::Rejected { .. }), "{status}");
        }
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503, 504] {
            assert!(matches!(answer(status, ""), Answer::Retry { .. }), "{status}");
        }
        let wait = Some(Duration::from_secs(9));
        assert_eq!(
            read(StatusCode::TOO_MANY_REQUESTS, wait, r#"{"message":"slow down"}"#),
            Answer::Retry { reason: "429: slow down".to_owned(), after: wait, reached: true }
        );
    }
}
