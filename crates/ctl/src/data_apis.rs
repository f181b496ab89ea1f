//! Where the data nodes' HTTP APIs are, for commands that talk to them directly.

use crate::{
    CtlError, Environment,
    client::{Call, Client},
    flags::Flags,
    options::{Auth, GLOBAL, Options},
    records::Cluster,
};

/// A data node's HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataApi {
    /// The node's number.
    pub id: u64,
    /// Where it is.
    pub url: String,
}

/// The data nodes of a cluster, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataApis {
    /// In the order of their numbers.
    pub nodes: Vec<DataApi>,
    /// User and password, if the options give them.
    pub login: Option<(String, String)>,
}

/// Asks the meta nodes of `-bind`; `options` are those of every command.
pub async fn data_apis(options: &[String], environment: &Environment) -> Result<DataApis, CtlError> {
    let flags = Flags::parse(options, &GLOBAL).map_err(|error| CtlError::Usage(error.to_string()))?;
    let options = Options::of(&flags, environment)?;
    let cluster: Cluster = Client::new(&options)?.meta(&Call::get("/show-cluster", &[])).await?.json()?;
    let mut nodes: Vec<DataApi> = cluster
        .data
        .into_iter()
        .map(|node| {
            let scheme = if node.http_scheme.is_empty() { "http" } else { &node.http_scheme };
            DataApi { id: node.id, url: format!("{scheme}://{}", node.http_addr) }
        })
        .collect();
    nodes.sort_by_key(|node| node.id);
    let login = match options.auth {
        Auth::Basic { user, password } => Some((user, password)),
        Auth::None | Auth::Jwt { .. } => None,
    };
    Ok(DataApis { nodes, login })
}
