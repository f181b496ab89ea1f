//! Expressions: what stands in a field list, after WHERE and after GROUP BY.

use std::sync::Arc;

use regex::Regex;

/// An expression tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `a + b`, `a AND b`, `a =~ /b/` ...
    Binary(Box<BinaryExpr>),
    /// `( ... )`, kept so that the text can be written again.
    Paren(Box<Expr>),
    /// `mean(value)`, `time(5m)`, `now()`.
    Call(Call),
    /// `value`, `"host"::tag`, `time`.
    VarRef(VarRef),
    /// `DISTINCT value` without parentheses; with them it is a [`Call`] to `distinct`.
    Distinct(String),
    /// `*`, `*::tag`, `*::field`.
    Wildcard(Option<WildcardKind>),
    /// `/re/`.
    Regex(RegexLiteral),
    /// `42`, `-1`.
    Integer(i64),
    /// An integer above `i64::MAX`.
    Unsigned(u64),
    /// `1.5`.
    Number(f64),
    /// `'text'`; compared with `time` it is a time.
    String(String),
    /// `true`, `false`.
    Boolean(bool),
    /// `5m`, in nanoseconds.
    Duration(i64),
    /// Nanoseconds since the epoch. Never parsed (times are written as strings or numbers), made by folding.
    Time(i64),
    /// `('a', b)`: the keys of `WITH KEY IN`.
    List(Vec<String>),
}

/// Two operands and their operator.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryExpr {
    /// Operator.
    pub op: BinaryOp,
    /// Left operand.
    pub lhs: Expr,
    /// Right operand.
    pub rhs: Expr,
}

/// Binary operators, loosest binding first; see [`BinaryOp::precedence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `OR`
    Or,
    /// `AND`
    And,
    /// `=`
    Eq,
    /// `!=` (also written `<>`)
    NotEq,
    /// `=~`
    EqRegex,
    /// `!~`
    NotEqRegex,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `|`
    BitOr,
    /// `^`
    BitXor,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `&`
    BitAnd,
}

impl BinaryOp {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Or,
        Self::And,
        Self::Eq,
        Self::NotEq,
        Self::EqRegex,
        Self::NotEqRegex,
        Self::Lt,
        Self::LtEq,
        Self::Gt,
        Self::GtEq,
        Self::Add,
        Self::Sub,
        Self::BitOr,
        Self::BitXor,
        Self::Mul,
        Self::Div,
        Self::Mod,
        Self::BitAnd,
    ];

    /// The precedence of what binds most tightly.
    pub const PRECEDENCE_MAX: u8 = 5;

    /// How tightly the operator binds, 1 (`OR`) to 5 (`*`). Operators of one level associate to the left.
    pub const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Eq
            | Self::NotEq
            | Self::EqRegex
            | Self::NotEqRegex
            | Self::Lt
            | Self::LtEq
            | Self::Gt
            | Self::GtEq => 3,
            Self::Add | Self::Sub | Self::BitOr | Self::BitXor => 4,
            Self::Mul | Self::Div | Self::Mod | Self::BitAnd => 5,
        }
    }

    /// The operator as InfluxQL writes it.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Or => "OR",
            Self::And => "AND",
            Self::Eq => "=",
            Self::NotEq => "!=",
            Self::EqRegex => "=~",
            Self::NotEqRegex => "!~",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
            Self::Add => "+",
            Self::Sub => "-",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::BitAnd => "&",
        }
    }

    /// `=`, `<`, `=~` ...: true or false comes out.
    pub const fn is_comparison(self) -> bool {
        self.precedence() == 3
    }

    /// `=~` or `!~`.
    pub const fn is_regex(self) -> bool {
        matches!(self, Self::EqRegex | Self::NotEqRegex)
    }

    /// Arithmetic or bitwise: a number comes out (or, bitwise on booleans, a boolean).
    pub const fn is_arithmetic(self) -> bool {
        self.precedence() >= 4
    }
}

/// A function call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// In lower case.
    pub name: String,
    /// Arguments in order.
    pub args: Vec<Expr>,
}

/// A reference to a field, a tag or `time`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VarRef {
    /// The name; segments of `a.b` are joined by a dot.
    pub name: String,
    /// The type after `::`.
    pub cast: Option<DataType>,
}

/// What may stand after `::`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `::float`
    Float,
    /// `::integer`
    Integer,
    /// `::unsigned`
    Unsigned,
    /// `::string`
    String,
    /// `::boolean`
    Boolean,
    /// `::field`: a field of any type, never a tag.
    AnyField,
    /// `::tag`
    Tag,
}

impl DataType {
    /// The word after `::`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Unsigned => "unsigned",
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::AnyField => "field",
            Self::Tag => "tag",
        }
    }
}

/// What a restricted wildcard stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WildcardKind {
    /// `*::field`
    Field,
    /// `*::tag`
    Tag,
}

/// A regular expression: its text as written (Go's RE2 syntax, `\/` already unescaped) and compiled.
#[derive(Debug, Clone)]
pub struct RegexLiteral {
    pub(crate) pattern: Arc<str>,
    pub(crate) regex: Arc<Regex>,
}

impl RegexLiteral {
    /// The pattern between the slashes.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Compiled; unanchored, with Go's meaning of the pattern.
    pub const fn regex(&self) -> &Arc<Regex> {
        &self.regex
    }

    /// Whether it matches anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for RegexLiteral {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for RegexLiteral {}

impl Expr {
    /// A binary expression.
    pub fn binary(op: BinaryOp, lhs: Self, rhs: Self) -> Self {
        Self::Binary(Box::new(BinaryExpr { op, lhs, rhs }))
    }

    /// A reference without a cast.
    pub fn var(name: impl Into<String>) -> Self {
        Self::VarRef(VarRef { name: name.into(), cast: None })
    }

    /// Calls `visit` on this expression and everything below it, parents first, left to right.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Binary(binary) => {
                binary.lhs.walk(visit);
                binary.rhs.walk(visit);
            }
            Self::Paren(inner) => inner.walk(visit),
            Self::Call(call) => call.args.iter().for_each(|arg| arg.walk(visit)),
            Self::VarRef(_)
            | Self::Distinct(_)
            | Self::Wildcard(_)
            | Self::Regex(_)
            | Self::Integer(_)
            | Self::Unsigned(_)
            | Self::Number(_)
            | Self::String(_)
            | Self::Boolean(_)
            | Self::Duration(_)
            | Self::Time(_)
            | Self::List(_) => {}
        }
    }
}
