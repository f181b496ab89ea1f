//! The page: who gets it, and what is on it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY,
    WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use tracing::warn;

use super::options::Options;
use super::{Shared, process};
use crate::exposition::{self, Escaping};
use crate::net::http_server::Handler;
use crate::net::request::same;

/// The page of an output.
pub(super) struct Page {
    options: Arc<Options>,
    shared: Arc<Shared>,
}

impl Page {
    pub(super) fn new(options: Arc<Options>, shared: Arc<Shared>) -> Self {
        Self { options, shared }
    }

    /// Why a request gets no page.
    fn refusal(&self, peer: SocketAddr, request: &Request<Incoming>) -> Option<StatusCode> {
        let options = &self.options;
        let header = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        if options.authorization.as_ref().is_some_and(|wanted| !same(wanted.as_bytes(), header)) {
            return Some(StatusCode::UNAUTHORIZED);
        }
        let ranges = &options.ip_ranges;
        if !ranges.is_empty() && !ranges.iter().any(|range| range.contains(peer.ip())) {
            return Some(StatusCode::FORBIDDEN);
        }
        if request.uri().path() != options.path && request.uri().path() != "/" {
            return Some(StatusCode::NOT_FOUND);
        }
        (!matches!(*request.method(), Method::GET | Method::HEAD)).then_some(StatusCode::METHOD_NOT_ALLOWED)
    }

    async fn answer(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if let Some(status) = self.refusal(peer, &request) {
            let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
            let mut response = Response::new(Full::from(text));
            *response.status_mut() = status;
            if status == StatusCode::UNAUTHORIZED {
                let challenge = HeaderValue::from_static("Basic realm=\"prometheus\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            return response;
        }
        if request.uri().path() != self.options.path {
            return Response::new(Full::from(format!("The metrics are at {}\n", self.options.path)));
        }
        let says = |name, what: &str| {
            let values = request.headers().get_all(name);
            values.iter().any(|value| value.to_str().is_ok_and(|text| text.contains(what)))
        };
        let gzip = says(ACCEPT_ENCODING, "gzip");
        let escaping =
            if says(ACCEPT, "escaping=allow-utf-8") { Escaping::Quotes } else { Escaping::Underscores };
        let (options, shared) = (Arc::clone(&self.options), Arc::clone(&self.shared));
        // A hundred thousand series take their time, which other tasks should not wait for.
        let body = tokio::task::spawn_blocking(move || {
            let text = render(&options, &shared, escaping);
            if gzip { compress(&text) } else { text.into_bytes() }
        });
        let Ok(body) = body.await else {
            let mut response = Response::new(Full::from("cannot write the page\n"));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response;
        };
        let mut response = Response::new(Full::from(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(exposition::CONTENT_TYPE));
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

impl Handler for Page {
    async fn handle(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let mut response = self.answer(peer, request).await;
        for (name, value) in &self.options.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

fn render(options: &Options, shared: &Shared, escaping: Escaping) -> String {
    let mut text = String::new();
    let now_ms = shared.now_ms();
    let mut families = shared.families.lock();
    if let Some(expiration) = options.expiration {
        families.expire(now_ms.saturating_sub(u64::try_from(expiration.as_millis()).unwrap_or(u64::MAX)));
    }
    families.write(&mut text, options.export_timestamp, escaping);
    if options.process {
        match process::read(&options.paths) {
            // Metrics of the agent may have these names, and a page has a family once.
            Ok(values) => values
                .iter()
                .filter(|value| !families.has_family(value.name))
                .for_each(|value| value.write(&mut text)),
            Err(reason) => warn!("outputs.prometheus_client: {reason}"),
        }
    }
    text
}

fn compress(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}
