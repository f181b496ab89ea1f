use super::*;
use crate::config::section_for_tests;
use skywatch_model::FieldValue;

const REPLIES: &str = include_str!("../../../fixtures/ping/replies.txt");
const SILENCE: &str = include_str!("../../../fixtures/ping/silence.txt");

fn options(text: &str) -> Options {
    Options::from_section(&mut section_for_tests(text)).expect("valid")
}

fn shown(metric: &Metric) -> Vec<String> {
    let show = |value: &FieldValue| match value {
        FieldValue::Float(number) => format!("{number:.4}"),
        FieldValue::Integer(number) => format!("{number}i"),
        other => format!("{other:?}"),
    };
    metric.fields().iter().map(|(key, value)| format!("{key}={}", show(value))).collect()
}

#[test]
fn replies_and_silence_of_iputils() {
    let of = |text: &str, method: &str| {
        let seen = text::parse(text).expect("real output");
        shown(&finished(Metric::new("ping", 0), &options(method), &seen, i32::from(seen.received == 0)))
    };
    assert_eq!(
        of(REPLIES, ""),
        [
            "packets_transmitted=3i",
            "packets_received=3i",
            "percent_packet_loss=0.0000",
            "ttl=64i",
            "minimum_response_ms=0.0360",
            "average_response_ms=0.0410",
            "maximum_response_ms=0.0470",
            "standard_deviation_ms=0.0040",
            "result_code=0i",
        ]
    );
    assert_eq!(
        of(REPLIES, "method = \"native\"\npercentiles = [50, 95]")[4..],
        [
            "minimum_response_ms=0.0360",
            "average_response_ms=0.0410",
            "maximum_response_ms=0.0470",
            "standard_deviation_ms=0.0045",
            "percentile50_ms=0.0400",
            "percentile95_ms=0.0463",
            "result_code=0i",
        ]
    );
    let silence =
        ["packets_transmitted=1i", "packets_received=0i", "percent_packet_loss=100.0000", "result_code=1i"];
    assert_eq!(of(SILENCE, ""), silence);
    assert_eq!(of(SILENCE, "method = \"native\"\npercentiles = [50]"), silence);
}

#[test]
fn a_reply_that_is_missing_is_a_result_of_exec_and_none_of_native() {
    const SCRIPT: &str = "echo '64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=1 ms'; \
                          echo '3 packets transmitted, 1 received, 66% packet loss, time 2001ms'; exit 1";
    for (method, code) in [("exec", "result_code=1i"), ("native", "result_code=0i")] {
        let text =
            format!("urls = ['h']\nmethod = '{method}'\nbinary = 'sh'\narguments = ['-c', \"{SCRIPT}\"]");
        let mut input = build(&mut section_for_tests(&text), &Context::default()).expect("valid");
        let mut acc = Accumulator::new(0);
        input.gather(&mut acc).expect("a runtime");
        let (metrics, errors) = acc.into_parts();
        assert!(errors.is_empty(), "{errors:?}");
        let fields = shown(&metrics[0]);
        assert_eq!((fields[1].as_str(), fields[fields.len() - 1].as_str()), ("packets_received=1i", code));
    }
}

#[test]
fn what_others_print() {
    let busybox = "PING 10.0.0.1 (10.0.0.1): 56 data bytes\n64 bytes from 10.0.0.1: seq=0 ttl=254 time<1 ms\n\n\
                   3 packets transmitted, 2 packets received, 33% packet loss\n\
                   round-trip min/avg/max = 1.0/2.0/3.0 ms\n";
    let seen = text::parse(busybox).expect("valid");
    assert_eq!((seen.transmitted, seen.received, seen.ttl), (3, 2, Some(254)));
    assert_eq!(seen.summary, Some(text::Times { minimum: 1.0, average: 2.0, maximum: 3.0, deviation: None }));
    let errors = "From 10.0.0.1 icmp_seq=1 Destination Host Unreachable\n\
                  2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 1001ms\n";
    let seen = text::parse(errors).expect("valid");
    assert_eq!((seen.transmitted, seen.received, seen.summary), (2, 0, None));
    assert!(text::parse("usage: ping\n").expect_err("none").contains("begins with \"usage: ping\""));
    assert_eq!(text::percentile(&[], 50), None);
    assert_eq!(text::percentile(&[3.0, 1.0], 100), Some(3.0));
}

#[test]
fn arguments() {
    let of = |text: &str| options(text).arguments("h").join(" ");
    assert_eq!(of(""), "-c 1 -n -s 16 -i 1 -w 10 h");
    assert_eq!(
        of("count = 3\nping_interval = 0.01\ntimeout = 2.5\ndeadline = 0\ninterface = \"eth0\"\nipv6 = true"),
        "-c 3 -n -s 16 -i 0.2 -W 2.5 -I eth0 -6 h"
    );
    assert_eq!(of("method = \"native\"\nsize = 100\nipv4 = true"), "-c 1 -n -s 100 -i 1 -w 10 -4 h");
    assert_eq!(
        of("method = 'native'\nping_interval = '500ms'\ntimeout = '2s'\ndeadline = '1m'\nsize = '1KiB'"),
        "-c 1 -n -s 1024 -i 0.5 -W 2 -w 60 h"
    );
    assert_eq!(of("arguments = [\"-c\", \"5\"]"), "-c 5 h");
    for (text, wanted) in [
        ("method = \"icmp\"", "\"icmp\" is neither"),
        ("urls = [\"-f\"]", "\"-f\" is no host"),
        ("percentiles = [101]", "101 is not between"),
        ("ipv4 = true\nipv6 = true", "exclude each other"),
    ] {
        let error = Options::from_section(&mut section_for_tests(text)).expect_err(text).to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_program_that_is_missing_or_fails_is_a_result_and_an_error() {
    for (binary, wanted) in
        [("/nonexistent/ping", "not installed"), ("false", "no statistics"), ("sh", "ping h: ")]
    {
        let text = format!("urls = [\"h\"]\nbinary = \"{binary}\"\narguments = [\"-c\", \"exit 2\"]");
        let mut input = build(&mut section_for_tests(&text), &Context::default()).expect("valid");
        let mut acc = Accumulator::new(0);
        input.gather(&mut acc).expect("a runtime");
        let (metrics, errors) = acc.into_parts();
        assert_eq!(shown(&metrics[0]), ["result_code=2i"], "{binary}");
        assert!(errors[0].to_string().contains(wanted), "{binary}: {errors:?}");
    }
}
