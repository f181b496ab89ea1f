//! The `kafka` input against a broker made of recorded shapes: what is asked, what is made of it, and what a silent
//! broker costs.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use super::requests::*;
use super::wire::{Reader, Writer};
use super::*;
use crate::config::section_for_tests;
use crate::metric::Metric;

/// A cluster of broker 1, which answers at `port`, and broker 2, which is at `silent`: topic `orders` with two
/// partitions, the second led by 2, and group `billing`.
fn answer(api: i16, body: &[u8], port: u16, silent: u16) -> Writer {
    let mut w = Writer::default();
    match api {
        3 => {
            w.i32(0).list(&[(1, port), (2, silent)], |w, (id, port)| {
                w.i32(*id).string("127.0.0.1").i32(i32::from(*port));
                match id {
                    1 => w.string("r1"),
                    _ => w.i16(-1),
                };
            });
            w.string("cluster-1").i32(1);
            w.list(&["orders", "__consumer_offsets"], |w, topic| {
                w.i16(0).string(topic).boolean(topic.starts_with("__"));
                w.list(&[(0, 1, vec![1, 2]), (1, 2, vec![2])], |w, (index, leader, in_sync)| {
                    w.i16(0).i32(*index).i32(*leader);
                    w.list(&[1, 2], |w, id| {
                        w.i32(*id);
                    });
                    w.list(in_sync, |w, id| {
                        w.i32(*id);
                    });
                    w.list::<i32>(&[], |_, _| {});
                });
            });
        }
        2 => {
            // The time asked for ends the request.
            let earliest = body.ends_with(&EARLIEST.to_be_bytes());
            w.list(&["orders"], |w, topic| {
                w.string(topic).list(&[0], |w, partition| {
                    w.i32(*partition).i16(0).i64(-1).i64(if earliest { 40 } else { 100 });
                });
            });
        }
        16 => {
            w.i32(0).i16(0).list(&["billing", "hidden"], |w, group| {
                w.string(group).string("consumer");
            });
        }
        15 => {
            let groups = Reader::new(body).list(Reader::string).expect("groups");
            w.i32(0).list(&groups, |w, group| {
                let state = if group == "hidden" { "Dead" } else { "Stable" };
                w.i16(0).string(group).string(state).string("consumer").string("range");
                w.list(&["m-1"], |w, member| {
                    w.string(member).string("client").string("/127.0.0.1").bytes(b"").bytes(b"");
                });
            });
        }
        9 => {
            w.list(&["orders"], |w, topic| {
                w.string(topic).list(&[(0, 93_i64), (1, 7), (2, -1)], |w, (partition, offset)| {
                    w.i32(*partition).i64(*offset).i16(-1).i16(0);
                });
            });
            w.i16(0);
        }
        35 => {
            w.i32(0).list(&[(0_i16, "/d1"), (57, "/d2")], |w, (error, dir)| {
                w.i16(*error).string(dir);
                let topics: &[&str] = if *error == 0 { &["orders"] } else { &[] };
                w.list(topics, |w, topic| {
                    w.string(topic).list(&[(0, 5000_i64), (1, 700)], |w, (partition, size)| {
                        w.i32(*partition).i64(*size).i64(0).boolean(false);
                    });
                });
            });
        }
        other => panic!("request {other} is not expected"),
    }
    w
}

/// Serves connections until the test ends.
fn broker(listener: TcpListener, silent: u16) {
    let port = listener.local_addr().expect("address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream, port, silent));
        }
    });
}

fn serve(mut stream: TcpStream, port: u16, silent: u16) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).expect("request");
        let mut r = Reader::new(&request);
        let (api, _version) = (r.i16().expect("key"), r.i16().expect("version"));
        let correlation = r.i32().expect("correlation");
        let client = r.string().expect("client");
        let body = answer(api, &request[10 + client.len()..], port, silent).0;
        let mut out = Writer::default();
        out.i32(4 + i32::try_from(body.len()).expect("short")).i32(correlation);
        out.0.extend(body);
        stream.write_all(&out.0).expect("sent");
    }
}

fn gather(options: &str) -> (Vec<Metric>, Vec<String>) {
    let mut input = build(&mut section_for_tests(options), &Context::default()).expect("valid");
    let mut acc = Accumulator::new(9);
    input.gather(&mut acc).expect("gathered");
    let (metrics, errors) = acc.into_parts();
    (metrics, errors.iter().map(ToString::to_string).collect())
}

/// Without what differs from run to run.
fn line(metric: &Metric) -> String {
    let mut metric = metric.clone();
    metric.retain_fields(|key| key != "response_time");
    metric.retain_tags(|key| key != "address");
    let mut text = String::new();
    crate::line::append(&mut text, &metric, false, Default::default()).expect("written");
    text.trim_end().to_owned()
}

#[test]
fn a_cluster_with_a_silent_broker_is_told_of_as_far_as_it_is_known() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("bound");
    let silent_port = silent.local_addr().expect("address").port();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("address").port();
    broker(listener, silent_port);
    let began = Instant::now();
    let (metrics, errors) = gather(&format!(
        "brokers = ['127.0.0.1:{silent_port}', '127.0.0.1:{port}']\ntimeout = '300ms'\ngroup_exclude = ['hid*']"
    ));
    assert!(began.elapsed().as_millis() < 1500, "{:?}", began.elapsed());
    let lines: Vec<_> = metrics.iter().map(line).collect();
    let expected = [
        "kafka_cluster,cluster=cluster-1 brokers=2i,brokers_answering=1i,controller=1i,topics=1i,partitions=2i,\
         under_replicated=1i,offline=0i",
        "kafka_broker,broker=1,rack=r1 controller=true,leaders=1i,replicas=2i,replicas_behind=1i,up=true,\
         log_size=5700i,log_dirs=2i,log_dirs_failed=1i",
        "kafka_broker,broker=2 controller=false,leaders=1i,replicas=2i,replicas_behind=0i,up=false",
        "kafka_partition,partition=0,topic=orders leader=1i,preferred_leader=true,replicas=2i,isr=2i,\
         offline_replicas=0i,under_replicated=false,offline=false,low=40i,high=100i,messages=60i,log_size=5000i",
        "kafka_partition,partition=1,topic=orders leader=2i,preferred_leader=false,replicas=2i,isr=1i,\
         offline_replicas=0i,under_replicated=true,offline=false",
        "kafka_topic,topic=orders partitions=2i,replicas=2i,under_replicated=1i,offline=0i,log_size=5700i",
        "kafka_consumer_lag,group=billing,partition=0,topic=orders committed=93i,high=100i,lag=7i",
        "kafka_consumer_group,coordinator=1,group=billing state=\"Stable\",members=1i,partitions=2i,lag=7i,lag_max=7i",
    ];
    assert_eq!(lines, expected);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains(&format!("broker 2 (127.0.0.1:{silent_port}): no answer within 300 ms")),
        "{errors:?}"
    );
    assert!(
        errors[0].contains("1 log directories cannot be used: the log directory is not there"),
        "{errors:?}"
    );
}

#[test]
fn topics_are_chosen_and_partitions_left_out() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("address").port();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("address").port();
    broker(listener, silent);
    let names = |options: &str| {
        let options = format!("brokers = ['127.0.0.1:{port}']\nlog_dirs = false\n{options}");
        gather(&options).0.iter().map(|metric| metric.name.clone().into_owned()).collect::<Vec<_>>()
    };
    let none = names("topic_exclude = ['ord*']\ngroup_include = ['no']");
    assert_eq!(none, ["kafka_cluster", "kafka_broker", "kafka_broker"]);
    let fresh =
        gather(&format!("brokers = ['127.0.0.1:{port}']\npartitions = false\ngroup_include = ['hidden']")).0;
    let told = fresh.last().map(line);
    let expected = "kafka_consumer_group,coordinator=1,group=hidden partitions=2i,lag=7i,lag_max=7i";
    assert_eq!(told.as_deref(), Some(expected), "a group whose state the broker does not tell");
    let internal = names("partitions = false\ninternal_topics = true\ngroup_include = ['no']");
    assert_eq!(internal, ["kafka_cluster", "kafka_broker", "kafka_broker", "kafka_topic", "kafka_topic"]);
}

#[test]
fn an_answer_cut_anywhere_or_damaged_is_an_error_and_no_more() {
    for (api, read) in [
        (3, (|bytes| read_metadata(bytes).is_ok()) as fn(&[u8]) -> bool),
        (2, |bytes| read_offsets(bytes).is_ok()),
        (9, |bytes| read_committed(bytes).is_ok()),
        (16, |bytes| read_groups(bytes).is_ok()),
        (35, |bytes| read_log_dirs(bytes).is_ok()),
    ] {
        let whole = answer(api, &[], 1, 2).0;
        assert!(read(&whole), "{api}");
        for length in 0..whole.len() {
            assert!(!read(&whole[..length]), "{api} cut to {length}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            // It may be readable; it must not panic, nor ask for more memory than there are bytes.
            read(&damaged);
        }
    }
}

#[test]
fn nobody_there_is_an_error_that_says_where() {
    let port = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("address").port();
    let (metrics, errors) = gather(&format!("brokers = ['127.0.0.1:{port}']\ntimeout = '1s'"));
    assert!(metrics.is_empty());
    assert!(errors[0].contains(&format!("127.0.0.1:{port}")) && errors[0].contains("refused"), "{errors:?}");
}
