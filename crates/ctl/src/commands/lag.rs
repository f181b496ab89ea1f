//! `show-lag`: how far each data node has applied the log that the cluster writes through. Meta nodes ask the data nodes.

use serde::Deserialize;

use crate::{CtlError, client::Call, commands::Context, table};

/// Characters of the longest bar.
const BAR_MAX: u64 = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Known {
    log: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Node {
    id: u64,
    addr: String,
    lag: Option<Lag>,
    error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lag {
    partitions: Vec<Partition>,
    unreachable: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Partition {
    partition: u32,
    applied: u64,
    end: Option<u64>,
    lag: Option<u64>,
    lag_ms: Option<u64>,
    state: String,
    trouble: Option<String>,
}

pub(crate) async fn show(context: &mut Context<'_, '_>) -> Result<(), CtlError> {
    context.no_arguments()?;
    let known: Known = context.client.meta(&Call::get("/show-lag", &[])).await?.json()?;
    let Some(log) = &known.log else {
        return context
            .streams
            .print("Writes go to the owners of shards directly: there is no log to lag behind");
    };
    context.streams.print_raw(&text(log, &known.nodes))?;
    let mut silent = 0;
    for node in &known.nodes {
        if let Some(error) = &node.error {
            silent += 1;
            context.streams.tell(&format!("show-lag: nothing is known of data node {}: {error}", node.id));
        }
        let Some(lag) = &node.lag else { continue };
        if let Some(reason) = &lag.unreachable {
            context
                .streams
                .tell(&format!("show-lag: data node {} does not reach the log: {reason}", node.id));
        }
        for it in &lag.partitions {
            if let Some(trouble) = &it.trouble {
                let partition = it.partition;
                context.streams.tell(&format!(
                    "show-lag: data node {} does not go on in partition {partition}: {trouble}",
                    node.id
                ));
            }
        }
    }
    match silent {
        0 => Ok(()),
        n => Err(CtlError::local(format!("{n} data node(s) did not answer, see above"))),
    }
}

fn text(log: &str, nodes: &[Node]) -> String {
    const HEADER: [&str; 9] =
        ["ID", "TCP Address", "Partition", "Applied", "End", "Records", "Seconds", "State", ""];
    let partitions = || nodes.iter().flat_map(|node| node.lag.iter().flat_map(|lag| &lag.partitions));
    let most = partitions().filter_map(|it| it.lag).max().unwrap_or(0);
    let mut rows = Vec::new();
    for node in nodes {
        for it in node.lag.iter().flat_map(|lag| &lag.partitions) {
            let number = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
            rows.push(vec![
                node.id.to_string(),
                node.addr.clone(),
                it.partition.to_string(),
                it.applied.to_string(),
                number(it.end),
                number(it.lag),
                it.lag_ms.map_or_else(|| "?".to_owned(), |ms| format!("{:.1}", ms as f64 / 1e3)),
                it.state.clone(),
                bar(it.lag.unwrap_or(0), most),
            ]);
        }
    }
    table::with_spaces(&format!("Lag of {log}"), &HEADER, &rows)
}

/// As long as its share of the longest; nothing for nothing.
fn bar(lag: u64, most: u64) -> String {
    if lag == 0 {
        return String::new();
    }
    let length = (u128::from(lag) * u128::from(BAR_MAX)).div_ceil(u128::from(most.max(1)));
    "#".repeat(length.min(u128::from(BAR_MAX)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_who_is_how_far_behind() {
        let known: Known = serde_json::from_str(
            r#"{"log":"points","nodes":[{"id":4,"addr":"d1:8088","lag":{"log":"points","partitions":[
                {"partition":0,"applied":120,"end":120,"lag":0,"lag_ms":0,"state":"fresh"},
                {"partition":1,"applied":20,"end":120,"lag":100,"lag_ms":2500,"state":"behind"}]}},
                {"id":5,"addr":"d2:8088","error":"connection refused"}]}"#,
        )
        .unwrap();
        let text = text("points", &known.nodes);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("Lag of points"), "{text}");
        let row = |state: &str| lines.iter().find(|line| line.contains(state)).copied().unwrap_or_default();
        assert!(row("fresh").contains("d1:8088") && !row("fresh").contains('#'), "{text}");
        assert!(row("behind").contains("2.5") && row("behind").contains(&"#".repeat(20)), "{text}");
        assert_eq!((bar(1, 1_000_000), bar(0, 7), bar(7, 7)), ("#".into(), String::new(), "#".repeat(20)));
    }
}
