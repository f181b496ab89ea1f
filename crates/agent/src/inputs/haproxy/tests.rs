use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;

use super::*;
use crate::config::Config;
use crate::metric::Metric;
use crate::registry::Source;
use skywatch_model::FieldValue;

/// The answer of HAProxy 2.6.12: a frontend with a listener, a backend with servers up, down and in reserve.
const STATS: &str = include_str!("../../../fixtures/haproxy/stats.csv");

fn shown(metric: &Metric) -> String {
    let mut text = metric.name.to_string();
    for (key, value) in metric.tags() {
        write!(text, " {key}={value}").expect("to memory");
    }
    text.push_str(" |");
    for (key, value) in metric.fields() {
        match value {
            FieldValue::Integer(number) => write!(text, " {key}={number}i"),
            FieldValue::Unsigned(number) => write!(text, " {key}={number}u"),
            FieldValue::String(value) => write!(text, " {key}={value:?}"),
            other => write!(text, " {key}={other:?}"),
        }
        .expect("to memory");
    }
    text
}

fn parsed(keep_field_names: bool) -> Vec<Metric> {
    stats::parse(STATS.as_bytes(), "lb-1:1936", keep_field_names, 7).expect("a real answer")
}

#[test]
fn every_line_becomes_a_metric_with_telegrafs_tags() {
    let tags: Vec<_> = parsed(false)
        .iter()
        .map(|metric| {
            assert_eq!((metric.name.as_ref(), metric.time_ns), ("haproxy", 7));
            metric.tags().iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(
        tags,
        [
            "proxy=web server=lb-1:1936 sv=FRONTEND type=frontend",
            "proxy=web server=lb-1:1936 sv=plain type=listener",
            "proxy=app server=lb-1:1936 sv=up type=server",
            "proxy=app server=lb-1:1936 sv=down type=server",
            "proxy=app server=lb-1:1936 sv=spare type=server",
            "proxy=app server=lb-1:1936 sv=BACKEND type=backend",
            "proxy=stats server=lb-1:1936 sv=FRONTEND type=frontend",
            "proxy=stats server=lb-1:1936 sv=BACKEND type=backend",
        ]
    );
}

#[test]
fn a_server_that_is_up_has_these_fields() {
    assert_eq!(
        shown(&parsed(false)[2]),
        "haproxy proxy=app server=lb-1:1936 sv=up type=server | qcur=0u qmax=0u scur=0u smax=1u stot=2u bin=168u \
         bout=913u dresp=0u econ=0u eresp=0u wretr=0u wredis=0u status=\"UP\" weight=1u active_servers=1u \
         backup_servers=0u chkfail=1u chkdown=1u lastchg=1u downtime=1u pid=1u iid=3u sid=1u lbtot=2u rate=2u \
         rate_max=2u check_status=\"L7OK\" check_code=200u check_duration=1u http_response.1xx=0u \
         http_response.2xx=1u http_response.3xx=0u http_response.4xx=1u http_response.5xx=0u \
         http_response.other=0u req_tot=2u cli_abort=0u srv_abort=0u lastsess=0i qtime=0u ctime=0u rtime=2u \
         ttime=2u check_rise=2u check_fall=3u check_health=4u mode=\"http\" wrew=0u connect=2u reuse=0u \
         srv_icur=0u qtime_max=0u ctime_max=0u rtime_max=3u ttime_max=3u eint=0u idle_conn_cur=0u \
         safe_conn_cur=0u used_conn_cur=0u need_conn_est=1u uweight=1u ssl_sess=0u ssl_reused_sess=0u \
         ssl_failed_handshake=0u"
    );
    let down = &parsed(false)[3];
    assert_eq!(down.field_value("lastsess"), Some(&FieldValue::Integer(-1)), "there was none");
    assert_eq!(down.field_value("last_chk"), Some(&FieldValue::String("Connection refused".into())));
    assert_eq!(down.field_value("status"), Some(&FieldValue::String("DOWN".into())));
    assert_eq!(down.field_value("check_desc"), None);
}

#[test]
fn haproxys_own_names_can_be_kept() {
    let metric = &parsed(true)[2];
    for (kept, renamed) in
        [("act", "active_servers"), ("cli_abrt", "cli_abort"), ("hrsp_2xx", "http_response.2xx")]
    {
        assert!(metric.field_value(kept).is_some(), "{kept}");
        assert!(metric.field_value(renamed).is_none(), "{renamed}");
    }
    let keys: Vec<_> = metric.tags().iter().map(|(key, _)| key.as_ref()).collect();
    assert_eq!(keys, ["pxname", "server", "svname", "type"]);
}

#[test]
fn texts_and_numbers_that_are_none() {
    let text = "# pxname,svname,type,status,addr,cookie,tracked,agent_status,last_agt,act,algo,lastsess,new\n\
                a,\"b,c\",2,\"no, check\",10.0.0.1:80,u,x/y,L4TOUT,timeout,-1,roundrobin,-,18446744073709551615\n\
                short,s\n";
    let metrics = stats::parse(text.as_bytes(), "s", false, 0).expect("valid");
    assert_eq!(
        shown(&metrics[0]),
        "haproxy proxy=a server=s sv=b,c type=server | status=\"no, check\" addr=\"10.0.0.1:80\" cookie=\"u\" \
         tracked=\"x/y\" agent_status=\"L4TOUT\" last_agt=\"timeout\" new=18446744073709551615u"
    );
    assert_eq!(shown(&metrics[1]), "haproxy proxy=short server=s sv=s |");
}

#[test]
fn an_answer_without_statistics_is_quoted() {
    for (answer, wanted) in [
        ("Permission denied\n\n", "no statistics in the answer, which begins with \"Permission denied\""),
        ("", "no statistics in the answer, which begins with \"\""),
        ("<html>login</html>", "no statistics in the answer, which begins with \"<html>login</html>\""),
        ("# a,b\n1,2\n", "no column \"type\" in the answer, which begins with \"# a,b\""),
    ] {
        assert_eq!(stats::parse(answer.as_bytes(), "s", false, 0).expect_err(answer), wanted);
    }
}

#[test]
fn a_dead_and_a_silent_socket_do_not_cost_the_third() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let alive = UnixListener::bind(path("alive.sock")).expect("bound");
    let _silent = UnixListener::bind(path("silent.sock")).expect("bound");
    let dead = path("dead.sock");
    let server = thread::spawn(move || {
        let (mut stream, _) = alive.accept().expect("asked");
        let mut command = [0; 10];
        stream.read_exact(&mut command).expect("a command");
        assert_eq!(&command, b"show stat\n");
        stream.write_all(STATS.as_bytes()).expect("answered");
    });
    let text = format!(
        "[[inputs.haproxy]]\nservers = [\"{dead}\", \"socket:{}\", \"http://127.0.0.1:1/s\"]\ntimeout = \"300ms\"\n\
         [[outputs.file]]\nfiles = [\"stdout\"]",
        path("[as]*.sock")
    );
    let mut config = Config::parse_with(&text, "telegraf.conf", &|_| None).expect("valid options");
    let Source::Polled(mut input) = config.inputs.remove(0).input else { panic!("it is asked") };
    let mut acc = Accumulator::new(1);
    input.gather(&mut acc).expect("a runtime");
    server.join().expect("served");
    let (metrics, errors) = acc.into_parts();
    assert_eq!(metrics.len(), 8);
    assert_eq!(metrics[0].tag_value("server"), Some(path("alive.sock").as_str()));
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].starts_with(&format!("{dead}: cannot connect: No such file")), "{errors:?}");
    assert_eq!(errors[1], format!("{}: no answer within 300 ms", path("silent.sock")));
    assert!(errors[2].starts_with("127.0.0.1:1: ") && errors[2].contains("refused"), "{errors:?}");
}
