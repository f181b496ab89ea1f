//! Serving HTTP: the connections of plugins that listen.
//!
//! A server accepts [`Limits::connections_max`] connections and leaves further ones in the system's queue until one ends.
//! A request's head has to arrive, and a peer has to read its answer, within their time limits, so that whoever says
//! nothing gives its connection back. Bodies are the handler's business: it knows how much it takes and how long it waits.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::address::{Stream, StreamListener};
use super::stream::HostPort;
use super::timed_write::TimedWrite;

/// The head of a request, at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Until connections are accepted again after that failed, as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long requests under way at the end are waited for.
const STOP_MAX: Duration = Duration::from_secs(3);

/// What answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one. A peer of a socket in the file system has the address `0.0.0.0`.
    fn handle(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// What a server allows its clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at the same time.
    pub(crate) connections_max: usize,
    /// For the head of a request, counted from the end of the one before, and for the handshake of TLS.
    pub(crate) read_timeout: Duration,
    /// For any progress of an answer.
    pub(crate) write_timeout: Duration,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct HttpServer {
    address: SocketAddr,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl HttpServer {
    /// Serves the connections of `listener` on tasks of the current runtime.
    pub(crate) fn start<H: Handler>(
        listener: impl Into<StreamListener>,
        tls: Option<TlsAcceptor>,
        limits: Limits,
        handler: Arc<H>,
    ) -> std::io::Result<Self> {
        let listener = listener.into();
        let address = listener.address()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, tls, limits, handler, stopped));
        Ok(Self { address, task, stop })
    }

    /// Accepts no more, and waits a while for the requests under way.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        timeout(STOP_MAX, &mut self.task).await.ok();
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it still serves.
    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // The connections belong to the task and end with it.
        self.task.abort();
    }
}

/// Binds `host:port`; without a host every address of the machine, over IPv6 and IPv4 alike where it has both.
pub(crate) async fn bind(address: &HostPort) -> Result<TcpListener, String> {
    let failed = |error| format!("cannot listen on {}:{}: {error}", address.host, address.port);
    if !address.host.is_empty() {
        return TcpListener::bind((address.host.as_str(), address.port)).await.map_err(failed);
    }
    match TcpListener::bind(("::", address.port)).await {
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(("0.0.0.0", address.port)).await.map_err(failed)
        }
        bound => bound.map_err(failed),
    }
}

async fn accept<H: Handler>(
    listener: StreamListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    handler: Arc<H>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, handler, stopped) = (tls.clone(), Arc::clone(&handler), stopped.clone());
        connections.spawn(async move {
            if let Err(reason) = connection(stream, peer, tls, limits, handler, stopped).await {
                debug!("{peer}: {reason}");
            }
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection<H: Handler>(
    stream: Stream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    handler: Arc<H>,
    stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    // Answers are written whole; waiting for more to send with them gains nothing.
    if let Stream::Tcp(tcp) = &stream {
        tcp.set_nodelay(true).ok();
    }
    match tls {
        None => serve(stream, peer, limits, handler, stopped).await,
        Some(tls) => {
            let stream = timeout(limits.read_timeout, tls.accept(stream))
                .await
                .map_err(|_| "no TLS handshake in time".to_owned())?
                .map_err(|error| format!("TLS: {error}"))?;
            serve(stream, peer, limits, handler, stopped).await
        }
    }
}

async fn serve<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    peer: SocketAddr,
    limits: Limits,
    handler: Arc<H>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let service = service_fn(|request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, std::convert::Infallible>(handler.handle(peer, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(TimedWrite::new(stream, limits.write_timeout)), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = async { drop(stopped.wait_for(|stop| *stop).await) } => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    ended.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    struct Hello;

    impl Handler for Hello {
        async fn handle(&self, _: SocketAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
            Response::new(Full::from(request.uri().path().to_owned()))
        }
    }

    #[tokio::test]
    async fn who_says_nothing_gives_its_place_back() {
        let address = HostPort { host: "127.0.0.1".to_owned(), port: 0 };
        let limits = Limits {
            connections_max: 1,
            read_timeout: Duration::from_millis(100),
            write_timeout: Duration::from_secs(5),
        };
        let listener = bind(&address).await.expect("bound");
        let server = HttpServer::start(listener, None, limits, Arc::new(Hello)).expect("started");
        let _silent = TcpStream::connect(server.address()).await.expect("connected");
        let mut client = TcpStream::connect(server.address()).await.expect("queued");
        client.write_all(b"GET /path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("answered");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n/path"), "{answer}");
        let again = bind(&HostPort { port: server.address().port(), ..address }).await;
        assert!(again.expect_err("taken").contains("cannot listen on 127.0.0.1:"));
    }
}
