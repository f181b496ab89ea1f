//! `SELECT` and `EXPLAIN`.

use std::fmt::{self, Display, Formatter};

use super::{
    expr::Decimal, quote_ident, quote_string, write_counts, write_from, write_group_by, write_list,
    write_order_by, write_where,
};
use crate::ast::{Explain, Field, Fill, Measurement, MeasurementName, Select, SortField, Source, Target};

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        write_list(f, &self.fields, ", ")?;
        if let Some(target) = &self.into {
            write!(f, " INTO {target}")?;
        }
        write_from(f, &self.from)?;
        write_where(f, self.condition.as_ref())?;
        write_group_by(f, &self.group_by)?;
        self.fill.fmt(f)?;
        write_order_by(f, &self.order_by)?;
        write_counts(
            f,
            &[
                ("LIMIT", self.limit),
                ("OFFSET", self.offset),
                ("SLIMIT", self.slimit),
                ("SOFFSET", self.soffset),
            ],
        )?;
        match &self.time_zone {
            Some(zone) => write!(f, " TZ({})", quote_string(zone.name())),
            None => Ok(()),
        }
    }
}

impl Display for Explain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "EXPLAIN {}{}", if self.analyze { "ANALYZE " } else { "" }, self.select)
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        match &self.alias {
            Some(alias) => write!(f, " AS {}", quote_ident(alias)),
            None => Ok(()),
        }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measurement(measurement) => measurement.fmt(f),
            Self::Subquery(select) => write!(f, "({select})"),
        }
    }
}

impl Display for Measurement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_qualifiers(f, self.database.as_deref(), self.retention_policy.as_deref())?;
        match &self.name {
            MeasurementName::Name(name) => f.write_str(&quote_ident(name)),
            MeasurementName::Regex(regex) => regex.fmt(f),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_qualifiers(f, self.database.as_deref(), self.retention_policy.as_deref())?;
        match &self.measurement {
            Some(name) => f.write_str(&quote_ident(name)),
            // A name has to stand before it, if only an empty one.
            None if self.database.is_none() && self.retention_policy.is_none() => {
                f.write_str("\"\".:MEASUREMENT")
            }
            None => f.write_str(":MEASUREMENT"),
        }
    }
}

/// `database.policy.`, `database..`, `policy.` or nothing.
fn write_qualifiers(f: &mut Formatter<'_>, database: Option<&str>, policy: Option<&str>) -> fmt::Result {
    if let Some(name) = database {
        write!(f, "{}.", quote_ident(name))?;
    }
    if let Some(name) = policy {
        f.write_str(&quote_ident(name))?;
    }
    if database.is_some() || policy.is_some() { f.write_str(".") } else { Ok(()) }
}

impl Display for Fill {
    /// With a space in front; nothing for null.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::None => f.write_str(" fill(none)"),
            Self::Previous => f.write_str(" fill(previous)"),
            Self::Linear => f.write_str(" fill(linear)"),
            Self::Integer(value) => write!(f, " fill({value})"),
            Self::Number(value) => write!(f, " fill({})", Decimal { value: *value, places_min: 0 }),
        }
    }
}

impl Display for SortField {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{} ", quote_ident(name))?;
        }
        f.write_str(if self.ascending { "ASC" } else { "DESC" })
    }
}
