use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::thread;

use hickory_proto::op::{MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, MX, SOA};
use hickory_proto::rr::{RData, Record};

use super::*;
use crate::config::section_for_tests;
use skywatch_model::FieldValue;

/// What a small name server says, by the name that is asked for.
fn answered(query: &[u8]) -> Option<Vec<u8>> {
    let mut answer = Message::from_vec(query).expect("a question");
    assert!(answer.metadata.recursion_desired);
    let asked = answer.queries.first().expect("a question").clone();
    answer.metadata.message_type = MessageType::Response;
    let name = asked.name().clone();
    let record = |data| Record::from_rdata(name.clone(), 60, data);
    match (name.to_ascii().as_str(), asked.query_type()) {
        ("silent.", _) => return None,
        ("none.", _) => answer.metadata.response_code = ResponseCode::NXDomain,
        (_, RecordType::A) => {
            answer.add_answer(record(RData::A(A::new(192, 0, 2, 1))));
            answer.add_answer(record(RData::AAAA(AAAA("2001:db8::1".parse().expect("an address")))));
        }
        (_, RecordType::MX) => {
            answer.add_answer(record(RData::MX(MX::new(10, name.clone()))));
        }
        (_, RecordType::SOA) => {
            let soa = SOA::new(name.clone(), name.clone(), 2026, 3600, 600, 86400, 60);
            answer.add_answer(record(RData::SOA(soa)));
        }
        _ => {}
    }
    Some(answer.to_vec().expect("an answer"))
}

/// The port of a name server over UDP and TCP.
fn serve() -> u16 {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let port = udp.local_addr().expect("bound").port();
        if let Ok(tcp) = TcpListener::bind(("127.0.0.1", port)) {
            break (udp, tcp);
        }
    };
    let port = udp.local_addr().expect("bound").port();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
            if let Some(answer) = answered(&buffer[..length]) {
                // What somebody else would say comes first.
                let mut forged = answer.clone();
                forged[0] ^= 1;
                udp.send_to(&forged, peer).and_then(|_| udp.send_to(&answer, peer)).expect("sent");
            }
        }
    });
    thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.expect("a connection");
            let mut length = [0; 2];
            stream.read_exact(&mut length).expect("a length");
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).expect("a question");
            let answer = answered(&query).expect("an answer");
            let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
            stream.write_all(&length).and_then(|()| stream.write_all(&answer)).expect("sent");
        }
    });
    port
}

fn gather(options: &str) -> (Vec<String>, Vec<String>) {
    let mut section = section_for_tests(options);
    let mut input = build(&mut section, &Context::default()).expect("valid");
    assert!(section.finish().expect("every option is known").is_empty());
    let mut acc = Accumulator::new(0);
    input.gather(&mut acc).expect("a runtime");
    let (metrics, errors) = acc.into_parts();
    (metrics.iter().map(shown).collect(), errors.iter().map(ToString::to_string).collect())
}

fn shown(metric: &Metric) -> String {
    let tags: Vec<_> = metric.tags().iter().map(|(key, value)| format!("{key}={value}")).collect();
    let fields = metric.fields().iter().map(|(key, value)| match value {
        FieldValue::Float(ms) if (0.0..5000.0).contains(ms) => format!("{key}=f"),
        FieldValue::Unsigned(number) => format!("{key}={number}u"),
        FieldValue::Integer(number) => format!("{key}={number}i"),
        FieldValue::String(text) => format!("{key}={text}"),
        other => format!("{key}={other:?}"),
    });
    format!("{} {}", tags.join(","), fields.collect::<Vec<_>>().join(","))
}

#[test]
fn answers_over_udp_and_tcp() {
    let port = serve();
    for network in ["udp", "tcp"] {
        let (metrics, errors) = gather(&format!(
            "servers = [\"127.0.0.1\"]\nport = {port}\nnetwork = \"{network}\"\ndomains = [\"www.example\", \"none\"]\n\
             record_type = \"a\"\ninclude_fields = [\"first_ip\", \"all_ips\"]"
        ));
        let tags = "record_type=A,result";
        assert_eq!(
            metrics,
            [
                format!(
                    "domain=www.example,rcode=NOERROR,{tags}=success,server=127.0.0.1 rcode_value=0i,query_time_ms=f,\
                     result_code=0u,name=www.example.,ip=192.0.2.1,ip_0=192.0.2.1,ip_1=2001:db8::1"
                ),
                format!(
                    "domain=none,rcode=NXDOMAIN,{tags}=error,server=127.0.0.1 rcode_value=3i,query_time_ms=f,result_code=2u"
                ),
            ]
        );
        assert_eq!(errors, ["A of none from 127.0.0.1: the answer is NXDOMAIN"]);
    }
}

#[test]
fn what_other_records_tell() {
    let port = serve();
    let of = |kind: &str| {
        let text = format!(
            "servers = [\"127.0.0.1\"]\nport = {port}\ndomains = [\"a.example\"]\nrecord_type = \"{kind}\""
        );
        gather(&text).0.remove(0).rsplit("result_code=0u").next().unwrap_or_default().to_owned()
    };
    assert_eq!(of("MX"), ",preference=10u,name=a.example.");
    assert_eq!(of("SOA"), ",expire=86400u,minttl=60u,refresh=3600u,retry=600u,serial=2026u,name=a.example.");
    assert_eq!(of("TXT"), "");
}

#[test]
fn the_root_is_asked_for_its_servers_and_silence_is_a_result() {
    let port = serve();
    let (metrics, _) = gather(&format!("servers = [\"127.0.0.1\"]\nport = {port}"));
    assert_eq!(
        metrics,
        [
            "domain=.,rcode=NOERROR,record_type=NS,result=success,server=127.0.0.1 rcode_value=0i,query_time_ms=f,result_code=0u"
        ]
    );
    let (metrics, errors) = gather(&format!(
        "servers = [\"127.0.0.1\"]\nport = {port}\ndomains = [\"silent\"]\nrecord_type = \"A\"\ntimeout = \"100ms\""
    ));
    assert_eq!(metrics, ["domain=silent,record_type=A,result=timeout,server=127.0.0.1 result_code=1u"]);
    assert!(errors.is_empty(), "{errors:?}");
    let (metrics, errors) = gather("servers = [\"127.0.0.1\"]\nport = 1\nnetwork = \"tcp\"");
    assert_eq!(metrics, ["domain=.,record_type=NS,result=error,server=127.0.0.1 result_code=2u"]);
    assert!(errors[0].contains("refused"), "{errors:?}");
}

#[test]
fn options_that_are_wrong_say_so() {
    for (options, wanted) in [
        ("", "there is no server to ask"),
        ("servers = [\"a\"]\nnetwork = \"tls\"", "\"tls\" is neither"),
        ("servers = [\"a\"]\ndomains = [\"x\"]\nrecord_type = \"Z\"", "\"Z\" is none of A, AAAA, ANY"),
        ("servers = [\"a\"]\nport = 70000", "70000 is no port"),
        ("servers = [\"a\"]\ninclude_fields = [\"x\"]", "\"x\" is neither"),
    ] {
        let error = Options::from_section(&mut section_for_tests(options)).expect_err(options).to_string();
        assert!(error.contains(wanted), "{options}: {error}");
    }
}
