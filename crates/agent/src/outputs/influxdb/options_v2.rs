//! The options of the `influxdb_v2` output, read into those it has in common with `influxdb`: a bucket is written as
//! a database is.

use std::time::Duration;

use super::options::{Api, Options, RateLimit, UDP_PAYLOAD_MAX, encoding, servers, timeout, user_agent};
use crate::config::{ConfigError, Section};
use crate::net::http::Connecting;
use crate::net::tls::ClientTls;
use crate::serializers::influx::InfluxSerializer;

impl Options {
    pub(super) fn v2_from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        const HTTP2: &str = "a request has a timeout of its own";
        section.without_effect("ping_timeout", HTTP2);
        section.without_effect("read_idle_timeout", HTTP2);
        section.without_effect("concurrent_writes", "one write at a time keeps the order");
        let options = Self {
            api: Api::V2 {
                organization: section.string("organization")?.unwrap_or_default(),
                token: text(section.string("token")?),
            },
            servers: servers(section, false)?,
            database: section.string("bucket")?.unwrap_or_default(),
            database_tag: text(section.string("bucket_tag")?),
            exclude_database_tag: section.boolean("exclude_bucket_tag")?.unwrap_or(false),
            skip_database_creation: true,
            retention_policy: String::new(),
            retention_policy_tag: None,
            exclude_retention_policy_tag: false,
            write_consistency: None,
            timeout: timeout(section)?,
            username: None,
            password: None,
            user_agent: user_agent(section)?,
            http_headers: section.string_table("http_headers")?.unwrap_or_default(),
            gzip: encoding(section)?,
            lines: InfluxSerializer::from_section(section)?,
            udp_payload: UDP_PAYLOAD_MAX,
            rate_limit: rate_limit(section)?,
            tls: ClientTls::from_section(section)?,
            connecting: Connecting::from_section(section, "http_proxy")?,
        };
        if options.database.is_empty() && options.database_tag.is_none() {
            return Err(section.bad("bucket", "a bucket is needed, or a bucket_tag"));
        }
        Ok(options)
    }
}

fn rate_limit(section: &mut Section) -> Result<Option<RateLimit>, ConfigError> {
    let period = section.duration("rate_limit_period")?.filter(|&period| period > 0);
    let limit = match section.string("rate_limit")?.as_deref() {
        None | Some("" | "unlimited") => None,
        Some(text) => match crate::config::parse_size(text) {
            Some(0) => None,
            Some(bytes) => Some(bytes),
            None => {
                let reason = format!("{text:?} is neither \"unlimited\" nor a size such as \"5MB\"");
                return Err(section.bad("rate_limit", reason));
            }
        },
    };
    match (limit, period) {
        (None, _) => Ok(None),
        (Some(bytes), Some(period)) => {
            Ok(Some(RateLimit { bytes, period: Duration::from_nanos(period.unsigned_abs()) }))
        }
        (Some(_), None) => Err(section.bad("rate_limit", "a rate_limit_period is needed with it")),
    }
}
