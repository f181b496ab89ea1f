//! Statements to InfluxDB's canonical text, which parses back to the same tree.
//!
//! Where that server's own text loses something (it writes three decimals of every number), the text here keeps it.

mod data;
mod database;
mod expr;
mod select;
mod show;
mod user;

use std::fmt::{self, Display, Formatter};

use crate::{
    ast::{Expr, Query, SortField, Source, Statement},
    token::Kind,
};

impl Display for Query {
    /// The statements, one a line.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_list(f, &self.statements, ";\n")
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Select(statement) => statement.fmt(f),
            Self::Explain(statement) => statement.fmt(f),
            Self::Delete(statement) => statement.fmt(f),
            Self::DropSeries(statement) => statement.fmt(f),
            Self::DropMeasurement(statement) => statement.fmt(f),
            Self::DropShard(statement) => statement.fmt(f),
            Self::CreateDatabase(statement) => statement.fmt(f),
            Self::DropDatabase(statement) => statement.fmt(f),
            Self::CreateRetentionPolicy(statement) => statement.fmt(f),
            Self::AlterRetentionPolicy(statement) => statement.fmt(f),
            Self::DropRetentionPolicy(statement) => statement.fmt(f),
            Self::CreateContinuousQuery(statement) => statement.fmt(f),
            Self::DropContinuousQuery(statement) => statement.fmt(f),
            Self::CreateSubscription(statement) => statement.fmt(f),
            Self::DropSubscription(statement) => statement.fmt(f),
            Self::CreateUser(statement) => statement.fmt(f),
            Self::DropUser(statement) => statement.fmt(f),
            Self::SetPassword(statement) => statement.fmt(f),
            Self::Grant(statement) => statement.fmt(f),
            Self::GrantAdmin(statement) => statement.fmt(f),
            Self::Revoke(statement) => statement.fmt(f),
            Self::RevokeAdmin(statement) => statement.fmt(f),
            Self::KillQuery(statement) => statement.fmt(f),
            Self::Show(statement) => statement.fmt(f),
        }
    }
}

/// The name as a query may contain it: in double quotes unless it is a plain word and no keyword.
pub fn quote_ident(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|ch| ch.is_ascii_alphabetic() || ch == '_')
        && chars.all(|ch| ch.is_ascii_alphanumeric() || ch == '_')
        && Kind::of_word(name) == Kind::Ident;
    if plain { name.to_owned() } else { format!("\"{}\"", escape(name, '"')) }
}

/// The text as a string literal, in single quotes.
pub fn quote_string(text: &str) -> String {
    format!("'{}'", escape(text, '\''))
}

/// Names joined by dots as error messages show them: all but the last in quotes, empty ones not at all.
pub(crate) fn quote_names(names: &[&str]) -> String {
    let last = names.len().saturating_sub(1);
    let quoted = names.iter().enumerate().map(|(index, name)| match (index == last, *name) {
        (_, "") => String::new(),
        (true, name) => quote_ident(name),
        (false, name) => format!("\"{}\"", escape(name, '"')),
    });
    quoted.collect::<Vec<_>>().join(".")
}

/// Only the quote in use needs its backslash; the other kind stays as it is.
fn escape(text: &str, quote: char) -> String {
    let mut escaped = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '\n' => escaped.push_str("\\n"),
            '\\' => escaped.push_str("\\\\"),
            ch if ch == quote => escaped.extend(['\\', ch]),
            ch => escaped.push(ch),
        }
    }
    escaped
}

fn write_list<T: Display>(f: &mut Formatter<'_>, items: &[T], separator: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// ` ON database`.
fn write_on(f: &mut Formatter<'_>, database: Option<&str>) -> fmt::Result {
    match database {
        Some(name) => write!(f, " ON {}", quote_ident(name)),
        None => Ok(()),
    }
}

/// ` FROM a, b`.
fn write_from(f: &mut Formatter<'_>, sources: &[Source]) -> fmt::Result {
    if sources.is_empty() {
        return Ok(());
    }
    f.write_str(" FROM ")?;
    write_list(f, sources, ", ")
}

/// ` WHERE condition`.
fn write_where(f: &mut Formatter<'_>, condition: Option<&Expr>) -> fmt::Result {
    match condition {
        Some(condition) => write!(f, " WHERE {condition}"),
        None => Ok(()),
    }
}

/// ` GROUP BY a, b`.
fn write_group_by(f: &mut Formatter<'_>, dimensions: &[Expr]) -> fmt::Result {
    if dimensions.is_empty() {
        return Ok(());
    }
    f.write_str(" GROUP BY ")?;
    write_list(f, dimensions, ", ")
}

/// ` ORDER BY time DESC`.
fn write_order_by(f: &mut Formatter<'_>, fields: &[SortField]) -> fmt::Result {
    if fields.is_empty() {
        return Ok(());
    }
    f.write_str(" ORDER BY ")?;
    write_list(f, fields, ", ")
}

/// ` LIMIT n` and its like, left out when zero.
fn write_counts(f: &mut Formatter<'_>, counts: &[(&str, u64)]) -> fmt::Result {
    for (keyword, count) in counts {
        if *count > 0 {
            write!(f, " {keyword} {count}")?;
        }
    }
    Ok(())
}
