//! The table.

use std::fs;

use crate::run::{Measured, Plan};

/// The finished table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) markdown: String,
    /// Answers that differ between the servers.
    pub(crate) disagreements: usize,
}

/// Which way a figure is better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
}

/// Makes the table of what was measured: a column for each server, and how many times better the first is.
pub(crate) fn table(plan: &Plan, measured: &[Measured], compared: usize, disagreements: usize) -> Table {
    let mut markdown = heading(plan, measured);
    let mut row = |what: &str, better: Better, figure: &dyn Fn(&Measured) -> f64| {
        let figures: Vec<f64> = measured.iter().map(figure).collect();
        markdown += &format!("| {what} |");
        for &figure in &figures {
            markdown += &format!(" {} |", three_digits(figure));
        }
        if let [first, second] = figures[..] {
            let ratio = if better == Better::Higher { first / second } else { second / first };
            markdown += &format!(" {} x |", three_digits(ratio));
        }
        markdown.push('\n');
    };
    let values = plan.shape.values() as f64;
    row("ingest, million values/s", Better::Higher, &|server| values / server.load.as_secs_f64() / 1e6);
    row("on disk after the load, bytes/value", Better::Lower, &|server| {
        server.disk_bytes_loaded as f64 / values
    });
    row("on disk after the queries, bytes/value", Better::Lower, &|server| {
        server.disk_bytes_settled as f64 / values
    });
    row("memory after the load, MB", Better::Lower, &|server| server.resident_bytes_loaded as f64 / 1e6);
    row("memory at most, MB", Better::Lower, &|server| server.resident_bytes_peak as f64 / 1e6);
    for (at, query) in plan.queries.iter().enumerate() {
        row(&format!("{}, ms", query.name()), Better::Lower, &|server| {
            server.queries[at].median().as_secs_f64() * 1e3
        });
    }
    if compared > 0 {
        markdown += &agreement(compared, disagreements);
    }
    Table { markdown, disagreements }
}

fn heading(plan: &Plan, measured: &[Measured]) -> String {
    let shape = &plan.shape;
    let mut text = format!(
        "{:.1} million values: {} hosts, a row of 10 values every {} for {}; {} rows a request, {} clients; medians of \
         {} queries, each over another window. {}.\n\n",
        shape.values() as f64 / 1e6,
        shape.hosts,
        duration(shape.step_ns),
        duration(shape.span_ns),
        shape.rows_per_batch,
        plan.workers,
        plan.repetitions,
        machine(),
    );
    let names: Vec<&str> = measured.iter().map(|server| server.name.as_str()).collect();
    text += &format!("| | {} |", names.join(" | "));
    text += if measured.len() == 2 { " better by |\n" } else { "\n" };
    text += "|---|";
    text += &"---:|".repeat(if measured.len() == 2 { 3 } else { measured.len() });
    text.push('\n');
    text
}

fn agreement(compared: usize, disagreements: usize) -> String {
    if disagreements == 0 {
        format!("\nBoth gave the same answers to all {compared} queries compared.\n")
    } else {
        format!("\n**{disagreements} of {compared} answers compared differ.**\n")
    }
}

fn duration(ns: i64) -> String {
    humantime::format_duration(std::time::Duration::from_nanos(ns.unsigned_abs())).to_string()
}

/// Processor and memory of this machine, as far as the kernel tells.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model =
        value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "an unknown processor".to_owned());
    let memory = value(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.strip_suffix("kB")?.trim().parse::<f64>().ok())
        .map_or_else(String::new, |kib| format!(", {:.0} GB of memory", kib * 1024.0 / 1e9));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores of {model}{memory}")
}

/// A figure with three significant digits and no exponent.
fn three_digits(figure: f64) -> String {
    if !figure.is_finite() {
        return "-".to_owned();
    }
    let digits_before = if figure.abs() < 1.0 { 0 } else { figure.abs().log10().floor() as i32 + 1 };
    let decimals = if figure.abs() < 1.0 { 3 } else { (3 - digits_before).max(0) };
    format!("{figure:.*}", decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        for (figure, text) in [
            (0.0, "0.000"),
            (0.3456, "0.346"),
            (1.0, "1.00"),
            (9.876, "9.88"),
            (99.99, "100.0"),
            (123.4, "123"),
            (1818.0, "1818"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(three_digits(figure), text);
        }
    }

    #[test]
    fn agreement_is_said_plainly() {
        assert_eq!(agreement(45, 0), "\nBoth gave the same answers to all 45 queries compared.\n");
        assert_eq!(agreement(45, 2), "\n**2 of 45 answers compared differ.**\n");
        assert!(machine().contains("cores of"));
    }
}
