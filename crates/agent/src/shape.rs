//! What happens to a metric between its input and the buffers, and between them and an output:
//! selection, names, tags, modifiers. Pure; the order is the original's and users rely on it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{AgentSettings, InputOptions, OutputOptions, TimeSource};
use crate::metric::Metric;
use crate::schedule::round_time;

/// Finishes the metrics of one input.
#[derive(Debug)]
pub(crate) struct InputShape {
    options: InputOptions,
    global_tags: Arc<BTreeMap<String, String>>,
    precision: i64,
    restore_local: bool,
    restore_global: bool,
}

impl InputShape {
    /// `precision` is the unit of timestamps in nanoseconds.
    pub(crate) fn new(
        options: InputOptions,
        global_tags: Arc<BTreeMap<String, String>>,
        agent: &AgentSettings,
        precision: i64,
    ) -> Self {
        Self {
            options,
            global_tags,
            precision,
            restore_local: agent.always_include_local_tags,
            restore_global: agent.always_include_global_tags,
        }
    }

    /// The same for a metric of a collection that began and ended then, one of which its time may have to be.
    pub(crate) fn apply_collected(&self, metric: Metric, began_ns: i64, ended_ns: i64) -> Option<Metric> {
        let mut metric = self.apply(metric)?;
        match self.options.time_source {
            TimeSource::Metric => {}
            TimeSource::CollectionStart => metric.time_ns = began_ns,
            TimeSource::CollectionEnd => metric.time_ns = ended_ns,
        }
        Some(metric)
    }

    /// The metric as it goes into the buffers; `None` where the filters leave nothing of it.
    ///
    /// 1. The time is rounded.
    /// 2. Selectors see the original name and the input's own tags.
    /// 3. The name changes.
    /// 4. The plugin's `tags`, then the global tags fill in what is absent.
    /// 5. Modifiers see all of it.
    pub(crate) fn apply(&self, mut metric: Metric) -> Option<Metric> {
        metric.time_ns = round_time(metric.time_ns, self.precision);
        if !self.options.filter.selects(&metric) {
            return None;
        }
        self.options.rename.apply(&mut metric);
        fill(&mut metric, &self.options.tags);
        fill(&mut metric, &self.global_tags);
        if self.options.filter.modifies() {
            self.options.filter.modify(&mut metric);
            if self.restore_local {
                fill(&mut metric, &self.options.tags);
            }
            if self.restore_global {
                fill(&mut metric, &self.global_tags);
            }
        }
        (!metric.fields().is_empty()).then_some(metric)
    }
}

/// Gives the metric the tags it does not carry.
pub(crate) fn fill(metric: &mut Metric, tags: &BTreeMap<String, String>) {
    for (key, value) in tags {
        metric.set_tag_if_absent(key, value);
    }
}

/// What of the agent's metrics an output takes, and how. Metrics that it takes unchanged are shared.
pub(crate) fn for_output(options: &OutputOptions, metric: &Arc<Metric>) -> Option<Arc<Metric>> {
    if !options.filter.selects(metric) {
        return None;
    }
    let mut own = Cow::Borrowed(metric.as_ref());
    if options.filter.modifies() {
        options.filter.modify(own.to_mut());
        if own.fields().is_empty() {
            return None;
        }
    }
    if !options.rename.is_identity() {
        options.rename.apply(own.to_mut());
    }
    match own {
        Cow::Borrowed(_) => Some(Arc::clone(metric)),
        Cow::Owned(changed) => Some(Arc::new(changed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn shape(options: &str, agent: &str) -> InputShape {
        let text = format!("[agent]\n{agent}\n[[inputs.mem]]\n{options}");
        let mut config = Config::parse_with(&text, "t.conf", &|_| None).expect("valid");
        let tags =
            BTreeMap::from([("dc".to_owned(), "north".to_owned()), ("host".to_owned(), "h1".to_owned())]);
        InputShape::new(config.inputs.remove(0).options, Arc::new(tags), &config.agent, 1_000_000_000)
    }

    fn metric() -> Metric {
        Metric::new("mem", 1_600_000_000).tag("host", "own").field("free", 1_u64).field("used", 2_u64)
    }

    fn tags(metric: &Metric) -> Vec<String> {
        metric.tags().iter().map(|(k, v)| format!("{k}={v}")).collect()
    }

    #[test]
    fn the_inputs_own_tag_wins_over_the_plugins_and_that_over_the_global_one() {
        let shape = shape("[inputs.mem.tags]\nhost = 'plugin'\ndc = 'south'\nrack = 'r7'", "");
        let m = shape.apply(metric()).expect("passes");
        assert_eq!(tags(&m), ["dc=south", "host=own", "rack=r7"]);
        assert_eq!(m.time_ns, 2_000_000_000, "rounded half up");
    }

    #[test]
    fn names_are_overridden_then_wrapped_and_selectors_see_the_old_one() {
        let shape =
            shape("name_override = 'memory'\nname_prefix = 'a_'\nname_suffix = '_z'\nnamepass = ['mem']", "");
        assert_eq!(shape.apply(metric()).expect("passes").name, "a_memory_z");
    }

    #[test]
    fn selectors_do_not_see_global_tags_and_modifiers_do() {
        assert!(shape("[inputs.mem.tagpass]\ndc = ['north']", "").apply(metric()).is_none());
        let m = shape("tagexclude = ['dc']", "").apply(metric()).expect("passes");
        assert_eq!(tags(&m), ["host=own"]);
        let m = shape("tagexclude = ['dc']", "always_include_global_tags = true")
            .apply(metric())
            .expect("passes");
        assert_eq!(tags(&m), ["dc=north", "host=own"]);
    }

    #[test]
    fn selectors_see_the_rounded_time() {
        let at_two = "metricpass = \"time == timestamp('1970-01-01T00:00:02Z')\"";
        assert!(shape(at_two, "").apply(metric()).is_some(), "of 1.6 s two are made");
    }

    #[test]
    fn a_metric_that_loses_every_field_is_gone() {
        assert!(shape("fieldexclude = ['*']", "").apply(metric()).is_none());
    }

    #[test]
    fn the_time_may_be_the_collections() {
        for (source, time) in [
            ("metric", 2_000_000_000),
            ("collection_start", 1_700_000_001),
            ("collection_end", 1_800_000_002),
        ] {
            let shape = shape(&format!("time_source = '{source}'"), "");
            let metric = shape.apply_collected(metric(), 1_700_000_001, 1_800_000_002).expect("passes");
            assert_eq!(metric.time_ns, time, "{source}; not rounded");
        }
    }

    #[test]
    fn an_output_takes_its_own_view() {
        let text = "[[outputs.file]]\nfieldinclude = ['used']\nname_prefix = 'x_'\n[[outputs.file]]\n[[outputs.file]]\nnamedrop=['m*']";
        let config = Config::parse_with(text, "t.conf", &|_| None).expect("valid");
        let metric = Arc::new(metric());
        let [changed, same, none] =
            config.outputs.iter().map(|o| for_output(&o.options, &metric)).collect::<Vec<_>>()[..]
                .to_vec()
                .try_into()
                .expect("three");
        let changed: Arc<Metric> = changed.expect("passes");
        assert_eq!((changed.name.as_ref(), changed.fields().len()), ("x_mem", 1));
        assert!(Arc::ptr_eq(&same.expect("passes"), &metric), "shared when unchanged");
        assert!(none.is_none());
    }
}
