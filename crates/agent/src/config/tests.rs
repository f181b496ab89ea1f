//! Whole configurations, right and wrong.

use std::fs;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse_with(text, "telegraf.conf", &|name| (name == "RACK").then(|| "r7".to_owned()))
}

fn errors(text: &str) -> Vec<String> {
    parse(text).expect_err("invalid").0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_as_people_write_them() {
    let config = parse(
        r#"
[global_tags]
  datacenter = "north" # user
  rack = "$RACK"
  row = 4

[agent]
  interval = "15s"
  round_interval = false
  metric_batch_size = 500
  metric_buffer_limit = 0
  collection_jitter = 1
  flush_interval = "1m30s"
  precision = ""
  debug = false
  logfile = ""
  omit_hostname = true
  skip_processors_after_aggregators = true

[[outputs.influxdb]]
  urls = ["http://a:8086", "http://b:8086"]
  database = "cloud"
  flush_interval = "5s"

[[inputs.cpu]]
  percpu = true
  fieldexclude = ["usage_guest*"]
[[inputs.cpu]]
  alias = "slow"
  interval = "1m"
  percpu = false
  [inputs.cpu.tags]
    kind = "total"
  [inputs.cpu.tagpass]
    cpu = ["cpu-total"]
[inputs.mem]
"#,
    )
    .expect("valid");
    assert_eq!(config.agent.flush_interval, 90_000_000_000);
    assert_eq!(config.agent.precision, 0, "empty as in old sample files");
    assert_eq!(config.inputs[1].options.tags["kind"], "total");
    assert!(config.agent.skip_processors_after_aggregators);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn processors_that_would_never_run_are_an_error() {
    let error =
        parse("[agent]\nskip_processors_after_aggregators = true\nskip_processors_before_aggregators = true")
            .expect_err("both");
    assert!(error.to_string().contains("no processor would ever run"), "{error}");
}

#[test]
fn plugins_options_and_defaults() {
    let config = parse(
        "[global_tags]\nrack = '${RACK}'\nrow = 4\n[agent]\ninterval = '15s'\nmetric_buffer_limit = 0\ncollection_jitter = 1\n\
         [[inputs.cpu]]\ninterval = 60\n[[inputs.cpu]]\nalias = 'slow'\ninterval = '1m'\n[inputs.mem]\n\
         [[outputs.influxdb]]\nflush_interval = '5s'\n",
    )
    .expect("valid");
    assert_eq!(config.global_tags["rack"], "r7");
    assert_eq!(config.global_tags["row"], "4");
    assert_eq!(config.agent.interval, 15_000_000_000);
    assert_eq!(config.agent.metric_buffer_limit, 10_000, "zero asks for the default");
    assert_eq!(config.agent.collection_jitter, 1_000_000_000, "a bare number counts seconds");
    assert_eq!(config.agent.flush_interval, 10_000_000_000);
    let ids: Vec<_> = config.inputs.iter().map(|input| input.id.to_string()).collect();
    assert_eq!(ids, ["inputs.cpu", "inputs.cpu::slow", "inputs.mem"]);
    assert_eq!(config.inputs[1].options.interval, Some(60_000_000_000));
    assert_eq!(config.outputs[0].options.flush_interval, Some(5_000_000_000));
    assert_eq!(
        config.warnings,
        [
            "telegraf.conf:9: `interval` in [inputs.cpu] is the number 60, which has no effect here, as in Telegraf: write \"60s\""
        ]
    );
}

#[test]
fn traps_are_told_of() {
    let config = parse(
        "[global_tags]\ndc = 'x'\n[[inputs.mem]]\nfieldexclude = ['{a,b}']\n[inputs.mem.tagdrop]\ndc = ['x']\nhost = ['y']\n[[inputs.disk]]\n",
    )
    .expect("valid");
    assert_eq!(config.warnings.len(), 3, "{:?}", config.warnings);
    assert!(
        config.warnings[0]
            .starts_with("telegraf.conf:4: `fieldexclude` in [inputs.mem] is compared to the letter")
    );
    assert!(config.warnings[1].contains("looks at `dc`, which comes from the global tags"));
    assert!(config.warnings[2].contains("looks at `host`"));
    assert!(
        config.hints[0]
            .starts_with("telegraf.conf:8: [inputs.disk] leaves out `ignore_fs`, which then is []")
    );
    let hidden = parse("[agent]\nomit_hostname = true\n[[inputs.mem]]\n[inputs.mem.tagpass]\nhost = ['y']\n");
    assert!(hidden.expect("valid").warnings.is_empty());
}

#[test]
fn secrets_are_refused_by_name() {
    let errors = errors("[[outputs.influxdb]]\npassword = '@{vault:influx}'\n");
    assert!(
        errors[0].contains("`password`") && errors[0].contains("the secret @{vault:influx}"),
        "{errors:?}"
    );
}

#[test]
fn common_options_of_plugins() {
    let text = "[[inputs.mem]]\nlog_level = 'debug'\nalias = 'a'\ntime_source = 'collection_end'\n[inputs.mem.labels]\nx = 'y'\n";
    assert_eq!(parse(text).expect("valid").log_levels(), [("inputs.mem::a".to_owned(), LogLevel::Debug)]);
    for (option, want) in [
        ("log_level = 'loud'", "\"loud\" is none of error, warn"),
        ("time_source = 'never'", "\"never\" is none of metric, collection_start"),
        ("collection_offset = '-1s'", "cannot be negative"),
    ] {
        let errors = errors(&format!("[[inputs.mem]]\n{option}\n"));
        assert!(errors[0].contains(want), "{errors:?}");
    }
}

#[test]
fn old_forms_still_load() {
    let config = parse("[tags]\ndc = 'x'\n[plugins.mem]\n[cpu]\n[io]\n[[inputs.io]]\n").expect("valid");
    assert_eq!(config.global_tags["dc"], "x");
    assert_eq!(config.inputs.len(), 4);
}

#[test]
fn every_fault_is_named_with_its_line() {
    let text = "[agent]\n  intervall = '10s'\n[[inputs.cpu]]\n  percpu = 'yes'\n[[inputs.smart]]\n[[outputs.loki]]\n\
                [[processors.lua]]\n[wrong]\n[[aggregators.minmax]]\n  period = '0s'\n";
    let errors = errors(text);
    assert!(
        errors[0].starts_with("telegraf.conf:2: unknown option `intervall` in [agent] (did you mean `interval`?); options that exist: ")
    );
    assert!(errors[0].contains("flush_interval, flush_jitter, hostname"));
    // The lists of plugins that exist grow; that they are there is enough.
    let rest: Vec<_> = errors[1..].iter().map(|error| error.split(" that exist: ").next()).collect();
    assert_eq!(
        rest,
        [
            Some("telegraf.conf:4: `percpu` in [inputs.cpu] must be true or false, not a string"),
            Some("telegraf.conf:5: unknown plugin inputs.smart; inputs"),
            Some("telegraf.conf:6: unknown plugin outputs.loki; outputs"),
            Some("telegraf.conf:7: unknown plugin processors.lua; processors"),
            Some(
                "telegraf.conf:8: unknown table [wrong]; known are [agent], [global_tags], [[inputs.NAME]], [[processors.NAME]], [[aggregators.NAME]], [[outputs.NAME]]"
            ),
            Some("telegraf.conf:10: `period` in [aggregators.minmax]: must be above zero"),
        ]
    );
}

#[test]
fn an_inputs_interval_of_nothing_is_the_agents() {
    let config = parse("[[inputs.mem]]\n  interval = '0s'\n").expect("valid");
    assert_eq!(config.inputs[0].options.interval, None);
}

#[test]
fn drop_original_may_be_a_text() {
    for (said, dropped) in
        [("'true'", true), ("'T'", true), ("'1'", true), ("'FALSE'", false), ("true", true)]
    {
        let text = format!("[[inputs.mem]]\n[[aggregators.minmax]]\n  drop_original = {said}\n");
        let config = parse(&text).expect("valid");
        assert_eq!(config.aggregators[0].options.drop_original, dropped, "{said}");
    }
    let errors = errors("[[aggregators.minmax]]\n  drop_original = 'yes'\n");
    assert!(errors[0].contains("must be true or false, not a string"), "{errors:?}");
}

#[test]
fn a_plugins_unknown_option_lists_those_there_are() {
    let errors = errors("[[inputs.mem]]\n  colect_extended = true\n");
    assert!(errors[0].starts_with(
        "telegraf.conf:2: unknown option `colect_extended` in [inputs.mem] (did you mean `collect_extended`?); options that exist: "
    ));
    assert!(errors[0].contains("collect_extended"));
}

#[test]
fn wrong_values() {
    for (text, want) in [
        (
            "[agent]\ninterval = 'soon'",
            ":2: `interval` in [agent]: no duration; write it like \"10s\" or \"1h30m\"",
        ),
        (
            "[agent]\ncollection_offset = '-1s'",
            ":2: `collection_offset` in [agent]: a duration cannot be negative",
        ),
        ("[agent]\nmetric_batch_size = -1", ":2: `metric_batch_size` in [agent]: -1 is negative"),
        (
            "[[inputs.net]]\ninterfaces = [1]",
            ":2: `interfaces` in [inputs.net] must be a list of strings, not an integer",
        ),
        (
            "[[inputs.net]]\ninterfaces = ['[a']",
            ":2: `interfaces` in [inputs.net]: glob \"[a\": has a [ without ]",
        ),
        (
            "[[outputs.influxdb]]\nurls = ['ftp://x:1']",
            ":2: `urls` in [outputs.influxdb]: \"ftp://x:1\": \"ftp\" is none of http, https, unix, http+unix, udp",
        ),
        (
            "[[outputs.influxdb]]\nurls = ['nonsense']",
            ":2: `urls` in [outputs.influxdb]: \"nonsense\": relative URL without a base",
        ),
        (
            "[[inputs.libvirt]]\nstatistics_groups = ['cpu']",
            ":2: `statistics_groups` in [inputs.libvirt]: \"cpu\" is none of state, ",
        ),
        (
            "[[inputs.libvirt]]\nstatistics_groups = []",
            ":2: `statistics_groups` in [inputs.libvirt]: nothing to collect",
        ),
        (
            "[[inputs.libvirt]]\nextra_tags = ['color']",
            ":2: `extra_tags` in [inputs.libvirt]: \"color\" is none of",
        ),
        ("inputs = 3", ":1: `inputs` in [file] must be a table of plugins, not an integer"),
        (
            "[[inputs.mem]]\nname_prefix = '${X:?tell me}'",
            ":2: `name_prefix` in [file]: environment variable X is required: tell me",
        ),
        ("[[inputs.mem]\n", ":1:"),
    ] {
        let errors = errors(text);
        assert!(errors[0].contains(want), "{text}: {errors:?}");
    }
}

#[test]
fn files_and_directories_add_up() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let conf = dir.path().join("conf.d");
    fs::create_dir_all(conf.join("sub")).expect("created");
    fs::create_dir_all(conf.join("..data")).expect("created");
    let main = dir.path().join("main.conf");
    fs::write(&main, "[agent]\ninterval = '5s'\n[[inputs.cpu]]\n").expect("written");
    fs::write(conf.join("b.conf"), "[agent]\nquiet = true\n[[inputs.mem]]\n").expect("written");
    fs::write(conf.join("a.conf"), "\u{feff}[[inputs.swap]]\n").expect("written");
    fs::write(conf.join("sub/c.conf"), "[[inputs.net]]\n").expect("written");
    fs::write(conf.join("..data/d.conf"), "[[inputs.disk]]\n").expect("written");
    fs::write(conf.join("note.txt"), "not TOML").expect("written");
    let config = Config::load(&[main], std::slice::from_ref(&conf)).expect("valid");
    let names: Vec<_> = config.inputs.iter().map(|input| input.id.name).collect();
    assert_eq!(names, ["cpu", "swap", "mem", "net"]);
    assert!(
        config.agent.log.quiet && config.agent.interval == 5_000_000_000,
        "later keys add to earlier ones"
    );
    assert!(config.warnings[0].contains("b.conf:1: a further [agent] table"), "{:?}", config.warnings);
    let error = Config::load(&[conf.join("none.conf")], &[]).expect_err("missing").to_string();
    assert!(error.contains("none.conf: cannot be read: No such file"), "{error}");
}
