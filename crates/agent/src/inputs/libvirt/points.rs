//! From what libvirt told of a domain to points: the original's, and what options of ours add. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use skywatch_model::FieldValue;

use super::details::Details;
use super::keys::{Place, route};
use crate::input::Accumulator;
use crate::metric::Metric;

/// A domain as libvirt told of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Domain {
    pub(super) name: String,
    pub(super) uuid: String,
    /// In libvirt's order.
    pub(super) params: Vec<(String, FieldValue)>,
    /// Empty unless asked for.
    pub(super) pins: Vec<Pin>,
    /// Read only if some of it is to be a tag.
    pub(super) details: Option<Arc<Details>>,
    /// Why something of the above is missing, in libvirt's words.
    pub(super) problem: Option<String>,
}

/// Where a vCPU may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    pub(super) vcpu: u32,
    /// The host's CPUs.
    pub(super) cpus: Vec<usize>,
    /// Where it runs now; `None` for a domain that does not.
    pub(super) current: Option<u32>,
}

/// How points differ from the original's.
#[derive(Debug, Clone, Default)]
pub(super) struct PointOptions {
    pub(super) uuid_tag: bool,
    pub(super) title_tag: bool,
    /// What OpenStack's nova wrote into the domain's metadata.
    pub(super) nova_tags: bool,
    /// The domain's state in words.
    pub(super) state_tag: bool,
    /// The name of a disk or an interface: unlike its index, it outlives a hot-unplug.
    pub(super) device_tag: bool,
    /// The file or device behind a disk.
    pub(super) path_tag: bool,
    /// `halted` as `yes` or `no`, as documented; otherwise as 0 or 1, which the original really sends.
    pub(super) halted_as_text: bool,
    /// A second field for `time` of CPUs, since InfluxDB keeps no field of that name.
    pub(super) cpu_time_field: Option<Cow<'static, str>>,
    /// Also statistics that the original does not know.
    pub(super) extended: bool,
    /// Whether the state group was asked for; it is read for the tag, too.
    pub(super) state_group: bool,
    /// Whether the vcpu group was asked for; only then do vCPUs tell where they run.
    pub(super) vcpu_group: bool,
}

/// Adds a domain's points.
pub(super) fn add_points(acc: &mut Accumulator, domain: &Domain, options: &PointOptions) {
    let base = base(acc, domain, options);
    let mut points = Points { base, options, points: Vec::new() };
    for (key, value) in &domain.params {
        if let Some((place, field)) = route(key, options.extended) {
            points.set(place, field, value);
        }
    }
    domain.pins.iter().for_each(|pin| points.pin(pin));
    points.points.into_iter().for_each(|(_, metric)| acc.add(metric));
}

/// A metric with the tags that all points of a domain have.
fn base(acc: &Accumulator, domain: &Domain, options: &PointOptions) -> Metric {
    let mut metric = acc.metric("libvirt").tag("domain_name", domain.name.as_str());
    let mut set = |key: &'static str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            metric.set_tag(key, value);
        }
    };
    if options.uuid_tag {
        set("uuid", Some(&domain.uuid));
    }
    if options.state_tag {
        set("domain_state", state_name(domain));
    }
    let Some(details) = &domain.details else { return metric };
    if options.title_tag {
        set("title", details.title.as_deref());
    }
    if let Some(nova) = details.nova.as_ref().filter(|_| options.nova_tags) {
        set("nova_name", nova.name.as_deref());
        set("nova_flavor", nova.flavor.as_deref());
        set("nova_project", nova.project.as_deref());
        set("nova_project_id", nova.project_id.as_deref());
    }
    metric
}

/// libvirt's `virDomainState`.
fn state_name(domain: &Domain) -> Option<&'static str> {
    let (_, state) = domain.params.iter().find(|(key, _)| key == "state.state")?;
    let FieldValue::Integer(state) = state else { return None };
    const NAMES: [&str; 8] =
        ["nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended"];
    NAMES.get(usize::try_from(*state).ok()?).copied()
}

/// A domain's points while they are put together.
struct Points<'a> {
    base: Metric,
    options: &'a PointOptions,
    points: Vec<(Place<'a>, Metric)>,
}

impl<'a> Points<'a> {
    fn set(&mut self, place: Place<'a>, field: Cow<'static, str>, value: &FieldValue) {
        let options = self.options;
        let measurement = place.measurement;
        if measurement == "libvirt_state" && !options.state_group {
            return;
        }
        let metric = self.point(place);
        match (measurement, field.as_ref(), value) {
            ("libvirt_vcpu", "halted", FieldValue::Integer(value)) => {
                let text = if *value == 0 { "no" } else { "yes" };
                let text = FieldValue::String(text.into());
                metric.set_field(
                    "halted",
                    if options.halted_as_text { text } else { FieldValue::Integer(*value) },
                );
                metric.set_field("halted_i", *value);
                return;
            }
            ("libvirt_block" | "libvirt_net", "name", FieldValue::String(name)) if options.device_tag => {
                metric.set_tag("device", name.as_ref());
            }
            ("libvirt_block", "path", FieldValue::String(path)) if options.path_tag => {
                metric.set_tag("device_path", path.as_ref());
            }
            ("libvirt_cpu" | "libvirt_vcpu", "time", value) => {
                if let Some(name) = &options.cpu_time_field {
                    metric.set_field(name.clone(), value.clone());
                }
            }
            _ => {}
        }
        metric.set_field(field, value.clone());
    }

    fn pin(&mut self, pin: &Pin) {
        let place = |measurement| Place::indexed(measurement, "vcpu_id", pin.vcpu.to_string());
        if !pin.cpus.is_empty() {
            let cpus: Vec<_> = pin.cpus.iter().map(ToString::to_string).collect();
            self.point(place("libvirt_cpu_affinity")).set_field("cpu_id", cpus.join(","));
        }
        if let Some(current) = pin.current.filter(|_| self.options.vcpu_group) {
            self.point(place("libvirt_vcpu")).set_field("cpu_id", i64::from(current));
        }
    }

    fn point(&mut self, place: Place<'a>) -> &mut Metric {
        // libvirt groups its parameters: the point is nearly always the last one.
        let at = match self.points.iter().rposition(|(known, _)| *known == place) {
            Some(at) => at,
            None => {
                let mut metric = self.base.child();
                metric.name = Cow::Borrowed(place.measurement);
                for (key, value) in place.tags.iter().flatten() {
                    metric.set_tag(*key, value.as_ref());
                }
                self.points.push((place, metric));
                self.points.len() - 1
            }
        };
        &mut self.points[at].1
    }
}

#[cfg(test)]
mod tests;
