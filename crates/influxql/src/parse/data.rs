//! Statements that remove stored data.

use super::{Parser, Result};
use crate::{
    ast::{Delete, DropMeasurement, DropSeries, DropShard, Expr, Source, Statement},
    error::SyntaxError,
    token::Keyword,
};

impl Parser<'_> {
    pub(super) fn delete(&mut self) -> Result<Statement> {
        let (from, condition) = self.removed()?;
        Ok(Statement::Delete(Delete { from, condition }))
    }

    pub(super) fn drop_series(&mut self) -> Result<Statement> {
        let (from, condition) = self.removed()?;
        Ok(Statement::DropSeries(DropSeries { from, condition }))
    }

    /// `FROM`, `WHERE` or both. Sources name neither database nor retention policy.
    fn removed(&mut self) -> Result<(Vec<Source>, Option<Expr>)> {
        let from = self.measurements()?;
        for source in &from {
            let Source::Measurement(measurement) = source else { continue };
            let unsupported = if measurement.retention_policy.is_some() {
                "retention policy"
            } else if measurement.database.is_some() {
                "database"
            } else {
                continue;
            };
            let message = format!("{unsupported} not supported");
            // The server tells no better place.
            return Err(SyntaxError::At { message, position: self.lexer.position(0) });
        }
        let condition = self.condition()?;
        if from.is_empty() && condition.is_none() {
            let token = self.scan();
            return Err(self.unexpected(&token, &["FROM", "WHERE"]));
        }
        Ok((from, condition))
    }

    pub(super) fn drop_measurement(&mut self) -> Result<Statement> {
        Ok(Statement::DropMeasurement(DropMeasurement { name: self.ident()? }))
    }

    pub(super) fn drop_shard(&mut self) -> Result<Statement> {
        Ok(Statement::DropShard(DropShard { id: self.u64()? }))
    }

    pub(super) fn kill_query(&mut self) -> Result<Statement> {
        self.expect_keywords(&[Keyword::Query])?;
        let id = self.u64()?;
        let host = self.on_database()?;
        Ok(Statement::KillQuery(crate::KillQuery { id, host }))
    }
}
