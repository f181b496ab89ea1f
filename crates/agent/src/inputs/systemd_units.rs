//! `systemd_units`: the state of systemd's units, and on request their restarts, processes and memory.

mod codes;

use std::time::Duration;

use super::systemd::{Properties, Systemd, Unit};
use super::users;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::net::dbus::Value;

/// The input.
#[derive(Debug)]
struct SystemdUnits {
    patterns: Vec<String>,
    /// With a dot before it.
    suffix: String,
    address: String,
    /// Whose units they are, if not the system's.
    user: Option<String>,
    disabled: bool,
    details: bool,
    timeout: Duration,
    /// Kept while it works.
    systemd: Option<Systemd>,
}

/// Types of units whose processes systemd keeps apart, and the interface that tells about them.
const INTERFACES: [(&str, &str); 6] = [
    (".service", "Service"),
    (".socket", "Socket"),
    (".mount", "Mount"),
    (".swap", "Swap"),
    (".slice", "Slice"),
    (".scope", "Scope"),
];

/// Fields of details, and systemd's properties.
const DETAILS: [(&str, &str); 7] = [
    ("restarts", "NRestarts"),
    ("pid", "MainPID"),
    ("mem_current", "MemoryCurrent"),
    ("mem_peak", "MemoryPeak"),
    ("swap_current", "MemorySwapCurrent"),
    ("swap_peak", "MemorySwapPeak"),
    ("mem_avail", "MemoryAvailable"),
];

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let pattern = section.string("pattern")?.filter(|pattern| !pattern.trim().is_empty());
    let pattern = pattern.unwrap_or_else(|| "*".to_owned());
    let unittype = section.string("unittype")?.filter(|kind| !kind.is_empty());
    let unittype = unittype.unwrap_or_else(|| "service".to_owned());
    if !codes::TYPES.contains(&unittype.as_str()) {
        let reason = format!("{unittype:?} is none of {}", codes::TYPES.join(", "));
        return Err(section.bad("unittype", reason));
    }
    let (address, user) = match section.string("scope")?.as_deref() {
        None | Some("" | "system") => (context.paths.system_bus(), None),
        Some("user") => (context.paths.user_bus(), Some(users::own_name(&context.paths))),
        Some(other) => {
            return Err(section.bad("scope", format!("{other:?} is neither \"system\" nor \"user\"")));
        }
    };
    let timeout = section.duration("timeout")?.filter(|&nanos| nanos > 0).unwrap_or(5_000_000_000);
    section.without_effect("subcommand", "units are asked for over D-Bus; `details` says how much of them");
    Ok(Box::new(SystemdUnits {
        patterns: pattern.split_ascii_whitespace().map(str::to_owned).collect(),
        suffix: format!(".{unittype}"),
        address,
        user,
        disabled: section.boolean("collect_disabled_units")?.unwrap_or(false),
        details: section.boolean("details")?.unwrap_or(false),
        timeout: Duration::from_nanos(timeout.unsigned_abs()),
        systemd: None,
    }))
}

impl Input for SystemdUnits {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let mut systemd = match self.systemd.take() {
            Some(mut systemd) => {
                systemd.within(self.timeout);
                systemd
            }
            None => Systemd::connect_to(&self.address, self.timeout)?,
        };
        self.units(&mut systemd, acc)?;
        // After an error there would be no telling what else the connection still has to say.
        self.systemd = Some(systemd);
        Ok(())
    }
}

impl SystemdUnits {
    fn units(&self, systemd: &mut Systemd, acc: &mut Accumulator) -> Result<(), GatherError> {
        let units = systemd.units(&self.patterns)?;
        for unit in units.iter().filter(|unit| unit.name.ends_with(&self.suffix)) {
            let metric = match self.point(acc, unit) {
                Ok(metric) => metric,
                Err(error) => {
                    acc.report(error);
                    continue;
                }
            };
            if self.details {
                self.details(systemd, acc, metric, unit)?;
            } else {
                acc.add(metric);
            }
        }
        if self.disabled {
            let loaded = |name: &String| units.iter().any(|unit| unit.name == *name);
            for name in systemd.disabled(&self.patterns)? {
                // A template is no unit until it has an instance.
                if name.ends_with(&self.suffix) && !name.contains("@.") && !loaded(&name) {
                    self.add_disabled(systemd, acc, &name)?;
                }
            }
        }
        Ok(())
    }

    fn point(&self, acc: &Accumulator, unit: &Unit) -> Result<Metric, GatherError> {
        let code = |kind: &str, word: &str, code: Option<i64>| {
            code.ok_or_else(|| GatherError::Service {
                service: format!("systemd's {}", unit.name),
                reason: format!("its {kind} state {word:?} has no code"),
            })
        };
        let metric = acc
            .metric("systemd_units")
            .tag("name", unit.name.as_str())
            .tag("load", unit.load.as_str())
            .tag("active", unit.active.as_str())
            .tag("sub", unit.sub.as_str())
            .field("load_code", code("load", &unit.load, codes::load(&unit.load))?)
            .field("active_code", code("active", &unit.active, codes::active(&unit.active))?)
            .field("sub_code", code("sub", &unit.sub, codes::sub(&unit.sub))?);
        Ok(match &self.user {
            Some(user) => metric.tag("user", user.as_str()),
            None => metric,
        })
    }

    fn details(
        &self,
        systemd: &mut Systemd,
        acc: &mut Accumulator,
        mut metric: Metric,
        unit: &Unit,
    ) -> Result<(), GatherError> {
        let of_unit = systemd.properties(&unit.path, "Unit")?;
        file_tags(&mut metric, &of_unit);
        let interface = INTERFACES.iter().find(|(suffix, _)| *suffix == self.suffix);
        let of_type = match interface {
            Some((_, interface)) => systemd.properties(&unit.path, interface)?,
            None => Properties::new(),
        };
        let errno = match of_type.get("StatusErrno") {
            Some(Value::Signed(number)) => *number,
            _ => 0,
        };
        metric.set_field("status_errno", errno);
        for (field, property) in DETAILS {
            metric.set_field(field, number(&of_type, property));
        }
        metric.set_field("active_enter_timestamp_us", number(&of_unit, "ActiveEnterTimestamp"));
        acc.add(metric);
        Ok(())
    }

    /// A unit that is not loaded has its states from its properties.
    fn add_disabled(
        &self,
        systemd: &mut Systemd,
        acc: &mut Accumulator,
        name: &str,
    ) -> Result<(), GatherError> {
        let path = systemd.load(name)?;
        let properties = systemd.properties(&path, "Unit")?;
        let text = |property| text(&properties, property).unwrap_or_default().to_owned();
        let unit = Unit {
            name: name.to_owned(),
            load: text("LoadState"),
            active: text("ActiveState"),
            sub: text("SubState"),
            path,
        };
        match self.point(acc, &unit) {
            Ok(metric) if self.details => self.details(systemd, acc, metric, &unit)?,
            Ok(mut metric) => {
                file_tags(&mut metric, &properties);
                acc.add(metric);
            }
            Err(error) => acc.report(error),
        }
        Ok(())
    }
}

/// Whether the unit's file is enabled, and whether its vendor would have it so.
fn file_tags(metric: &mut Metric, properties: &Properties) {
    for (tag, property) in [("state", "UnitFileState"), ("preset", "UnitFilePreset")] {
        if let Some(value) = text(properties, property).filter(|value| !value.is_empty()) {
            metric.set_tag(tag, value);
        }
    }
}

fn text<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    properties.get(name)?.text()
}

/// What is not set is the largest number there is, or missing: 0.
fn number(properties: &Properties, name: &str) -> u64 {
    match properties.get(name) {
        Some(Value::Unsigned(number)) if *number != u64::MAX => *number,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_make_no_sense_are_refused() {
        for options in ["unittype = 'sevice'", "scope = 'global'"] {
            let mut section = crate::config::section_for_tests(options);
            assert!(build(&mut section, &Context::default()).is_err(), "{options}");
        }
    }

    #[test]
    fn unset_numbers_are_none() {
        let properties = Properties::from([
            ("MemoryCurrent".to_owned(), Value::Unsigned(u64::MAX)),
            ("NRestarts".to_owned(), Value::Unsigned(3)),
        ]);
        assert_eq!(number(&properties, "MemoryCurrent"), 0);
        assert_eq!(number(&properties, "NRestarts"), 3);
        assert_eq!(number(&properties, "MainPID"), 0);
    }

    #[test]
    fn without_a_bus_the_error_names_it() {
        let paths = crate::paths::HostPaths::from_env(&|name| {
            (name == "DBUS_SYSTEM_BUS_ADDRESS").then(|| "unix:path=/nonexistent/bus".to_owned())
        });
        let mut section = crate::config::section_for_tests("");
        let mut input = build(&mut section, &Context::new(paths)).expect("valid");
        let error = input.gather(&mut Accumulator::new(0)).expect_err("no bus");
        assert!(error.to_string().contains("/nonexistent/bus"), "{error}");
    }
}
