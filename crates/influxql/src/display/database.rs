//! Databases, retention policies, continuous queries, subscriptions.

use std::fmt::{self, Display, Formatter};

use super::{quote_ident, quote_string};
use crate::{
    ast::{
        AlterRetentionPolicy, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy,
        CreateSubscription, DropContinuousQuery, DropDatabase, DropRetentionPolicy, DropSubscription,
        SubscriptionMode,
    },
    format_duration,
};

impl Display for CreateDatabase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE DATABASE {}", quote_ident(&self.name))?;
        let Some(spec) = &self.retention_policy else { return Ok(()) };
        f.write_str(" WITH")?;
        write_duration(f, "DURATION", spec.duration)?;
        if let Some(count) = spec.replication {
            write!(f, " REPLICATION {count}")?;
        }
        write_duration(f, "SHARD DURATION", spec.shard_duration)?;
        if let Some(name) = &spec.name {
            write!(f, " NAME {}", quote_ident(name))?;
        }
        Ok(())
    }
}

/// ` KEYWORD 5m`.
fn write_duration(f: &mut Formatter<'_>, keyword: &str, nanoseconds: Option<i64>) -> fmt::Result {
    match nanoseconds {
        Some(nanoseconds) => write!(f, " {keyword} {}", format_duration(nanoseconds)),
        None => Ok(()),
    }
}

impl Display for DropDatabase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DROP DATABASE {}", quote_ident(&self.name))
    }
}

impl Display for CreateRetentionPolicy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE RETENTION POLICY {} ON {}", quote_ident(&self.name), quote_ident(&self.database))?;
        write_duration(f, "DURATION", Some(self.duration))?;
        write!(f, " REPLICATION {}", self.replication)?;
        write_duration(f, "SHARD DURATION", Some(self.shard_duration).filter(|&duration| duration > 0))?;
        if self.default { f.write_str(" DEFAULT") } else { Ok(()) }
    }
}

impl Display for AlterRetentionPolicy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER RETENTION POLICY {} ON {}", quote_ident(&self.name), quote_ident(&self.database))?;
        write_duration(f, "DURATION", self.duration)?;
        if let Some(count) = self.replication {
            write!(f, " REPLICATION {count}")?;
        }
        write_duration(f, "SHARD DURATION", self.shard_duration)?;
        if self.default { f.write_str(" DEFAULT") } else { Ok(()) }
    }
}

impl Display for DropRetentionPolicy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DROP RETENTION POLICY {} ON {}", quote_ident(&self.name), quote_ident(&self.database))
    }
}

impl Display for CreateContinuousQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE CONTINUOUS QUERY {} ON {}", quote_ident(&self.name), quote_ident(&self.database))?;
        if self.resample_every.is_some() || self.resample_for.is_some() {
            f.write_str(" RESAMPLE")?;
            write_duration(f, "EVERY", self.resample_every)?;
            write_duration(f, "FOR", self.resample_for)?;
        }
        write!(f, " BEGIN {} END", self.select)
    }
}

impl Display for DropContinuousQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DROP CONTINUOUS QUERY {} ON {}", quote_ident(&self.name), quote_ident(&self.database))
    }
}

impl Display for CreateSubscription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, database) = (quote_ident(&self.name), quote_ident(&self.database));
        let policy = quote_ident(&self.retention_policy);
        let mode = match self.mode {
            SubscriptionMode::All => "ALL",
            SubscriptionMode::Any => "ANY",
        };
        let destinations: Vec<String> = self.destinations.iter().map(|url| quote_string(url)).collect();
        write!(
            f,
            "CREATE SUBSCRIPTION {name} ON {database}.{policy} DESTINATIONS {mode} {}",
            destinations.join(", ")
        )
    }
}

impl Display for DropSubscription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, database) = (quote_ident(&self.name), quote_ident(&self.database));
        write!(f, "DROP SUBSCRIPTION {name} ON {database}.{}", quote_ident(&self.retention_policy))
    }
}
