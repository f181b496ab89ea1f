//! A server and how to reach it: the one place where the command line's clients (`query`, `import`, `ctl`) learn of
//! URLs, credentials, TLS, Unix sockets and time limits, and where what goes wrong on the way gets its words.
//!
//! [`Connection`] says where and how, [`Client`] sends requests there. What the requests are is their senders' business.

mod client;
mod connection;
mod error;

pub use client::{Client, Server, error_text};
pub use connection::{Connection, Credentials, Place, UrlError};
pub use error::ClientError;
pub use reqwest::{Method, RequestBuilder, Response, StatusCode};
