//! Hashes of passwords: bcrypt with InfluxDB's cost, for old and new ones alike.
//!
//! One algorithm for all, so that no answer tells by its time which one a user has; InfluxDB's, so that users move both
//! ways with their passwords; and 4 KiB of memory a check, so that a flood of wrong passwords costs time only, which the
//! number of checks at once bounds.

use skywatch_meta::PasswordHash;

/// InfluxDB's cost: 1024 rounds.
const COST: u32 = 10;

/// bcrypt looks at no more of a password.
const PASSWORD_BYTES_MAX: usize = 72;

/// Why a password cannot be hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// bcrypt would ignore the rest, and a password that begins alike would do.
    #[error("bcrypt: password length exceeds {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// No randomness for a salt.
    #[error("cannot hash the password: {0}")]
    Hash(bcrypt::BcryptError),
}

/// The hash of a new password.
pub fn hash(password: &str) -> Result<PasswordHash, PasswordError> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::TooLong);
    }
    bcrypt::hash(password, COST).map(PasswordHash::new).map_err(PasswordError::Hash)
}

/// Whether the password is the hashed one. A hash that is no hash matches nothing.
pub fn verify(password: &str, hash: &PasswordHash) -> bool {
    bcrypt::verify(password, hash.as_str()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let hashed = hash("s3cret").unwrap();
        assert!(hashed.as_str().starts_with("$2b$10$"));
        assert_ne!(hash("s3cret").unwrap(), hashed, "salted");
        assert!(verify("s3cret", &hashed));
        assert!(!verify("S3cret", &hashed) && !verify("", &hashed));
        assert!(!verify("s3cret", &PasswordHash::new("s3cret")));
        let empty = hash("").unwrap();
        assert!(verify("", &empty) && !verify("x", &empty));
    }

    #[test]
    fn a_password_that_bcrypt_would_cut_is_refused() {
        assert!(hash(&"x".repeat(72)).is_ok());
        assert_eq!(
            hash(&"x".repeat(73)).unwrap_err().to_string(),
            "bcrypt: password length exceeds 72 bytes"
        );
    }
}
