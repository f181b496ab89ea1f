//! Parts of a datagram, and the lists of values among them.

use super::secured::{self, Passwords, SecurityLevel};

/// Why a datagram is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// It ends inside a part, or a part is shorter than what it has to hold.
    #[error("the datagram ends inside a part, or a part has another length than its content")]
    Cut,
    /// A text is no UTF-8, or does not end in a zero.
    #[error("a text of part {0:#06x} is not UTF-8, or does not end in a zero")]
    Text(u16),
    /// A value of a kind that is not known.
    #[error("a value is of kind {0}: 0 (counter), 1 (gauge), 2 (derive) and 3 (absolute) are known")]
    Kind(u8),
    /// Signed or encrypted by a user of whom no password is known.
    #[error("user {0:?} is not in the auth-file")]
    User(String),
    /// The signature, or the sum of what was decrypted, is another.
    #[error("the signature of user {0:?} is not right: another password, or a changed datagram")]
    Signature(String),
    /// It is encrypted, and there are no passwords here.
    #[error("the datagram is encrypted, and no auth-file is configured")]
    NoPasswords,
}

/// Numbers of parts.
const HOST: u16 = 0x0000;
const TIME: u16 = 0x0001;
const PLUGIN: u16 = 0x0002;
const PLUGIN_INSTANCE: u16 = 0x0003;
const TYPE: u16 = 0x0004;
const TYPE_INSTANCE: u16 = 0x0005;
const VALUES: u16 = 0x0006;
const TIME_HIGH_RESOLUTION: u16 = 0x0008;
const SIGNATURE: u16 = 0x0200;
const ENCRYPTION: u16 = 0x0210;

/// Bytes of a part's head.
const HEAD_BYTES: usize = 4;

/// A value as it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Counter(u64),
    Gauge(f64),
    Derive(i64),
}

/// What values belong to, as far as a datagram has said so.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Identity<'a> {
    pub(super) host: &'a str,
    pub(super) plugin: &'a str,
    pub(super) plugin_instance: &'a str,
    pub(super) kind: &'a str,
    pub(super) type_instance: &'a str,
    /// Nanoseconds since 1970, if any was told.
    pub(super) time_ns: Option<i64>,
}

/// Calls `take` with every list of values of a datagram that is secured as `wanted` says, or better.
pub(super) fn read(
    datagram: &[u8],
    level: SecurityLevel,
    wanted: SecurityLevel,
    passwords: &dyn Passwords,
    take: &mut dyn FnMut(&Identity<'_>, &[Value]),
) -> Result<(), PacketError> {
    let mut identity = Identity::default();
    let mut rest = datagram;
    while !rest.is_empty() {
        let (kind, payload, after) = part(rest)?;
        rest = after;
        match kind {
            HOST => identity.host = text(kind, payload)?,
            PLUGIN => identity.plugin = text(kind, payload)?,
            PLUGIN_INSTANCE => identity.plugin_instance = text(kind, payload)?,
            TYPE => identity.kind = text(kind, payload)?,
            TYPE_INSTANCE => identity.type_instance = text(kind, payload)?,
            TIME => identity.time_ns = seconds(number(payload)?, 0),
            TIME_HIGH_RESOLUTION => {
                let time = number(payload)?;
                // In units of 2^-30 seconds; rounded as collectd itself rounds.
                let fraction = ((time & 0x3fff_ffff) * 1_000_000_000 + (1 << 29)) >> 30;
                identity.time_ns = seconds(time >> 30, fraction);
            }
            VALUES => {
                let values = values(payload)?;
                if level >= wanted {
                    take(&identity, &values);
                }
            }
            SIGNATURE => {
                let level = secured::verify(payload, rest, passwords)?;
                return read(rest, level.max(SecurityLevel::None), wanted, passwords, take);
            }
            ENCRYPTION => {
                let plain = secured::decrypt(payload, passwords)?;
                read(&plain, SecurityLevel::Encrypt, wanted, passwords, take)?;
            }
            // Intervals, and notifications, which are no values.
            _ => {}
        }
    }
    Ok(())
}

/// Kind and payload of the first part, and what comes after it.
fn part(bytes: &[u8]) -> Result<(u16, &[u8], &[u8]), PacketError> {
    let (head, _) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(PacketError::Cut)?;
    let [kind_high, kind_low, length_high, length_low] = *head;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let payload = bytes.get(HEAD_BYTES..length).ok_or(PacketError::Cut)?;
    Ok((u16::from_be_bytes([kind_high, kind_low]), payload, &bytes[length..]))
}

fn text(kind: u16, payload: &[u8]) -> Result<&str, PacketError> {
    let text = payload.strip_suffix(&[0]).and_then(|text| std::str::from_utf8(text).ok());
    text.ok_or(PacketError::Text(kind))
}

fn number(payload: &[u8]) -> Result<u64, PacketError> {
    payload.try_into().map(u64::from_be_bytes).map_err(|_| PacketError::Cut)
}

fn seconds(seconds: u64, fraction_ns: u64) -> Option<i64> {
    i64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(i64::try_from(fraction_ns).ok()?)
}

fn values(payload: &[u8]) -> Result<Vec<Value>, PacketError> {
    let (count, rest) = payload.split_first_chunk::<2>().ok_or(PacketError::Cut)?;
    let count = usize::from(u16::from_be_bytes(*count));
    if rest.len() != count * 9 {
        return Err(PacketError::Cut);
    }
    let (kinds, values) = rest.split_at(count);
    let (values, _) = values.as_chunks::<8>();
    let value = |(kind, bytes): (&u8, &[u8; 8])| match kind {
        // An absolute is a count since it was read last: to us as any count.
        0 | 3 => Ok(Value::Counter(u64::from_be_bytes(*bytes))),
        1 => Ok(Value::Gauge(f64::from_le_bytes(*bytes))),
        2 => Ok(Value::Derive(i64::from_be_bytes(*bytes))),
        other => Err(PacketError::Kind(*other)),
    };
    kinds.iter().zip(values).map(value).collect()
}
