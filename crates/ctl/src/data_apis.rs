//! Where the data nodes' HTTP APIs are, for commands that talk to them directly.

use std::time::Duration;

use jiff::Timestamp;
use skywatch_client::Credentials;

use crate::{
    CtlError, Environment,
    client::{Call, Client},
    flags::Flags,
    options::{Auth, GLOBAL, Options},
    records::Cluster,
    token::sign,
};

/// A data node's HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataApi {
    /// The node's number.
    pub id: u64,
    /// Its address as `show` prints it.
    pub tcp_addr: String,
    /// Where its API is.
    pub url: String,
}

/// The data nodes of a cluster, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataApis {
    /// In the order of their numbers.
    pub nodes: Vec<DataApi>,
    /// Who asks, if the options say so; a token is good for as long as a backup may take.
    pub login: Option<Credentials>,
    /// Certificates (PEM) that are trusted besides the well-known ones.
    pub ca: Option<String>,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Longest time to wait for something of an answer, if the options say so.
    pub timeout: Option<Duration>,
    /// That no meta node leads, and who said which the nodes are, if so.
    pub unled: Option<String>,
}

/// How long a token is good for that goes to data nodes.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Asks the meta nodes of `-bind`; `options` are those of every command.
pub async fn data_apis(options: &[String], environment: &Environment) -> Result<DataApis, CtlError> {
    let flags = Flags::parse(options, &GLOBAL).map_err(|error| CtlError::Usage(error.to_string()))?;
    let options = Options::of(&flags, environment)?;
    let client = Client::new(&options)?;
    let cluster: Cluster = client.meta(&Call::get("/show-cluster", &[])).await?.json()?;
    let unled = client.unled().map(|unled| unled.to_string());
    let mut nodes: Vec<DataApi> = cluster
        .data
        .into_iter()
        .map(|node| {
            let scheme = if node.http_scheme.is_empty() { "http" } else { &node.http_scheme };
            DataApi { id: node.id, tcp_addr: node.tcp_addr, url: format!("{scheme}://{}", node.http_addr) }
        })
        .collect();
    nodes.sort_by_key(|node| node.id);
    let login = match options.auth {
        Auth::Basic { user, password } => Some(Credentials::Password { user, password }),
        Auth::Jwt { user, secret } => {
            Some(Credentials::Token(sign(&secret, &user, Timestamp::now().as_second(), TOKEN_LIFE)?))
        }
        Auth::None => None,
    };
    let timeout = flags.text("timeout").map(|_| options.timeout);
    Ok(DataApis { nodes, login, ca: options.ca, insecure: options.insecure, timeout, unled })
}
