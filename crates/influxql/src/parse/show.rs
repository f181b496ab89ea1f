//! `SHOW ...`.

use super::{Parser, Result};
use crate::{
    ast::{
        BinaryOp, Show, ShowCardinality, ShowDiagnostics, ShowFieldKeys, ShowGrants, ShowMeasurements,
        ShowRetentionPolicies, ShowSeries, ShowStats, ShowTagKeys, ShowTagValues, ShowTagValuesCardinality,
        TagKeyFilter,
    },
    token::{Keyword, Kind},
};

const WHAT: [&str; 16] = [
    "CONTINUOUS",
    "DATABASES",
    "DIAGNOSTICS",
    "FIELD",
    "GRANTS",
    "MEASUREMENT",
    "MEASUREMENTS",
    "QUERIES",
    "RETENTION",
    "SERIES",
    "SHARD",
    "SHARDS",
    "STATS",
    "SUBSCRIPTIONS",
    "TAG",
    "USERS",
];

impl Parser<'_> {
    pub(super) fn show(&mut self) -> Result<Show> {
        let token = self.scan();
        // No keyword, so that measurements may go on being called so: only clusters know the statement.
        if token.kind == Kind::Ident && token.text.eq_ignore_ascii_case("SERVERS") {
            return Ok(Show::Servers);
        }
        let Kind::Keyword(keyword) = token.kind else { return Err(self.unexpected(&token, &WHAT)) };
        match keyword {
            Keyword::Continuous => {
                self.expect_keywords(&[Keyword::Queries])?;
                Ok(Show::ContinuousQueries)
            }
            Keyword::Databases => Ok(Show::Databases),
            Keyword::Diagnostics => Ok(Show::Diagnostics(ShowDiagnostics { module: self.for_module()? })),
            Keyword::Field => self.show_field(),
            Keyword::Grants => {
                self.expect_keywords(&[Keyword::For])?;
                Ok(Show::Grants(ShowGrants { user: self.ident()? }))
            }
            Keyword::Measurement => {
                let exact = self.exact_cardinality()?;
                Ok(Show::MeasurementCardinality(self.cardinality(exact)?))
            }
            Keyword::Measurements => self.show_measurements(),
            Keyword::Queries => Ok(Show::Queries),
            Keyword::Retention => {
                self.expect_keywords(&[Keyword::Policies])?;
                Ok(Show::RetentionPolicies(ShowRetentionPolicies { database: self.on_database()? }))
            }
            Keyword::Series => self.show_series(),
            Keyword::Shard => {
                self.expect_keywords(&[Keyword::Groups])?;
                Ok(Show::ShardGroups)
            }
            Keyword::Shards => Ok(Show::Shards),
            Keyword::Stats => Ok(Show::Stats(ShowStats { module: self.for_module()? })),
            Keyword::Subscriptions => Ok(Show::Subscriptions),
            Keyword::Tag => self.show_tag(),
            Keyword::Users => Ok(Show::Users),
            _ => Err(self.unexpected(&token, &WHAT)),
        }
    }

    fn for_module(&mut self) -> Result<Option<String>> {
        if self.take_keyword(Keyword::For) { Ok(Some(self.string()?)) } else { Ok(None) }
    }

    fn show_field(&mut self) -> Result<Show> {
        let token = self.scan();
        match token.kind {
            Kind::Keyword(Keyword::Key) => {
                let exact = self.exact_cardinality()?;
                Ok(Show::FieldKeyCardinality(self.cardinality(exact)?))
            }
            Kind::Keyword(Keyword::Keys) => Ok(Show::FieldKeys(ShowFieldKeys {
                database: self.on_database()?,
                from: self.measurements()?,
                order_by: self.order_by()?,
                limit: self.count_clause(Keyword::Limit)?,
                offset: self.count_clause(Keyword::Offset)?,
            })),
            _ => Err(self.unexpected(&token, &["KEY", "KEYS"])),
        }
    }

    fn show_tag(&mut self) -> Result<Show> {
        let token = self.scan();
        match token.kind {
            Kind::Keyword(Keyword::Key) => {
                let exact = self.exact_cardinality()?;
                Ok(Show::TagKeyCardinality(self.cardinality(exact)?))
            }
            Kind::Keyword(Keyword::Keys) => Ok(Show::TagKeys(ShowTagKeys {
                database: self.on_database()?,
                from: self.measurements()?,
                condition: self.condition()?,
                order_by: self.order_by()?,
                limit: self.count_clause(Keyword::Limit)?,
                offset: self.count_clause(Keyword::Offset)?,
                slimit: self.count_clause(Keyword::Slimit)?,
                soffset: self.count_clause(Keyword::Soffset)?,
            })),
            Kind::Keyword(Keyword::Values) => self.show_tag_values(),
            _ => Err(self.unexpected(&token, &["KEY", "KEYS", "VALUES"])),
        }
    }

    fn show_tag_values(&mut self) -> Result<Show> {
        let exact = self.take_keyword(Keyword::Exact);
        if exact {
            self.expect_keywords(&[Keyword::Cardinality])?;
        }
        if exact || self.take_keyword(Keyword::Cardinality) {
            let database = self.on_database()?;
            let from = self.measurements()?;
            let key = self.with_key()?;
            let cardinality =
                self.cardinality_rest(ShowCardinality { database, exact, from, ..Default::default() })?;
            return Ok(Show::TagValuesCardinality(ShowTagValuesCardinality { cardinality, key }));
        }
        Ok(Show::TagValues(ShowTagValues {
            database: self.on_database()?,
            from: self.measurements()?,
            key: self.with_key()?,
            condition: self.condition()?,
            order_by: self.order_by()?,
            limit: self.count_clause(Keyword::Limit)?,
            offset: self.count_clause(Keyword::Offset)?,
        }))
    }

    fn with_key(&mut self) -> Result<TagKeyFilter> {
        self.expect_keywords(&[Keyword::With, Keyword::Key])?;
        let token = self.scan();
        match token.kind {
            Kind::Op(BinaryOp::Eq) => Ok(TagKeyFilter::Equal(self.ident()?)),
            Kind::Op(BinaryOp::NotEq) => Ok(TagKeyFilter::NotEqual(self.ident()?)),
            Kind::Op(op) if op.is_regex() => match self.regex()? {
                Some(regex) if op == BinaryOp::EqRegex => Ok(TagKeyFilter::Matches(regex)),
                Some(regex) => Ok(TagKeyFilter::NotMatches(regex)),
                None => {
                    let token = self.scan();
                    Err(self.unexpected(&token, &["regex"]))
                }
            },
            Kind::Keyword(Keyword::In) => {
                self.expect(Kind::LParen)?;
                let mut keys = vec![self.ident()?];
                while self.take(Kind::Comma) {
                    keys.push(self.ident()?);
                }
                self.expect(Kind::RParen)?;
                Ok(TagKeyFilter::In(keys))
            }
            _ => Err(self.unexpected(&token, &["IN", "=", "=~"])),
        }
    }

    fn show_series(&mut self) -> Result<Show> {
        let exact = self.take_keyword(Keyword::Exact);
        if self.take_keyword(Keyword::Cardinality) {
            return Ok(Show::SeriesCardinality(self.cardinality(exact)?));
        }
        Ok(Show::Series(ShowSeries {
            database: self.on_database()?,
            from: self.measurements()?,
            condition: self.condition()?,
            order_by: self.order_by()?,
            limit: self.count_clause(Keyword::Limit)?,
            offset: self.count_clause(Keyword::Offset)?,
        }))
    }

    fn show_measurements(&mut self) -> Result<Show> {
        let mut show = ShowMeasurements::default();
        if self.take_keyword(Keyword::On) {
            self.measurements_scope(&mut show)?;
        }
        if self.take_keyword(Keyword::With) {
            self.expect_keywords(&[Keyword::Measurement])?;
            let token = self.scan();
            if !matches!(token.kind, Kind::Op(BinaryOp::Eq | BinaryOp::EqRegex)) {
                return Err(self.unexpected(&token, &["=", "=~"]));
            }
            show.source = Some(self.source(false)?);
        }
        show.condition = self.condition()?;
        show.order_by = self.order_by()?;
        show.limit = self.count_clause(Keyword::Limit)?;
        show.offset = self.count_clause(Keyword::Offset)?;
        Ok(Show::Measurements(show))
    }

    /// `database`, `database.policy`, where `*` may stand for either of the latter.
    fn measurements_scope(&mut self, show: &mut ShowMeasurements) -> Result<()> {
        const ANY: Kind = Kind::Op(BinaryOp::Mul);
        if self.take(ANY) {
            show.all_databases = true;
            self.expect(Kind::Dot)?;
        } else {
            show.database = Some(self.ident()?);
            if !self.take(Kind::Dot) {
                return Ok(());
            }
        }
        if self.take(ANY) {
            show.all_retention_policies = true;
        } else {
            show.retention_policy = Some(self.ident()?);
        }
        Ok(())
    }

    /// `[EXACT] CARDINALITY`; whether exact.
    fn exact_cardinality(&mut self) -> Result<bool> {
        let token = self.scan();
        match token.kind {
            Kind::Keyword(Keyword::Cardinality) => Ok(false),
            Kind::Keyword(Keyword::Exact) => {
                self.expect_keywords(&[Keyword::Cardinality])?;
                Ok(true)
            }
            _ => Err(self.unexpected(&token, &["EXACT", "CARDINALITY"])),
        }
    }

    fn cardinality(&mut self, exact: bool) -> Result<ShowCardinality> {
        let database = self.on_database()?;
        let from = self.measurements()?;
        self.cardinality_rest(ShowCardinality { database, exact, from, ..Default::default() })
    }

    /// The clauses behind `FROM` and `WITH KEY`.
    fn cardinality_rest(&mut self, mut show: ShowCardinality) -> Result<ShowCardinality> {
        show.condition = self.condition()?;
        show.group_by = self.dimensions()?;
        show.limit = self.count_clause(Keyword::Limit)?;
        show.offset = self.count_clause(Keyword::Offset)?;
        Ok(show)
    }
}
