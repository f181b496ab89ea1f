//! Who asks a meta node over HTTP: users of the catalogue by their passwords, or by tokens that the shared secret signed.

use std::sync::Arc;

use async_trait::async_trait;
use skywatch_cluster::password;
use skywatch_http::{Credentials, user_of_token};
use skywatch_meta::{Catalogue, PasswordHash};
use skywatch_meta_node::{Authority, Identified, Login, Passwords, Refusal};
use skywatch_model::{SystemClock, WallClock};
use tokio::sync::Semaphore;

/// Hashes at a time: each takes a processor for some 50 ms.
const AT_ONCE: usize = 2;

/// Makes and checks hashes, few at a time.
#[derive(Debug)]
pub(super) struct Bcrypt {
    places: Arc<Semaphore>,
}

impl Default for Bcrypt {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Bcrypt {
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|error| Refusal(error.to_string()))?;
        let working = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        working.await.map_err(|error| Refusal(error.to_string()))
    }
}

#[async_trait]
impl Passwords for Bcrypt {
    async fn hash(&self, password: String) -> Result<PasswordHash, Refusal> {
        self.run(move || password::hash(&password)).await?.map_err(|error| Refusal(error.to_string()))
    }
}

/// Knows users.
#[derive(Debug)]
pub(super) struct Users {
    secret: Option<Hidden>,
    bcrypt: Arc<Bcrypt>,
}

/// Not for logs.
struct Hidden(String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

impl Users {
    pub(super) fn new(secret: Option<String>, bcrypt: Arc<Bcrypt>) -> Self {
        Self { secret: secret.map(Hidden), bcrypt }
    }

    async fn check(
        &self,
        catalogue: &Catalogue,
        name: String,
        password: String,
    ) -> Result<Identified, Refusal> {
        if name.is_empty() {
            return Err(Refusal("username required".into()));
        }
        let known = catalogue.user(&name).map(|user| user.password.clone());
        let is_right = self
            .bcrypt
            .run(move || match known {
                Some(hash) => password::verify(&password, &hash),
                // As slow, so that the time does not tell who is a user.
                None => {
                    drop(password::hash(&password));
                    false
                }
            })
            .await?;
        if is_right {
            Ok(Identified { name, by_secret: false })
        } else {
            Err(Refusal("authorization failed".into()))
        }
    }
}

#[async_trait]
impl Authority for Users {
    async fn identify(&self, catalogue: Arc<Catalogue>, login: &Login) -> Result<Identified, Refusal> {
        if !login.user.is_empty() && !login.password.is_empty() {
            return self.check(&catalogue, login.user.clone(), login.password.clone()).await;
        }
        match Credentials::of_header(&login.authorization) {
            Some(Credentials::Password { user, password }) => self.check(&catalogue, user, password).await,
            Some(Credentials::Bearer(token)) => {
                let Some(secret) = &self.secret else { return Err(Refusal("bearer auth disabled".into())) };
                let now_secs = SystemClock.now_ns().div_euclid(1_000_000_000);
                let name =
                    user_of_token(&token, &secret.0, now_secs).map_err(|error| Refusal(error.to_string()))?;
                Ok(Identified { name, by_secret: true })
            }
            None => Err(Refusal("unable to parse authentication credentials".into())),
        }
    }
}
