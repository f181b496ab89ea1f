//! `http_response`: whether web servers answer, with what, and how fast.
//!
//! All URLs are asked at the same time. What goes wrong is a result and no error: it is what this input is for.

mod options;

use std::time::{Duration, Instant};

use reqwest::{Client, Response, Url};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::net::http;
use crate::net::parallel::{Asked, Parallel};
use options::Options;

/// The input.
#[derive(Debug)]
struct HttpResponse {
    options: Options,
    client: Client,
    parallel: Parallel,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success = 0,
    StringMismatch = 1,
    BodyReadError = 2,
    ConnectionFailed = 3,
    Timeout = 4,
    DnsError = 5,
    StatusCodeMismatch = 6,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::StringMismatch => "response_string_mismatch",
            Self::BodyReadError => "body_read_error",
            Self::ConnectionFailed => "connection_failed",
            Self::Timeout => "timeout",
            Self::DnsError => "dns_error",
            Self::StatusCodeMismatch => "response_status_code_mismatch",
        }
    }

    /// Of a request that got no answer.
    fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            // The client names the step that failed, and has no other way to tell it.
            if inner.to_string() == "dns error" {
                return Self::DnsError;
            }
            cause = inner.source();
        }
        Self::ConnectionFailed
    }
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let options = Options::from_section(section)?;
    let client = options.client().map_err(|why| section.bad("urls", why))?;
    Ok(Box::new(HttpResponse { options, client, parallel: Parallel::default() }))
}

impl Input for HttpResponse {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let Self { options, client, parallel } = self;
        let (options, client) = (&*options, &*client);
        let targets: Vec<_> = options
            .urls
            .iter()
            .map(|(text, url)| {
                let method = options.method.as_str();
                let metric = acc.metric("http_response").tag("server", text).tag("method", method);
                (text.clone(), probe(options, client, url, metric))
            })
            .collect();
        // The client's own limit makes a metric; this one is for what it cannot wait for.
        parallel.ask(acc, options.timeout + Duration::from_secs(1), targets)
    }
}

async fn probe(options: &Options, client: &Client, url: &Url, mut metric: Metric) -> Asked {
    let request = match options.request(client, url) {
        Ok(request) => request,
        Err(problem) => return Err(problem).into(),
    };
    let start = Instant::now();
    let outcome = match request.send().await {
        Ok(response) => {
            let response_time = start.elapsed();
            of_response(options, &response, response_time, &mut metric);
            of_body(options, response, &mut metric).await
        }
        Err(error) => Outcome::of(&error),
    };
    metric.set_tag("result", outcome.name());
    metric.set_field("result_type", outcome.name());
    metric.set_field("result_code", outcome as i64);
    Ok(vec![metric]).into()
}

fn of_response(options: &Options, response: &Response, time: Duration, metric: &mut Metric) {
    metric.set_field("response_time", time.as_secs_f64());
    let status = response.status().as_u16();
    metric.set_tag("status_code", status.to_string());
    metric.set_field("http_response_code", i64::from(status));
    for (header, tag) in &options.header_tags {
        if let Some(value) = response.headers().get(header).and_then(|value| value.to_str().ok()) {
            metric.set_tag(tag.clone(), value);
        }
    }
}

async fn of_body(options: &Options, response: Response, metric: &mut Metric) -> Outcome {
    let status = response.status().as_u16();
    let Ok(body) = http::body(response, options.body_bytes_max).await else {
        metric.set_field("content_length", 0_i64);
        if options.string_match.is_some() {
            metric.set_field("response_string_match", 0_i64);
        }
        return Outcome::BodyReadError;
    };
    let length = i64::try_from(body.len()).unwrap_or(i64::MAX);
    metric.set_field("content_length", length);
    if let Some(field) = &options.body_field {
        match String::from_utf8(body.clone()) {
            Ok(text) => metric.set_field(field.clone(), text),
            Err(_) => return Outcome::BodyReadError,
        }
    }
    let mut outcome = Outcome::Success;
    if let Some(pattern) = &options.string_match {
        let found = pattern.is_match(&body);
        metric.set_field("response_string_match", i64::from(found));
        if !found {
            outcome = Outcome::StringMismatch;
        }
    }
    if let Some(wanted) = options.status_code {
        let same = status == wanted;
        metric.set_field("response_status_code_match", i64::from(same));
        if !same {
            outcome = Outcome::StatusCodeMismatch;
        }
    }
    outcome
}

#[cfg(test)]
mod tests;
