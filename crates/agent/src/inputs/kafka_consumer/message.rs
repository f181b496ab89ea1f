//! What becomes of a message: metrics, a problem, or both.

use std::borrow::Cow;

use super::options::Shape;
use crate::metric::Metric;
use crate::parser::{Defaults, Parser};

/// A message, borrowed from the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) topic: &'a str,
    /// Empty where there is none.
    pub(super) payload: &'a [u8],
    pub(super) headers: &'a [(&'a str, &'a [u8])],
    /// Milliseconds since the Unix epoch.
    pub(super) time_ms: Option<i64>,
}

/// The metrics of a message, and what is wrong with it. Lines that can be read are kept beside those that cannot.
pub(super) fn metrics(
    message: &Message<'_>,
    shape: &Shape,
    length_max: usize,
    parser: &mut dyn Parser,
    now_ns: i64,
) -> (Vec<Metric>, Option<String>) {
    if length_max > 0 && message.payload.len() > length_max {
        let reason = format!("{} bytes are more than max_message_len, {length_max}", message.payload.len());
        return (Vec::new(), Some(reason));
    }
    let mut metrics = Vec::new();
    // A message without content only deletes an older one of its key.
    if message.payload.is_empty() {
        return (metrics, None);
    }
    let defaults = Defaults { name: Cow::Borrowed("kafka_consumer"), now_ns };
    let problem = parser.parse(message.payload, &defaults, &mut metrics).err().map(|error| error.to_string());
    let header = |name: &str| {
        message.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| String::from_utf8_lossy(value))
    };
    let name = shape.name_header.as_deref().and_then(header).filter(|name| !name.is_empty());
    for metric in &mut metrics {
        for key in &shape.header_tags {
            if let Some(value) = header(key) {
                metric.set_tag(key.clone(), value.into_owned());
            }
        }
        if let Some(name) = &name {
            metric.name = Cow::Owned(name.clone().into_owned());
        }
        if let Some(tag) = &shape.topic_tag {
            metric.set_tag(tag.clone(), message.topic);
        }
        if shape.message_time
            && let Some(time_ms) = message.time_ms
        {
            metric.time_ns = time_ms.saturating_mul(1_000_000);
        }
    }
    (metrics, problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;
    use crate::context::Context;

    fn read(payload: &[u8], shape: &Shape, length_max: usize) -> (Vec<Metric>, Option<String>) {
        let mut parser =
            crate::parsers::from_section(&mut section_for_tests(""), &Context::default(), "influx")
                .expect("influx");
        let headers: [(&str, &[u8]); 2] = [("source", b"rack-7"), ("kind", b"renamed")];
        let message = Message { topic: "metrics", payload, headers: &headers, time_ms: Some(5) };
        metrics(&message, shape, length_max, &mut *parser, 9)
    }

    #[test]
    fn a_message_adds_what_the_options_ask_for() {
        let plain = read(b"cpu,host=a x=1i 7\ncpu,host=b x=2i", &Shape::default(), 0);
        let expected = [
            Metric::new("cpu", 7).tag("host", "a").field("x", 1_i64),
            Metric::new("cpu", 9).tag("host", "b").field("x", 2_i64),
        ];
        assert_eq!(plain, (expected.to_vec(), None));
        let shape = Shape {
            topic_tag: Some("topic".to_owned()),
            header_tags: vec!["source".to_owned(), "absent".to_owned()],
            name_header: Some("kind".to_owned()),
            message_time: true,
        };
        let (metrics, problem) = read(b"cpu x=1i 7", &shape, 0);
        assert_eq!(problem, None);
        let shaped = Metric::new("renamed", 5_000_000)
            .tag("source", "rack-7")
            .tag("topic", "metrics")
            .field("x", 1_i64);
        assert_eq!(metrics, [shaped]);
    }

    #[test]
    fn a_bad_line_is_named_and_costs_no_other() {
        let (metrics, problem) = read(b"cpu x=1i 7\nnonsense\ncpu x=2i 8\n", &Shape::default(), 0);
        assert_eq!(metrics.len(), 2);
        assert!(problem.expect("named").contains("line 2"));
    }

    #[test]
    fn what_is_too_long_or_empty_gives_nothing() {
        let (metrics, problem) = read(b"cpu x=1i 7", &Shape::default(), 9);
        assert!(metrics.is_empty());
        assert_eq!(problem.as_deref(), Some("10 bytes are more than max_message_len, 9"));
        assert_eq!(read(b"cpu x=1i 7", &Shape::default(), 10).0.len(), 1);
        assert_eq!(read(b"", &Shape::default(), 9), (Vec::new(), None));
    }
}
