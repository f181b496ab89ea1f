//! `remove-meta`: asks the node itself to leave, or with `-force` the others to forget it.

use crate::{
    CtlError,
    address::{META_HTTP_PORT, with_port},
    client::{Call, Kind},
    commands::Context,
    records::Status,
};

pub(crate) async fn run(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let [address] = context.arguments(["addr is required"])?;
    let address = with_port(&address, META_HTTP_PORT);
    if context.flags.is_set("force") {
        force(context, &address).await
    } else {
        leave(context, &address).await
    }?;
    context.streams.print(&format!("Removed meta node at {address}"))
}

async fn leave(context: &mut Context<'_, '_>, address: &str) -> Result<(), CtlError> {
    let status = context.client.at(Kind::Meta, address, &Call::get("/status", &[])).await;
    let status: Status = match status {
        Ok(answer) => answer.json()?,
        Err(CtlError::NotANode { .. }) => Status::default(),
        Err(error) => return Err(error),
    };
    if status.node_type != "meta" {
        return Err(CtlError::local(format!("{address} is not a meta node")));
    }
    if status.leader.is_empty() && status.peers.is_empty() {
        return Err(CtlError::local(format!("{address} is not part of a cluster")));
    }
    confirm(context, &format!("Remove {address} from the cluster"))?;
    context.client.at(Kind::Meta, address, &Call::post("/leave", &[])).await.map(|_| ())
}

async fn force(context: &mut Context<'_, '_>, address: &str) -> Result<(), CtlError> {
    let raft = context.flags.text("tcpAddr").unwrap_or_default().to_owned();
    if raft.is_empty() {
        return Err(CtlError::local("-tcpAddr is required with -force"));
    }
    confirm(context, &format!("Force remove {address} from the cluster"))?;
    let parameters = [("httpAddr", address), ("force", "true"), ("tcpAddr", raft.as_str())];
    context.client.meta(&Call::post("/remove", &parameters)).await.map(|_| ())
}

fn confirm(context: &mut Context<'_, '_>, question: &str) -> Result<(), CtlError> {
    match context.flags.is_set("y") || context.streams.confirm(question)? {
        true => Ok(()),
        false => Err(CtlError::local("not confirmed, nothing was removed (-y answers for a script)")),
    }
}
