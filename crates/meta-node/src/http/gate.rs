//! Who may ask what, and the way to the leader.
//!
//! With authentication on, whoever is a user may look and administrators may change things. Before there is an
//! administrator, only a token signed with the shared secret opens anything: with it the first one is made
//! (`POST /user`), so that a cluster need not stand open until then.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use axum::{
    extract::{Request, State},
    http::{
        HeaderValue, Method, StatusCode, Uri,
        header::{AUTHORIZATION, LOCATION},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use skywatch_meta::{Catalogue, PasswordHash};

use super::{Api, Problem, fields};

/// What somebody shows: the header, and `u` and `p` of the URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The header `Authorization`.
    pub authorization: String,
    /// `u`
    pub user: String,
    /// `p`
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

/// Why somebody is not let in, in the words of InfluxDB.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Who knows who is who.
#[async_trait]
pub trait Authority: Send + Sync + fmt::Debug {
    /// The name of the user who shows this. A token that the shared secret signed is believed, whether there is such a
    /// user or not; a password is the one of a user of the catalogue.
    async fn identify(&self, catalogue: Arc<Catalogue>, login: &Login) -> Result<Identified, Refusal>;
}

/// Who can make hashes of passwords.
#[async_trait]
pub trait Passwords: Send + Sync + fmt::Debug {
    /// What a new password is checked against.
    async fn hash(&self, password: String) -> Result<PasswordHash, Refusal>;
}

/// Somebody who showed who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// The name of a user.
    pub name: String,
    /// Whether the shared secret vouches for it.
    pub by_secret: bool,
}

/// Lets requests through, or not; and completes the way to the leader.
pub(super) async fn pass(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let parameters = match fields::parse(uri.query().unwrap_or_default()) {
        Ok(parameters) => parameters,
        Err(problem) => return problem.into_response(),
    };
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let of_url = |name: &str| parameters.get(name).cloned().unwrap_or_default();
    let login = Login {
        authorization: header.unwrap_or_default().to_owned(),
        user: of_url("u"),
        password: of_url("p"),
    };
    if let Err(problem) = admit(&api, &login, &method, uri.path()).await {
        return problem.into_response();
    }
    let mut response = next.run(request).await;
    if response.status() == StatusCode::TEMPORARY_REDIRECT {
        complete(&mut response, api.node.settings().https, &uri);
    }
    response
}

async fn admit(api: &Api, login: &Login, method: &Method, path: &str) -> Result<(), Problem> {
    let Some(authority) = &api.authority else { return Ok(()) };
    if matches!(path, "/ping" | "/leader") {
        return Ok(());
    }
    let (_, catalogue) = api.node.catalogue();
    let identified = authority.identify(Arc::clone(&catalogue), login).await;
    if !catalogue.has_admin() {
        return match identified {
            Ok(Identified { by_secret: true, .. }) => Ok(()),
            // To the letter: clients look for it. docs/ctl.md says how.
            _ => Err(Problem::invalid("must create admin user first")),
        };
    }
    let name = identified.map_err(|refusal| Problem::Unknown(refusal.0))?.name;
    let user = catalogue.user(&name).ok_or_else(|| Problem::Unknown("user not found".into()))?;
    let is_look = *method == Method::GET && !matches!(path, "/" | "/user" | "/snapshot" | "/lease");
    if user.admin || is_look {
        return Ok(());
    }
    Err(Problem::Error(StatusCode::FORBIDDEN, format!("user {name:?} is no administrator: it may only look")))
}

/// The handler says which node, this says which URL there.
fn complete(response: &mut Response, https: bool, uri: &Uri) {
    let Some(leader) = response.headers().get(LOCATION).and_then(|leader| leader.to_str().ok()) else {
        return;
    };
    let scheme = if https { "https" } else { "http" };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if let Ok(location) = HeaderValue::from_str(&format!("{scheme}://{leader}{path}")) {
        response.headers_mut().insert(LOCATION, location);
    }
}
