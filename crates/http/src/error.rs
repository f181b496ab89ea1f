//! Why the HTTP server does not start.

use std::{io, path::PathBuf};

/// Why the server cannot listen. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The setting is no address.
    #[error("cannot listen on \"{address}\": expected ADDRESS:PORT, such as 127.0.0.1:8086 or :8086")]
    BadAddress {
        /// The setting.
        address: String,
        /// Why it cannot be resolved.
        #[source]
        source: io::Error,
    },
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: the port is in use; choose another address with --http-bind, or stop the other process"
    )]
    AddressInUse {
        /// Address and port.
        address: String,
        /// The port alone, for whoever knows how to find the other process.
        port: u16,
    },
    /// The operating system keeps the port for itself.
    #[error(
        "cannot listen on {address}: permission denied; ports below 1024 are reserved for root, choose another \
         with --http-bind"
    )]
    PermissionDenied {
        /// Address and port.
        address: String,
    },
    /// No network interface has the address.
    #[error(
        "cannot listen on {address}: this machine does not have that address (`ip address` lists those it has); \
         choose another with --http-bind"
    )]
    AddressNotAvailable {
        /// Address and port.
        address: String,
    },
    /// The certificate cannot be used.
    #[error("cannot serve HTTPS")]
    Tls(#[from] crate::TlsError),
    /// Anything else the operating system answered.
    #[error("cannot listen on {address}")]
    Listen {
        /// Address and port.
        address: String,
        /// What it answered.
        #[source]
        source: io::Error,
    },
    /// Something other than a socket that was left behind is in the way.
    #[error(
        "cannot listen on the Unix socket {}: another process listens there, or it is no socket; \
         choose another path with [http] bind-socket",
        path.display()
    )]
    UnixSocketInUse {
        /// The setting.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot listen on the Unix socket {}", path.display())]
    UnixSocket {
        /// The setting.
        path: PathBuf,
        /// What the operating system answered.
        #[source]
        source: io::Error,
    },
    /// The access log cannot be written.
    #[error("cannot open the access log {}", path.display())]
    AccessLog {
        /// The setting; empty for standard error.
        path: PathBuf,
        /// What the operating system answered.
        #[source]
        source: io::Error,
    },
}
