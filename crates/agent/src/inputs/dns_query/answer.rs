//! Fields of an answer. Pure.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record};

use crate::metric::Metric;
use crate::net::parallel::Asked;

/// Telegraf's `include_fields`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Include {
    pub(super) first_ip: bool,
    pub(super) all_ips: bool,
}

/// The names of answers' codes, as the registry of DNS has them.
const CODES: [&str; 11] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
    "NOTAUTH", "NOTZONE",
];

/// The metric of an answer; one that is not "no error" is a problem as well.
pub(super) fn finished(mut metric: Metric, message: &Message, time: Duration, include: Include) -> Asked {
    let code = message.metadata.response_code;
    let number = u16::from(code);
    let name =
        CODES.get(usize::from(number)).map_or_else(|| format!("RCODE{number}"), |name| (*name).to_owned());
    metric.set_tag("rcode", &name);
    metric.set_field("rcode_value", i64::from(number));
    metric.set_field("query_time_ms", time.as_secs_f64() * 1e3);
    if code != ResponseCode::NoError {
        metric.set_tag("result", "error");
        metric.set_field("result_code", 2_u64);
        return Asked { metrics: vec![metric], problem: Some(format!("the answer is {name}")) };
    }
    metric.set_tag("result", "success");
    metric.set_field("result_code", 0_u64);
    for record in &message.answers {
        of_record(&mut metric, record);
    }
    let addresses =
        || message.answers.iter().enumerate().filter_map(|(at, record)| Some((at, address(record)?)));
    if let Some((_, first)) = addresses().next().filter(|_| include.first_ip) {
        metric.set_field("ip", first.to_string());
    }
    if include.all_ips {
        for (at, address) in addresses() {
            metric.set_field(format!("ip_{at}"), address.to_string());
        }
    }
    Asked { metrics: vec![metric], problem: None }
}

/// What some kinds of records tell besides.
fn of_record(metric: &mut Metric, record: &Record) {
    let unsigned = |number: i32| u64::from(number.cast_unsigned());
    match &record.data {
        RData::A(_) | RData::AAAA(_) | RData::CNAME(_) => {}
        RData::MX(mx) => metric.set_field("preference", u64::from(mx.preference)),
        RData::SOA(soa) => {
            metric.set_field("expire", unsigned(soa.expire));
            metric.set_field("minttl", u64::from(soa.minimum));
            metric.set_field("refresh", unsigned(soa.refresh));
            metric.set_field("retry", unsigned(soa.retry));
            metric.set_field("serial", u64::from(soa.serial));
        }
        _ => return,
    }
    metric.set_field("name", record.name.to_ascii());
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}
