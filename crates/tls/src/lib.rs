//! TLS from files: certificates, keys and authorities in PEM, read anew when they change.
//!
//! Whoever renews certificates replaces the files and is done: the next connection sees it. Files that are broken at
//! that moment are told and leave what was there. [`ServerTls`] greets who connects, [`ClientTls`] greets who is
//! connected to; both may show a certificate and both may ask for one.

mod client;
mod config;
mod error;
mod pem;
mod reloaded;
mod server;

pub use client::{AnyServer, ClientTls, ClientTlsConfig, SYSTEM_AUTHORITIES};
pub use config::{BadTlsVersion, TlsConfig, TlsVersion};
pub use error::TlsError;
pub use server::ServerTls;
