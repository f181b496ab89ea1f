//! `leave`: the nodes of this machine are removed from their cluster.

use crate::{
    CtlError,
    address::{DATA_TCP_PORT, META_HTTP_PORT, with_port},
    client::{Call, Kind},
    commands::Context,
    records::Status,
};

pub(crate) async fn run(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    context.no_arguments()?;
    let place = |name: &'static str, port: u16| {
        with_port(context.flags.text(name).unwrap_or(&context.environment.hostname), port)
    };
    let (meta, data) = (place("meta", META_HTTP_PORT), place("data", DATA_TCP_PORT));
    let data_left = leave(context, Kind::Data, &data).await?;
    let meta_left = leave(context, Kind::Meta, &meta).await?;
    if !data_left && !meta_left {
        return context.streams.print("No nodes removed from cluster.");
    }
    context.streams.print("\nSuccessfully left cluster\n")?;
    for (name, address, left) in [("data", &data, data_left), ("meta", &meta, meta_left)] {
        context.streams.print(&match left {
            true => format!("  * Removed {name} node {address} from cluster"),
            false => format!("  * No {name} node removed from cluster"),
        })?;
    }
    Ok(())
}

/// Whether a node was there and is out of its cluster now.
async fn leave(context: &mut Context<'_, '_>, kind: Kind, address: &str) -> Result<bool, CtlError> {
    let name = if kind == Kind::Meta { "meta" } else { "data" };
    context.streams.print(&format!("Searching for {name} node on {address}..."))?;
    let status = match context.client.at(kind, address, &Call::get("/status", &[])).await {
        Ok(answer) => answer.json::<Status>().ok().filter(|status| status.node_type == name),
        Err(CtlError::Unreachable { .. } | CtlError::NotANode { .. }) => None,
        // It is there: to pass it over would leave it in the cluster without a word.
        Err(error) => return Err(error),
    };
    let Some(status) = status else {
        context.streams.print(&format!("  * No {name} node found."))?;
        return Ok(false);
    };
    let is_joined = match kind {
        Kind::Meta => !status.leader.is_empty() || !status.peers.is_empty(),
        Kind::Data => status.node_status == "joined",
    };
    if !is_joined {
        let title = if kind == Kind::Meta { "Meta" } else { "Data" };
        context.streams.print(&format!("  * {title} node at {address} is not part of a cluster"))?;
        return Ok(false);
    }
    let question = format!("Remove {name} node {address} from the cluster");
    if !context.flags.is_set("y") && !context.streams.confirm(&question)? {
        return Ok(false);
    }
    match kind {
        Kind::Meta => {
            context.client.at(Kind::Meta, address, &Call::post("/leave", &[])).await?;
        }
        Kind::Data => remove_data(context, address, &status).await?,
    }
    context.streams.print(&format!("Removed {address} from the cluster"))?;
    Ok(true)
}

/// The data node knows its meta nodes; the first that can does it.
async fn remove_data(context: &Context<'_, '_>, address: &str, status: &Status) -> Result<(), CtlError> {
    // The name it has in the catalogue, which need not be the one it was found under.
    let known = if status.tcp_addr.is_empty() { address } else { &status.tcp_addr };
    let parameters = [("addr", known)];
    let call = Call::post("/remove-data", &parameters);
    let mut last = CtlError::local(format!("the data node at {address} knows no meta node"));
    for meta in &status.meta_addrs {
        match context.client.at(Kind::Meta, meta, &call).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_about_the_node() => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}
