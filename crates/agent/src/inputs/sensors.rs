//! `sensors`: temperatures, fans and voltages as the tool `sensors` of lm-sensors tells them.

use std::process::Command;
use std::time::Duration;

use super::command;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};

/// The input.
#[derive(Debug)]
struct Sensors {
    remove_numbers: bool,
    timeout: Duration,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let timeout = section.duration("timeout")?.filter(|&nanos| nanos > 0).unwrap_or(5_000_000_000);
    Ok(Box::new(Sensors {
        remove_numbers: section.boolean("remove_numbers")?.unwrap_or(true),
        timeout: Duration::from_nanos(timeout.unsigned_abs()),
    }))
}

impl Input for Sensors {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let failed = |reason| GatherError::Service { service: "sensors -A -u".to_owned(), reason };
        let text =
            command::output(Command::new("sensors").args(["-A", "-u"]), self.timeout).map_err(failed)?;
        add(acc, &text, self.remove_numbers);
        Ok(())
    }
}

/// A chip's name, then its features each followed by its readings, and an empty line:
///
/// ```text
/// coretemp-isa-0000
/// Core 0:
///   temp2_input: 34.000
///   temp2_crit: 80.000
/// ```
fn add(acc: &mut Accumulator, text: &str, remove_numbers: bool) {
    let mut chip: Option<&str> = None;
    let mut metric = None;
    for line in text.lines() {
        if line.trim().is_empty() {
            metric.take().into_iter().for_each(|metric| acc.add(metric));
            chip = None;
        } else if let Some((name, value)) = line.strip_prefix("  ").and_then(|line| line.split_once(':')) {
            // One that cannot be read now costs the others nothing.
            let value = value.trim().parse::<f64>().ok().filter(|value| value.is_finite());
            if let (Some(metric), Some(value)) = (&mut metric, value) {
                metric.set_field(field(name.trim(), remove_numbers), value);
            }
        } else if let Some(chip) = chip {
            metric.take().into_iter().for_each(|metric| acc.add(metric));
            let feature = line.trim().trim_end_matches(':').replace(' ', "_").to_lowercase();
            metric = Some(acc.metric("sensors").tag("chip", chip).tag("feature", feature));
        } else {
            chip = Some(line.trim());
        }
    }
    metric.take().into_iter().for_each(|metric| acc.add(metric));
}

/// `temp2_crit_alarm` without numbers is `temp_crit_alarm`.
fn field(name: &str, remove_numbers: bool) -> String {
    name.chars().filter(|c| !remove_numbers || !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Metric;

    /// In the form lm-sensors 3.6 prints: a Xeon, an NVMe disk, and a board with voltages and a fan.
    const RECORDED: &str = include_str!("../../fixtures/sensors/xeon-nvme.txt");

    fn gather(text: &str, remove_numbers: bool) -> Vec<String> {
        let mut acc = Accumulator::new(0);
        add(&mut acc, text, remove_numbers);
        let show = |m: &Metric| {
            let tags = m.tags().iter().map(|(k, v)| format!("{k}={v}"));
            let fields = m.fields().iter().map(|(k, v)| format!("{k}={v:?}"));
            tags.chain(fields).collect::<Vec<_>>().join(" ")
        };
        acc.into_parts().0.iter().map(show).collect()
    }

    #[test]
    fn chips_features_and_their_readings() {
        let expected = [
            "chip=coretemp-isa-0000 feature=package_id_0 temp_input=Float(39.0) temp_max=Float(80.0) temp_crit=Float(90.0) temp_crit_alarm=Float(0.0)",
            "chip=coretemp-isa-0000 feature=core_0 temp_input=Float(34.0) temp_max=Float(80.0) temp_crit=Float(90.0) temp_crit_alarm=Float(0.0)",
            "chip=nvme-pci-4100 feature=composite temp_input=Float(36.85) temp_max=Float(76.85) temp_min=Float(-273.15) temp_crit=Float(84.85) temp_alarm=Float(0.0)",
            "chip=nct6779-isa-0a20 feature=vcore in_input=Float(0.864) in_min=Float(0.0) in_max=Float(1.744) in_alarm=Float(0.0)",
            "chip=nct6779-isa-0a20 feature=fan1 fan_input=Float(1203.0) fan_min=Float(0.0)",
        ];
        assert_eq!(gather(RECORDED, true), expected);
        assert!(gather(RECORDED, false)[1].contains(" temp2_input=Float(34.0)"));
    }

    #[test]
    fn what_is_no_reading_is_left_out() {
        let text = "chip\nfan1:\n  fan1_input: none\n  fan1_min: 1.5\nfan2:\n";
        assert_eq!(gather(text, true), ["chip=chip feature=fan1 fan_min=Float(1.5)"]);
        assert!(gather("", true).is_empty());
        assert!(gather("  temp1_input: 3\n", true).is_empty(), "of no chip");
    }
}
