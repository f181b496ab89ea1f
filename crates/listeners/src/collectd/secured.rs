//! Signed and encrypted datagrams.

use std::str::FromStr;

use aes::{
    Aes256,
    cipher::{BlockEncrypt, KeyInit as CipherKey, generic_array::GenericArray},
};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::packet::PacketError;

/// How well a datagram has to be secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SecurityLevel {
    /// Not at all.
    #[default]
    None,
    /// Signed, so that nobody without a password can send.
    Sign,
    /// Encrypted, so that nobody without a password can read.
    Encrypt,
}

/// What stands for no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no security level: use none, sign or encrypt")]
pub struct BadSecurityLevel(String);

impl FromStr for SecurityLevel {
    type Err = BadSecurityLevel;

    fn from_str(text: &str) -> Result<Self, BadSecurityLevel> {
        match text.to_ascii_lowercase().as_str() {
            "" | "none" => Ok(Self::None),
            "sign" => Ok(Self::Sign),
            "encrypt" => Ok(Self::Encrypt),
            _ => Err(BadSecurityLevel(text.to_owned())),
        }
    }
}

/// The passwords of those who send.
pub trait Passwords: Send + Sync {
    /// That of a user; `None` for one who has none.
    fn of(&self, user: &str) -> Option<String>;

    /// Whether there are any at all.
    fn are_known(&self) -> bool;
}

/// Bytes of a signature, of an initialisation vector and a block, and of the sum before what was encrypted.
const MAC_BYTES: usize = 32;
const BLOCK_BYTES: usize = 16;
const SUM_BYTES: usize = 20;

/// Checks the signature of `signed`. Without any passwords it cannot be checked, and counts for nothing.
pub(super) fn verify(
    payload: &[u8],
    signed: &[u8],
    passwords: &dyn Passwords,
) -> Result<SecurityLevel, PacketError> {
    let (mac, user) = payload.split_first_chunk::<MAC_BYTES>().ok_or(PacketError::Cut)?;
    if !passwords.are_known() {
        return Ok(SecurityLevel::None);
    }
    let (user, password) = known(user, passwords)?;
    let wrong = || PacketError::Signature(user.clone());
    let mut expected = <Hmac<Sha256> as KeyInit>::new_from_slice(password.as_bytes()).map_err(|_| wrong())?;
    expected.update(user.as_bytes());
    expected.update(signed);
    expected.verify_slice(mac).map_err(|_| wrong())?;
    Ok(SecurityLevel::Sign)
}

fn known(user: &[u8], passwords: &dyn Passwords) -> Result<(String, String), PacketError> {
    let user = String::from_utf8_lossy(user).into_owned();
    let password = passwords.of(&user).ok_or_else(|| PacketError::User(user.clone()))?;
    Ok((user, password))
}

/// The parts that were encrypted.
pub(super) fn decrypt(payload: &[u8], passwords: &dyn Passwords) -> Result<Vec<u8>, PacketError> {
    let (length, rest) = payload.split_first_chunk::<2>().ok_or(PacketError::Cut)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (user, rest) = rest.split_at_checked(length).ok_or(PacketError::Cut)?;
    let (vector, encrypted) = rest.split_first_chunk::<BLOCK_BYTES>().ok_or(PacketError::Cut)?;
    if !passwords.are_known() {
        return Err(PacketError::NoPasswords);
    }
    let (user, password) = known(user, passwords)?;
    let plain = output_feedback(&Sha256::digest(password.as_bytes()).into(), *vector, encrypted);
    let (sum, parts) = plain.split_first_chunk::<SUM_BYTES>().ok_or(PacketError::Cut)?;
    if sha1_of(parts) != *sum {
        return Err(PacketError::Signature(user));
    }
    Ok(parts.to_vec())
}

fn sha1_of(bytes: &[u8]) -> [u8; SUM_BYTES] {
    use sha1::Digest as _;
    Sha1::digest(bytes).into()
}

/// AES-256 in output feedback mode: the same both ways.
fn output_feedback(key: &[u8; 32], vector: [u8; BLOCK_BYTES], bytes: &[u8]) -> Vec<u8> {
    let cipher = <Aes256 as CipherKey>::new(GenericArray::from_slice(key));
    let mut stream = GenericArray::from(vector);
    let mut out = Vec::with_capacity(bytes.len());
    for block in bytes.chunks(BLOCK_BYTES) {
        cipher.encrypt_block(&mut stream);
        out.extend(block.iter().zip(&stream).map(|(byte, mask)| byte ^ mask));
    }
    out
}

/// Secures parts as collectd does: for tests of those who read.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    pub(in crate::collectd) fn sign(user: &str, password: &str, parts: &[u8]) -> Vec<u8> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(password.as_bytes()).unwrap();
        mac.update(user.as_bytes());
        mac.update(parts);
        let payload = [mac.finalize().into_bytes().as_slice(), user.as_bytes()].concat();
        let length = (payload.len() + 4) as u16;
        [&0x0200u16.to_be_bytes()[..], &length.to_be_bytes(), &payload, parts].concat()
    }

    pub(in crate::collectd) fn encrypt(user: &str, password: &str, parts: &[u8]) -> Vec<u8> {
        let vector = [7; BLOCK_BYTES];
        let plain = [&sha1_of(parts)[..], parts].concat();
        let encrypted = output_feedback(&Sha256::digest(password.as_bytes()).into(), vector, &plain);
        let head = [&(user.len() as u16).to_be_bytes()[..], user.as_bytes(), &vector].concat();
        let length = (head.len() + encrypted.len() + 4) as u16;
        [&0x0210u16.to_be_bytes()[..], &length.to_be_bytes(), &head, &encrypted].concat()
    }

    #[test]
    fn output_feedback_is_that_of_the_standard() {
        // NIST SP 800-38A, F.4.5: the first two blocks.
        let key: [u8; 32] = [
            0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81,
            0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4,
        ];
        let vector = std::array::from_fn(|at| at as u8);
        let plain: [u8; 32] = [
            0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a,
            0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03, 0xac, 0x9c, 0x9e, 0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51,
        ];
        let encrypted: [u8; 32] = [
            0xdc, 0x7e, 0x84, 0xbf, 0xda, 0x79, 0x16, 0x4b, 0x7e, 0xcd, 0x84, 0x86, 0x98, 0x5d, 0x38, 0x60,
            0x4f, 0xeb, 0xdc, 0x67, 0x40, 0xd2, 0x0b, 0x3a, 0xc8, 0x8f, 0x6a, 0xd8, 0x2a, 0x4f, 0xb0, 0x8d,
        ];
        assert_eq!(output_feedback(&key, vector, &plain), encrypted);
    }
}
