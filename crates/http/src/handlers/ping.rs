//! `/ping`, `/status`, `/health`: whether somebody is there. Bodies as InfluxDB 1.8 writes them (1.6 has none yet).
//! `/ready`: whether clients should be sent here.

use std::sync::Arc;

use hyper::StatusCode;
use skywatch_cluster::Purpose;

use crate::{
    Engine,
    app::Head,
    response::{Answer, answer, no_content},
    router::INFLUXDB_VERSION,
};

/// 204, or with `verbose` set to anything but `0` and `false` the version.
pub(crate) fn ping(head: &Head<'_>) -> Answer {
    match head.url.get("verbose") {
        "" | "0" | "false" => no_content(head.format),
        _ => answer(StatusCode::OK, "application/json", format!("{{\"version\":\"{INFLUXDB_VERSION}\"}}")),
    }
}

/// The check that clients of 2.x make first.
pub(crate) fn health() -> Answer {
    let body = format!(
        "{{\"checks\":[],\"message\":\"ready for queries and writes\",\"name\":\"influxdb\",\"status\":\"pass\",\
         \"version\":\"{INFLUXDB_VERSION}\"}}"
    );
    answer(StatusCode::OK, "application/json", body)
}

/// What load balancers ask: 200 only if the node can serve writes and reads, holding all that was acknowledged. With
/// `for=writes` or `for=reads`, whether it can serve those.
pub(crate) fn ready(engine: &Arc<dyn Engine>, purpose: &str) -> Answer {
    let purpose = match purpose {
        "" => Purpose::Both,
        "reads" => Purpose::Reads,
        "writes" => Purpose::Writes,
        _ => {
            let body = serde_json::json!({"error": format!("for is {purpose:?}: write reads or writes")});
            return answer(StatusCode::BAD_REQUEST, "application/json", body.to_string());
        }
    };
    let (status, body) = match engine.readiness_for(purpose) {
        Ok(()) => (StatusCode::OK, serde_json::json!({"status": "ready"})),
        Err(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            serde_json::json!({"status": "not ready", "message": reason.to_string()}),
        ),
    };
    answer(status, "application/json", body.to_string())
}
