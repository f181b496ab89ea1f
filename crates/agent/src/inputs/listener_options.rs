//! Options that inputs which listen have in common.

use std::time::Duration;

use crate::config::{ConfigError, Section};
use crate::net::request::Credentials;

/// `read_timeout` or `write_timeout`: at least a second, ten without one.
pub(super) fn duration(section: &mut Section, key: &'static str) -> Result<Duration, ConfigError> {
    let nanos = section.duration(key)?.unwrap_or(0);
    Ok(if nanos < 1_000_000_000 {
        Duration::from_secs(10)
    } else {
        Duration::from_nanos(nanos.unsigned_abs())
    })
}

/// A number of bytes that has to fit this machine's memory.
pub(super) fn bytes(section: &mut Section, key: &'static str) -> Result<Option<usize>, ConfigError> {
    match section.size(key)?.map(usize::try_from) {
        None => Ok(None),
        Some(Ok(bytes)) => Ok(Some(bytes)),
        Some(Err(_)) => Err(section.bad(key, "more than there can be")),
    }
}

/// `basic_username` and `basic_password`; both or none.
pub(super) fn credentials(section: &mut Section) -> Result<Option<Credentials>, ConfigError> {
    let username = section.string("basic_username")?.unwrap_or_default();
    let password = section.string("basic_password")?.unwrap_or_default();
    match (username.is_empty(), password.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(Credentials { username, password })),
        _ => Err(section.bad("basic_password", "basic_username and basic_password belong together")),
    }
}

/// `socket_mode`: permissions in octal digits.
pub(super) fn socket_mode(section: &mut Section) -> Result<Option<u32>, ConfigError> {
    match section.string("socket_mode")?.filter(|mode| !mode.is_empty()) {
        None => Ok(None),
        Some(text) => match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(Some(mode)),
            _ => Err(section.bad("socket_mode", format!("{text:?} are no permissions such as \"0660\""))),
        },
    }
}
