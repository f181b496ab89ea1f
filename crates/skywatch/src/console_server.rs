//! Listening for the console, and serving it until told to stop; over TLS with the certificate of the HTTP API, if it has to.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use axum::{Router, serve::Listener};
use skywatch_tls::{ServerTls, TlsConfig};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;

use crate::bind_address::{BindAddress, who_has};

/// How long a client may take to greet.
const GREETING: Duration = Duration::from_secs(10);
/// Clients that are greeting; more wait in the system's queue.
const GREETING_MAX: usize = 64;
/// Pause after the operating system refused a connection for want of something, mostly file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A console that listens and does not answer yet.
#[derive(Debug)]
pub(crate) struct ConsoleListener {
    tcp: TcpListener,
    tls: Option<ServerTls>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// Takes the console's address; clients can connect from now on.
pub(crate) async fn listen(address: &BindAddress, tls: Option<&TlsConfig>) -> Result<ConsoleListener> {
    let tls = tls.map(ServerTls::load).transpose().context("TLS for the console")?;
    let resolvable = match address.as_str().strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => address.to_string(),
    };
    let tcp = TcpListener::bind(&resolvable).await.map_err(|error| explain(address, &error))?;
    let address = tcp.local_addr()?;
    Ok(ConsoleListener { tcp, tls, address })
}

fn explain(address: &BindAddress, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "the console cannot listen on {address}: the port is in use; choose another address with --console-bind, or \
             stop the other process: {}",
            who_has(address.port())
        ),
        _ => anyhow!(
            "the console cannot listen on {address}: {error}; choose another address with --console-bind"
        ),
    }
}

/// Serves until `stop` completes; requests under way may finish.
pub(crate) async fn serve(
    listener: ConsoleListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    match listener.tls {
        None => axum::serve(listener.tcp, router).with_graceful_shutdown(stop).await,
        Some(tls) => {
            let greeted = Greeted::start(listener.tcp, tls, listener.address);
            axum::serve(greeted, router).with_graceful_shutdown(stop).await
        }
    }
}

/// Connections that have shaken hands. Greeting is done beside, so that one slow client does not keep others waiting.
struct Greeted {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Greeted {
    fn start(tcp: TcpListener, tls: ServerTls, address: SocketAddr) -> Self {
        let (send, ready) = mpsc::channel(1);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(GREETING_MAX));
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let accepted = tokio::select! {
                    accepted = tcp.accept() => accepted,
                    () = send.closed() => return,
                };
                let (stream, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection to the console");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let (acceptor, send) = (tls.acceptor(), send.clone());
                tokio::spawn(async move {
                    match timeout(GREETING, acceptor.accept(stream)).await {
                        // Whoever serves is gone: so may the client be.
                        Ok(Ok(stream)) => drop(send.send((stream, peer)).await),
                        Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
                        Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
                    }
                    drop(place);
                });
            }
        });
        Self { ready, address }
    }
}

impl Listener for Greeted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(greeted) => greeted,
            // The task that greets ends after this only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
