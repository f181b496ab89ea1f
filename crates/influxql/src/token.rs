//! Tokens and keywords.

use crate::ast::BinaryOp;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Index of a character in the text, as InfluxDB counts it: that of a quoted token is one too small.
    pub(crate) at: usize,
    /// The unquoted text of names, literals and unknown characters; empty for the rest.
    pub(crate) text: String,
}

impl Token {
    /// The token as an error message names it: its text, or the name of its kind where it has none.
    pub(crate) fn found(&self) -> String {
        if self.text.is_empty() { self.kind.name().to_owned() } else { self.text.clone() }
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Eof,
    Illegal,
    Whitespace,
    Comment,
    Ident,
    BoundParam,
    Number,
    Integer,
    Duration,
    String,
    /// A string or quoted name that does not end.
    BadString,
    /// A backslash before a character that cannot be escaped.
    BadEscape,
    Regex,
    BadRegex,
    True,
    False,
    /// Any operator, `AND` and `OR` included; `*` may also turn out to be a wildcard.
    Op(BinaryOp),
    LParen,
    RParen,
    Comma,
    Colon,
    DoubleColon,
    Semicolon,
    Dot,
    Keyword(Keyword),
}

impl Kind {
    /// The name used in error messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Eof => "EOF",
            Self::Illegal => "ILLEGAL",
            Self::Whitespace => "WS",
            Self::Comment => "",
            Self::Ident => "IDENT",
            Self::BoundParam => "BOUNDPARAM",
            Self::Number => "NUMBER",
            Self::Integer => "INTEGER",
            Self::Duration => "DURATIONVAL",
            Self::String => "STRING",
            Self::BadString => "BADSTRING",
            Self::BadEscape => "BADESCAPE",
            Self::Regex => "REGEX",
            Self::BadRegex => "BADREGEX",
            Self::True => "TRUE",
            Self::False => "FALSE",
            Self::Op(op) => op.symbol(),
            Self::LParen => "(",
            Self::RParen => ")",
            Self::Comma => ",",
            Self::Colon => ":",
            Self::DoubleColon => "::",
            Self::Semicolon => ";",
            Self::Dot => ".",
            Self::Keyword(keyword) => keyword.name(),
        }
    }

    /// What an unquoted word is: a keyword in any case, or a name.
    pub(crate) fn of_word(word: &str) -> Self {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if is("AND") {
            Self::Op(BinaryOp::And)
        } else if is("OR") {
            Self::Op(BinaryOp::Or)
        } else if is("TRUE") {
            Self::True
        } else if is("FALSE") {
            Self::False
        } else {
            Keyword::ALL.iter().find(|keyword| is(keyword.name())).map_or(Self::Ident, |&k| Self::Keyword(k))
        }
    }
}

macro_rules! keywords {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// Reserved words: as names they need double quotes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Keyword { $($variant),* }

        impl Keyword {
            /// Every keyword.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// In upper case.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

keywords! {
    All = "ALL", Alter = "ALTER", Analyze = "ANALYZE", Any = "ANY", As = "AS", Asc = "ASC", Begin = "BEGIN",
    By = "BY", Cardinality = "CARDINALITY", Create = "CREATE", Continuous = "CONTINUOUS", Database = "DATABASE",
    Databases = "DATABASES", Default = "DEFAULT", Delete = "DELETE", Desc = "DESC", Destinations = "DESTINATIONS",
    Diagnostics = "DIAGNOSTICS", Distinct = "DISTINCT", Drop = "DROP", Duration = "DURATION", End = "END",
    Every = "EVERY", Exact = "EXACT", Explain = "EXPLAIN", Field = "FIELD", For = "FOR", From = "FROM",
    Grant = "GRANT", Grants = "GRANTS", Group = "GROUP", Groups = "GROUPS", In = "IN", Inf = "INF",
    Insert = "INSERT", Into = "INTO", Key = "KEY", Keys = "KEYS", Kill = "KILL", Limit = "LIMIT",
    Measurement = "MEASUREMENT", Measurements = "MEASUREMENTS", Name = "NAME", Offset = "OFFSET", On = "ON",
    Order = "ORDER", Password = "PASSWORD", Policy = "POLICY", Policies = "POLICIES", Privileges = "PRIVILEGES",
    Queries = "QUERIES", Query = "QUERY", Read = "READ", Replication = "REPLICATION", Resample = "RESAMPLE",
    Retention = "RETENTION", Revoke = "REVOKE", Select = "SELECT", Series = "SERIES", Set = "SET",
    Shard = "SHARD", Shards = "SHARDS", Show = "SHOW", Slimit = "SLIMIT", Soffset = "SOFFSET", Stats = "STATS",
    Subscription = "SUBSCRIPTION", Subscriptions = "SUBSCRIPTIONS", Tag = "TAG", To = "TO", User = "USER",
    Users = "USERS", Values = "VALUES", Where = "WHERE", With = "WITH", Write = "WRITE",
}
