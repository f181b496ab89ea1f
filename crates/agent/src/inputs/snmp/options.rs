//! The options of `snmp`.

use std::time::Duration;

use snmp2::Version;
use snmp2::v3::{Auth, AuthProtocol, Cipher, KeyExtension};

use super::convert::Conversion;
use super::names::{self, Object};
use crate::config::{ConfigError, Section};
use crate::net::stream::HostPort;

/// What `[[inputs.snmp]]` sets.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) agents: Vec<Agent>,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    pub(super) version: Version,
    pub(super) community: String,
    pub(super) v3: V3,
    pub(super) agent_host_tag: String,
    pub(super) max_repetitions: u32,
    pub(super) stop_on_error: bool,
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) tables: Vec<Table>,
}

/// A device.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) host: String,
    pub(super) port: u16,
    /// As errors name it.
    pub(super) shown: String,
}

/// Options of SNMPv3.
#[derive(Debug)]
pub(super) struct V3 {
    pub(super) user: String,
    pub(super) auth: Auth,
    pub(super) auth_protocol: Option<AuthProtocol>,
    pub(super) auth_password: String,
    pub(super) key_extension: Option<KeyExtension>,
    pub(super) context_name: String,
}

/// One `[[inputs.snmp.field]]` or a column of a table.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) oid: Vec<u64>,
    pub(super) name: String,
    pub(super) is_tag: bool,
    pub(super) conversion: Conversion,
    /// What indices have to end with; it is cut off.
    index_suffix: Option<String>,
    /// Numbers of an index that count.
    index_length: usize,
    pub(super) secondary_index_table: bool,
    pub(super) secondary_index_use: bool,
    pub(super) secondary_outer_join: bool,
}

/// One `[[inputs.snmp.table]]`.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) inherit_tags: Vec<String>,
    pub(super) index_as_tag: bool,
    pub(super) fields: Vec<Field>,
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let agents = section.strings("agents")?.unwrap_or_else(|| vec!["udp://127.0.0.1:161".to_owned()]);
        let agents = agents
            .iter()
            .map(|text| agent(text).map_err(|why| section.bad("agents", why)))
            .collect::<Result<_, _>>()?;
        for (key, why) in [
            ("unconnected_udp_socket", "answers are taken from the address asked only"),
            ("path", "MIB files are those of net-snmp's snmptranslate"),
        ] {
            section.without_effect(key, why);
        }
        let version = match section.count("version")?.unwrap_or(2) {
            1 => Version::V1,
            2 => Version::V2C,
            3 => Version::V3,
            other => return Err(section.bad("version", format!("{other} is none of 1, 2, 3"))),
        };
        let timeout = section.duration("timeout")?.filter(|nanos| *nanos > 0).unwrap_or(5_000_000_000);
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let name = section.string("name")?.filter(|name| !name.is_empty());
        Ok(Self {
            agents,
            timeout: Duration::from_nanos(timeout.unsigned_abs()),
            retries: small(section.count("retries")?.unwrap_or(3)).min(100),
            version,
            community: section.string("community")?.unwrap_or_else(|| "public".to_owned()),
            v3: V3::from_section(section)?,
            agent_host_tag: section
                .string("agent_host_tag")?
                .filter(|tag| !tag.is_empty())
                .unwrap_or_else(|| "agent_host".to_owned()),
            max_repetitions: small(section.count("max_repetitions")?.unwrap_or(10)).clamp(1, 1000),
            stop_on_error: section.boolean("stop_on_error")?.unwrap_or(false),
            name: name.unwrap_or_else(|| "snmp".to_owned()),
            fields: section.sections("field", field)?,
            tables: section.sections("table", table)?,
        })
    }
}

/// `udp://host:port`, `host:port` or `host`.
fn agent(text: &str) -> Result<Agent, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
    if !matches!(scheme, "udp" | "udp4" | "udp6") {
        return Err(format!("{text:?}: only UDP is supported, not {scheme:?}"));
    }
    let HostPort { host, port } = HostPort::parse(rest, Some(161))?;
    if host.is_empty() {
        return Err(format!("{text:?} names no host"));
    }
    Ok(Agent { host, port, shown: text.to_owned() })
}

impl V3 {
    fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        for key in ["engine_id", "engine_boots", "engine_time"] {
            section.without_effect(key, "the agent is asked for it");
        }
        let mut text = |key| Ok::<_, ConfigError>(section.string(key)?.unwrap_or_default());
        let (user, context_name) = (text("sec_name")?, text("context_name")?);
        let (auth_protocol, auth_password) = (text("auth_protocol")?, text("auth_password")?);
        let (priv_protocol, priv_password) = (text("priv_protocol")?, text("priv_password")?);
        let level = text("sec_level")?;
        let auth_protocol = match auth_protocol.to_ascii_uppercase().as_str() {
            "" => None,
            "MD5" => Some(AuthProtocol::Md5),
            "SHA" => Some(AuthProtocol::Sha1),
            "SHA224" => Some(AuthProtocol::Sha224),
            "SHA256" => Some(AuthProtocol::Sha256),
            "SHA384" => Some(AuthProtocol::Sha384),
            "SHA512" => Some(AuthProtocol::Sha512),
            other => {
                let reason = format!("{other:?} is none of MD5, SHA, SHA224, SHA256, SHA384, SHA512");
                return Err(section.bad("auth_protocol", reason));
            }
        };
        // The letter C is Cisco's way of making a key long enough (Reeder), the others have Blumenthal's.
        let (cipher, key_extension) = match priv_protocol.to_ascii_uppercase().as_str() {
            "" => (None, None),
            "DES" => (Some(Cipher::Des), None),
            "AES" => (Some(Cipher::Aes128), None),
            "AES192" => (Some(Cipher::Aes192), Some(KeyExtension::Blumenthal)),
            "AES256" => (Some(Cipher::Aes256), Some(KeyExtension::Blumenthal)),
            "AES192C" => (Some(Cipher::Aes192), Some(KeyExtension::Reeder)),
            "AES256C" => (Some(Cipher::Aes256), Some(KeyExtension::Reeder)),
            other => {
                let reason = format!("{other:?} is none of DES, AES, AES192, AES192C, AES256, AES256C");
                return Err(section.bad("priv_protocol", reason));
            }
        };
        let missing = |key, what| section.bad(key, format!("sec_level = {level:?} needs {what}"));
        let auth = match level.to_ascii_lowercase().as_str() {
            "" | "noauthnopriv" => Auth::NoAuthNoPriv,
            "authnopriv" | "authpriv" if auth_protocol.is_none() => {
                return Err(missing("auth_protocol", "auth_protocol"));
            }
            "authnopriv" => Auth::AuthNoPriv,
            "authpriv" => match cipher {
                Some(cipher) => Auth::AuthPriv { cipher, privacy_password: priv_password.into_bytes() },
                None => return Err(missing("priv_protocol", "priv_protocol")),
            },
            other => {
                let reason = format!("{other:?} is none of noAuthNoPriv, authNoPriv, authPriv");
                return Err(section.bad("sec_level", reason));
            }
        };
        Ok(Self { user, auth, auth_protocol, auth_password, key_extension, context_name })
    }
}

fn field(section: &mut Section) -> Result<Field, ConfigError> {
    let text = section.string("oid")?.unwrap_or_default();
    if text.is_empty() {
        return Err(section.bad("oid", "a field needs an object identifier"));
    }
    let Object { oid, name } = names::resolve(&text).map_err(|why| section.bad("oid", why))?;
    let conversion = section.string("conversion")?.unwrap_or_default();
    let conversion = Conversion::parse(&conversion, names::value_names(&oid))
        .map_err(|why| section.bad("conversion", why))?;
    section.without_effect("translate", "object identifiers in values stay numbers");
    let secondary_index_table = section.boolean("secondary_index_table")?.unwrap_or(false);
    let secondary_index_use = section.boolean("secondary_index_use")?.unwrap_or(false);
    let secondary_outer_join = section.boolean("secondary_outer_join")?.unwrap_or(false);
    if secondary_index_table && secondary_index_use {
        return Err(section.bad("secondary_index_use", "a field has or uses a secondary index, not both"));
    }
    if secondary_outer_join && !secondary_index_use {
        return Err(section.bad("secondary_outer_join", "only with secondary_index_use"));
    }
    Ok(Field {
        oid,
        name: section.string("name")?.filter(|name| !name.is_empty()).unwrap_or(name),
        is_tag: section.boolean("is_tag")?.unwrap_or(false),
        conversion,
        index_suffix: section
            .string("oid_index_suffix")?
            .filter(|suffix| !suffix.is_empty())
            .map(|suffix| format!(".{}", suffix.trim_start_matches('.'))),
        index_length: section.count("oid_index_length")?.unwrap_or(0),
        secondary_index_table,
        secondary_index_use,
        secondary_outer_join,
    })
}

fn table(section: &mut Section) -> Result<Table, ConfigError> {
    let oid = section.string("oid")?.filter(|oid| !oid.is_empty());
    let object = oid.map(|text| names::resolve(&text).map_err(|why| section.bad("oid", why))).transpose()?;
    let mut fields = section.sections("field", field)?;
    if let Some(object) = &object {
        let columns = names::columns(&object.oid);
        if columns.is_empty() && fields.is_empty() {
            let reason =
                "the columns of this table are not known here; list them as [[inputs.snmp.table.field]]";
            return Err(section.bad("oid", reason));
        }
        for column in columns {
            if fields.iter().all(|field| field.oid != column.oid) {
                fields.push(Field::column(column));
            }
        }
    }
    let name = section.string("name")?.filter(|name| !name.is_empty()).or(object.map(|object| object.name));
    let Some(name) = name else { return Err(section.bad("name", "a table needs a name or an oid")) };
    Ok(Table {
        name,
        inherit_tags: section.strings("inherit_tags")?.unwrap_or_default(),
        index_as_tag: section.boolean("index_as_tag")?.unwrap_or(false),
        fields,
    })
}

impl Field {
    /// A column nobody has said anything about: what numbers a table's rows is a tag.
    fn column(Object { oid, name }: Object) -> Self {
        Self {
            oid,
            is_tag: name.ends_with("Index"),
            name,
            conversion: Conversion::None,
            index_suffix: None,
            index_length: 0,
            secondary_index_table: false,
            secondary_index_use: false,
            secondary_outer_join: false,
        }
    }

    /// The part of an index that counts; `None` if it has not the ending asked for. Indices begin with a dot.
    pub(super) fn index(&self, index: &str) -> Option<String> {
        let index = match &self.index_suffix {
            Some(suffix) => index.strip_suffix(suffix.as_str())?,
            None => index,
        };
        if self.index_length == 0 {
            return Some(index.to_owned());
        }
        let parts = index.split('.').skip(1).take(self.index_length);
        Some(parts.fold(String::new(), |text, part| text + "." + part))
    }
}
