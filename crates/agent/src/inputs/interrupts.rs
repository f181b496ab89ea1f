//! `interrupts`: how often each hardware and software interrupt came to each CPU.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::Metric;
use crate::paths::HostPaths;

/// The input.
#[derive(Debug)]
struct Interrupts {
    /// A point for each CPU instead of one with a field for each.
    cpu_as_tag: bool,
    paths: HostPaths,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let cpu_as_tag = section.boolean("cpu_as_tag")?.unwrap_or(false);
    Ok(Box::new(Interrupts { cpu_as_tag, paths: context.paths.clone() }))
}

impl Input for Interrupts {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        for (measurement, file) in [("interrupts", "interrupts"), ("soft_interrupts", "softirqs")] {
            let path = self.paths.proc(file);
            let table = read_text(&path).and_then(|text| {
                parse(&text).map_err(|reason| GatherError::Malformed { path, reason: reason.to_owned() })
            });
            match table {
                Ok(table) => self.add(acc, measurement, &table),
                Err(error) => acc.report(error),
            }
        }
        Ok(())
    }
}

impl Interrupts {
    fn add(&self, acc: &mut Accumulator, measurement: &'static str, table: &Table) {
        for irq in &table.irqs {
            let counts = table.cpus.iter().zip(&irq.counts);
            if self.cpu_as_tag {
                for (cpu, count) in counts {
                    let metric = irq.tags(acc.metric(measurement)).tag("cpu", cpu.to_ascii_lowercase());
                    acc.add(metric.field("count", *count));
                }
            } else {
                let metric = irq.tags(acc.metric(measurement));
                let metric = counts.fold(metric, |metric, (cpu, count)| metric.field(cpu.clone(), *count));
                acc.add(metric.field("total", irq.counts.iter().sum::<i64>()));
            }
        }
    }
}

/// `/proc/interrupts` or `/proc/softirqs`.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    /// As the heading names them: `CPU0`, `CPU1`; one that is switched off is missing in between.
    cpus: Vec<String>,
    irqs: Vec<Irq>,
}

/// A line of it.
#[derive(Debug, PartialEq, Eq)]
struct Irq {
    name: String,
    /// Of the hardware: the controller (`IR-PCI-MSI`); otherwise the line's explanation.
    kind: String,
    device: String,
    /// In the order of the CPUs; what counts for the whole machine has one only.
    counts: Vec<i64>,
}

impl Irq {
    /// Empty tags are none: line protocol cannot say them.
    fn tags(&self, metric: Metric) -> Metric {
        [("irq", &self.name), ("type", &self.kind), ("device", &self.device)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .fold(metric, |metric, (key, value)| metric.tag(key, value.as_str()))
    }
}

fn parse(text: &str) -> Result<Table, &'static str> {
    let mut lines = text.lines();
    let heading = lines.next().unwrap_or_default();
    let cpus: Vec<_> = heading.split_ascii_whitespace().map(str::to_owned).collect();
    if cpus.is_empty() || cpus.iter().any(|cpu| !cpu.starts_with("CPU")) {
        return Err("the first line is no list of CPUs");
    }
    let irqs = lines.filter_map(|line| parse_irq(line, cpus.len())).collect();
    Ok(Table { cpus, irqs })
}

/// As in `24: 6540 0 IR-PCI-MSI 327680-edge xhci_hcd`; `None` if a counter is no number.
fn parse_irq(line: &str, cpus: usize) -> Option<Irq> {
    let mut words = line.split_ascii_whitespace().peekable();
    let name = words.next()?.strip_suffix(':')?.to_owned();
    let mut counts = Vec::with_capacity(cpus);
    while counts.len() < cpus && words.peek().is_some() {
        counts.push(words.next()?.parse().ok()?);
    }
    let rest: Vec<_> = words.collect();
    let (kind, device) = match rest.split_first() {
        Some((first, rest)) if name.bytes().all(|b| b.is_ascii_digit()) => {
            ((*first).to_owned(), rest.join(" "))
        }
        _ => (rest.join(" "), String::new()),
    };
    Some(Irq { name, kind, device, counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPTS: &str = "\
            CPU0       CPU2
   0:        134          0   IO-APIC   2-edge      timer
 NMI:          3          4   Non-maskable interrupts
 ERR:          5
  99:          x          1   IO-APIC   9-fasteoi   acpi
  no colon     1          2
";

    fn gather(cpu_as_tag: bool) -> Vec<Metric> {
        let input = Interrupts { cpu_as_tag, paths: HostPaths::default() };
        let mut acc = Accumulator::new(0);
        input.add(&mut acc, "interrupts", &parse(INTERRUPTS).expect("valid"));
        acc.into_parts().0
    }

    fn line(metric: &Metric) -> String {
        let tags = metric.tags().iter().map(|(k, v)| format!("{k}={v}"));
        let fields = metric.fields().iter().map(|(k, v)| format!("{k}={v:?}"));
        tags.chain(fields).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn a_field_for_each_cpu_under_its_own_number() {
        let lines: Vec<_> = gather(false).iter().map(line).collect();
        let expected = [
            "device=2-edge timer,irq=0,type=IO-APIC,CPU0=Integer(134),CPU2=Integer(0),total=Integer(134)",
            "irq=NMI,type=Non-maskable interrupts,CPU0=Integer(3),CPU2=Integer(4),total=Integer(7)",
            "irq=ERR,CPU0=Integer(5),total=Integer(5)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_point_for_each_cpu() {
        let lines: Vec<_> = gather(true).iter().map(line).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[1], "cpu=cpu2,device=2-edge timer,irq=0,type=IO-APIC,count=Integer(0)");
        assert_eq!(lines[4], "cpu=cpu0,irq=ERR,count=Integer(5)");
    }

    #[test]
    fn a_file_without_cpus_is_refused() {
        assert!(parse("").is_err());
        assert!(parse("0: 1 2 timer\n").is_err());
    }
}
