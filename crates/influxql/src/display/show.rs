//! `SHOW ...` and `KILL QUERY`.

use std::fmt::{self, Display, Formatter};

use super::{
    quote_ident, quote_string, write_counts, write_from, write_group_by, write_on, write_order_by,
    write_where,
};
use crate::ast::{
    KillQuery, MeasurementName, Show, ShowCardinality, ShowFieldKeys, ShowMeasurements, ShowSeries,
    ShowTagKeys, ShowTagValues, ShowTagValuesCardinality, Source, TagKeyFilter,
};

impl Display for Show {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW ")?;
        match self {
            Self::ContinuousQueries => f.write_str("CONTINUOUS QUERIES"),
            Self::Databases => f.write_str("DATABASES"),
            Self::Diagnostics(show) => write_module(f, "DIAGNOSTICS", show.module.as_deref()),
            Self::FieldKeys(show) => show.fmt(f),
            Self::FieldKeyCardinality(show) => write_cardinality(f, "FIELD KEY", show, None),
            Self::Grants(show) => write!(f, "GRANTS FOR {}", quote_ident(&show.user)),
            Self::Measurements(show) => show.fmt(f),
            Self::MeasurementCardinality(show) => write_cardinality(f, "MEASUREMENT", show, None),
            Self::Queries => f.write_str("QUERIES"),
            Self::RetentionPolicies(show) => {
                f.write_str("RETENTION POLICIES")?;
                write_on(f, show.database.as_deref())
            }
            Self::Series(show) => show.fmt(f),
            Self::SeriesCardinality(show) => write_cardinality(f, "SERIES", show, None),
            Self::Servers => f.write_str("SERVERS"),
            Self::ShardGroups => f.write_str("SHARD GROUPS"),
            Self::Shards => f.write_str("SHARDS"),
            Self::Stats(show) => write_module(f, "STATS", show.module.as_deref()),
            Self::Subscriptions => f.write_str("SUBSCRIPTIONS"),
            Self::TagKeys(show) => show.fmt(f),
            Self::TagKeyCardinality(show) => write_cardinality(f, "TAG KEY", show, None),
            Self::TagValues(show) => show.fmt(f),
            Self::TagValuesCardinality(ShowTagValuesCardinality { cardinality, key }) => {
                write_cardinality(f, "TAG VALUES", cardinality, Some(key))
            }
            Self::Users => f.write_str("USERS"),
        }
    }
}

fn write_module(f: &mut Formatter<'_>, what: &str, module: Option<&str>) -> fmt::Result {
    f.write_str(what)?;
    match module {
        Some(module) => write!(f, " FOR {}", quote_string(module)),
        None => Ok(()),
    }
}

fn write_cardinality(
    f: &mut Formatter<'_>,
    what: &str,
    show: &ShowCardinality,
    key: Option<&TagKeyFilter>,
) -> fmt::Result {
    write!(f, "{what} {}CARDINALITY", if show.exact { "EXACT " } else { "" })?;
    write_on(f, show.database.as_deref())?;
    write_from(f, &show.from)?;
    if let Some(key) = key {
        write!(f, " {key}")?;
    }
    write_where(f, show.condition.as_ref())?;
    write_group_by(f, &show.group_by)?;
    write_counts(f, &[("LIMIT", show.limit), ("OFFSET", show.offset)])
}

impl Display for ShowMeasurements {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("MEASUREMENTS")?;
        match &self.database {
            Some(database) => write!(f, " ON {}", quote_ident(database))?,
            None if self.all_databases => f.write_str(" ON *")?,
            None => {}
        }
        match &self.retention_policy {
            Some(policy) => write!(f, ".{}", quote_ident(policy))?,
            None if self.all_retention_policies => f.write_str(".*")?,
            None => {}
        }
        if let Some(source) = &self.source {
            let regex = matches!(source, Source::Measurement(named) if matches!(named.name, MeasurementName::Regex(_)));
            write!(f, " WITH MEASUREMENT {} {source}", if regex { "=~" } else { "=" })?;
        }
        write_where(f, self.condition.as_ref())?;
        write_order_by(f, &self.order_by)?;
        write_counts(f, &[("LIMIT", self.limit), ("OFFSET", self.offset)])
    }
}

impl Display for ShowSeries {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SERIES")?;
        write_on(f, self.database.as_deref())?;
        write_from(f, &self.from)?;
        write_where(f, self.condition.as_ref())?;
        write_order_by(f, &self.order_by)?;
        write_counts(f, &[("LIMIT", self.limit), ("OFFSET", self.offset)])
    }
}

impl Display for ShowTagKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("TAG KEYS")?;
        write_on(f, self.database.as_deref())?;
        write_from(f, &self.from)?;
        write_where(f, self.condition.as_ref())?;
        write_order_by(f, &self.order_by)?;
        write_counts(
            f,
            &[
                ("LIMIT", self.limit),
                ("OFFSET", self.offset),
                ("SLIMIT", self.slimit),
                ("SOFFSET", self.soffset),
            ],
        )
    }
}

impl Display for ShowTagValues {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("TAG VALUES")?;
        write_on(f, self.database.as_deref())?;
        write_from(f, &self.from)?;
        write!(f, " {}", self.key)?;
        write_where(f, self.condition.as_ref())?;
        write_order_by(f, &self.order_by)?;
        write_counts(f, &[("LIMIT", self.limit), ("OFFSET", self.offset)])
    }
}

impl Display for TagKeyFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("WITH KEY ")?;
        match self {
            Self::Equal(key) => write!(f, "= {}", quote_ident(key)),
            Self::NotEqual(key) => write!(f, "!= {}", quote_ident(key)),
            Self::Matches(regex) => write!(f, "=~ {regex}"),
            Self::NotMatches(regex) => write!(f, "!~ {regex}"),
            Self::In(keys) => {
                let keys: Vec<String> = keys.iter().map(|key| quote_ident(key)).collect();
                write!(f, "IN ({})", keys.join(", "))
            }
        }
    }
}

impl Display for ShowFieldKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("FIELD KEYS")?;
        write_on(f, self.database.as_deref())?;
        write_from(f, &self.from)?;
        write_order_by(f, &self.order_by)?;
        write_counts(f, &[("LIMIT", self.limit), ("OFFSET", self.offset)])
    }
}

impl Display for KillQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "KILL QUERY {}", self.id)?;
        write_on(f, self.host.as_deref())
    }
}
