//! The pipeline with processors and aggregators made for it.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::aggregator::Aggregator;
use crate::config::{
    AgentSettings, AggregatorOptions, ConfiguredAggregator, Fingerprint, PluginId, ProcessorOptions,
    section_for_tests,
};
use crate::metric::Delivered;
use crate::processor::Processor;

const S: i64 = 1_000_000_000;

/// Appends its word to the tag `path`, and tells as `held` how many it saw when it is drained.
#[derive(Debug)]
struct Marks(&'static str, i64);

impl Processor for Marks {
    fn apply(&mut self, mut metric: Metric, _: i64, out: &mut Vec<Metric>) {
        assert_ne!(metric.name, "poison", "a bug");
        self.1 += 1;
        let path = format!("{}{}", metric.tag_value("path").unwrap_or_default(), self.0);
        metric.set_tag("path", path);
        out.push(metric);
    }

    fn drain(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        out.push(Metric::new("held", now_ns).tag("path", self.0).field("seen", self.1));
    }
}

/// Counts.
#[derive(Debug, Default)]
struct Counts(i64, bool);

impl Aggregator for Counts {
    fn add(&mut self, metric: &Metric) {
        assert_ne!(metric.name, "poison", "a bug");
        self.0 += metric.fields().len() as i64;
    }
    fn push(&mut self, now_ns: i64, out: &mut Vec<Metric>) {
        out.push(Metric::new("count", now_ns + 7).tag("own", "x").field("n", self.0));
    }
    fn reset(&mut self) {
        self.0 = 0;
    }
    fn keeps_times(&self) -> bool {
        self.1
    }
}

fn id(kind: &'static str) -> PluginId {
    PluginId { kind, name: "test", alias: None }
}

fn processor(word: &'static str, options: &str) -> ConfiguredProcessor {
    ConfiguredProcessor {
        id: id("processors"),
        fingerprint: Fingerprint::of_text(word),
        options: ProcessorOptions::from_section(&mut section_for_tests(options)).expect("valid"),
        processor: Box::new(Marks(word, 0)),
        after_aggregators: Box::new(Marks(word, 0)),
    }
}

fn aggregator(options: &str) -> ConfiguredAggregator {
    ConfiguredAggregator {
        id: id("aggregators"),
        fingerprint: Fingerprint::default(),
        options: AggregatorOptions::from_section(&mut section_for_tests(options)).expect("valid"),
        aggregator: Box::new(Counts::default()),
    }
}

fn pipeline(
    processors: Vec<ConfiguredProcessor>,
    aggregators: Vec<ConfiguredAggregator>,
    agent: &AgentSettings,
) -> Pipeline {
    let mut config = Config { processors, aggregators, agent: agent.clone(), ..Config::default() };
    Pipeline::new(&mut config, 1003 * S)
}

fn metric(name: &'static str, time: i64) -> Metric {
    Metric::new(name, time).field("a", 1_i64).field("b", 2_i64)
}

fn apply(pipeline: &mut Pipeline, metrics: Vec<Metric>, now: i64) -> Vec<String> {
    let mut out = Vec::new();
    pipeline.apply(metrics, now, &mut out);
    out.iter().map(text).collect()
}

fn finish(pipeline: &mut Pipeline, now: i64) -> Vec<String> {
    let mut out = Vec::new();
    pipeline.finish(now, &mut out);
    out.iter().map(text).collect()
}

fn text(metric: &Metric) -> String {
    let mut text = String::new();
    crate::line::append(&mut text, metric, true, Default::default()).expect("a line");
    text.trim_end().to_owned()
}

#[test]
fn processors_run_by_order_and_equal_ones_by_place() {
    let all = vec![processor("a", "order = 2"), processor("b", "order = -1"), processor("c", "order = 2")];
    let mut pipeline = pipeline(all, vec![], &AgentSettings::default());
    assert_eq!(apply(&mut pipeline, vec![metric("m", 5)], S), ["m,path=bac a=1i,b=2i 5"]);
}

#[test]
fn what_a_processor_does_not_select_passes_and_modifiers_act_on_what_it_does() {
    let all = vec![processor("a", "namepass = ['m']\nfieldexclude = ['a']\ntagexclude = ['t']")];
    let mut pipeline = pipeline(all, vec![], &AgentSettings::default());
    let metrics = vec![metric("other", 1).tag("t", "1"), metric("m", 2).tag("t", "1")];
    assert_eq!(apply(&mut pipeline, metrics, S), ["other,t=1 a=1i,b=2i 1", "m,path=a b=2i 2"]);
    let gone = vec![Metric::new("m", 3).field("a", 1_i64)];
    assert!(apply(&mut pipeline, gone, S).is_empty(), "no field is left of it");
}

#[test]
fn what_is_drained_passes_the_processors_behind() {
    let mut pipeline =
        pipeline(vec![processor("a", ""), processor("b", "")], vec![], &AgentSettings::default());
    apply(&mut pipeline, vec![metric("m", 1)], S);
    assert_eq!(finish(&mut pipeline, 9), ["held,path=ab seen=1i 9", "held,path=b seen=2i 9"]);
}

#[test]
fn a_processor_that_panics_costs_one_metric() {
    let mut pipeline = pipeline(vec![processor("a", "")], vec![], &AgentSettings::default());
    let metrics = vec![metric("m", 1), metric("poison", 2), metric("m", 3)];
    assert_eq!(apply(&mut pipeline, metrics, S), ["m,path=a a=1i,b=2i 1", "m,path=a a=1i,b=2i 3"]);
}

#[test]
fn aggregates_come_at_the_windows_end_through_the_processors_once_more() {
    let mut pipeline = pipeline(vec![processor("p", "")], vec![aggregator("")], &AgentSettings::default());
    assert_eq!(pipeline.next_end(), Some(1020 * S));
    let first = apply(&mut pipeline, vec![metric("m", 1010 * S)], 1010 * S);
    assert_eq!(first, ["m,path=p a=1i,b=2i 1010000000000"], "the original goes on");
    // The batch of the next window closes the first one, before it is looked at.
    let second = apply(&mut pipeline, vec![metric("m", 1021 * S)], 1021 * S);
    assert_eq!(
        second,
        ["count,own=x,path=p n=2i 1020000000000", "m,path=p a=1i,b=2i 1021000000000"],
        "rounded to the second"
    );
    let last = finish(&mut pipeline, 1030 * S);
    assert_eq!(
        last,
        [
            "held,path=p seen=2i 1030000000000",
            // The processors' last metric is of the window as well.
            "count,own=x,path=p n=3i 1030000000000",
            "held,path=p seen=2i 1030000000000",
        ]
    );
}

#[test]
fn processors_may_be_left_out_before_or_after_aggregators() {
    let agent = AgentSettings { skip_processors_before_aggregators: true, ..AgentSettings::default() };
    let mut before = pipeline(vec![processor("p", "")], vec![aggregator("")], &agent);
    assert_eq!(apply(&mut before, vec![metric("m", 1010 * S)], 1010 * S), ["m a=1i,b=2i 1010000000000"]);
    assert_eq!(finish(&mut before, 1011 * S)[0], "count,own=x,path=p n=2i 1011000000000");
    let agent = AgentSettings { skip_processors_after_aggregators: true, ..AgentSettings::default() };
    let mut after = pipeline(vec![processor("p", "")], vec![aggregator("")], &agent);
    apply(&mut after, vec![metric("m", 1010 * S)], 1010 * S);
    assert!(finish(&mut after, 1011 * S).contains(&"count,own=x n=3i 1011000000000".to_owned()));
}

#[test]
fn drop_original_takes_what_is_selected_in_time_or_not() {
    let options = "drop_original = true\nnamepass = ['m']\nfieldexclude = ['a']\nname_prefix = 'sum_'\n[tags]\nown = 'no'\nmore = 'y'";
    let mut pipeline = pipeline(vec![], vec![aggregator(options)], &AgentSettings::default());
    let metrics = vec![
        metric("m", 1010 * S),
        metric("m", 900 * S),
        metric("other", 1010 * S),
        Metric::new("m", 1010 * S).field("a", 1_i64),
    ];
    assert_eq!(apply(&mut pipeline, metrics, 1010 * S), ["other a=1i,b=2i 1010000000000"]);
    assert_eq!(
        finish(&mut pipeline, 1011 * S),
        ["sum_count,more=y,own=x n=1i 1011000000000"],
        "modifiers apply to what is aggregated; tags fill in what is absent"
    );
}

#[test]
fn times_that_an_aggregator_keeps_are_not_rounded() {
    let mut configured = aggregator("");
    configured.aggregator = Box::new(Counts(0, true));
    let mut pipeline = pipeline(vec![], vec![configured], &AgentSettings::default());
    assert_eq!(finish(&mut pipeline, 1011 * S), ["count,own=x n=0i 1011000000007"]);
}

#[test]
fn an_aggregator_that_panics_costs_only_its_own_metric() {
    let mut pipeline = pipeline(vec![], vec![aggregator("")], &AgentSettings::default());
    let metrics = vec![metric("poison", 1010 * S), metric("m", 1010 * S)];
    assert_eq!(apply(&mut pipeline, metrics, 1010 * S).len(), 2, "the originals go on");
    assert_eq!(finish(&mut pipeline, 1011 * S), ["count,own=x n=2i 1011000000000"]);
}

#[test]
fn a_source_learns_when_what_became_of_its_metric_is_gone() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    let mut tracked = metric("m", 1010 * S);
    tracked.track(Delivered::new(move || {
        seen.fetch_add(1, Ordering::Relaxed);
    }));
    let filtered = aggregator("fieldexclude = ['a']");
    let mut pipeline =
        pipeline(vec![processor("p", "tagexclude = ['x']")], vec![filtered], &AgentSettings::default());
    let mut out = Vec::new();
    pipeline.apply(vec![tracked], 1010 * S, &mut out);
    assert_eq!((out.len(), calls.load(Ordering::Relaxed)), (1, 0), "the original is on its way");
    out.clear();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_successor_goes_on_with_what_both_have() {
    let agent = AgentSettings::default();
    let mut gone = aggregator("name_prefix = 'old_'");
    gone.id.alias = Some("gone".to_owned());
    let mut old =
        pipeline(vec![processor("a", ""), processor("b", "order = 1")], vec![aggregator(""), gone], &agent);
    apply(&mut old, vec![metric("m", 1010 * S)], 1010 * S);
    let mut new =
        pipeline(vec![processor("b", ""), processor("c", "order = 1")], vec![aggregator("")], &agent);
    let mut out = Vec::new();
    new.inherit(old, 1012 * S, &mut out);
    let told: Vec<_> = out.iter().map(text).collect();
    assert_eq!(
        told,
        [
            "held,path=ab seen=1i 1012000000000",
            "old_count,own=x,path=ab n=3i 1012000000000",
            "held,path=ab seen=1i 1012000000000"
        ],
        "what is gone gives out what it held, the old way"
    );
    let last = finish(&mut new, 1013 * S);
    assert!(last.contains(&"held,path=bc seen=2i 1013000000000".to_owned()), "b remembers: {last:?}");
    // Two fields of `m`, one of what `a` held, and those of what is held at the end.
    assert!(
        last.contains(&"count,own=x,path=bc n=5i 1013000000000".to_owned()),
        "the window goes on: {last:?}"
    );
}
