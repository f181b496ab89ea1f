//! Files of certificates and keys.

use std::{fs, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::TlsError;

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let chain = chain.map_err(|error| TlsError::file(path, format!("is damaged: {error}")))?;
    if chain.is_empty() { Err(TlsError::file(path, "holds no certificate in PEM")) } else { Ok(chain) }
}

pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        let reason = format!("holds no certificate that can be an authority ({ignored} cannot be read)");
        return Err(TlsError::file(path, reason));
    }
    Ok(roots)
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(path)?;
    let holds = |text: &str| pem.windows(text.len()).any(|part| part == text.as_bytes());
    if holds("ENCRYPTED") {
        let reason = "holds a key that is encrypted with a password, which nobody is here to type: decrypt it \
                      (openssl pkey -in KEY -out PLAIN) and let only this server's user read it";
        return Err(TlsError::file(path, reason));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        TlsError::file(path, "holds no private key in PEM; name its file with https-private-key")
    })
}

/// What a certificate and a key that do not go together are called.
pub(crate) fn refused(certificate: &Path, key: &Path, error: rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            let certificate = certificate.display();
            TlsError::file(key, format!("holds another key than that of the certificate in {certificate}"))
        }
        other => TlsError::file(certificate, format!("cannot be used: {other}")),
    }
}
