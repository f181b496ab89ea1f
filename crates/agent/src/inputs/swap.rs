//! `swap`: how much of the swap space is used, and the traffic to it.

use super::mem::MemInfo;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// Bytes of a page as `/proc/vmstat` counts them for swapping; the original multiplies by this too.
const PAGE: u64 = 4096;

/// The input.
#[derive(Debug)]
struct Swap {
    paths: HostPaths,
}

pub(crate) fn build(_: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(Swap { paths: context.paths.clone() }))
}

impl Input for Swap {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let meminfo = MemInfo::parse(&read_text(&self.paths.proc("meminfo"))?);
        let gauge = usage(acc.metric("swap").kind(Kind::Gauge), &meminfo);
        acc.add(gauge);
        let vmstat = read_text(&self.paths.proc("vmstat"))?;
        let counter = traffic(acc.metric("swap").kind(Kind::Counter), &vmstat);
        acc.add(counter);
        Ok(())
    }
}

fn usage(metric: Metric, meminfo: &MemInfo) -> Metric {
    let (total, free) = (meminfo.bytes("SwapTotal"), meminfo.bytes("SwapFree"));
    let used = total.saturating_sub(free);
    let percent = if total == 0 { 0.0 } else { 100.0 * used as f64 / total as f64 };
    metric.field("total", total).field("used", used).field("free", free).field("used_percent", percent)
}

fn traffic(metric: Metric, vmstat: &str) -> Metric {
    let pages = |key: &str| {
        vmstat
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse::<u64>().ok())
            .unwrap_or(0)
    };
    metric.field("in", pages("pswpin") * PAGE).field("out", pages("pswpout") * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::{Float, Unsigned};

    #[test]
    fn used_and_moved() {
        let m = usage(Metric::new("swap", 0), &MemInfo::parse("SwapTotal: 1000 kB\nSwapFree: 750 kB\n"));
        assert_eq!(m.field_value("used"), Some(&Unsigned(250 * 1024)));
        assert_eq!(m.field_value("used_percent"), Some(&Float(25.0)));
        let m = traffic(Metric::new("swap", 0), "pgpgin 7\npswpin 2\npswpout 3\n");
        assert_eq!(m.field_value("in"), Some(&Unsigned(8192)));
        assert_eq!(m.field_value("out"), Some(&Unsigned(12288)));
    }

    #[test]
    fn a_host_without_swap() {
        let m = usage(Metric::new("swap", 0), &MemInfo::parse(""));
        assert_eq!(m.field_value("used_percent"), Some(&Float(0.0)));
    }
}
