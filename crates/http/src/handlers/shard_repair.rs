//! `/shard-repair/...`: which shards this node knows to differ from those of other owners, and their repair, as InfluxDB
//! Enterprise has it.
//!
//! ```text
//! GET  /shard-repair/status                  -> {"shards": [...], "queued_shards": [...], "processing_shards": [...]}
//! POST /shard-repair/repair         id       -> 204, the shard is queued
//! POST /shard-repair/cancel-repair  id       -> 204, it is not any more
//! ```
//!
//! Parameters are in the URL or in a form. Every node answers for itself.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;
use skywatch_cluster::Entropy;

use crate::{
    app::{App, Head, RequestBody},
    params::Params,
    response::{Answer, Failure, answer, no_content},
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Status,
    Repair,
    CancelRepair,
}

impl Step {
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("/shard-repair/")? {
            "status" => Self::Status,
            "repair" => Self::Repair,
            "cancel-repair" => Self::CancelRepair,
            _ => return None,
        })
    }

    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Status => "GET",
            Self::Repair | Self::CancelRepair => "POST",
        }
    }
}

pub(crate) async fn serve(
    app: &Arc<App>,
    step: Step,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<Answer, Failure> {
    let entropy = app.engine.entropy().ok_or_else(|| {
        Failure::new(
            StatusCode::BAD_REQUEST,
            "this node is no member of a cluster: its shards have no other copies",
        )
    })?;
    match step {
        Step::Status => Ok(answer(StatusCode::OK, "application/json", json!(entropy.status()).to_string())),
        Step::Repair => {
            // One that waits already is queued too.
            entropy.repair(shard_of(app, &entropy, head, body).await?);
            Ok(no_content(head.format))
        }
        Step::CancelRepair => {
            let shard = shard_of(app, &entropy, head, body).await?;
            if entropy.kill_repair(shard) {
                return Ok(no_content(head.format));
            }
            let text = format!("shard {shard} is neither queued nor being repaired here");
            Err(Failure::new(StatusCode::BAD_REQUEST, text))
        }
    }
}

/// The shard that a request names, which this node must own.
async fn shard_of(
    app: &Arc<App>,
    entropy: &Entropy,
    head: &Head<'_>,
    body: &mut RequestBody,
) -> Result<u64, Failure> {
    let invalid = |text: String| Failure::new(StatusCode::BAD_REQUEST, text);
    let mut text = head.url.get("id").to_owned();
    if text.is_empty() {
        let form = app.bodies.read(body).await?;
        text = Params::parse(&String::from_utf8_lossy(&form)).get("id").to_owned();
    }
    if text.is_empty() {
        return Err(invalid("'id' is a required parameter".to_owned()));
    }
    let shard = text.parse().map_err(|_| invalid(format!("error converting shard to int: {text}")))?;
    if entropy.compares(shard) {
        Ok(shard)
    } else {
        Err(invalid(format!("this node owns no copy of shard {shard} that another node has too")))
    }
}
