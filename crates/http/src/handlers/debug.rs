//! `/debug/requests` and `/debug/pprof`.

use std::{sync::Arc, time::Duration};

use hyper::{
    StatusCode,
    header::{CONNECTION, HeaderValue},
};

use crate::{
    app::{App, Head},
    request_counts::WATCHES_MAX,
    response::{Answer, Failure, answer},
};

/// How long a watch lasts unless `seconds` says otherwise.
const SECONDS: u64 = 10;
/// Longest watch; a client that leaves ends its own earlier.
const SECONDS_MAX: u64 = 3_600;

/// Counts queries and writes for `seconds` (10), then tells them by client.
pub(crate) async fn requests(app: &Arc<App>, head: &Head<'_>) -> Result<Answer, Failure> {
    let seconds = match head.url.get("seconds") {
        "" => SECONDS,
        text => match text.parse::<i64>() {
            Ok(seconds) => u64::try_from(seconds).unwrap_or(0),
            Err(_) => {
                let text = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
                return Err(Failure::bad_request(text));
            }
        },
    };
    if seconds > SECONDS_MAX {
        let text = format!("seconds is {seconds}: at most {SECONDS_MAX} can be watched at once");
        return Err(Failure::bad_request(text));
    }
    let watch = app.requests.watch().ok_or_else(|| {
        Failure::unavailable(format!("{WATCHES_MAX} clients watch /debug/requests already"), 1)
    })?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let mut answer = answer(StatusCode::OK, "application/json; charset=utf-8", watch.to_json());
    // As in InfluxDB, whose connection has been waiting for so long.
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(answer)
}

/// InfluxDB serves Go's profiles here. There is no Go in this program: the command line is told, for the rest what
/// to use instead.
pub(crate) fn profiles(app: &App, head: &Head<'_>) -> Answer {
    let profile = head.parts.uri.path().trim_start_matches("/debug/pprof").trim_matches('/');
    if !app.config.pprof {
        return answer(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n");
    }
    match profile {
        "cmdline" => {
            let arguments: Vec<String> = std::env::args().collect();
            answer(StatusCode::OK, "text/plain; charset=utf-8", arguments.join("\0"))
        }
        _ => {
            let pid = std::process::id();
            let text = format!(
                "Skywatch has no Go profiles: it is not a Go program.\n\
                 Where time goes:    perf record -g -p {pid} -- sleep 10\n\
                 Memory and queues:  /metrics, /debug/vars\n\
                 Running queries:    SHOW QUERIES\n\
                 Clients:            /debug/requests\n"
            );
            answer(StatusCode::NOT_IMPLEMENTED, "text/plain; charset=utf-8", text)
        }
    }
}
