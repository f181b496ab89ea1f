//! The client's part of SCRAM (RFC 5802) with SHA-256 or SHA-512. Pure: texts in, texts out.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

/// A server that asks for more rounds keeps the client busy to no purpose.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        // A key of any length is a key.
        match self {
            Self::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec()),
            Self::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec()),
        }
        .unwrap_or_default()
    }
}

/// An exchange that has begun.
#[derive(Debug)]
pub(super) struct Scram<'a> {
    hash: Hash,
    password: &'a str,
    nonce: String,
    first_bare: String,
}

impl<'a> Scram<'a> {
    /// `nonce` must be random, and without commas.
    pub(super) fn new(hash: Hash, username: &str, password: &'a str, nonce: String) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self { hash, password, first_bare: format!("n={name},r={nonce}"), nonce }
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The second message, and what the server must prove in its last.
    pub(super) fn proof(&self, server_first: &str) -> Result<(String, String), String> {
        let bad = || format!("SCRAM: the server's first message cannot be understood: {server_first:?}");
        let mut parts = server_first.split(',');
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or_else(bad)?;
        let salt = parts.next().and_then(|part| part.strip_prefix("s=")).ok_or_else(bad)?;
        let salt = BASE64_STANDARD.decode(salt).map_err(|_| bad())?;
        let iterations = parts.next().and_then(|part| part.strip_prefix("i=")).ok_or_else(bad)?;
        let iterations: u32 = iterations.parse().map_err(|_| bad())?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("SCRAM: the server's nonce does not continue this client's".to_owned());
        }
        if iterations == 0 || iterations > ITERATIONS_MAX {
            return Err(format!("SCRAM: {iterations} iterations are not within 1 and {ITERATIONS_MAX}"));
        }
        let salted = self.salted(&salt, iterations);
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let signature = self.hash.hmac(&self.hash.digest(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        let server_key = self.hash.hmac(&salted, b"Server Key");
        let server = BASE64_STANDARD.encode(self.hash.hmac(&server_key, message.as_bytes()));
        Ok((format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)), format!("v={server}")))
    }

    /// PBKDF2 with one block.
    fn salted(&self, salt: &[u8], iterations: u32) -> Vec<u8> {
        let password = self.password.as_bytes();
        let mut block = self.hash.hmac(password, &[salt, &1_u32.to_be_bytes()].concat());
        let mut salted = block.clone();
        for _ in 1..iterations {
            block = self.hash.hmac(password, &block);
            salted.iter_mut().zip(&block).for_each(|(sum, byte)| *sum ^= byte);
        }
        salted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_standards_own_example() {
        let scram = Scram::new(Hash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (proof, expected) = scram.proof(server).expect("understood");
        assert_eq!(
            proof,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(expected, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_server_that_cheats_is_refused() {
        let scram = Scram::new(Hash::Sha512, "a=b,c", "p", "abc".to_owned());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=abc");
        for server in
            ["", "r=abc,s=QQ==,i=1", "r=xyz,s=QQ==,i=1", "r=abcd,s=?,i=1", "r=abcd,s=QQ==,i=999999999"]
        {
            scram.proof(server).expect_err(server);
        }
        scram.proof("r=abcd,s=QQ==,i=1").expect("understood");
    }
}
