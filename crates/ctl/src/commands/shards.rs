//! `remove-shard` and `truncate-shards`.

use std::time::Duration;

use crate::{
    CtlError,
    address::{DATA_TCP_PORT, with_port},
    client::Call,
    commands::{Context, shard_id},
};

/// How far ahead shards are cut, unless `-delay` says otherwise.
const DELAY: Duration = Duration::from_secs(60);

pub(crate) async fn remove(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let [source, shard] = context.arguments(["srcAddr is required", "shardID is required"])?;
    let (source, shard) = (with_port(&source, DATA_TCP_PORT), shard_id(&shard)?);
    let parameters = [("src", source.as_str()), ("shard", &shard.to_string())];
    context.client.meta(&Call::post("/remove-shard", &parameters)).await?;
    context.streams.print(&format!("Removed shard {shard} from {source}"))
}

pub(crate) async fn truncate(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    context.no_arguments()?;
    let delay = context.flags.duration("delay", DELAY).map_err(|error| CtlError::Usage(error.to_string()))?;
    // Nanoseconds are a unit every reader of Go's notation knows.
    let delay = format!("{}ns", delay.as_nanos());
    context.client.meta(&Call::post("/truncate-shards", &[("delay", &delay)])).await?;
    context.streams.print("Truncated shards.")
}
