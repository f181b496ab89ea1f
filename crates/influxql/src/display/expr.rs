//! Expressions.

use std::fmt::{self, Display, Formatter};

use super::{quote_ident, quote_string, write_list};
use crate::{
    ast::{BinaryExpr, BinaryOp, Call, DataType, Expr, RegexLiteral, VarRef, WildcardKind},
    format_duration, format_time,
};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary(binary) => binary.fmt(f),
            Self::Paren(inner) => write!(f, "({inner})"),
            Self::Call(call) => call.fmt(f),
            Self::VarRef(var) => var.fmt(f),
            Self::Distinct(name) => write!(f, "DISTINCT {}", quote_ident(name)),
            Self::Wildcard(None) => f.write_str("*"),
            Self::Wildcard(Some(WildcardKind::Field)) => f.write_str("*::field"),
            Self::Wildcard(Some(WildcardKind::Tag)) => f.write_str("*::tag"),
            Self::Regex(regex) => regex.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::Number(value) => Decimal { value: *value, places_min: 3 }.fmt(f),
            Self::String(text) => f.write_str(&quote_string(text)),
            Self::Boolean(value) => value.fmt(f),
            Self::Duration(nanoseconds) => f.write_str(&format_duration(*nanoseconds)),
            Self::Time(nanoseconds) => write!(f, "'{}'", format_time(*nanoseconds)),
            Self::List(names) => {
                let names: Vec<String> = names.iter().map(|name| quote_ident(name)).collect();
                write!(f, "({})", names.join(", "))
            }
        }
    }
}

impl Display for BinaryExpr {
    /// Operands of looser operators get parentheses: the parser never builds such a tree, but code may.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let looser =
            |operand: &Expr, than: u8| matches!(operand, Expr::Binary(inner) if inner.op.precedence() < than);
        let precedence = self.op.precedence();
        write_operand(f, &self.lhs, looser(&self.lhs, precedence))?;
        write!(f, " {} ", self.op)?;
        // Operators lean to the left; AND and OR mean the same either way.
        let logical = precedence <= BinaryOp::And.precedence();
        write_operand(f, &self.rhs, looser(&self.rhs, if logical { precedence } else { precedence + 1 }))
    }
}

fn write_operand(f: &mut Formatter<'_>, operand: &Expr, parentheses: bool) -> fmt::Result {
    if parentheses { write!(f, "({operand})") } else { operand.fmt(f) }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // The one keyword that is a function too.
        match self.name.as_str() {
            "distinct" => f.write_str("distinct(")?,
            name => write!(f, "{}(", quote_ident(name))?,
        }
        write_list(f, &self.args, ", ")?;
        f.write_str(")")
    }
}

impl Display for VarRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&quote_ident(&self.name))?;
        match self.cast {
            Some(cast) => write!(f, "::{cast}"),
            None => Ok(()),
        }
    }
}

impl Display for DataType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for RegexLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let escaped = self.pattern().replace('/', "\\/");
        // Behind a backslash the closing slash would not close.
        match escaped.strip_suffix("\\\\") {
            Some(start) => write!(f, "/{start}\\x5c/"),
            None => write!(f, "/{escaped}/"),
        }
    }
}

/// A number without exponent, with at least so many decimals and as many more as it takes to read it back.
pub(super) struct Decimal {
    pub(super) value: f64,
    pub(super) places_min: usize,
}

impl Display for Decimal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shortest = self.value.to_string();
        let places = shortest.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        write!(f, "{:.*}", places.max(self.places_min), self.value)
    }
}
