//! Where certificates come from: servers over TLS, SMTP's STARTTLS among them, and PEM files.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::net::stream::HostPort;
use crate::net::tls::{ClientTls, read_certificates};
use crate::path_glob::PathGlob;

/// Bytes of one line of an SMTP server's answer.
const SMTP_LINE_MAX: u64 = 4096;
/// Lines of one answer.
const SMTP_LINES_MAX: usize = 100;

/// A source.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Tls(HostPort),
    Smtp(HostPort),
    Files(PathGlob),
}

/// What a source has shown.
#[derive(Debug)]
pub(super) struct Presented {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// The name that the first has to stand for; none of a file.
    pub(super) name: Option<String>,
    /// Whether the server sent an answer about the certificate's revocation along; none of a file.
    pub(super) ocsp_stapled: Option<bool>,
}

impl Source {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return PathGlob::new(text).map(Self::Files);
        };
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        match scheme {
            "https" => HostPort::parse(authority, Some(443)).map(Self::Tls),
            "tcp" | "tcp4" | "tcp6" | "tls" => HostPort::parse(authority, None).map(Self::Tls),
            "smtp" => HostPort::parse(authority, Some(25)).map(Self::Smtp),
            "file" => PathGlob::new(rest).map(Self::Files),
            "udp" | "udp4" | "udp6" => Err(format!("{text:?}: DTLS is not supported")),
            "jks" | "pkcs12" => Err(format!("{text:?}: key stores are not supported; use PEM files")),
            other => Err(format!("{text:?}: {other:?} is none of https, tcp, smtp, file")),
        }
    }

    /// The source with its name, once for every file.
    pub(super) fn expanded(&self) -> Vec<(String, Self)> {
        match self {
            Self::Tls(at) => vec![(format!("tcp://{}", shown(at)), self.clone())],
            Self::Smtp(at) => vec![(format!("smtp://{}", shown(at)), self.clone())],
            Self::Files(glob) => {
                let files = glob.files();
                if files.is_empty() {
                    // The failure to read it names the pattern.
                    return vec![(glob.pattern().to_owned(), self.clone())];
                }
                let file =
                    |path: PathBuf| (path.display().to_string(), Self::Files(PathGlob::literal(&path)));
                files.into_iter().map(file).collect()
            }
        }
    }

    /// The certificates there are now.
    pub(super) async fn certificates(
        &self,
        tls: &ClientTls,
        server_name: Option<&str>,
        timeout: Duration,
    ) -> Result<Presented, String> {
        match self {
            Self::Files(glob) => {
                let certificates = read_certificates(glob.pattern())?;
                if certificates.is_empty() {
                    return Err("there is no certificate in it".to_owned());
                }
                Ok(Presented { certificates, name: None, ocsp_stapled: None })
            }
            Self::Tls(at) => within(timeout, ask(at, tls, server_name, false)).await,
            Self::Smtp(at) => within(timeout, ask(at, tls, server_name, true)).await,
        }
    }
}

fn shown(HostPort { host, port }: &HostPort) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn within(
    timeout: Duration,
    asked: impl Future<Output = Result<Presented, String>>,
) -> Result<Presented, String> {
    tokio::time::timeout(timeout, asked)
        .await
        .unwrap_or_else(|_| Err(format!("no certificates within {} ms", timeout.as_millis())))
}

async fn ask(
    at: &HostPort,
    tls: &ClientTls,
    server_name: Option<&str>,
    starttls: bool,
) -> Result<Presented, String> {
    let host = if at.host.is_empty() { "localhost" } else { at.host.as_str() };
    let mut stream =
        TcpStream::connect((host, at.port)).await.map_err(|error| format!("cannot connect: {error}"))?;
    if starttls {
        stream = start_tls(stream).await?;
    }
    // Everybody may show certificates; whether they are good is found out afterwards.
    let witness = Arc::new(Witness { stapled: Mutex::new(false) });
    let mut config = ClientTls { insecure_skip_verify: true, ..tls.clone() }.client_config()?;
    config.dangerous().set_certificate_verifier(Arc::<Witness>::clone(&witness));
    let name = server_name.unwrap_or(host);
    let asked =
        ServerName::try_from(name.to_owned()).map_err(|_| format!("{name:?} is no name TLS can ask for"))?;
    let connection = TlsConnector::from(Arc::new(config))
        .connect(asked, stream)
        .await
        .map_err(|error| format!("no TLS: {error}"))?;
    let certificates = connection.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|der| der.clone().into_owned()).collect();
    let stapled = *witness.stapled.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Presented { certificates, name: Some(name.to_owned()), ocsp_stapled: Some(stapled) })
}

/// Asks an SMTP server to go on with TLS (RFC 3207).
async fn start_tls(stream: TcpStream) -> Result<TcpStream, String> {
    let mut stream = BufReader::new(stream);
    expect(&mut stream, "220").await?;
    stream.write_all(b"EHLO localhost\r\n").await.map_err(|error| error.to_string())?;
    expect(&mut stream, "250").await?;
    stream.write_all(b"STARTTLS\r\n").await.map_err(|error| error.to_string())?;
    expect(&mut stream, "220").await?;
    Ok(stream.into_inner())
}

/// Reads an answer of one line or several, which has to have this code.
async fn expect(stream: &mut BufReader<TcpStream>, code: &str) -> Result<(), String> {
    for _ in 0..SMTP_LINES_MAX {
        let mut line = Vec::new();
        let read = stream.take(SMTP_LINE_MAX).read_until(b'\n', &mut line).await;
        read.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&line);
        if !text.starts_with(code) {
            return Err(format!("SMTP: {:?} instead of {code}", text.trim_end()));
        }
        if text.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
    Err("SMTP: an answer without end".to_owned())
}

/// Accepts what it sees and remembers whether there was an answer about revocation.
#[derive(Debug)]
struct Witness {
    stapled: Mutex<bool>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.stapled.lock().unwrap_or_else(PoisonError::into_inner) = !ocsp_response.is_empty();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
