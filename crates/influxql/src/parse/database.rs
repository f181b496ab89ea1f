//! Databases, retention policies, continuous queries, subscriptions.

use super::{Parser, Result};
use crate::{
    ast::{
        AlterRetentionPolicy, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy,
        CreateSubscription, DropContinuousQuery, DropDatabase, DropRetentionPolicy, DropSubscription, Expr,
        RetentionPolicySpec, Select, Statement, SubscriptionMode,
    },
    error::SyntaxError,
    format_duration,
    token::{Keyword, Kind},
};

impl Parser<'_> {
    pub(super) fn create_database(&mut self) -> Result<Statement> {
        let name = self.ident()?;
        let retention_policy =
            if self.take_keyword(Keyword::With) { Some(self.retention_policy_spec()?) } else { None };
        Ok(Statement::CreateDatabase(CreateDatabase { name, retention_policy }))
    }

    fn retention_policy_spec(&mut self) -> Result<RetentionPolicySpec> {
        let mut spec = RetentionPolicySpec::default();
        if self.take_keyword(Keyword::Duration) {
            spec.duration = Some(self.duration()?);
        }
        if self.take_keyword(Keyword::Replication) {
            spec.replication = Some(self.replication()?);
        }
        if self.take_keyword(Keyword::Shard) {
            // Only here may it be infinite.
            self.expect_keywords(&[Keyword::Duration])?;
            spec.shard_duration = Some(self.duration()?);
        }
        if self.take_keyword(Keyword::Name) {
            spec.name = Some(self.ident()?);
        }
        if spec == RetentionPolicySpec::default() {
            let token = self.scan();
            return Err(self.unexpected(&token, &["DURATION", "NAME", "REPLICATION", "SHARD"]));
        }
        Ok(spec)
    }

    /// `DURATION d` after `SHARD`: never infinite.
    fn shard_duration(&mut self) -> Result<i64> {
        self.expect_keywords(&[Keyword::Duration])?;
        let token = self.scan();
        if token.kind == Kind::Keyword(Keyword::Inf) {
            return Err(self.error_at(&token, "invalid duration INF for shard duration"));
        }
        self.unscan();
        self.duration()
    }

    pub(super) fn drop_database(&mut self) -> Result<Statement> {
        Ok(Statement::DropDatabase(DropDatabase { name: self.ident()? }))
    }

    /// `POLICY name ON database`.
    fn policy_on_database(&mut self) -> Result<(String, String)> {
        self.expect_keywords(&[Keyword::Policy])?;
        self.name_on_database()
    }

    /// `name ON database`.
    fn name_on_database(&mut self) -> Result<(String, String)> {
        let name = self.ident()?;
        self.expect_keywords(&[Keyword::On])?;
        Ok((name, self.ident()?))
    }

    pub(super) fn create_retention_policy(&mut self) -> Result<Statement> {
        let (name, database) = self.policy_on_database()?;
        self.expect_keywords(&[Keyword::Duration])?;
        let duration = self.duration()?;
        self.expect_keywords(&[Keyword::Replication])?;
        let replication = self.replication()?;
        let shard_duration = if self.take_keyword(Keyword::Shard) { self.shard_duration()? } else { 0 };
        let default = self.take_keyword(Keyword::Default);
        Ok(Statement::CreateRetentionPolicy(CreateRetentionPolicy {
            name,
            database,
            duration,
            replication,
            shard_duration,
            default,
        }))
    }

    pub(super) fn alter_retention_policy(&mut self) -> Result<Statement> {
        self.expect_keywords(&[Keyword::Retention, Keyword::Policy])?;
        // Here the policy that is called like the keyword needs no quotes.
        let name = if self.take_keyword(Keyword::Default) { "default".to_owned() } else { self.ident()? };
        self.expect_keywords(&[Keyword::On])?;
        let database = self.ident()?;
        let mut altered = AlterRetentionPolicy {
            name,
            database,
            duration: None,
            replication: None,
            shard_duration: None,
            default: false,
        };
        let mut seen: Vec<Keyword> = Vec::new();
        loop {
            let token = self.scan();
            let Kind::Keyword(
                option @ (Keyword::Duration | Keyword::Replication | Keyword::Shard | Keyword::Default),
            ) = token.kind
            else {
                if seen.is_empty() {
                    return Err(self.unexpected(&token, &["DURATION", "REPLICATION", "SHARD", "DEFAULT"]));
                }
                self.unscan();
                return Ok(Statement::AlterRetentionPolicy(altered));
            };
            if seen.contains(&option) {
                return Err(self.error_at(&token, format!("found duplicate {} option", option.name())));
            }
            seen.push(option);
            match option {
                Keyword::Duration => altered.duration = Some(self.duration()?),
                Keyword::Replication => altered.replication = Some(self.replication()?),
                Keyword::Shard => altered.shard_duration = Some(self.shard_duration()?),
                _ => altered.default = true,
            }
        }
    }

    pub(super) fn drop_retention_policy(&mut self) -> Result<Statement> {
        let (name, database) = self.policy_on_database()?;
        Ok(Statement::DropRetentionPolicy(DropRetentionPolicy { name, database }))
    }

    pub(super) fn create_continuous_query(&mut self) -> Result<Statement> {
        self.expect_keywords(&[Keyword::Query])?;
        let (name, database) = self.name_on_database()?;
        let (resample_every, resample_for) =
            if self.take_keyword(Keyword::Resample) { self.resample()? } else { (None, None) };
        self.expect_keywords(&[Keyword::Begin, Keyword::Select])?;
        let select = self.select(true)?;
        let interval = if is_aggregate(&select) { self.continuous_interval(&select)? } else { 0 };
        self.expect_keywords(&[Keyword::End])?;
        if let Some(range) = resample_for {
            check_resample_range(interval, resample_every, range)?;
        }
        Ok(Statement::CreateContinuousQuery(CreateContinuousQuery {
            name,
            database,
            resample_every,
            resample_for,
            select: Box::new(select),
        }))
    }

    /// `[EVERY d] [FOR d]`; a duration of zero counts as none.
    fn resample(&mut self) -> Result<(Option<i64>, Option<i64>)> {
        let every = if self.take_keyword(Keyword::Every) { Some(self.finite_duration()?) } else { None };
        let range = if self.take_keyword(Keyword::For) { Some(self.finite_duration()?) } else { None };
        let (every, range) = (every.filter(|&every| every != 0), range.filter(|&range| range != 0));
        if every.is_none() && range.is_none() {
            let token = self.scan();
            return Err(self.unexpected(&token, &["EVERY", "FOR"]));
        }
        Ok((every, range))
    }

    fn finite_duration(&mut self) -> Result<i64> {
        let token = self.scan();
        if token.kind == Kind::Keyword(Keyword::Inf) {
            return Err(self.unexpected(&token, &["duration"]));
        }
        self.unscan();
        self.duration()
    }

    /// The interval an aggregating query groups by; none is an error, told at the last token of the `SELECT`.
    fn continuous_interval(&mut self, select: &Select) -> Result<i64> {
        let interval = select.group_by_interval();
        if let Ok(interval) = interval
            && interval != 0
        {
            return Ok(interval);
        }
        self.unscan();
        self.unscan();
        let token = self.scan();
        Err(match interval {
            Ok(_) => self.unexpected(&token, &["GROUP BY time(...)"]),
            Err(error) => self.unexpected(&token, &["GROUP BY time(...)", error.message()]),
        })
    }

    pub(super) fn drop_continuous_query(&mut self) -> Result<Statement> {
        self.expect_keywords(&[Keyword::Query])?;
        let (name, database) = self.name_on_database()?;
        Ok(Statement::DropContinuousQuery(DropContinuousQuery { name, database }))
    }

    /// `.policy`, without a space before the dot.
    fn policy_behind_dot(&mut self) -> Result<String> {
        let token = self.scan_any();
        if token.kind == Kind::Dot { self.ident() } else { Err(self.unexpected(&token, &["."])) }
    }

    pub(super) fn create_subscription(&mut self) -> Result<Statement> {
        let (name, database) = self.name_on_database()?;
        let retention_policy = self.policy_behind_dot()?;
        self.expect_keywords(&[Keyword::Destinations])?;
        let token = self.scan();
        let mode = match token.kind {
            Kind::Keyword(Keyword::All) => SubscriptionMode::All,
            Kind::Keyword(Keyword::Any) => SubscriptionMode::Any,
            _ => return Err(self.unexpected(&token, &["ALL", "ANY"])),
        };
        let mut destinations = vec![self.string()?];
        while self.take(Kind::Comma) {
            destinations.push(self.string()?);
        }
        Ok(Statement::CreateSubscription(CreateSubscription {
            name,
            database,
            retention_policy,
            mode,
            destinations,
        }))
    }

    pub(super) fn drop_subscription(&mut self) -> Result<Statement> {
        let (name, database) = self.name_on_database()?;
        let retention_policy = self.policy_behind_dot()?;
        Ok(Statement::DropSubscription(DropSubscription { name, database, retention_policy }))
    }
}

/// A continuous query that covers less than it groups by would never see a whole interval.
fn check_resample_range(interval: i64, every: Option<i64>, range: i64) -> Result<()> {
    let needed = every.map_or(interval, |every| every.max(interval));
    if range >= needed {
        return Ok(());
    }
    Err(SyntaxError::Plain(format!(
        "FOR duration must be >= GROUP BY time duration: must be a minimum of {}, got {}",
        format_duration(needed),
        format_duration(range)
    )))
}

/// Whether any field calls a function.
fn is_aggregate(select: &Select) -> bool {
    let mut calls = false;
    for field in &select.fields {
        field.expr.walk(&mut |expr| calls |= matches!(expr, Expr::Call(_)));
    }
    calls
}
