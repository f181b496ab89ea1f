//! `add-meta`, `add-data`, `remove-data`, `update-data`.

use crate::{
    CtlError,
    address::{DATA_TCP_PORT, META_HTTP_PORT, with_port},
    client::{Call, Kind},
    commands::Context,
    interrupt, preflight,
    progress::Watched,
    records::Node,
};

pub(crate) async fn add_meta(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let [address] = context.arguments(["httpAddr value is empty"])?;
    let address = with_port(&address, META_HTTP_PORT);
    preflight::check(context, Kind::Meta, &address, None).await?;
    let node = post_node(context, "/join", &[("addr", &address)]).await?;
    context.streams.print(&format!("Added meta node {} at {}", node.id, or(&node.addr, &address)))
}

pub(crate) async fn add_data(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let [address] = context.arguments(["tcpAddr value is empty"])?;
    let address = with_port(&address, DATA_TCP_PORT);
    preflight::check(context, Kind::Data, &address, None).await?;
    let node = post_node(context, "/add-data", &[("addr", &address)]).await?;
    context.streams.print(&format!("Added data node {} at {}", node.id, or(&node.tcp_addr, &address)))
}

pub(crate) async fn remove_data(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let [address] = context.arguments(["addr value is empty"])?;
    let address = with_port(&address, DATA_TCP_PORT);
    let force = if context.flags.is_set("force") { "true" } else { "false" };
    let parameters = [("addr", address.as_str()), ("force", force)];
    let watched = Watched::new(context.streams.is_terminal, &format!("removing {address}"));
    interrupt::long(context, &Call::post("/remove-data", &parameters), &watched).await?;
    watched.finish();
    context.streams.print(&format!("Removed data node at {address}"))
}

pub(crate) async fn update_data(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let [old, new] = context.arguments(["old-addr value is empty", "new-addr value is empty"])?;
    if old == new {
        return Err(CtlError::local("new-addr and old-addr are the same"));
    }
    let (old, new) = (with_port(&old, DATA_TCP_PORT), with_port(&new, DATA_TCP_PORT));
    preflight::check_moved(context, &new).await?;
    let node = post_node(context, "/update-data", &[("oldAddr", &old), ("newAddr", &new)]).await?;
    context.streams.print(&format!("Updated data node {} to {}", node.id, or(&node.tcp_addr, &new)))
}

async fn post_node(
    context: &Context<'_, '_>,
    path: &str,
    parameters: &[(&str, &str)],
) -> Result<Node, CtlError> {
    context.client.meta(&Call::post(path, parameters)).await?.json()
}

fn or<'a>(told: &'a str, asked: &'a str) -> &'a str {
    if told.is_empty() { asked } else { told }
}
