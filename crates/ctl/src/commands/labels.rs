//! `node-labels set` and `delete`: labels such as `rack` and `dc`, by which copies of a shard keep apart.

use std::collections::BTreeMap;

use crate::{CtlError, client::Call, commands::Context};

pub(crate) async fn set(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let text = labels_text(context)?;
    let labels: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|error| {
        CtlError::local(format!(
            "-labels {text}: {error}; a JSON object such as {{\"rack\":\"r1\"}} is expected"
        ))
    })?;
    if let Some((name, _)) = labels.iter().find(|(name, value)| name.is_empty() || value.is_empty()) {
        return Err(CtlError::local(format!(
            "-labels {text}: the name and the value of a label cannot be empty ({name:?}); node-labels delete takes one away"
        )));
    }
    send(context, &labels).await
}

pub(crate) async fn delete(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let text = labels_text(context)?;
    let names: Vec<String> = serde_json::from_str(&text).map_err(|error| {
        CtlError::local(format!("-labels {text}: {error}; a JSON list such as [\"rack\"] is expected"))
    })?;
    // To set a label to nothing is to delete it.
    let labels = names.into_iter().map(|name| (name, String::new())).collect();
    send(context, &labels).await
}

fn labels_text(context: &Context<'_, '_>) -> Result<String, CtlError> {
    context.no_arguments()?;
    context
        .flags
        .text("labels")
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| CtlError::local("-labels is required"))
}

async fn send(context: &mut Context<'_, '_>, labels: &BTreeMap<String, String>) -> Result<(), CtlError> {
    let node = context.flags.text("nodeid").unwrap_or_default().to_owned();
    if node.is_empty() {
        return Err(CtlError::local("-nodeid is required"));
    }
    if !node.parse::<u64>().is_ok_and(|id| id > 0) {
        return Err(CtlError::local(format!("-nodeid {node} is no number of a node; show lists them")));
    }
    let text = serde_json::to_string(labels)
        .map_err(|error| CtlError::local(format!("cannot write the labels: {error}")))?;
    let parameters = [("nodeid", node.as_str()), ("labels", text.as_str())];
    context.client.meta(&Call::post("/node-labels", &parameters)).await?;
    context.streams.print(&format!("Updated labels of data node {node}"))
}
