//! What else clients send: Prometheus' and Graphite's formats, and the parts of an HTTP request that are our own to read.

use skywatch_http::fuzzing;
use skywatch_influxql::{ParamValue, parse_query_with};
use skywatch_listeners::{collectd, graphite::Parser, opentsdb};
use skywatch_model::line::PointBatch;
use skywatch_prometheus::{compress, decode_read, decode_write, unpack, unpacked_length};

use crate::text::{is_written_as_read, points_are_written_as_read};

/// Largest block that is unpacked here; a server goes by its own limits, before it allocates.
const UNPACKED_BYTES_MAX: usize = 1 << 20;

/// A block is refused or as long as it says; what is packed comes back.
pub(crate) fn snappy(bytes: &[u8]) {
    if let Ok(length) = unpacked_length(bytes)
        && length <= UNPACKED_BYTES_MAX
    {
        let _refused = unpack(bytes, &mut vec![0; length]);
    }
    let packed = compress(bytes).expect("it is short");
    let mut unpacked = vec![0; unpacked_length(&packed).expect("it is a block")];
    unpack(&packed, &mut unpacked).expect("it is a block");
    assert_eq!(unpacked, bytes);
}

/// An unpacked message: its points are points like others.
pub(crate) fn prometheus_write(message: &[u8]) {
    let mut batch = PointBatch::new();
    if decode_write(message, &mut batch).is_ok() {
        points_are_written_as_read(&batch);
    }
}

/// An unpacked message: its queries are InfluxQL, which has no way to write a NUL or a carriage return.
pub(crate) fn prometheus_read(message: &[u8]) {
    for query in decode_read(message).unwrap_or_default() {
        let measurement = query.measurement().unwrap_or("up");
        let _wanted = query.wants_measurement(measurement);
        let (text, params) = query.select("week", measurement);
        if let Err(error) = parse_query_with(&text, &params)
            && !text.contains(['\0', '\r'])
        {
            panic!("{text} with {params:?}: {error}");
        }
    }
}

/// Templates, an empty line, and lines: their points are points like others.
pub(crate) fn graphite(bytes: &[u8]) {
    let gap = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(0);
    let templates: Vec<String> = String::from_utf8_lossy(&bytes[..gap]).lines().map(str::to_owned).collect();
    let Ok(parser) = Parser::new(&templates, &["region=eu".to_owned()], "_") else { return };
    let mut batch = PointBatch::new();
    for line in bytes[gap..].split(|byte| *byte == b'\n') {
        let _refused = parser.parse(line, 42, &mut batch);
    }
    points_are_written_as_read(&batch);
}

/// `user` has a password.
struct OneUser;

impl collectd::Passwords for OneUser {
    fn of(&self, user: &str) -> Option<String> {
        (user == "user").then(|| "secret".to_owned())
    }

    fn are_known(&self) -> bool {
        true
    }
}

/// A datagram: its points are points like others, whichever way several values are taken.
pub(crate) fn collectd(bytes: &[u8]) {
    for multi_value in [collectd::MultiValue::Split, collectd::MultiValue::Join] {
        let (types, security) = (collectd::TypesDb::built_in(), collectd::SecurityLevel::None);
        let parser = collectd::Parser { types, security, multi_value };
        let mut batch = PointBatch::new();
        if let Ok(taken) = parser.parse(bytes, 42, &OneUser, &mut batch) {
            assert_eq!(taken.points, batch.len() as u64);
        }
        points_are_written_as_read(&batch);
    }
    let _refused = collectd::TypesDb::parse(&String::from_utf8_lossy(bytes));
}

/// Lines, or a body.
pub(crate) fn opentsdb(bytes: &[u8]) {
    let mut batch = PointBatch::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        let _refused = opentsdb::parse_line(line, &mut batch);
    }
    let _refused = opentsdb::parse_body(bytes, &mut batch);
    points_are_written_as_read(&batch);
}

/// The JSON of `params` on the first line, then a query that uses them. A regular expression may stand in places where
/// a query cannot write one, and so may a NUL and a carriage return.
pub(crate) fn bound_parameters(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (json, text) = text.split_once('\n').unwrap_or((text, ""));
    let Some(params) = fuzzing::bound(json) else { return };
    let is_writable = |value: &ParamValue| match value {
        ParamValue::Regex(_) => false,
        ParamValue::String(text) | ParamValue::Identifier(text) => !text.contains(['\0', '\r']),
        _ => true,
    };
    if let Ok(query) = parse_query_with(text, &params)
        && params.values().all(is_writable)
    {
        is_written_as_read(&query);
    }
}

pub(crate) fn parameters(bytes: &[u8]) {
    fuzzing::parameters(&String::from_utf8_lossy(bytes));
}

pub(crate) fn multipart(bytes: &[u8]) {
    fuzzing::multipart(bytes);
}

pub(crate) fn delete_predicate(bytes: &[u8]) {
    fuzzing::delete_predicate(&String::from_utf8_lossy(bytes));
}

/// Headers are text without line breaks.
pub(crate) fn authorization(bytes: &[u8]) {
    if let Ok(header) = std::str::from_utf8(bytes) {
        let _user = fuzzing::authorization(header.trim_end());
    }
}

/// What another node sends.
pub(crate) fn calls(bytes: &[u8]) {
    skywatch_rpc::fuzzing::frames(bytes);
    skywatch_rpc::fuzzing::message(bytes);
}
