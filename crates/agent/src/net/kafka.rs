//! What the Kafka plugins share: brokers, SASL and TLS as options, and what is made of them for librdkafka.

use rdkafka::config::ClientConfig;
use skywatch_kafka_connection::{ClientEvents, Connection, Mechanism, Sasl, Tls};
use tokio::sync::mpsc;

use super::tls::ClientTls;
use crate::config::{ConfigError, Section};

/// Whom to connect to, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct KafkaOptions {
    /// `host:port` each; the port may be left out.
    pub(crate) brokers: Vec<String>,
    /// As the brokers' logs and quotas name this client.
    pub(crate) client_id: String,
    /// Whether idle connections are kept open by TCP.
    pub(crate) keep_alive: bool,
    /// How to authenticate.
    pub(crate) sasl: Option<Sasl>,
    /// TLS.
    pub(crate) tls: ClientTls,
}

impl KafkaOptions {
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let brokers = section.strings("brokers")?.unwrap_or_default();
        if brokers.is_empty() || brokers.iter().any(|broker| broker.trim().is_empty()) {
            return Err(section.bad("brokers", "name at least one broker, such as [\"localhost:9092\"]"));
        }
        if let Some(broker) = brokers.iter().find(|broker| broker.contains([',', '/'])) {
            return Err(section.bad("brokers", format!("{broker:?}: write host:port, one broker to a text")));
        }
        if section.boolean("socks5_enabled")?.unwrap_or(false) {
            return Err(section.bad("socks5_enabled", "connections through a SOCKS5 proxy are not supported"));
        }
        for key in ["socks5_address", "socks5_username", "socks5_password"] {
            section.without_effect(key, "connections through a SOCKS5 proxy are not supported");
        }
        if let Some(version) = section.string("version")?.filter(|version| !version.is_empty()) {
            check_version(&version).map_err(|why| section.bad("version", why))?;
        }
        for key in [
            "metadata_full",
            "metadata_retry_max",
            "metadata_retry_type",
            "metadata_retry_backoff",
            "metadata_retry_max_duration",
        ] {
            section.without_effect(
                key,
                "the client asks for the topics it uses, and again until it has an answer",
            );
        }
        let client_id = section.string("client_id")?.filter(|id| !id.is_empty());
        let keep_alive = section.duration("keep_alive_period")?.is_some_and(|period| period > 0);
        let mut sasl = sasl(section)?;
        let mut tls = ClientTls::from_section(section)?;
        if let Some(enabled) = section.boolean("enable_tls")? {
            tls.enabled = enabled;
        }
        if let Some(sasl) = &mut sasl
            && sasl.secret.is_empty()
        {
            return Err(section.bad(
                if sasl.mechanism == Mechanism::OauthBearer { "sasl_access_token" } else { "sasl_password" },
                format!("{} needs it", sasl.mechanism.name()),
            ));
        }
        Ok(Self {
            brokers,
            client_id: client_id.unwrap_or_else(|| "Telegraf".to_owned()),
            keep_alive,
            sasl,
            tls,
        })
    }

    /// The options without those that librdkafka cannot honour.
    pub(crate) fn for_librdkafka(section: &mut Section) -> Result<Self, ConfigError> {
        let options = Self::from_section(section)?;
        if options.tls.server_name.is_some() {
            return Err(
                section.bad("tls_server_name", "the Kafka client verifies the brokers' own names only")
            );
        }
        if options.tls.only_tls13 {
            let reason = "the Kafka client takes the oldest version from the system's OpenSSL configuration";
            return Err(section.bad("tls_min_version", reason));
        }
        Ok(options)
    }

    /// What librdkafka is told. It reads the files of certificates when a client is made.
    pub(crate) fn client_config(&self) -> ClientConfig {
        self.connection().client_config()
    }

    /// Listens to a client of these options.
    pub(crate) fn events(&self) -> (ClientEvents, mpsc::Receiver<String>) {
        ClientEvents::of(&self.connection())
    }

    fn connection(&self) -> Connection {
        Connection {
            brokers: self.brokers.clone(),
            client_id: self.client_id.clone(),
            keep_alive: self.keep_alive,
            sasl: self.sasl.clone(),
            tls: self.tls.enabled.then(|| Tls {
                ca: self.tls.ca.clone(),
                identity: self.tls.identity.clone(),
                insecure_skip_verify: self.tls.insecure_skip_verify,
            }),
        }
    }
}

fn sasl(section: &mut Section) -> Result<Option<Sasl>, ConfigError> {
    for key in [
        "sasl_gssapi_service_name",
        "sasl_gssapi_auth_type",
        "sasl_gssapi_disable_pafxfast",
        "sasl_gssapi_kerberos_config_path",
        "sasl_gssapi_key_tab_path",
        "sasl_gssapi_realm",
    ] {
        section.without_effect(key, "GSSAPI is not supported");
    }
    section.without_effect("sasl_version", "the client and the broker agree on it");
    if section.string_table("sasl_extensions")?.is_some_and(|extensions| !extensions.is_empty()) {
        return Err(section.bad("sasl_extensions", "extensions of OAUTHBEARER are not supported"));
    }
    let username = section.string("sasl_username")?.unwrap_or_default();
    let password = section.string("sasl_password")?.unwrap_or_default();
    let token = section.string("sasl_access_token")?.unwrap_or_default();
    let mechanism = match section.string("sasl_mechanism")?.as_deref() {
        None | Some("") if username.is_empty() => return Ok(None),
        None | Some("") => Mechanism::Plain,
        Some(name) => Mechanism::from_name(name).ok_or_else(|| {
            let reason = format!(
                "{name:?} is not supported; there are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER"
            );
            section.bad("sasl_mechanism", reason)
        })?,
    };
    if mechanism != Mechanism::OauthBearer && username.is_empty() {
        return Err(section.bad("sasl_username", format!("{} needs it", mechanism.name())));
    }
    let secret = if mechanism == Mechanism::OauthBearer { token } else { password };
    Ok(Some(Sasl { mechanism, username, secret }))
}

/// Versions are agreed on with each broker; what is written is only checked to be one.
fn check_version(text: &str) -> Result<(), String> {
    let parts: Vec<u32> = text
        .split('.')
        .map(|part| part.parse().map_err(|_| format!("{text:?} is no version such as \"2.8.0\"")))
        .collect::<Result<_, _>>()?;
    if parts.len() < 3 {
        return Err(format!("{text:?} is no version such as \"2.8.0\""));
    }
    if parts.as_slice() < [0, 10, 2, 0].as_slice() {
        return Err(format!("{text:?}: brokers older than 0.10.2.0 are not supported"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;

    fn options(text: &str) -> Result<KafkaOptions, String> {
        KafkaOptions::for_librdkafka(&mut section_for_tests(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_client_is_told_whom_to_trust_and_who_it_is() {
        let config = options(
            "brokers = ['a:9092', 'b']\nsasl_username = 'u'\nsasl_password = 'p'\nsasl_mechanism = 'SCRAM-SHA-512'\n\
             tls_ca = '/ca.pem'\ntls_cert = '/c.pem'\ntls_key = '/k.pem'\nversion = '2.8.0'",
        )
        .expect("valid")
        .client_config();
        for (key, value) in [
            ("bootstrap.servers", "a:9092,b"),
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanisms", "SCRAM-SHA-512"),
            ("sasl.password", "p"),
            ("ssl.ca.location", "/ca.pem"),
            ("ssl.key.location", "/k.pem"),
            ("client.id", "Telegraf"),
        ] {
            assert_eq!(config.get(key), Some(value), "{key}");
        }
        let plain = options("brokers = ['a:9092']").expect("valid").client_config();
        assert_eq!(plain.get("security.protocol"), Some("plaintext"));
        let named = options("brokers = ['a']\nsasl_username = 'u'\nsasl_password = 'p'").expect("valid");
        assert_eq!(named.client_config().get("sasl.mechanisms"), Some("PLAIN"), "a name without a mechanism");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "name at least one broker"),
            ("brokers = ['a:1,b:2']", "one broker to a text"),
            ("brokers = ['a']\nsasl_mechanism = 'GSSAPI'", "\"GSSAPI\" is not supported; there are PLAIN"),
            ("brokers = ['a']\nsasl_mechanism = 'PLAIN'", "PLAIN needs it"),
            ("brokers = ['a']\nsasl_mechanism = 'OAUTHBEARER'", "`sasl_access_token`"),
            ("brokers = ['a']\nsocks5_enabled = true", "SOCKS5"),
            ("brokers = ['a']\nversion = '0.9.0.1'", "older than 0.10.2.0"),
            ("brokers = ['a']\nversion = 'new'", "no version"),
            ("brokers = ['a']\ntls_server_name = 'x'", "`tls_server_name`"),
        ] {
            let error = options(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
