//! JSON Web Tokens as InfluxDB 1.8 takes them: signed with the shared secret by HMAC (HS256, HS384, HS512), with an
//! expiration and the name of a user. Its texts, as far as they are its own.

use base64::{DecodeError, Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac, digest::InvalidLength};
use serde_json::{Map, Value};
use sha2::{Sha256, Sha384, Sha512};

/// Algorithms that are known and not taken.
const OTHER_ALGORITHMS: [&str; 10] =
    ["none", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

/// Why a token lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It has not three parts.
    #[error("token contains an invalid number of segments")]
    Segments,
    /// A part is not base64.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// A part is no JSON object.
    #[error("the token's {part} is no JSON object: {reason}")]
    Json {
        /// Which.
        part: &'static str,
        /// Why.
        reason: String,
    },
    /// It does not say how it is signed.
    #[error("signing method (alg) is unspecified.")]
    AlgorithmMissing,
    /// It is signed in a way that nobody knows.
    #[error("signing method (alg) is unavailable.")]
    AlgorithmUnknown,
    /// It is signed in a way that is not taken.
    #[error("unexpected signing method: {0}")]
    AlgorithmRefused(String),
    /// The secret did not sign it.
    #[error("signature is invalid")]
    Signature,
    /// Its time is over.
    #[error("Token is expired")]
    Expired,
    /// It was made later than now.
    #[error("Token used before issued")]
    BeforeIssue,
    /// Its time has not come.
    #[error("Token is not valid yet")]
    NotYet,
    /// It would last for ever.
    #[error("token expiration required")]
    NoExpiration,
    /// It names no user.
    #[error("username in token must be a string")]
    NoUser,
    /// It names a user without a name.
    #[error("token must contain a username")]
    EmptyUser,
}

/// The user that a token was made for.
pub fn user_of(token: &str, secret: &str, now_secs: i64) -> Result<String, TokenError> {
    let segments: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = segments.as_slice() else { return Err(TokenError::Segments) };
    let algorithm = algorithm_of(&object(header, "header")?)?;
    let content = object(claims, "content")?;
    let signed = token.len() - signature.len() - 1;
    let signature = decode(signature)?;
    if !is_signed(algorithm, secret, &token.as_bytes()[..signed], &signature) {
        return Err(TokenError::Signature);
    }
    check_times(&content, now_secs)?;
    match content.get("username") {
        Some(Value::String(name)) if name.is_empty() => Err(TokenError::EmptyUser),
        Some(Value::String(name)) => Ok(name.clone()),
        _ => Err(TokenError::NoUser),
    }
}

#[derive(Debug, Clone, Copy)]
enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
}

fn algorithm_of(header: &Map<String, Value>) -> Result<Algorithm, TokenError> {
    match header.get("alg") {
        Some(Value::String(name)) => match name.as_str() {
            "HS256" => Ok(Algorithm::Hs256),
            "HS384" => Ok(Algorithm::Hs384),
            "HS512" => Ok(Algorithm::Hs512),
            other if OTHER_ALGORITHMS.contains(&other) => Err(TokenError::AlgorithmRefused(other.to_owned())),
            _ => Err(TokenError::AlgorithmUnknown),
        },
        _ => Err(TokenError::AlgorithmMissing),
    }
}

fn is_signed(algorithm: Algorithm, secret: &str, text: &[u8], signature: &[u8]) -> bool {
    match algorithm {
        Algorithm::Hs256 => verify::<Hmac<Sha256>>(secret, text, signature),
        Algorithm::Hs384 => verify::<Hmac<Sha384>>(secret, text, signature),
        Algorithm::Hs512 => verify::<Hmac<Sha512>>(secret, text, signature),
    }
}

/// In constant time.
fn verify<M: Mac + KeyInit>(secret: &str, text: &[u8], signature: &[u8]) -> bool {
    let mac: Result<M, InvalidLength> = KeyInit::new_from_slice(secret.as_bytes());
    mac.is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok())
}

/// `exp` has to be there; `iat` and `nbf` count if they are. Of several reasons the last is told, as in the original.
fn check_times(claims: &Map<String, Value>, now_secs: i64) -> Result<(), TokenError> {
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    // A time that no clock will show is taken for one long past, as in the original.
    let whole = |time: f64| if time.abs() < 9e18 { time as i64 } else { i64::MIN };
    let expires = time("exp");
    if time("nbf").is_some_and(|begin| whole(begin) > now_secs) {
        return Err(TokenError::NotYet);
    }
    if time("iat").is_some_and(|issued| whole(issued) > now_secs) {
        return Err(TokenError::BeforeIssue);
    }
    match expires.map(whole) {
        None | Some(0) => Err(TokenError::NoExpiration),
        Some(expires) if expires < now_secs => Err(TokenError::Expired),
        Some(_) => Ok(()),
    }
}

fn object(segment: &str, part: &'static str) -> Result<Map<String, Value>, TokenError> {
    serde_json::from_slice(&decode(segment)?)
        .map_err(|error| TokenError::Json { part, reason: error.to_string() })
}

fn decode(segment: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|error| {
        TokenError::Base64(match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => segment.len(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;
    const SECRET: &str = "s3cret";

    fn encode(json: &str) -> String {
        URL_SAFE_NO_PAD.encode(json)
    }

    fn sign<M: Mac + KeyInit>(text: &str) -> String {
        let mac: M = KeyInit::new_from_slice(SECRET.as_bytes()).unwrap();
        URL_SAFE_NO_PAD.encode(mac.chain_update(text).finalize().into_bytes())
    }

    /// A token with this header and content, well signed.
    fn token(header: &str, content: &str) -> String {
        let text = format!("{}.{}", encode(header), encode(content));
        let signature = match header {
            _ if header.contains("384") => sign::<Hmac<Sha384>>(&text),
            _ if header.contains("512") => sign::<Hmac<Sha512>>(&text),
            _ => sign::<Hmac<Sha256>>(&text),
        };
        format!("{text}.{signature}")
    }

    fn answer(content: &str) -> Result<String, String> {
        user_of(&token(r#"{"alg":"HS256"}"#, content), SECRET, NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn every_hmac_is_taken() {
        for algorithm in ["HS256", "HS384", "HS512"] {
            let header = format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#);
            let token = token(&header, r#"{"username":"me","exp":1700000001}"#);
            assert_eq!(user_of(&token, SECRET, NOW).as_deref(), Ok("me"));
            assert_eq!(user_of(&token, "another", NOW), Err(TokenError::Signature));
        }
    }

    /// The example of RFC 7515, appendix A.1: made by others.
    #[test]
    fn a_signature_made_by_others_is_right() {
        let key: Vec<u8> = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6\
                    Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let mac: Hmac<Sha256> = KeyInit::new_from_slice(&key).unwrap();
        assert!(mac.chain_update(text).verify_slice(&signature).is_ok());
    }

    /// The answers of InfluxDB 1.6.7.
    #[test]
    fn refusals_have_influxdbs_words() {
        for (content, text) in [
            (r#"{"username":"me","exp":1699999999}"#, "Token is expired"),
            (r#"{"username":"me","exp":-5}"#, "Token is expired"),
            (r#"{"username":"me","exp":1e300}"#, "Token is expired"),
            (r#"{"username":"me"}"#, "token expiration required"),
            (r#"{"username":"me","exp":0}"#, "token expiration required"),
            (r#"{"username":"me","exp":"1700000001"}"#, "token expiration required"),
            (r#"{"username":"me","exp":1700000001,"nbf":1700000001}"#, "Token is not valid yet"),
            (r#"{"username":"me","exp":1700000001,"iat":1700000001}"#, "Token used before issued"),
            (r#"{"username":"me","exp":1,"iat":1700000001,"nbf":1700000001}"#, "Token is not valid yet"),
            (r#"{"exp":1700000001}"#, "username in token must be a string"),
            (r#"{"exp":1700000001,"username":5}"#, "username in token must be a string"),
            (r#"{"exp":1700000001,"username":""}"#, "token must contain a username"),
        ] {
            assert_eq!(answer(content), Err(text.to_owned()), "{content}");
        }
        assert_eq!(answer(r#"{"username":"me","exp":1700000000.5,"nbf":"x"}"#), Ok("me".to_owned()));
    }

    #[test]
    fn no_other_algorithm_will_do() {
        let content = r#"{"username":"me","exp":1700000001}"#;
        for (header, text) in [
            (r#"{"alg":"none"}"#, "unexpected signing method: none"),
            (r#"{"alg":"RS256"}"#, "unexpected signing method: RS256"),
            (r#"{"alg":"hs256"}"#, "signing method (alg) is unavailable."),
            (r#"{"alg":5}"#, "signing method (alg) is unspecified."),
            (r#"{}"#, "signing method (alg) is unspecified."),
        ] {
            let error = user_of(&token(header, content), SECRET, NOW).unwrap_err();
            assert_eq!(error.to_string(), text, "{header}");
        }
        let unsigned = format!("{}.{}.", encode(r#"{"alg":"HS256"}"#), encode(content));
        assert_eq!(user_of(&unsigned, SECRET, NOW), Err(TokenError::Signature));
        assert_eq!(user_of("a.b", SECRET, NOW), Err(TokenError::Segments));
        assert_eq!(user_of("!!!.b.c", SECRET, NOW), Err(TokenError::Base64(0)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(token in ".*") {
            drop(user_of(&token, SECRET, NOW));
        }
    }
}
