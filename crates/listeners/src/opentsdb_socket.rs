//! `[[opentsdb]]`: lines of OpenTSDB's telnet style and its HTTP, on one port.
//!
//! Methods of HTTP are written in capitals, commands in small letters: the first byte tells which it is.

use std::{
    io::Read,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use skywatch_cluster::WriteErrorClass;
use skywatch_model::{line::PointBatch, wall_clock_ns};
use skywatch_tls::{ServerTls, TlsConfig};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream},
    net::TcpStream,
    sync::{Semaphore, mpsc, watch},
};

use crate::{
    batch::{BatchConfig, store},
    connections::{Conversation, LINE_BYTES_MAX, LineReader, Piece},
    listener::told_to_stop,
    opentsdb::{Line, LineError, parse_body, parse_line},
    sink::PointSink,
    statistics::{Counters, add},
};

/// One `[[opentsdb]]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTsdbConfig {
    /// Address and port.
    pub bind: String,
    /// Where points go.
    pub batch: BatchConfig,
    /// The certificate, if TLS is spoken.
    pub tls: Option<TlsConfig>,
    /// Whether lines that are no points are logged.
    pub logs_bad_lines: bool,
}

/// What InfluxDB answers to `version`.
const VERSION: &[u8] = b"InfluxDB TSDB proxy";
/// How long a connection may take to say something, to greet with TLS, and to send the head of a request.
const GREETING_LIMIT: Duration = Duration::from_secs(30);
/// Longest body, before and after it is unpacked.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Bodies that are held at once; further requests wait.
const BODIES_MAX: usize = 8;

/// One section, over connections.
#[derive(Clone)]
pub(crate) struct OpenTsdb {
    shared: Arc<Shared>,
}

struct Shared {
    config: OpenTsdbConfig,
    tls: Option<ServerTls>,
    sink: Arc<dyn PointSink>,
    counters: Arc<Counters>,
    bodies: Semaphore,
}

impl OpenTsdb {
    pub(crate) fn new(
        config: OpenTsdbConfig,
        tls: Option<ServerTls>,
        sink: Arc<dyn PointSink>,
        counters: Arc<Counters>,
    ) -> Self {
        let bodies = Semaphore::new(BODIES_MAX);
        Self { shared: Arc::new(Shared { config, tls, sink, counters, bodies }) }
    }
}

impl Conversation for OpenTsdb {
    async fn converse(&self, stream: TcpStream, pieces: mpsc::Sender<Vec<u8>>, stop: watch::Receiver<bool>) {
        let counters = &self.shared.counters;
        add(&counters.connections_handled, 1);
        add(&counters.connections_active, 1);
        match &self.shared.tls {
            None => self.talk(stream, pieces, stop).await,
            Some(tls) => match tokio::time::timeout(GREETING_LIMIT, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => self.talk(stream, pieces, stop).await,
                Ok(Err(error)) => tracing::debug!(%error, "an OpenTSDB connection did not greet with TLS"),
                Err(_) => {}
            },
        }
        counters.connections_active.fetch_sub(1, Ordering::Relaxed);
    }

    fn take(&self, lines: &[u8], batch: &mut PointBatch<'static>) {
        for line in lines.split(|&byte| byte == b'\n') {
            self.shared.take(line, batch);
        }
    }
}

impl OpenTsdb {
    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        pieces: mpsc::Sender<Vec<u8>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut stream = BufStream::new(stream);
        let first = tokio::select! {
            () = told_to_stop(&mut stop) => return,
            first = tokio::time::timeout(GREETING_LIMIT, stream.fill_buf()) => first,
        };
        let Ok(Ok([first, ..])) = first else { return };
        if first.is_ascii_uppercase() {
            add(&self.shared.counters.http_connections, 1);
            return self.serve(stream, stop).await;
        }
        add(&self.shared.counters.telnet_handled, 1);
        add(&self.shared.counters.telnet_active, 1);
        self.read_lines(stream, pieces, stop).await;
        self.shared.counters.telnet_active.fetch_sub(1, Ordering::Relaxed);
    }

    async fn read_lines(
        &self,
        mut stream: BufStream<impl AsyncRead + AsyncWrite + Unpin>,
        pieces: mpsc::Sender<Vec<u8>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut reader = LineReader::default();
        loop {
            let lines = match reader.next(&mut stream, &mut stop).await {
                Piece::Lines(lines) => lines,
                Piece::TooLong => {
                    add(&self.shared.counters.read_failures, 1);
                    tracing::info!("an OpenTSDB connection sent a line of more than {LINE_BYTES_MAX} bytes");
                    return;
                }
                Piece::End => return,
            };
            let questions =
                lines.split(|&byte| byte == b'\n').filter(|line| line.trim_ascii() == b"version").count();
            if pieces.send(lines).await.is_err() {
                return;
            }
            for _ in 0..questions {
                if stream.write_all(VERSION).await.is_err() {
                    return;
                }
            }
            if questions > 0 && stream.flush().await.is_err() {
                return;
            }
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin, mut stop: watch::Receiver<bool>) {
        let service = service_fn(|request| async {
            Ok::<_, std::convert::Infallible>(self.shared.answer(request).await)
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(GREETING_LIMIT);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = told_to_stop(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "an OpenTSDB connection over HTTP ended early");
        }
    }
}

impl Shared {
    /// Adds the point of a line.
    fn take(&self, line: &[u8], batch: &mut PointBatch<'static>) {
        let counters = &self.counters;
        add(&counters.points_received, 1);
        add(&counters.bytes_received, line.len() as u64);
        let parsed = match std::str::from_utf8(line) {
            Ok(line) => parse_line(line, batch),
            Err(_) => Err(LineError::Malformed),
        };
        let problem = match parsed {
            Ok(Line::Point { bad_tags }) => return add(&counters.bad_tags, bad_tags),
            Ok(Line::Version) => return,
            Ok(Line::Blank) => LineError::Malformed,
            Err(problem) => problem,
        };
        match &problem {
            LineError::Malformed => add(&counters.bad_lines, 1),
            LineError::Time(_) | LineError::TimeDigits(_) => add(&counters.bad_times, 1),
            LineError::Value(_) | LineError::Point(_) => add(&counters.bad_floats, 1),
        }
        if self.config.logs_bad_lines {
            let line = String::from_utf8_lossy(line);
            tracing::info!(?line, %problem, "unable to parse line");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match request.uri().path() {
            "/api/metadata/put" => told(StatusCode::NO_CONTENT, ""),
            "/api/put" if request.method() == Method::POST => match self.put(request).await {
                Ok(()) => told(StatusCode::NO_CONTENT, ""),
                Err((status, reason)) => told(status, &reason),
            },
            "/api/put" => told(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            _ => told(StatusCode::NOT_FOUND, "404 page not found"),
        }
    }

    async fn put(&self, request: Request<Incoming>) -> Result<(), (StatusCode, String)> {
        // The semaphore is never closed.
        let _held = self.bodies.acquire().await;
        let is_packed =
            request.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
        let read = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
        let body = read.map_err(|error| match error.downcast_ref::<http_body_util::LengthLimitError>() {
            Some(_) => too_large(),
            None => (StatusCode::BAD_REQUEST, format!("could not read the body: {error}")),
        })?;
        let body = if is_packed { unpack(&body.to_bytes())? } else { body.to_bytes().to_vec() };
        let mut batch = PointBatch::new();
        let dropped =
            parse_body(&body, &mut batch).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        drop(body);
        add(&self.counters.points_invalid, dropped);
        if batch.is_empty() {
            return Ok(());
        }
        let (sink, config) = (Arc::clone(&self.sink), self.config.batch.clone());
        let stored =
            tokio::task::spawn_blocking(move || store(&*sink, &config, &batch, wall_clock_ns(), false)).await;
        let failed = match stored {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failed)) => failed,
            Err(_panicked) => {
                return Err((StatusCode::INTERNAL_SERVER_ERROR, "write error: panic".to_owned()));
            }
        };
        let status = match failed.class {
            WriteErrorClass::Caller | WriteErrorClass::NotFound => StatusCode::BAD_REQUEST,
            WriteErrorClass::Retry => StatusCode::SERVICE_UNAVAILABLE,
            WriteErrorClass::Fatal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Err((status, format!("write error: {}", failed.reason)))
    }
}

fn too_large() -> (StatusCode, String) {
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body has more than {BODY_BYTES_MAX} bytes: send fewer points at once"),
    )
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, (StatusCode, String)> {
    let mut body = Vec::new();
    let limit = BODY_BYTES_MAX as u64 + 1;
    let unpacking = flate2::read::MultiGzDecoder::new(packed).take(limit).read_to_end(&mut body);
    unpacking.map_err(|error| (StatusCode::BAD_REQUEST, format!("could not read gzip, {error}")))?;
    if body.len() > BODY_BYTES_MAX { Err(too_large()) } else { Ok(body) }
}

/// Errors end in a line feed, as Go's do.
fn told(status: StatusCode, reason: &str) -> Response<Full<Bytes>> {
    let body = if reason.is_empty() { Bytes::new() } else { Bytes::from(format!("{reason}\n")) };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    if !reason.is_empty() {
        let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}
