//! Brokers, SASL and TLS, and what is made of them for librdkafka.

use std::fmt;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// The system's certificate authorities, where Debian and its relatives keep them.
pub const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Whom to connect to, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `host:port` each; the port may be left out.
    pub brokers: Vec<String>,
    /// As the brokers' logs and quotas name this client.
    pub client_id: String,
    /// Whether idle connections are kept open by TCP.
    pub keep_alive: bool,
    /// How to authenticate.
    pub sasl: Option<Sasl>,
    /// Connections are plain without it.
    pub tls: Option<Tls>,
}

/// How a client authenticates.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// Unless it is a token's.
    pub username: String,
    /// The password, or the token.
    pub secret: String,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The mechanisms of SASL that there are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself.
    Plain,
    /// A proof of the password, by SHA-256.
    ScramSha256,
    /// A proof of the password, by SHA-512.
    ScramSha512,
    /// A bearer token.
    OauthBearer,
}

impl Mechanism {
    const ALL: [Self; 4] = [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OauthBearer];

    /// As Kafka names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }

    /// The inverse of [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// How connections are encrypted. Files are PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// A file of certificate authorities instead of [`SYSTEM_AUTHORITIES`].
    pub ca: Option<String>,
    /// Files of the certificate and the key to identify with.
    pub identity: Option<(String, String)>,
    /// Accept any certificate: the link is encrypted, and not known to lead where it should.
    pub insecure_skip_verify: bool,
}

impl Connection {
    /// To these brokers, without authentication and TLS.
    pub fn plain(brokers: Vec<String>, client_id: &str) -> Self {
        Self { brokers, client_id: client_id.to_owned(), keep_alive: false, sasl: None, tls: None }
    }

    /// What librdkafka is told. It reads the files of certificates when a client is made.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", &self.client_id)
            .set("socket.keepalive.enable", self.keep_alive.to_string())
            .set("reconnect.backoff.max.ms", "1000")
            .set_log_level(RDKafkaLogLevel::Info);
        let protocol = match (self.tls.is_some(), self.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(sasl) = &self.sasl {
            config.set("sasl.mechanisms", sasl.mechanism.name());
            if sasl.mechanism != Mechanism::OauthBearer {
                config.set("sasl.username", &sasl.username).set("sasl.password", &sasl.secret);
            }
        }
        if let Some(tls) = &self.tls {
            config.set("ssl.ca.location", tls.ca.as_deref().unwrap_or(SYSTEM_AUTHORITIES));
            if let Some((certificate, key)) = &tls.identity {
                config.set("ssl.certificate.location", certificate).set("ssl.key.location", key);
            }
            if tls.insecure_skip_verify {
                config.set("enable.ssl.certificate.verification", "false");
                config.set("ssl.endpoint.identification.algorithm", "none");
            }
        }
        config
    }

    /// The token of [`Mechanism::OauthBearer`].
    pub(crate) fn token(&self) -> Option<String> {
        self.sasl
            .as_ref()
            .filter(|sasl| sasl.mechanism == Mechanism::OauthBearer)
            .map(|sasl| sasl.secret.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_are_named_as_kafka_names_them() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::from_name(mechanism.name()), Some(mechanism));
        }
        assert_eq!(Mechanism::from_name("GSSAPI"), None);
    }

    #[test]
    fn any_certificate_will_do_only_where_that_was_asked_for() {
        let mut connection = Connection::plain(vec!["a:1".to_owned()], "c");
        connection.tls = Some(Tls::default());
        let config = connection.client_config();
        assert_eq!(config.get("security.protocol"), Some("ssl"));
        assert_eq!(config.get("ssl.ca.location"), Some(SYSTEM_AUTHORITIES));
        assert_eq!(config.get("enable.ssl.certificate.verification"), None);
        connection.tls = Some(Tls { insecure_skip_verify: true, ..Tls::default() });
        assert_eq!(connection.client_config().get("enable.ssl.certificate.verification"), Some("false"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let mut connection = Connection::plain(vec!["a:1".to_owned()], "c");
        let (username, secret) = ("u".to_owned(), "secret".to_owned());
        connection.sasl = Some(Sasl { mechanism: Mechanism::Plain, username, secret });
        assert!(!format!("{connection:?}").contains("secret"));
    }
}
