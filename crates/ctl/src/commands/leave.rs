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
    let data_left = leave(context, Kind::Data, &data).await;
    // One node that cannot leave does not keep the other one.
    let meta_left = leave(context, Kind::Meta, &meta).await;
    if let (Err(_), Err(error)) = (&data_left, &meta_left) {
        context.streams.tell(&format!("leave: the meta node {meta} was not removed: {error}"));
    }
    let (data_left, meta_left) = (data_left?, meta_left?);
    if [data_left, meta_left].contains(&Left::Removed) {
        context.streams.print("\nSuccessfully left cluster\n")?;
        for (name, address, left) in [("data", &data, data_left), ("meta", &meta, meta_left)] {
            context.streams.print(&match left {
                Left::Removed => format!("  * Removed {name} node {address} from cluster"),
                Left::Absent | Left::Declined => format!("  * No {name} node removed from cluster"),
            })?;
        }
    } else {
        context.streams.print("No nodes removed from cluster.")?;
    }
    match [data_left, meta_left].contains(&Left::Declined) {
        true => Err(CtlError::local("not confirmed, not everything was removed (-y answers for a script)")),
        false => Ok(()),
    }
}

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It is out of its cluster.
    Removed,
    /// There was none to remove.
    Absent,
    /// The question was not answered with yes.
    Declined,
}

/// Takes a node out of its cluster, if it is in one.
async fn leave(context: &mut Context<'_, '_>, kind: Kind, address: &str) -> Result<Left, CtlError> {
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
        return Ok(Left::Absent);
    };
    let is_joined = match kind {
        Kind::Meta => !status.leader.is_empty() || !status.peers.is_empty(),
        Kind::Data => status.node_status == "joined",
    };
    if !is_joined {
        let title = if kind == Kind::Meta { "Meta" } else { "Data" };
        context.streams.print(&format!("  * {title} node at {address} is not part of a cluster"))?;
        return Ok(Left::Absent);
    }
    let question = format!("Remove {name} node {address} from the cluster");
    if !context.flags.is_set("y") && !context.streams.confirm(&question)? {
        return Ok(Left::Declined);
    }
    match kind {
        Kind::Meta => {
            context.client.at(Kind::Meta, address, &Call::post("/leave", &[])).await?;
        }
        Kind::Data => remove_data(context, address, &status).await?,
    }
    context.streams.print(&format!("Removed {address} from the cluster"))?;
    Ok(Left::Removed)
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
