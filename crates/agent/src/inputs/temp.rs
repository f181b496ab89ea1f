//! `temp`: the temperatures that the kernel's hardware monitoring knows, or else those of its thermal zones.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::paths::HostPaths;

/// The input.
#[derive(Debug)]
struct Temp {
    /// The older way of naming sensors, with a point for each limit as well.
    v1: bool,
    add_device_tag: bool,
    always_gather_zones: bool,
    paths: HostPaths,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let v1 = match section.string("metric_format")?.as_deref() {
        None | Some("" | "v2") => false,
        Some("v1") => true,
        Some(other) => {
            return Err(section.bad("metric_format", format!("{other:?} is neither \"v1\" nor \"v2\"")));
        }
    };
    Ok(Box::new(Temp {
        v1,
        add_device_tag: section.boolean("add_device_tag")?.unwrap_or(false),
        always_gather_zones: section.boolean("always_gather_zones")?.unwrap_or(false),
        paths: context.paths.clone(),
    }))
}

impl Input for Temp {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let mut sensors = hwmon(&self.paths.sys("class/hwmon"));
        if sensors.is_empty() || self.always_gather_zones {
            sensors.extend(zones(&self.paths.sys("class/thermal")));
        }
        for sensor in &sensors {
            if self.v1 { self.add_v1(acc, sensor) } else { self.add_v2(acc, sensor) }
        }
        Ok(())
    }
}

impl Temp {
    fn add_v2(&self, acc: &mut Accumulator, sensor: &Sensor) {
        let name = sensor.named("", |label| label.replace(' ', "_"));
        let metric = self.metric(acc, sensor, name).field("temp", sensor.degrees);
        acc.add(metric);
    }

    fn add_v1(&self, acc: &mut Accumulator, sensor: &Sensor) {
        let further = sensor.further.iter().map(|(kind, degrees)| (kind.as_str(), *degrees));
        for (kind, degrees) in [("input", sensor.degrees)].into_iter().chain(further) {
            let name = sensor.named(kind, |label| label.replace(' ', ""));
            let metric = self.metric(acc, sensor, name).field("temp", degrees);
            acc.add(metric);
        }
    }

    fn metric(&self, acc: &Accumulator, sensor: &Sensor, name: String) -> Metric {
        let metric = acc.metric("temp").tag("sensor", name);
        if self.add_device_tag && !sensor.device.is_empty() {
            metric.tag("device", sensor.device.as_str())
        } else {
            metric
        }
    }
}

/// What one sensor reads.
#[derive(Debug, PartialEq)]
struct Sensor {
    /// Of the chip or the zone.
    name: String,
    /// Which of the chip's; often empty.
    label: String,
    device: String,
    /// Celsius.
    degrees: f64,
    /// Limits and alarms (`crit`, `max`, `critalarm`), in the order of their names.
    further: Vec<(String, f64)>,
}

impl Sensor {
    /// `CHIP[_LABEL][_KIND]` in lower case.
    fn named(&self, kind: &str, label: impl Fn(&str) -> String) -> String {
        let mut name = self.name.clone();
        for part in [label(&self.label), kind.to_owned()].iter().filter(|part| !part.is_empty()) {
            name.push('_');
            name.push_str(part);
        }
        name.to_lowercase()
    }
}

/// Every `hwmon*/temp*_input`; drivers before Linux 3.15 have them in `hwmon*/device`.
fn hwmon(class: &Path) -> Vec<Sensor> {
    let mut sensors = Vec::new();
    for chip in entries(class, "hwmon") {
        let device = fs::read_link(chip.join("device")).ok();
        let device =
            device.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let device = device.unwrap_or_default();
        let inside = chip.join("device");
        let directory = [&chip, &inside].into_iter().find(|path| !inputs(path).is_empty());
        let Some(directory) = directory else { continue };
        let name = text(&directory.join("name")).unwrap_or_else(|| device.clone());
        for number in inputs(directory) {
            // A sensor that cannot be read now, as of a disk that sleeps, is left out.
            let Some(degrees) = millidegrees(&directory.join(format!("temp{number}_input"))) else {
                continue;
            };
            sensors.push(Sensor {
                name: name.clone(),
                label: text(&directory.join(format!("temp{number}_label"))).unwrap_or_default(),
                device: device.clone(),
                degrees,
                further: further(directory, number),
            });
        }
    }
    sensors
}

/// The numbers of a chip's temperatures.
fn inputs(directory: &Path) -> Vec<u32> {
    let number = |path: PathBuf| {
        path.file_name()?.to_str()?.strip_prefix("temp")?.strip_suffix("_input")?.parse::<u32>().ok()
    };
    let mut numbers: Vec<_> = entries(directory, "temp").into_iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// `temp1_crit` and all the other files of a temperature, with their underscores taken out.
fn further(directory: &Path, number: u32) -> Vec<(String, f64)> {
    let prefix = format!("temp{number}_");
    let read = |path: PathBuf| {
        let kind = path.file_name()?.to_str()?.strip_prefix(&prefix)?.to_owned();
        (!matches!(kind.as_str(), "input" | "label")).then_some(())?;
        Some((kind.replace('_', ""), millidegrees(&path)?))
    };
    entries(directory, &prefix).into_iter().filter_map(read).collect()
}

/// Every `thermal_zone*`, named by its type.
fn zones(class: &Path) -> Vec<Sensor> {
    let zone = |path: PathBuf| {
        Some(Sensor {
            name: text(&path.join("type"))?,
            label: String::new(),
            device: path.file_name()?.to_string_lossy().into_owned(),
            degrees: millidegrees(&path.join("temp"))?,
            further: Vec::new(),
        })
    };
    entries(class, "thermal_zone").into_iter().filter_map(zone).collect()
}

/// What a directory has whose name begins so, sorted; nothing if it does not exist.
fn entries(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_name().to_str()?.starts_with(prefix).then(|| entry.path())
    });
    let mut paths: Vec<_> = paths.collect();
    paths.sort();
    paths
}

fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}

fn millidegrees(path: &Path) -> Option<f64> {
    Some(text(path)?.parse::<i64>().ok()? as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(files: &[(&str, &str)], options: &str) -> Vec<String> {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (name, content) in files {
            let path = dir.path().join("class").join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("created");
            fs::write(path, content).expect("written");
        }
        let root = dir.path().display().to_string();
        let paths = HostPaths::from_env(&|name| (name == "HOST_SYS").then(|| root.clone()));
        let mut section = crate::config::section_for_tests(options);
        let mut input = build(&mut section, &Context::new(paths)).expect("valid");
        let mut acc = Accumulator::new(0);
        input.gather(&mut acc).expect("works");
        let show = |m: &Metric| format!("{}={:?}", m.tag_value("sensor").unwrap_or("-"), m.fields()[0].1);
        acc.into_parts().0.iter().map(show).collect()
    }

    const CHIP: [(&str, &str); 8] = [
        ("hwmon/hwmon0/name", "coretemp\n"),
        ("hwmon/hwmon0/temp1_input", "43000\n"),
        ("hwmon/hwmon0/temp1_label", "Package id 0\n"),
        ("hwmon/hwmon0/temp1_crit", "100000\n"),
        ("hwmon/hwmon0/temp1_crit_alarm", "0\n"),
        ("hwmon/hwmon0/temp10_input", "garbage\n"),
        ("thermal/thermal_zone0/type", "x86_pkg_temp\n"),
        ("thermal/thermal_zone0/temp", "-1500\n"),
    ];

    #[test]
    fn one_point_a_sensor() {
        assert_eq!(gather(&CHIP, ""), ["coretemp_package_id_0=Float(43.0)"]);
    }

    #[test]
    fn the_older_names_and_limits() {
        let expected = [
            "coretemp_packageid0_input=Float(43.0)",
            "coretemp_packageid0_crit=Float(100.0)",
            "coretemp_packageid0_critalarm=Float(0.0)",
        ];
        assert_eq!(gather(&CHIP, "metric_format = 'v1'"), expected);
    }

    #[test]
    fn zones_where_there_is_no_chip_or_on_request() {
        assert_eq!(gather(&CHIP[6..], ""), ["x86_pkg_temp=Float(-1.5)"]);
        assert_eq!(gather(&CHIP, "always_gather_zones = true").len(), 2);
        assert!(gather(&[], "").is_empty());
    }

    #[test]
    fn unknown_formats_are_refused() {
        let mut section = crate::config::section_for_tests("metric_format = 'v3'");
        assert!(build(&mut section, &Context::default()).is_err());
    }
}
