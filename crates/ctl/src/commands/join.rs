//! `join`: the nodes of this machine become part of a cluster, in one go.

use crate::{
    CtlError,
    address::{self, DATA_TCP_PORT, META_HTTP_PORT, with_port},
    client::{Call, Kind},
    commands::Context,
    preflight,
    records::{Node, Status},
};

/// What can be wrong when the meta node to join cannot be reached.
const COMMON_PROBLEMS: &str = "
Common problems:

  * The meta node does not run, or its machine is down.
  * Its HTTP address is another one: the port is 8091 unless its configuration says otherwise.
  * A firewall or network policy is between here and there.
  * It speaks TLS and -bind-tls is missing, or the other way round.
  * It is too slow: give it longer with -timeout.
";

/// What became of one of this machine's nodes.
enum Outcome {
    Added(Node),
    /// Why there is none.
    Missing(String),
}

pub(crate) async fn run(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    let target = match context.flags.arguments.as_slice() {
        [] => context.client.first_bind().to_owned(),
        [address] => with_port(address, META_HTTP_PORT),
        [_, extra, ..] => return Err(CtlError::local(format!("unknown argument: {extra}"))),
    };
    address::check(&target)?;
    context.streams.print(&format!("Joining meta node at {target}"))?;
    if let Err(error) = context.client.at(Kind::Meta, &target, &Call::get("/status", &[])).await {
        return unreachable(context, &target, &error);
    }
    let meta_addr = local(context, "meta", META_HTTP_PORT);
    let data_addr = local(context, "data", DATA_TCP_PORT);
    context.streams.print(&format!("Searching for meta node on {meta_addr}..."))?;
    let meta = search(context, Kind::Meta, &meta_addr).await;
    context.streams.print(&format!("Searching for data node on {data_addr}..."))?;
    let data = search(context, Kind::Data, &data_addr).await;
    context.streams.print("")?;

    let meta = add(context, Kind::Meta, &target, meta, &meta_addr).await;
    let data = add(context, Kind::Data, &target, data, &data_addr).await;
    report(context, &target, &[("meta", meta, &meta_addr), ("data", data, &data_addr)])
}

/// Where this machine's node of that kind is.
fn local(context: &Context<'_, '_>, name: &'static str, port: u16) -> String {
    with_port(context.flags.text(name).unwrap_or(&context.environment.hostname), port)
}

async fn search(context: &Context<'_, '_>, kind: Kind, address: &str) -> Result<Status, CtlError> {
    let answer = context.client.at(kind, address, &Call::get("/status", &[])).await?;
    let status: Status = answer.json()?;
    let wanted = if kind == Kind::Meta { "meta" } else { "data" };
    match status.node_type == wanted {
        true => Ok(status),
        false => Err(CtlError::local(format!("{address} is not a {wanted} node"))),
    }
}

async fn add(
    context: &mut Context<'_, '_>,
    kind: Kind,
    target: &str,
    found: Result<Status, CtlError>,
    address: &str,
) -> Outcome {
    if let Err(error) = found {
        return Outcome::Missing(error.to_string());
    }
    if let Err(error) = preflight::check(context, kind, address, Some(target)).await {
        return Outcome::Missing(error.to_string());
    }
    let passive = context.flags.is_set("p");
    let (path, parameters): (&str, &[(&str, &str)]) = match (kind, passive) {
        (Kind::Meta, _) => ("/join", &[("addr", address)]),
        (_, false) => ("/add-data", &[("addr", address)]),
        (_, true) => ("/add-data", &[("addr", address), ("passive", "true")]),
    };
    let added = context.client.at(Kind::Meta, target, &Call::post(path, parameters)).await;
    match added.and_then(|answer| answer.json()) {
        Ok(node) => Outcome::Added(node),
        Err(error) => Outcome::Missing(error.to_string()),
    }
}

fn report(
    context: &mut Context<'_, '_>,
    target: &str,
    outcomes: &[(&str, Outcome, &String); 2],
) -> Result<(), CtlError> {
    let added = outcomes.iter().filter(|(_, outcome, _)| matches!(outcome, Outcome::Added(_))).count();
    let created = matches!(&outcomes[0].1, Outcome::Added(node) if node.id == 1);
    let verbose = context.flags.is_set("v");
    if added == 0 {
        context.streams.print("Failed to join cluster.  Run with -v to see more information")?;
    } else {
        let verb = if created { "created" } else { "joined" };
        context.streams.print(&format!("Successfully {verb} cluster\n"))?;
        for (name, outcome, address) in outcomes {
            context.streams.print(&match outcome {
                Outcome::Added(node) => format!("  * Added {name} node {} at {address}", node.id),
                Outcome::Missing(_) => {
                    format!("  * No {name} node added.  Run with -v to see more information")
                }
            })?;
        }
    }
    if verbose {
        for (name, outcome, _) in outcomes {
            if let Outcome::Missing(reason) = outcome {
                context.streams.tell(&format!("join: no {name} node added: {reason}"));
            }
        }
    }
    if created {
        let program = &context.environment.program;
        let address = if target.starts_with("localhost:") { outcomes[0].2.as_str() } else { target };
        let line = format!(
            "\n  To join additional nodes to this cluster, run the following command:\n\n  {program} join {address}"
        );
        context.streams.print(&line)?;
    }
    match added {
        0 => Err(CtlError::local("no node was added")),
        _ => Ok(()),
    }
}

fn unreachable(context: &mut Context<'_, '_>, target: &str, error: &CtlError) -> Result<(), CtlError> {
    context.streams.tell(&format!("\nUnable to connect to {target}\n"));
    let reason = match error {
        CtlError::TimedOut { .. } | CtlError::Unreachable { .. } => {
            format!("operation timed out with error: {error}")
        }
        other => other.to_string(),
    };
    context.streams.tell(&format!("  {reason}"));
    context.streams.tell(COMMON_PROBLEMS.trim_end());
    Err(CtlError::local("no node was added"))
}
