//! Who asks. With authentication on, nothing but `/ping` and `/health` answers somebody unknown.
//!
//! A password that was right before is recalled at once; others cost a hash, computed on a thread, few at a time. As in
//! InfluxDB nobody is asked while there is no administrator: all that goes then is to make one.

mod credentials;
mod jwt;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use hyper::StatusCode;
use skywatch_model::wall_clock_ns;
use skywatch_query::Identity;
use subtle::ConstantTimeEq;

use crate::{
    app::{App, Head},
    params::Params,
    response::Failure,
};
pub use credentials::Credentials;
pub use jwt::{TokenError, user_of as user_of_token};

/// Whom a path answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// Every user.
    User,
    /// Administrators.
    Admin,
    /// Whoever has a right on what the request is about: the handler knows what that is.
    ByContent,
    /// The same, and the handler finds the credentials too: they may be in the body.
    ByContentAndBody,
}

/// How users are told apart.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthConfig {
    /// What the challenge of a 401 calls the server.
    pub realm: String,
    /// What tokens (JWT) are signed with; without it there are none.
    pub shared_secret: Option<String>,
    /// Whether `/ping` and `/status` want a user too.
    pub ping: bool,
    /// A user who is no user of the catalogue: a part of this very process, which may do everything. Made anew at every
    /// start, known to nobody else.
    pub in_process: Option<InProcessUser>,
}

/// Name and password of a part of this process.
#[derive(Clone, PartialEq, Eq)]
pub struct InProcessUser {
    /// Its name.
    pub name: String,
    /// Its password, from a good source of randomness.
    pub password: String,
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("realm", &self.realm)
            .field("ping", &self.ping)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InProcessUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Who sends a request, if its path asks: the credentials are those of the URL or the headers.
pub(crate) async fn admit(app: &Arc<App>, access: Access, head: &Head<'_>) -> Result<Identity, Failure> {
    let (is_open, needs_admin) = match access {
        Access::Open | Access::ByContentAndBody => return Ok(Identity::Anonymous),
        Access::User => (false, false),
        Access::Admin => (false, true),
        Access::ByContent => (true, false),
    };
    let identity = of_head(app, head).await?.ok_or_else(|| no_credentials(app))?;
    match &identity {
        Identity::Anonymous if is_open => Ok(identity),
        Identity::Anonymous => {
            Err(Failure::new(StatusCode::FORBIDDEN, "create admin user first or disable authentication"))
        }
        user if needs_admin && !user.is_admin() => {
            let name = user.user_name().unwrap_or_default();
            let text =
                format!("{name} not authorized for {}, requires admin privilege", head.parts.uri.path());
            Err(Failure::new(StatusCode::FORBIDDEN, text))
        }
        _ => Ok(identity),
    }
}

/// Who sends a request whose credentials may also be among its parameters.
pub(crate) async fn of_head_or_params(
    app: &Arc<App>,
    from_head: Option<Identity>,
    params: &Params,
) -> Result<Identity, Failure> {
    match (from_head, Credentials::of_params(params), &app.config.auth) {
        (Some(identity), _, _) => Ok(identity),
        (None, Some(credentials), Some(auth)) => check(app, auth, credentials).await,
        (None, _, _) => Err(no_credentials(app)),
    }
}

/// Who sends a request, by its URL and headers; `None` if they do not say.
pub(crate) async fn of_head(app: &Arc<App>, head: &Head<'_>) -> Result<Option<Identity>, Failure> {
    let Some(auth) = &app.config.auth else { return Ok(Some(Identity::Unrestricted)) };
    let credentials = Credentials::of_head(head);
    if let Some(Credentials::Password { user, password }) = &credentials
        && is_in_process(auth, user, password)
    {
        return Ok(Some(Identity::Unrestricted));
    }
    if !app.engine.accounts().has_admin() {
        return Ok(Some(Identity::Anonymous));
    }
    match credentials {
        Some(credentials) => check(app, auth, credentials).await.map(Some),
        None => Ok(None),
    }
}

async fn check(app: &Arc<App>, auth: &AuthConfig, credentials: Credentials) -> Result<Identity, Failure> {
    match credentials {
        Credentials::Password { user, .. } if user.is_empty() => Err(refused(app, auth, "username required")),
        Credentials::Password { user, password } => check_password(app, auth, user, password).await,
        Credentials::Bearer(token) => check_token(app, auth, &token),
    }
}

async fn check_password(
    app: &Arc<App>,
    auth: &AuthConfig,
    user: String,
    password: String,
) -> Result<Identity, Failure> {
    if let Some(rights) = app.engine.accounts().recall(&user, &password) {
        return Ok(Identity::User(rights));
    }
    let permit = app.passwords.enter().await?;
    let job = Arc::clone(app);
    let verified = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        job.engine.accounts().verify(&user, &password)
    });
    match verified.await {
        Ok(Some(rights)) => Ok(Identity::User(rights)),
        Ok(None) => Err(refused(app, auth, "authorization failed")),
        Err(_panicked) => {
            app.stats.panics.fetch_add(1, Ordering::Relaxed);
            Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the server's log"))
        }
    }
}

fn check_token(app: &App, auth: &AuthConfig, token: &str) -> Result<Identity, Failure> {
    let Some(secret) = &auth.shared_secret else {
        // InfluxDB's spelling.
        return Err(refused(app, auth, "bearer auth disabld"));
    };
    let name = jwt::user_of(token, secret, wall_clock_ns() / 1_000_000_000)
        .map_err(|error| refused(app, auth, &error.to_string()))?;
    app.engine.accounts().user(&name).map(Identity::User).ok_or_else(|| refused(app, auth, "user not found"))
}

/// The user that a header names: a password is not looked at, a token has to be in order.
pub(crate) fn named_user(header: &str, secret: &str, now_secs: i64) -> Option<String> {
    match Credentials::of_header(header)? {
        Credentials::Password { user, .. } => Some(user),
        Credentials::Bearer(token) => jwt::user_of(&token, secret, now_secs).ok(),
    }
}

fn is_in_process(auth: &AuthConfig, user: &str, password: &str) -> bool {
    auth.in_process.as_ref().is_some_and(|known| {
        user == known.name && bool::from(password.as_bytes().ct_eq(known.password.as_bytes()))
    })
}

fn no_credentials(app: &App) -> Failure {
    let text = "unable to parse authentication credentials";
    match &app.config.auth {
        Some(auth) => refused(app, auth, text),
        None => Failure::new(StatusCode::UNAUTHORIZED, text),
    }
}

fn refused(app: &App, auth: &AuthConfig, text: &str) -> Failure {
    app.stats.authentication_failures.fetch_add(1, Ordering::Relaxed);
    Failure::unauthorized(text, &auth.realm)
}

/// Whether an identity may write to a database; InfluxDB's words.
pub(crate) fn check_write(identity: &Identity, database: &str) -> Result<(), Failure> {
    if identity.may_write(database) {
        return Ok(());
    }
    let text = match identity.user_name() {
        Some(name) => format!("{name:?} user is not authorized to write to database {database:?}"),
        None => format!("user is required to write to database {database:?}"),
    };
    Err(Failure::new(StatusCode::FORBIDDEN, text))
}

/// Whether an identity may read a database.
pub(crate) fn check_read(identity: &Identity, database: &str) -> Result<(), Failure> {
    if identity.may_read(database) {
        return Ok(());
    }
    let text = match identity.user_name() {
        Some(name) => format!("{name:?} user is not authorized to read from database {database:?}"),
        None => format!("user is required to read from database {database:?}"),
    };
    Err(Failure::new(StatusCode::FORBIDDEN, text))
}
