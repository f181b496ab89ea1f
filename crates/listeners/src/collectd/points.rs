//! What lists of values become as points.

use std::borrow::Cow;

use skywatch_model::{
    line::{FieldRef, PointBatch},
    series::make_key,
};

use super::{
    packet::{self, Identity, PacketError, Value},
    secured::{Passwords, SecurityLevel},
    types::{Source, TypesDb, unnamed},
};

/// What becomes of several values of one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MultiValue {
    /// A point each, of the measurement `<plugin>_<value's name>`, in the field `value`.
    #[default]
    Split,
    /// One point of the measurement `<plugin>`, with a field each.
    Join,
}

/// Reads datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parser {
    /// What types consist of.
    pub types: TypesDb,
    /// What a datagram needs to be taken.
    pub security: SecurityLevel,
    /// See there.
    pub multi_value: MultiValue,
}

/// What became of a datagram that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// Points added.
    pub points: u64,
    /// Points that cannot be stored, such as those of gauges without a value.
    pub dropped: u64,
    /// Lists of values of a type that is not known, or has another number of values.
    pub unknown: u64,
}

impl Parser {
    /// Adds the points of a datagram, which came at `now_ns`.
    pub fn parse(
        &self,
        datagram: &[u8],
        now_ns: i64,
        passwords: &dyn Passwords,
        batch: &mut PointBatch<'_>,
    ) -> Result<Taken, PacketError> {
        let mut taken = Taken::default();
        // All or nothing, as in InfluxDB: what follows damage may be damaged too.
        packet::read(datagram, SecurityLevel::None, self.security, passwords, &mut |_, _| ())?;
        packet::read(datagram, SecurityLevel::None, self.security, passwords, &mut |identity, values| {
            self.take(identity, values, now_ns, batch, &mut taken);
        })?;
        Ok(taken)
    }

    fn take(
        &self,
        identity: &Identity<'_>,
        values: &[Value],
        now_ns: i64,
        batch: &mut PointBatch<'_>,
        taken: &mut Taken,
    ) {
        let sources = match self.types.of(identity.kind) {
            Ok(Some(sources)) if sources.len() == values.len() => Some(sources),
            Ok(None) => None,
            Ok(Some(_)) | Err(()) => {
                taken.unknown += 1;
                return;
            }
        };
        let named = |(index, value): (usize, &Value)| match sources.and_then(|sources| sources.get(index)) {
            Some(source) => (Cow::Borrowed(source.name.as_str()), number(*value, Some(source))),
            None => (unnamed(index, values.len()), number(*value, None)),
        };
        let named: Vec<(Cow<'_, str>, f64)> = values.iter().enumerate().map(named).collect();
        let time_ns = identity.time_ns.unwrap_or(now_ns);
        let mut push = |measurement: &str, fields: &[(&str, f64)]| {
            let key = make_key(measurement, tags(identity));
            let fields = fields.iter().map(|(name, value)| (*name, FieldRef::Float(*value)));
            match batch.push(&key, time_ns, fields) {
                Ok(()) => taken.points += 1,
                Err(_) => taken.dropped += 1,
            }
        };
        match self.multi_value {
            MultiValue::Split => {
                for (name, value) in &named {
                    push(&format!("{}_{name}", identity.plugin), &[("value", *value)]);
                }
            }
            MultiValue::Join => {
                let fields: Vec<(&str, f64)> = named.iter().map(|(name, value)| (&**name, *value)).collect();
                push(identity.plugin, &fields);
            }
        }
    }
}

fn tags<'a>(identity: &Identity<'a>) -> [(&'static str, &'a str); 4] {
    [
        ("host", identity.host),
        ("instance", identity.plugin_instance),
        ("type", identity.kind),
        ("type_instance", identity.type_instance),
    ]
}

/// A value as its type has it: whole numbers of a gauge stay, fractions of a count go.
fn number(value: Value, source: Option<&Source>) -> f64 {
    let number = match value {
        Value::Counter(value) => value as f64,
        Value::Gauge(value) => value,
        Value::Derive(value) => value as f64,
    };
    if source.is_some_and(|source| !source.is_gauge) { number.trunc() } else { number }
}

#[cfg(test)]
mod tests;
