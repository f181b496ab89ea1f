//! `copy-shard`, `copy-shard-status`, `kill-copy-shard`.

use jiff::Timestamp;

use crate::{
    CtlError,
    address::{DATA_TCP_PORT, with_port},
    client::Call,
    commands::{Context, shard_id},
    interrupt,
    progress::Watched,
    records::Copying,
    table, time,
};

/// A copy: from where, to where, of what.
struct Copy {
    source: String,
    dest: String,
    shard: u64,
}

pub(crate) async fn run(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let Copy { source, dest, shard } = copy_of(context)?;
    let shard_text = shard.to_string();
    let parameters = [("src", source.as_str()), ("dest", dest.as_str()), ("shard", shard_text.as_str())];
    let watched = Watched::new(context.streams.is_terminal, &format!("shard {shard}")).of_copy(shard, &dest);
    match interrupt::long(context, &Call::post("/copy-shard", &parameters), &watched).await {
        Ok(_) => {
            watched.finish();
            context.streams.print(&format!("Copied shard {shard} from {source} to {dest}"))
        }
        Err(CtlError::Interrupted(_)) => {
            let stopped = context.client.meta(&Call::post("/kill-copy-shard", &parameters)).await;
            Err(CtlError::Interrupted(match stopped {
                Ok(_) => format!("; stopped copying shard {shard}"),
                Err(error) => format!(
                    "; the copy of shard {shard} may go on: {error}; try kill-copy-shard {source} {dest} {shard}"
                ),
            }))
        }
        Err(error) => Err(error),
    }
}

pub(crate) async fn kill(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let Copy { source, dest, shard } = copy_of(context)?;
    let shard_text = shard.to_string();
    let parameters = [("src", source.as_str()), ("dest", dest.as_str()), ("shard", shard_text.as_str())];
    context.client.meta(&Call::post("/kill-copy-shard", &parameters)).await?;
    context.streams.print(&format!("Killed copying shard {shard} from {source} to {dest}"))
}

pub(crate) async fn status(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    context.no_arguments()?;
    let copies: Option<Vec<Copying>> =
        context.client.meta(&Call::get("/copy-shard-status", &[])).await?.json()?;
    let (known, silent): (Vec<Copying>, Vec<Copying>) =
        copies.unwrap_or_default().into_iter().partition(|copy| copy.silence.is_empty());
    for Copying { shard_id, dest, silence, .. } in silent {
        context
            .streams
            .tell(&format!("of the copy of shard {shard_id} to {dest} nothing is known: {silence}"));
    }
    for Copying { shard_id, dest, trouble, .. } in known.iter().filter(|copy| !copy.trouble.is_empty()) {
        context.streams.tell(&format!("shard {shard_id} does not get to {dest}: {trouble}"));
    }
    let rows: Vec<Vec<String>> = known
        .into_iter()
        .map(|copy| {
            vec![
                copy.source,
                copy.dest,
                copy.database,
                copy.policy,
                copy.shard_id.to_string(),
                copy.total_size.to_string(),
                copy.current_size.to_string(),
                copy.started_at.map(|at: Timestamp| time::go_text(at)).unwrap_or_default(),
            ]
        })
        .collect();
    let header = ["Source", "Dest", "Database", "Policy", "ShardID", "TotalSize", "CurrentSize", "StartedAt"];
    context.streams.print_raw(&table::with_spaces("", &header, &rows))
}

fn copy_of(context: &Context<'_, '_>) -> Result<Copy, CtlError> {
    let missing = ["srcAddr is required", "destAddr is required", "shardID is required"];
    let [source, dest, shard] = context.arguments(missing)?;
    let (source, dest) = (with_port(&source, DATA_TCP_PORT), with_port(&dest, DATA_TCP_PORT));
    if source == dest {
        return Err(CtlError::local("destAddr and srcAddr are the same"));
    }
    Ok(Copy { source, dest, shard: shard_id(&shard)? })
}
