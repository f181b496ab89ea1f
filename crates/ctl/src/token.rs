//! JSON Web Tokens signed with the shared secret (HS512), as meta nodes take them.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha512;

use crate::CtlError;

/// How long the tokens live that requests carry.
pub(crate) const REQUEST_LIFE: Duration = Duration::from_secs(5 * 60);

/// `{"alg":"HS512","typ":"JWT"}`, encoded.
const HEADER: &str = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9";

#[derive(Serialize)]
struct Claims<'a> {
    exp: i64,
    username: &'a str,
}

/// A token for `username` that is good for `life` from `now_secs` on.
pub(crate) fn sign(secret: &str, username: &str, now_secs: i64, life: Duration) -> Result<String, CtlError> {
    if secret.is_empty() {
        return Err(CtlError::local(
            "the shared secret is empty: give -secret, or SKYWATCH_SHARED_SECRET in the environment",
        ));
    }
    let exp = now_secs.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
    let claims = serde_json::to_vec(&Claims { exp, username })
        .map_err(|error| CtlError::local(format!("cannot make a token: {error}")))?;
    let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes())
        .map_err(|error| CtlError::local(format!("cannot sign with this secret: {error}")))?;
    mac.update(signed.as_bytes());
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_three_parts_and_the_signature_depends_on_the_secret() {
        let token = sign("secret", "admin", 1_000, Duration::from_secs(60)).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let decoded = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(decoded(parts[0]), r#"{"alg":"HS512","typ":"JWT"}"#);
        assert_eq!(decoded(parts[1]), r#"{"exp":1060,"username":"admin"}"#);
        assert_eq!(URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len(), 64);
        let other = sign("Secret", "admin", 1_000, Duration::from_secs(60)).unwrap();
        assert_ne!(token, other);
        assert!(sign("", "admin", 0, REQUEST_LIFE).is_err());
    }
}
