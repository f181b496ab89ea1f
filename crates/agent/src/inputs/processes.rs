//! `processes`: how many there are, by state.

use super::proc_dir::ProcDir;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// The input.
#[derive(Debug)]
struct Processes {
    paths: HostPaths,
    /// Used again for each gather and each process.
    pids: Vec<i32>,
    stat: Vec<u8>,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    section.without_effect("use_sudo", "only other systems than Linux need it");
    section.without_effect("force_ps", "processes are read from /proc");
    section.without_effect("force_proc", "processes are read from /proc");
    Ok(Box::new(Processes { paths: context.paths.clone(), pids: Vec::new(), stat: Vec::new() }))
}

impl Input for Processes {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let proc = ProcDir::open(&self.paths)?;
        proc.pids(&mut self.pids)?;
        let mut counts = Counts::default();
        for &pid in &self.pids {
            // A process that ended in between is none any more.
            if proc.read(pid, "stat", &mut self.stat).is_ok()
                && let Some((state, threads)) = parse_stat(&String::from_utf8_lossy(&self.stat))
            {
                counts.add(state, threads);
            }
        }
        let metric = counts.fields(acc.metric("processes").kind(Kind::Gauge));
        acc.add(metric);
        Ok(())
    }
}

/// Processes by state, and all their threads.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    blocked: i64,
    zombies: i64,
    stopped: i64,
    running: i64,
    sleeping: i64,
    total: i64,
    unknown: i64,
    dead: i64,
    paging: i64,
    idle: i64,
    parked: i64,
    total_threads: i64,
}

impl Counts {
    fn add(&mut self, state: char, threads: i64) {
        self.total += 1;
        self.total_threads += threads;
        let slot = match state {
            'R' => &mut self.running,
            'S' => &mut self.sleeping,
            'D' => &mut self.blocked,
            'Z' => &mut self.zombies,
            'X' => &mut self.dead,
            'T' | 't' => &mut self.stopped,
            'W' => &mut self.paging,
            'I' => &mut self.idle,
            'P' => &mut self.parked,
            _ => &mut self.unknown,
        };
        *slot += 1;
    }

    fn fields(&self, metric: Metric) -> Metric {
        let metric = metric
            .field("blocked", self.blocked)
            .field("zombies", self.zombies)
            .field("stopped", self.stopped)
            .field("running", self.running)
            .field("sleeping", self.sleeping)
            .field("total", self.total)
            .field("unknown", self.unknown)
            .field("dead", self.dead)
            .field("paging", self.paging)
            .field("total_threads", self.total_threads)
            .field("idle", self.idle);
        // As in the original only where there are any; the count is the true one.
        if self.parked > 0 { metric.field("parked", self.parked) } else { metric }
    }
}

/// State and number of threads of `/proc/PID/stat`. The command's name, in parentheses, may hold
/// blanks and parentheses itself, so that fields count from the last one: the state is the third
/// of the line, the threads are the twentieth.
fn parse_stat(stat: &str) -> Option<(char, i64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?.chars().next()?;
    let threads = words.nth(16)?.parse().ok()?;
    Some((state, threads))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::Integer;

    #[test]
    fn a_command_may_look_like_fields() {
        let tail = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 42 0 100";
        let line = |command: &str, state: &str| format!("77 ({command}) {state} {tail}");
        assert_eq!(parse_stat(&line("bash", "S")), Some(('S', 42)));
        assert_eq!(parse_stat(&line("a) R (b", "D")), Some(('D', 42)));
        assert_eq!(parse_stat("77 (x"), None);
        assert_eq!(parse_stat("77 (x) S 1 2"), None);
    }

    #[test]
    fn a_real_line_of_the_kernel() {
        let line = "7 (kworker/0:0-events) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0 18446744073709551615 0";
        assert_eq!(parse_stat(line), Some(('I', 1)));
    }

    #[test]
    fn states_are_counted() {
        let mut counts = Counts::default();
        for state in ['R', 'S', 'S', 'T', 't', 'Z', 'D', 'I', '?'] {
            counts.add(state, 2);
        }
        let m = counts.fields(Metric::new("processes", 0));
        let value = |key: &str| m.field_value(key).cloned();
        assert_eq!(value("sleeping"), Some(Integer(2)));
        assert_eq!(value("stopped"), Some(Integer(2)));
        assert_eq!(value("unknown"), Some(Integer(1)));
        assert_eq!(value("total"), Some(Integer(9)));
        assert_eq!(value("total_threads"), Some(Integer(18)));
        assert_eq!(value("parked"), None);
        counts.add('P', 1);
        counts.add('P', 1);
        assert_eq!(counts.fields(Metric::new("processes", 0)).field_value("parked"), Some(&Integer(2)));
    }

    #[test]
    fn this_process_is_one_of_them() {
        let mut acc = Accumulator::new(0);
        let mut input = build(&mut crate::config::section_for_tests(""), &Context::default()).expect("valid");
        input.gather(&mut acc).expect("readable");
        let (metrics, _) = acc.into_parts();
        assert!(matches!(metrics[0].field_value("total"), Some(Integer(n)) if *n >= 1));
    }
}
