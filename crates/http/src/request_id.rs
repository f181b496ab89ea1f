//! Names for requests: the client's own (`X-Request-Id`, else `Request-Id`), or a time-based UUID as InfluxDB
//! makes them.

use std::{
    sync::atomic::{AtomicU16, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use hyper::{HeaderMap, header::HeaderValue};

/// 100 ns steps between 1582-10-15, where UUID time begins, and 1970.
const UUID_EPOCH_OFFSET: u64 = 0x01B2_1DD2_1381_4000;

/// Counts requests, so that two in the same instant differ.
static SEQUENCE: AtomicU16 = AtomicU16::new(1);

/// The request's name, the client's or a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    ["x-request-id", "request-id"]
        .into_iter()
        .filter_map(|name| headers.get(name))
        .find(|value| !value.is_empty())
        .cloned()
        .unwrap_or_else(new_id)
}

fn new_id() -> HeaderValue {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let steps = since_1970.as_secs() * 10_000_000 + u64::from(since_1970.subsec_nanos() / 100);
    let text = uuid_text(steps + UUID_EPOCH_OFFSET, SEQUENCE.fetch_add(1, Ordering::Relaxed));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// A version 1 UUID without a node.
fn uuid_text(time: u64, sequence: u16) -> String {
    let (low, mid, high) = (time & 0xFFFF_FFFF, time >> 32 & 0xFFFF, time >> 48 & 0x0FFF | 0x1000);
    let sequence = sequence & 0x3FFF | 0x8000;
    format!("{low:08x}-{mid:04x}-{high:04x}-{sequence:04x}-000000000000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_like_influxdbs() {
        assert_eq!(uuid_text(0x1f1_e6a7_7b27_dcc0, 1), "7b27dcc0-e6a7-11f1-8001-000000000000");
        assert_ne!(new_id(), new_id());
    }

    #[test]
    fn the_clients_own_name_wins() {
        let mut headers = HeaderMap::new();
        headers.insert("request-id", HeaderValue::from_static("abc"));
        assert_eq!(request_id(&headers), "abc");
        headers.insert("x-request-id", HeaderValue::from_static("xabc"));
        assert_eq!(request_id(&headers), "xabc");
        headers.insert("x-request-id", HeaderValue::from_static(""));
        assert_eq!(request_id(&headers), "abc");
    }
}
