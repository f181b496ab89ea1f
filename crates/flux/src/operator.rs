//! How operators are written, and how tightly they bind. Flux specification, "Operators".

use crate::{BinaryOperator, LogicalOperator, UnaryOperator};

/// Of a conditional, which binds loosest.
pub(crate) const CONDITIONAL: u8 = 0;
/// Of `not` and `exists`, looser than comparisons.
pub(crate) const UNARY_LOGICAL: u8 = 3;
/// Of `|>`.
pub(crate) const PIPE: u8 = 8;
/// Of `-a` and `+a`.
pub(crate) const SIGN: u8 = 9;
/// Of calls, members and everything that brings its own ends.
pub(crate) const POSTFIX: u8 = 10;

impl BinaryOperator {
    pub(crate) const ALL: [Self; 14] = [
        Self::Add,
        Self::Subtract,
        Self::Multiply,
        Self::Divide,
        Self::Modulo,
        Self::Power,
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessEqual,
        Self::Greater,
        Self::GreaterEqual,
        Self::Matches,
        Self::NotMatches,
    ];

    /// As it is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "^",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }

    pub(crate) const fn precedence(self) -> u8 {
        match self {
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessEqual
            | Self::Greater
            | Self::GreaterEqual
            | Self::Matches
            | Self::NotMatches => 4,
            Self::Add | Self::Subtract => 5,
            Self::Multiply | Self::Divide | Self::Modulo => 6,
            Self::Power => 7,
        }
    }
}

impl LogicalOperator {
    /// As it is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
        }
    }

    pub(crate) const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
        }
    }
}

impl UnaryOperator {
    /// As it is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Minus => "-",
            Self::Plus => "+",
            Self::Not => "not",
            Self::Exists => "exists",
        }
    }
}
