//! Listening for the console, and serving it until told to stop.

use std::{io, net::SocketAddr};

use anyhow::{Result, anyhow};
use axum::Router;
use tokio::net::TcpListener;

use crate::bind_address::BindAddress;

/// Takes the console's address; clients can connect from now on.
pub(crate) async fn listen(address: &BindAddress) -> Result<(TcpListener, SocketAddr)> {
    let resolvable = match address.as_str().strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => address.to_string(),
    };
    let listener = TcpListener::bind(&resolvable).await.map_err(|error| explain(address, &error))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn explain(address: &BindAddress, error: &io::Error) -> anyhow::Error {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "the console cannot listen on {address}: the port is in use; stop the other process \
             (`ss -ltnp 'sport = :{port}'` names it) or choose another address with --console-bind"
        ),
        _ => anyhow!(
            "the console cannot listen on {address}: {error}; choose another address with --console-bind"
        ),
    }
}

/// Serves until `stop` completes; requests under way may finish.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}
