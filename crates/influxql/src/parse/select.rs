//! `SELECT` and `EXPLAIN`.

use super::{Parser, Result};
use crate::{
    ast::{
        Call, Explain, Expr, Field, Fill, Measurement, MeasurementName, Select, Source, Statement, Target,
        TimeZone,
    },
    error::SyntaxError,
    token::{Keyword, Kind},
};

impl Parser<'_> {
    pub(super) fn explain(&mut self) -> Result<Statement> {
        let analyze = self.take_keyword(Keyword::Analyze);
        self.expect_keywords(&[Keyword::Select])?;
        Ok(Statement::Explain(Explain { analyze, select: Box::new(self.select(false)?) }))
    }

    /// What follows the word `SELECT`.
    pub(super) fn select(&mut self, target_required: bool) -> Result<Select> {
        self.nested(|parser| {
            let fields = parser.fields()?;
            let into = parser.target(target_required)?;
            parser.expect_keywords(&[Keyword::From])?;
            Ok(Select {
                fields,
                into,
                from: parser.sources(true)?,
                condition: parser.condition()?,
                group_by: parser.dimensions()?,
                fill: parser.fill()?,
                order_by: parser.order_by()?,
                limit: parser.count_clause(Keyword::Limit)?,
                offset: parser.count_clause(Keyword::Offset)?,
                slimit: parser.count_clause(Keyword::Slimit)?,
                soffset: parser.count_clause(Keyword::Soffset)?,
                time_zone: parser.time_zone()?,
            })
        })
    }

    fn fields(&mut self) -> Result<Vec<Field>> {
        let mut fields = Vec::new();
        loop {
            let expr = match self.regex()? {
                Some(regex) => Expr::Regex(regex),
                None => self.field_expr()?,
            };
            let alias = if self.take_keyword(Keyword::As) { Some(self.ident()?) } else { None };
            self.skip_whitespace();
            fields.push(Field { expr, alias });
            if !self.take(Kind::Comma) {
                return Ok(fields);
            }
        }
    }

    /// An expression that computes: conditions belong after `WHERE`.
    fn field_expr(&mut self) -> Result<Expr> {
        let first = self.scan();
        self.unscan();
        let expr = self.expr()?;
        let mut condition = None;
        expr.walk(&mut |expr| {
            if let Expr::Binary(binary) = expr
                && !binary.op.is_arithmetic()
            {
                condition.get_or_insert(binary.op);
            }
        });
        match condition {
            None => Ok(expr),
            Some(op) => {
                let place = self.position(&first);
                Err(SyntaxError::Plain(format!(
                    "invalid operator {} in SELECT clause at line {}, char {}; operator is intended for WHERE clause",
                    op.symbol(),
                    place.line,
                    place.char
                )))
            }
        }
    }

    fn target(&mut self, required: bool) -> Result<Option<Target>> {
        let token = self.scan();
        if token.kind != Kind::Keyword(Keyword::Into) {
            if required {
                return Err(self.unexpected(&token, &["INTO"]));
            }
            self.unscan();
            return Ok(None);
        }
        let mut names: Vec<Option<String>> = self.segments()?.into_iter().map(Some).collect();
        if names.len() < 3 && self.lexer.peek_raw() == Some(':') {
            self.expect(Kind::Colon)?;
            self.expect_keywords(&[Keyword::Measurement])?;
            names.push(None);
        }
        // An empty name is `:MEASUREMENT` too.
        let measurement = names.pop().flatten().filter(|name| !name.is_empty());
        let retention_policy = names.pop().flatten().filter(|name| !name.is_empty());
        let database = names.pop().flatten().filter(|name| !name.is_empty());
        Ok(Some(Target { database, retention_policy, measurement }))
    }

    pub(super) fn sources(&mut self, subqueries: bool) -> Result<Vec<Source>> {
        let mut sources = vec![self.source(subqueries)?];
        while self.take(Kind::Comma) {
            sources.push(self.source(subqueries)?);
        }
        Ok(sources)
    }

    /// Sources after `FROM`, none without it.
    pub(super) fn measurements(&mut self) -> Result<Vec<Source>> {
        if self.take_keyword(Keyword::From) { self.sources(false) } else { Ok(Vec::new()) }
    }

    pub(super) fn source(&mut self, subqueries: bool) -> Result<Source> {
        if let Some(regex) = self.regex()? {
            let name = MeasurementName::Regex(regex);
            return Ok(Source::Measurement(Measurement { database: None, retention_policy: None, name }));
        }
        if subqueries && self.take(Kind::LParen) {
            self.expect_keywords(&[Keyword::Select])?;
            let select = self.select(false)?;
            self.expect(Kind::RParen)?;
            return Ok(Source::Subquery(Box::new(select)));
        }
        let mut names = self.segments()?;
        let regex = if names.len() < 3 { self.regex()? } else { None };
        let name = match regex {
            Some(regex) => MeasurementName::Regex(regex),
            None => MeasurementName::Name(names.pop().unwrap_or_default()),
        };
        let retention_policy = names.pop().filter(|name| !name.is_empty());
        let database = names.pop().filter(|name| !name.is_empty());
        Ok(Source::Measurement(Measurement { database, retention_policy, name }))
    }

    pub(super) fn condition(&mut self) -> Result<Option<Expr>> {
        if self.take_keyword(Keyword::Where) { Ok(Some(self.expr()?)) } else { Ok(None) }
    }

    pub(super) fn dimensions(&mut self) -> Result<Vec<Expr>> {
        let mut dimensions = Vec::new();
        if !self.take_keyword(Keyword::Group) {
            return Ok(dimensions);
        }
        self.expect_keywords(&[Keyword::By])?;
        loop {
            dimensions.push(match self.regex()? {
                Some(regex) => Expr::Regex(regex),
                None => without_parens(self.expr()?),
            });
            self.skip_whitespace();
            if !self.take(Kind::Comma) {
                return Ok(dimensions);
            }
        }
    }

    /// Whether the next word is this name of a clause that looks like a call.
    fn at_clause(&mut self, name: &str) -> bool {
        let token = self.scan();
        self.unscan();
        token.kind == Kind::Ident && token.text.eq_ignore_ascii_case(name)
    }

    fn fill(&mut self) -> Result<Fill> {
        let plain = |message: &str| Err(SyntaxError::Plain(message.to_owned()));
        if !self.at_clause("fill") {
            return Ok(Fill::Null);
        }
        let Expr::Call(Call { args, .. }) = self.expr()? else {
            return plain("fill must be a function call");
        };
        match args.as_slice() {
            [Expr::VarRef(var)] => match var.name.as_str() {
                "null" => Ok(Fill::Null),
                "none" => Ok(Fill::None),
                "previous" => Ok(Fill::Previous),
                "linear" => Ok(Fill::Linear),
                _ => plain("expected number argument in fill()"),
            },
            [Expr::Integer(value)] => Ok(Fill::Integer(*value)),
            // Means the same as the integer, and is written as one.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it has no fraction and is far from the limits"
            )]
            [Expr::Number(value)] if value.fract() == 0.0 && value.abs() < 1e15 => {
                Ok(Fill::Integer(*value as i64))
            }
            [Expr::Number(value)] => Ok(Fill::Number(*value)),
            [_] => plain("expected number argument in fill()"),
            _ => plain("fill requires an argument, e.g.: 0, null, none, previous, linear"),
        }
    }

    fn time_zone(&mut self) -> Result<Option<TimeZone>> {
        let plain = |message: &str| Err(SyntaxError::Plain(message.to_owned()));
        if !self.at_clause("tz") {
            return Ok(None);
        }
        let Expr::Call(Call { args, .. }) = self.expr()? else { return plain("tz must be a function call") };
        match args.as_slice() {
            [Expr::String(name)] => match TimeZone::named(name) {
                Some(zone) => Ok(Some(zone)),
                None => plain(&format!("unable to find time zone {name}")),
            },
            [_] => plain("expected string argument in tz()"),
            _ => plain("tz requires exactly one argument"),
        }
    }
}

/// A dimension in parentheses is the same without them.
fn without_parens(expr: Expr) -> Expr {
    match expr {
        Expr::Paren(inner) => without_parens(*inner),
        other => other,
    }
}
