//! Lines over a socket, and what a flush makes of them.

use std::os::unix::net::UnixDatagram;

use super::*;
use crate::config::section_for_tests;
use crate::processors::testing::lines;
use crate::service::testing::Running;

/// What one interval of these lines says, and the next one of nothing.
async fn flushed(options: &str, text: &str) -> (Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("s.sock");
    let options = format!("service_address = 'unixgram://{}'\n{options}", path.display());
    let mut section = section_for_tests(&options);
    let service = build(&mut section, &Context::default()).expect("valid");
    assert!(section.finish().is_ok(), "unknown options in {options}");
    let mut running = Running::start(service);
    let client = UnixDatagram::unbound().expect("a socket");
    // A bad line at the end tells when everything before it is taken in.
    let data = format!("{text}\nthe end");
    while client.send_to(data.as_bytes(), &path).is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(running.error().await.contains("the end"));
    running.tick(7);
    let first = lines(&running.metrics().await);
    let rest = lines(&running.stop().await)
        .iter()
        .map(|line| line.rsplit_once(' ').expect("a time").0.to_owned())
        .collect();
    (first, rest)
}

#[tokio::test]
async fn every_type_as_telegraf_says_it() {
    let text = "users,dc=eu:1|c\nusers,dc=eu:2|c|@0.5\nload:3|g\nload:+1|g\nids:a|s\nids:b|s\nids:a|s\n\
                took:10|ms\ntook:20|ms\ntook:30|ms";
    let (first, rest) = flushed("percentiles = [50, 99.9]", text).await;
    assert_eq!(
        first,
        [
            "took,metric_type=timing mean=20,median=20,stddev=8.16496580927726,sum=60,upper=30,lower=10,count=3i,50_percentile=20,99.9_percentile=30 7",
            "load,metric_type=gauge value=4 7",
            "users,dc=eu,metric_type=counter value=5i 7",
            "ids,metric_type=set value=2i 7",
        ]
    );
    assert!(rest.is_empty(), "all is forgotten after it was told: {rest:?}");
}

#[tokio::test]
async fn what_is_not_deleted_goes_on() {
    let options = "delete_gauges = false\ndelete_counters = false\nfloat_counters = true";
    let (first, rest) = flushed(options, "a:1|c\nb:2|g\nc:1|s").await;
    assert_eq!(
        first,
        ["b,metric_type=gauge value=2 7", "a,metric_type=counter value=1 7", "c,metric_type=set value=1i 7"]
    );
    assert_eq!(rest, ["b,metric_type=gauge value=2", "a,metric_type=counter value=1"]);
}

#[tokio::test]
async fn templates_and_names() {
    let options = "templates = ['measurement.region.field']\nmetric_separator = '_'";
    let (first, _) = flushed(options, "cpu.us.load:1|g\ncpu.us.idle:2|g\nx.eu.t:5|h").await;
    assert_eq!(
        first,
        [
            "x,metric_type=histogram,region=eu t_mean=5,t_median=5,t_stddev=0,t_sum=5,t_upper=5,t_lower=5,t_count=1i 7",
            "cpu,metric_type=gauge,region=us idle=2,load=1 7",
        ]
    );
    let (first, _) = flushed("convert_names = true", "a.b-c:1|c").await;
    assert_eq!(first, ["a_b__c,metric_type=counter value=1i 7"]);
    let (first, _) = flushed("sanitize_name_method = 'upstream'", "a b/c.d:1|c").await;
    assert_eq!(first, ["a_b-c.d,metric_type=counter value=1i 7"]);
}

#[tokio::test]
async fn datadog_and_temporality() {
    let options =
        "datadog_extensions = true\ndatadog_distributions = true\nenable_aggregation_temporality = true";
    let (first, _) = flushed(options, "d:1:2|d|#env:prod\nc:1|c|#flag|c:container").await;
    assert_eq!(first[0], "d,env=prod,metric_type=distribution value=1 7");
    assert_eq!(first[1], "d,env=prod,metric_type=distribution value=2 7");
    assert!(
        first[2].starts_with("c,flag=true,metric_type=counter,temporality=delta start_time=\"20"),
        "{first:?}"
    );
    assert!(first[2].ends_with("Z\",value=1i 7"), "{first:?}");
}
