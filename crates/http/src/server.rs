//! Listening, accepting, and ending in good order.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use skywatch_tls::ServerTls;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream, lookup_host},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    Engine, HttpConfig, MetricsRegistry, ServeError,
    access_log::AccessLog,
    app::App,
    connection::{Activity, Patience, PatientStream},
    peer::Peer,
    router,
    stats::Active,
    unix_socket::UnixSocket,
};

/// Pause after the operating system refused a connection for want of something, mostly file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection that has not asked anything may still do so when the server stops.
const FIRST_REQUEST: Duration = Duration::from_millis(200);

/// What a connection over the limit gets to read.
const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
    Content-Length: 33\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{\"error\":\"too many connections\"}\n";

/// What a client gets to read that speaks plain HTTP where HTTPS is spoken; Go's servers say the same.
const HTTP_TO_HTTPS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// A server that listens but does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    unix: Option<UnixSocket>,
    tls: Option<ServerTls>,
    access_log: Option<AccessLog>,
    local_addr: SocketAddr,
    config: HttpConfig,
    registry: Arc<MetricsRegistry>,
}

impl Server {
    /// Takes the configured address. Clients can connect from now on; they are answered by [`Self::serve`].
    pub async fn bind(config: HttpConfig) -> Result<Self, ServeError> {
        // A certificate that cannot be used is told before the address is taken.
        let tls = config.tls.as_ref().map(ServerTls::load).transpose()?;
        let listener = listen(&config.bind).await?;
        let local_addr = listener
            .local_addr()
            .map_err(|source| ServeError::Listen { address: config.bind.clone(), source })?;
        let unix = config.unix_socket.as_ref().map(UnixSocket::bind).transpose()?;
        let access_log = config.access_log.clone().map(|config| {
            let path = config.path.clone().unwrap_or_default();
            AccessLog::open(config).map_err(|source| ServeError::AccessLog { path, source })
        });
        let access_log = access_log.transpose()?;
        Ok(Self { listener, unix, tls, access_log, local_addr, config, registry: Arc::default() })
    }

    /// The address taken, with the real port when 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where other roles add their numbers for `/metrics`.
    pub const fn metrics(&self) -> &Arc<MetricsRegistry> {
        &self.registry
    }

    /// Answers requests until `shutdown` completes; then accepts no more, lets those under way finish for at most
    /// [`HttpConfig::drain_timeout`], cuts off the rest, and returns. No write is being stored any more then.
    pub async fn serve(self, engine: Arc<dyn Engine>, shutdown: impl Future<Output = ()>) {
        let app = App::new(engine, self.config, self.access_log, &self.registry, self.local_addr);
        let (stopping, stop) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let tls = self.tls.as_ref().map(ServerTls::acceptor);
                        admit(&app, &mut connections, stream, tls, peer.into(), &stop);
                    }
                    Err(error) => refused(&error).await,
                },
                accepted = accept_local(self.unix.as_ref()) => match accepted {
                    Ok(stream) => admit(&app, &mut connections, stream, None, Peer::Local, &stop),
                    Err(error) => refused(&error).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop((self.listener, self.unix));
        stopping.send_replace(true);
        drain(&app, connections).await;
    }
}

/// Binds and serves in one go, for callers that need neither the address nor the registry.
pub async fn serve(
    config: HttpConfig,
    engine: Arc<dyn Engine>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    Server::bind(config).await?.serve(engine, shutdown).await;
    Ok(())
}

async fn listen(address: &str) -> Result<TcpListener, ServeError> {
    let resolved = match address.strip_prefix(':') {
        // All addresses: IPv6 takes IPv4 along, where the machine has it.
        Some(port) => resolve(&[format!("[::]:{port}"), format!("0.0.0.0:{port}")]).await,
        None => resolve(&[address.to_owned()]).await,
    };
    let candidates =
        resolved.map_err(|source| ServeError::BadAddress { address: address.to_owned(), source })?;
    let mut failure = None;
    for candidate in candidates {
        match TcpListener::bind(candidate).await {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                // The first reason is that of the address meant; fallbacks only add noise.
                failure.get_or_insert(listen_error(candidate, error));
            }
        }
    }
    Err(failure.unwrap_or_else(|| ServeError::BadAddress {
        address: address.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    }))
}

async fn resolve(addresses: &[String]) -> io::Result<Vec<SocketAddr>> {
    let mut resolved = Vec::new();
    for address in addresses {
        resolved.extend(lookup_host(address).await?);
    }
    Ok(resolved)
}

fn listen_error(candidate: SocketAddr, source: io::Error) -> ServeError {
    let address = candidate.to_string();
    match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::AddressInUse { address, port: candidate.port() },
        io::ErrorKind::PermissionDenied => ServeError::PermissionDenied { address },
        io::ErrorKind::AddrNotAvailable => ServeError::AddressNotAvailable { address },
        _ => ServeError::Listen { address, source },
    }
}

async fn refused(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    sleep(ACCEPT_PAUSE).await;
}

/// The next connection of the Unix socket; never comes without one.
async fn accept_local(socket: Option<&UnixSocket>) -> io::Result<UnixStream> {
    match socket {
        Some(socket) => Ok(socket.listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

/// A connection as it is accepted.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Prepares it for conversation.
    fn prepare(&self) {}

    /// Writes what fits without waiting.
    fn write_at_once(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Looks at the first bytes without taking them.
    fn look<'a>(&'a self, head: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + Send + 'a;
}

impl Stream for TcpStream {
    fn prepare(&self) {
        // Answers are written whole; waiting for more would only delay them. Failing to say so does no harm.
        drop(self.set_nodelay(true));
    }

    fn write_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }

    fn look<'a>(&'a self, head: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.peek(head)
    }
}

impl Stream for UnixStream {
    fn write_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(bytes)
    }

    async fn look(&self, _head: &mut [u8]) -> io::Result<usize> {
        // Nothing is encrypted on it, so nobody has to know.
        Ok(0)
    }
}

fn admit(
    app: &Arc<App>,
    connections: &mut JoinSet<()>,
    stream: impl Stream,
    tls: Option<TlsAcceptor>,
    peer: Peer,
    stop: &watch::Receiver<bool>,
) {
    let stats = &app.stats;
    stats.connections.fetch_add(1, Ordering::Relaxed);
    let limit = app.config.max_connections as u64;
    if limit > 0 && stats.connections_open.load(Ordering::Relaxed) >= limit {
        stats.connections_refused.fetch_add(1, Ordering::Relaxed);
        // Best effort: a fresh connection takes this much without waiting.
        drop(stream.write_at_once(TOO_MANY_CONNECTIONS));
        return;
    }
    let open = Active::enter(stats, |stats| &stats.connections_open);
    let (app, stop) = (Arc::clone(app), stop.clone());
    connections.spawn(async move {
        let _open = open;
        stream.prepare();
        let Some(tls) = tls else { return converse(app, stream, peer, stop).await };
        // The connection counts from its first byte on; who does not greet in time is let go.
        let mut stopping = stop.clone();
        let greeted = tokio::select! {
            greeted = timeout(app.config.header_timeout, greet(tls, stream)) => greeted,
            // Who has not greeted yet has asked nothing.
            () = told_to_stop(&mut stopping) => return,
        };
        match greeted {
            Ok(Ok(Some(stream))) => converse(app, stream, peer, stop).await,
            Ok(Ok(None)) => tracing::debug!(%peer, "plain HTTP where HTTPS is spoken"),
            Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
        }
    });
}

/// Shakes hands; `None` if the client speaks plain HTTP, and has been told.
async fn greet<S: Stream>(tls: TlsAcceptor, mut stream: S) -> io::Result<Option<TlsStream<S>>> {
    let mut head = [0; 5];
    let looked = stream.look(&mut head).await?;
    if !matches!(&head[..looked], b"GET /" | b"HEAD " | b"POST " | b"PUT /" | b"OPTIO") {
        return tls.accept(stream).await.map(Some);
    }
    // What has arrived is read, since closing before would cost the client the answer.
    let _taken = stream.read(&mut [0; 4096]).await?;
    stream.write_all(HTTP_TO_HTTPS).await?;
    stream.shutdown().await?;
    Ok(None)
}

/// Serves one connection to its end.
async fn converse(
    app: Arc<App>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    mut stop: watch::Receiver<bool>,
) {
    let config = &app.config;
    let patience =
        Patience { idle: config.idle_timeout, head: config.header_timeout, send: config.send_timeout };
    let activity = Activity::default();
    let stream = PatientStream::new(stream, patience, activity.clone());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (app, busy) = (Arc::clone(&app), activity.begin());
        async move { Ok::<_, Infallible>(router::handle(app, request, busy, peer).await) }
    });
    // InfluxDB writes `Content-Type`; naive clients look for just that.
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = told_to_stop(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            finish(connection, &activity).await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits for the end of a connection that was told to end. One that has not asked anything yet would keep waiting for its
/// first request, as those do that load balancers and browsers open in advance: it has a moment to ask.
async fn finish<T>(
    mut connection: impl Future<Output = Result<T, hyper::Error>> + Unpin,
    activity: &Activity,
) -> Result<(), hyper::Error> {
    if activity.is_untouched() {
        let first = timeout(FIRST_REQUEST, &mut connection).await;
        if let Ok(outcome) = first {
            return outcome.map(drop);
        }
        if activity.is_untouched() {
            return Ok(());
        }
    }
    connection.await.map(drop)
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // Also fails, and rightly ends the wait, if the server itself is gone.
    drop(stop.wait_for(|stopping| *stopping).await);
}

async fn drain(app: &App, mut connections: JoinSet<()>) {
    let all_done = async { while connections.join_next().await.is_some() {} };
    if timeout(app.config.drain_timeout, all_done).await.is_err() {
        tracing::warn!(open = connections.len(), "cutting off connections that did not finish in time");
        connections.shutdown().await;
    }
    // Threads go on without their connections: writes to their end, queries to their next check.
    let threads_done = async {
        app.writes.wait_empty().await;
        app.queries.wait_empty().await;
    };
    if timeout(app.config.drain_timeout, threads_done).await.is_err() {
        tracing::warn!("requests are still running at shutdown");
    }
}
