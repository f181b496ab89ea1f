//! The report of the run with very many series.

use serde_json::{Value, json};

use super::{Better, Figure, Report, Row, Table, duration, machine::machine};
use crate::{
    cardinality::{Measured, Restart},
    process::Ending,
    run::Plan,
};

/// Reports what was measured.
pub(crate) fn cardinality(plan: &Plan, servers: &[Measured], notes: &[String]) -> Report {
    let table = table(plan, servers);
    let shape = &plan.shape;
    let mut markdown = format!(
        "{} series of 10 values, a row each, then {} more every {}; {} rows a request, {} clients. {}.\n\n",
        shape.hosts,
        shape.steps() - 1,
        duration(shape.step_ns),
        shape.rows_per_batch,
        plan.workers,
        machine(),
    );
    markdown += &table.markdown();
    let lost = lost(servers);
    for note in notes.iter().chain(&lost) {
        markdown += &format!("\n{note}.\n");
    }
    let json = json!({
        "machine": machine(),
        "use_case": shape.use_case.name(),
        "series": shape.hosts,
        "steps": shape.steps(),
        "seed": shape.seed,
        "servers": servers.iter().map(server_json).collect::<Vec<_>>(),
        "notes": notes,
        "table": table.json(),
    });
    // That a peer loses what it acknowledged is told, and is no fault of the run.
    let own = |note: &&String| note.starts_with(crate::process::Kind::Skywatch.name());
    let faults = notes.iter().chain(lost.iter().filter(own)).cloned().collect();
    Report { markdown, json, faults }
}

fn table(plan: &Plan, servers: &[Measured]) -> Table {
    let mut rows = Vec::new();
    let mut row = |what: &str, better, target, figure: &dyn Fn(&Measured) -> Option<f64>| {
        let figure =
            |server: &Measured| -> Figure { figure(server).ok_or_else(|| "it was not measured".to_owned()) };
        let figures = servers.iter().map(figure).collect();
        rows.push(Row { what: what.to_owned(), better, figures, target });
    };
    let above_empty = |server: &Measured, bytes: u64| {
        bytes.saturating_sub(server.resident_bytes_empty) as f64 / server.series as f64
    };
    row("ingest, 1,000 series, million values/s", Better::Higher, None, &|server| {
        Some(server.steady_rate / 1e6)
    });
    row("ingest, new series, million values/s", Better::Higher, None, &|server| Some(server.new_rate / 1e6));
    row("how much slower new series are", Better::Lower, Some("3"), &|server| {
        Some(server.steady_rate / server.new_rate)
    });
    if plan.shape.steps() > 1 {
        row("ingest, the same series again, million values/s", Better::Higher, None, &|server| {
            Some(server.later_rate? / 1e6)
        });
    }
    row("memory with a row in each, bytes/series", Better::Lower, Some("1000"), &|server| {
        Some(above_empty(server, server.resident_bytes_new))
    });
    row("memory after the load, bytes/series", Better::Lower, None, &|server| {
        Some(above_empty(server, server.resident_bytes_loaded))
    });
    row("memory at most, bytes/series", Better::Lower, None, &|server| {
        Some(above_empty(server, server.resident_bytes_max))
    });
    row("on disk when settled, bytes/value", Better::Lower, None, &|server| {
        Some(server.disk_bytes_settled as f64 / plan.shape.values() as f64)
    });
    for (ending, target) in [(Ending::Orderly, Some("2")), (Ending::Kill, None)] {
        let after = describe(ending);
        row(&format!("from the start to the first answers {after}, s"), Better::Lower, target, &|server| {
            Some(find(server, ending)?.time.as_secs_f64())
        });
        row(&format!("memory then, {after}, bytes/series"), Better::Lower, None, &|server| {
            Some(above_empty(server, find(server, ending)?.resident_bytes))
        });
    }
    Table { servers: servers.iter().map(|server| (server.kind, server.title.clone())).collect(), rows }
}

fn find(server: &Measured, ending: Ending) -> Option<&Restart> {
    server.restarts.iter().find(|restart| restart.ending == ending)
}

const fn describe(ending: Ending) -> &'static str {
    match ending {
        Ending::Kill => "after a kill while loaded",
        Ending::Orderly => "after an orderly end",
    }
}

/// Rows that were acknowledged and are gone.
fn lost(servers: &[Measured]) -> Vec<String> {
    let mut notes = Vec::new();
    for server in servers {
        for restart in server.restarts.iter().filter(|restart| restart.rows != restart.rows_written) {
            notes.push(format!(
                "{} has {} of {} acknowledged rows of the series asked about {}",
                server.kind.name(),
                restart.rows,
                restart.rows_written,
                describe(restart.ending)
            ));
        }
    }
    notes
}

fn server_json(server: &Measured) -> Value {
    let restart = |restart: &Restart| {
        json!({
            "after": describe(restart.ending),
            "seconds": restart.time.as_secs_f64(),
            "rows_written": restart.rows_written,
            "rows": restart.rows,
            "resident_bytes": restart.resident_bytes,
        })
    };
    json!({
        "title": server.title,
        "steady_values_per_s": server.steady_rate,
        "new_values_per_s": server.new_rate,
        "later_values_per_s": server.later_rate,
        "resident_bytes_empty": server.resident_bytes_empty,
        "resident_bytes_new": server.resident_bytes_new,
        "resident_bytes_loaded": server.resident_bytes_loaded,
        "resident_bytes_max": server.resident_bytes_max,
        "disk_bytes_settled": server.disk_bytes_settled,
        "restarts": server.restarts.iter().map(restart).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::process::Kind;

    #[test]
    fn rows_that_are_gone_are_told() {
        let restart = |ending, rows| Restart {
            ending,
            time: Duration::from_secs(1),
            rows_written: 10,
            rows,
            resident_bytes: 3_000_000,
        };
        let server = Measured {
            kind: Kind::VictoriaMetrics,
            title: "VictoriaMetrics 1".to_owned(),
            series: 1000,
            steady_rate: 6e6,
            new_rate: 2e6,
            later_rate: None,
            resident_bytes_empty: 1_000_000,
            resident_bytes_new: 2_000_000,
            resident_bytes_loaded: 2_000_000,
            resident_bytes_max: 2_000_000,
            disk_bytes_settled: 1,
            restarts: vec![restart(Ending::Orderly, 10), restart(Ending::Kill, 7)],
        };
        assert_eq!(
            lost(std::slice::from_ref(&server)),
            [
                "VictoriaMetrics has 7 of 10 acknowledged rows of the series asked about after a kill while loaded"
            ]
        );
        assert_eq!(server_json(&server)["restarts"][1]["rows"], 7);
        assert!(find(&server, Ending::Kill).is_some_and(|restart| restart.rows == 7));
    }
}
