use std::fmt::Write;

use super::model::{State, VirtualAddress};
use super::*;
use crate::metric::Metric;
use skywatch_model::FieldValue;

// Written by keepalived 2.2.7 (Debian's) of two hosts, with a kernel that said yes to the checker's requests.
const MASTER_JSON: &[u8] = include_bytes!("../../../fixtures/keepalived/master.json");
const MASTER_DATA: &[u8] = include_bytes!("../../../fixtures/keepalived/master.data");
const MASTER_STATS: &[u8] = include_bytes!("../../../fixtures/keepalived/master.stats");
const BACKUP_JSON: &[u8] = include_bytes!("../../../fixtures/keepalived/backup.json");
const BACKUP_DATA: &[u8] = include_bytes!("../../../fixtures/keepalived/backup.data");
const BACKUP_STATS: &[u8] = include_bytes!("../../../fixtures/keepalived/backup.stats");
const FAULT_JSON: &[u8] = include_bytes!("../../../fixtures/keepalived/fault.json");
const FAULT_DATA: &[u8] = include_bytes!("../../../fixtures/keepalived/fault.data");
const FAULT_STATS: &[u8] = include_bytes!("../../../fixtures/keepalived/fault.stats");
const CHECK_DATA: &[u8] = include_bytes!("../../../fixtures/keepalived/check.data");

fn of_json(json: &[u8], data: &[u8]) -> Readings {
    let mut readings = Readings::default();
    json::read(json, &mut readings).expect("a real file");
    text::read_tracks(data, &mut readings).expect("a real file");
    readings
}

fn of_text(stats: &[u8], data: &[u8]) -> Readings {
    let mut readings = Readings::default();
    text::read_stats(stats, &mut readings).expect("a real file");
    text::read_all(data, &mut readings).expect("a real file");
    readings
}

fn shown(metric: &Metric) -> String {
    let mut text = metric.name.to_string();
    for (key, value) in metric.tags() {
        write!(text, ",{key}={value}").expect("to memory");
    }
    for (at, (key, value)) in metric.fields().iter().enumerate() {
        text.push(if at == 0 { ' ' } else { ',' });
        match value {
            FieldValue::Integer(number) => write!(text, "{key}={number}i"),
            FieldValue::Unsigned(number) => write!(text, "{key}={number}u"),
            FieldValue::Float(number) => write!(text, "{key}={number}"),
            FieldValue::String(value) => write!(text, "{key}={value:?}"),
            FieldValue::Boolean(value) => write!(text, "{key}={value}"),
        }
        .expect("to memory");
    }
    text
}

fn points(readings: &Readings) -> Vec<String> {
    let mut acc = Accumulator::new(1_795_885_200_000_000_000);
    points::add(&mut acc, readings, true);
    acc.into_parts().0.iter().map(shown).collect()
}

#[test]
fn a_master_in_telling_points() {
    let mut readings = of_json(MASTER_JSON, MASTER_DATA);
    readings.present = Some(["10.77.0.100", "fe80::77"].map(|text| text.parse().expect("an address")).into());
    let points = points(&readings);
    assert_eq!(points[0], "keepalived running=1i,vrrp_instances=2i,vrrp_masters=2i,virtual_servers=0i");
    assert_eq!(
        points[1],
        "keepalived_vrrp,group=G1,instance=VI_1,interface=va,virtual_router_id=51 state=2i,state_name=\"MASTER\",\
         wanted_state=2i,version=2i,priority=100i,effective_priority=100i,last_transition=1795885176.639143,\
         seconds_since_transition=23.360857009887695,addresses=3i,addresses_set=3i,addresses_present=2i,\
         address_list_errors=0u,advert_interval_errors=0u,adverts_received=0u,adverts_sent=7u,auth_failures=0u,\
         auth_type_mismatches=0u,became_master=1u,invalid_auth_type=0u,invalid_type_received=0u,ip_ttl_errors=0u,\
         packet_length_errors=0u,priority_zero_received=0u,priority_zero_sent=0u,released_master=0u,transitions=1u"
    );
    assert_eq!(
        points[2..5],
        [
            "keepalived_address,address=10.77.0.100,instance=VI_1,interface=va expected=1i,set=1i,excluded=0i,present=1i",
            "keepalived_address,address=10.77.0.101,instance=VI_1,interface=va expected=1i,set=1i,excluded=0i,present=0i",
            "keepalived_address,address=fe80::77,instance=VI_1,interface=va expected=1i,set=1i,excluded=1i,present=1i",
        ]
    );
    assert_eq!(
        points[7..],
        [
            "keepalived_sync_group,group=G1 state=2i,state_name=\"MASTER\",members=1i",
            "keepalived_track,name=chk,type=script ok=1i,value=1i,weight=0i",
            "keepalived_track,name=tf,type=file value=0i,weight=0i",
            "keepalived_track,name=sleepers,type=process ok=0i,value=0i,weight=3i",
        ]
    );
}

#[test]
fn json_and_text_say_the_same() {
    for (what, json, data, stats) in [
        ("master", MASTER_JSON, MASTER_DATA, MASTER_STATS),
        ("backup", BACKUP_JSON, BACKUP_DATA, BACKUP_STATS),
        ("fault", FAULT_JSON, FAULT_DATA, FAULT_STATS),
    ] {
        let (a, mut b) = (of_json(json, data), of_text(stats, data));
        // Adverts go on between one file and the next.
        for (a, b) in a.instances.iter().zip(&mut b.instances) {
            for counter in ["adverts_sent", "adverts_received"] {
                let difference = a.counters[counter].abs_diff(b.counters[counter]);
                assert!(difference <= 1, "{what}: {counter}");
                b.counters.insert(counter, a.counters[counter]);
            }
        }
        assert_eq!(a, b, "{what}");
    }
}

#[test]
fn other_states() {
    let backup = of_json(BACKUP_JSON, BACKUP_DATA);
    let instance = &backup.instances[0];
    assert_eq!((instance.state, instance.priority), (Some(State::Backup), Some(80)));
    assert!(instance.addresses.iter().all(|address| !address.set));
    assert!(instance.counters["adverts_received"] > 0 && instance.counters["adverts_sent"] == 0);
    let fault = of_json(FAULT_JSON, FAULT_DATA);
    assert_eq!(fault.instances[0].state, Some(State::Fault));
    assert_eq!(fault.groups[0].state, Some(State::Fault));
    assert!(points(&backup)[2].ends_with("expected=0i,set=0i,excluded=0i"));
}

#[test]
fn virtual_servers() {
    let mut readings = Readings::default();
    checkers::read(CHECK_DATA, &mut readings).expect("a real file");
    assert_eq!(
        points(&readings)[1..],
        [
            "keepalived_virtual_server,protocol=tcp,scheduler=rr,virtual_server=10.77.0.100:80 real_servers=2i,\
             real_servers_alive=0i,weight_alive=0i,quorum=1i,hysteresis=0i,quorum_up=0i,\
             sorry_server=\"[10.77.0.1]:tcp:8888\"",
            "keepalived_real_server,address=10.77.0.1,forwarding=NAT,port=8080,protocol=tcp,\
             virtual_server=10.77.0.100:80 alive=0i,set=0i,weight=1i,effective_weight=1i,failed_checkers=1i",
            "keepalived_real_server,address=10.77.0.2,forwarding=NAT,port=8081,protocol=tcp,\
             virtual_server=10.77.0.100:80 alive=0i,set=0i,weight=2i,effective_weight=2i,failed_checkers=1i",
            "keepalived_virtual_server,scheduler=wrr,virtual_server=fwmark:7 real_servers=1i,real_servers_alive=1i,\
             weight_alive=3i,quorum=1i,hysteresis=0i,quorum_up=1i",
            "keepalived_real_server,address=fd00::3,forwarding=DR,virtual_server=fwmark:7 alive=1i,set=1i,weight=3i,\
             effective_weight=3i,failed_checkers=0i",
            "keepalived_virtual_server,protocol=tcp,scheduler=wlc,virtual_server=group:web real_servers=1i,\
             real_servers_alive=1i,weight_alive=1i,quorum=1i,hysteresis=0i,quorum_up=1i",
            "keepalived_real_server,address=10.77.0.9,forwarding=DR,port=80,protocol=tcp,virtual_server=group:web \
             alive=1i,set=1i,weight=1i,effective_weight=1i,failed_checkers=0i",
        ]
    );
}

#[test]
fn files_that_are_none() {
    let mut readings = Readings::default();
    for (read, text, wanted) in [
        (json::read as Read, "{\"x\":1}", "its JSON has no list of instances"),
        (json::read, "[{\"data\":", "its JSON: EOF while parsing"),
        (text::read_stats, "nothing\n", "its statistics name no instance"),
        (text::read_all, "nothing\n", "its data file has no sections"),
        (checkers::read, "\0\0\0", "its data of virtual servers has no sections"),
    ] {
        let error = read(text.as_bytes(), &mut readings).expect_err(text);
        assert!(error.contains(wanted), "{error}");
    }
    // Unknown members, other types and the second version of the document.
    let text = "{\"vrrp\":[{\"data\":{\"iname\":\"A\",\"state\":\"x\",\"vips\":[1,\"x\",\"10.0.0.1/8\"]}},{\"data\":{}},3]}";
    json::read(text.as_bytes(), &mut readings).expect("valid");
    assert_eq!(readings.instances.len(), 1);
    let address = "10.0.0.1".parse().expect("an address");
    let wanted = VirtualAddress { address, interface: None, excluded: false, set: false };
    assert_eq!(readings.instances[0].addresses, [wanted]);
}

#[test]
fn cut_files_cost_no_more_than_what_is_missing() {
    for (read, whole) in [
        (text::read_all as Read, MASTER_DATA),
        (text::read_stats, MASTER_STATS),
        (json::read, MASTER_JSON),
        (checkers::read, CHECK_DATA),
    ] {
        for end in 0..whole.len() {
            // Whatever it says, it must not fail in another way.
            read(&whole[..end], &mut Readings::default()).ok();
        }
    }
}

#[test]
fn a_keepalived_that_does_not_run_is_a_point_and_an_error() {
    let mut section = crate::config::section_for_tests("pid_file = \"/nonexistent/keepalived.pid\"");
    let mut input = build(&mut section, &Context::default()).expect("valid");
    let mut acc = Accumulator::new(0);
    let error = input.gather(&mut acc).expect_err("none").to_string();
    assert!(
        error.starts_with("keepalived: is it running? cannot read its pid file /nonexistent/"),
        "{error}"
    );
    assert_eq!(acc.into_parts().0.iter().map(shown).collect::<Vec<_>>(), ["keepalived running=0i"]);
    for (options, wanted) in [
        ("format = \"xml\"", "none of \"auto\", \"json\" and \"text\""),
        ("pid_file = \"keepalived.pid\"", "does not begin with /"),
    ] {
        let mut section = crate::config::section_for_tests(options);
        assert!(Options::from_section(&mut section).expect_err(options).to_string().contains(wanted));
    }
}
