//! Tokens to statements: a recursive-descent parser, one file per family of statements.
//!
//! What is accepted, and the wording and place of what is refused, are InfluxDB's. The parser steps back over tokens
//! rather than looking ahead, and regexes are read straight from the characters behind the last token, since both
//! show in that server's messages.

mod data;
mod database;
mod expr;
mod select;
mod show;
mod user;

use crate::{
    ast::{Query, RegexLiteral, SortField, Statement},
    error::{ParseError, SyntaxError},
    lex::{Lexer, Position},
    params::Params,
    regex::compile,
    token::{Keyword, Kind, Token},
};

/// How deep parentheses, calls and subqueries may nest: the parser and all that walk its trees recurse.
const NESTING_MAX: u32 = 128;

/// How many tokens a text may have, spaces and comments among them: each costs memory, as does what it becomes.
const TOKENS_MAX: usize = 1_000_000;

type Result<T> = std::result::Result<T, SyntaxError>;

/// Reads all statements of a text.
pub fn parse_query(text: &str) -> std::result::Result<Query, ParseError> {
    parse_query_with(text, &Params::new())
}

/// Reads all statements of a text in which `$name` stands for one of `params`.
pub fn parse_query_with(text: &str, params: &Params) -> std::result::Result<Query, ParseError> {
    let mut parser = Parser::new(text, params);
    let query = parser.query();
    if parser.read == TOKENS_MAX {
        return Err(SyntaxError::Plain(format!(
            "query has more than {TOKENS_MAX} words and signs: ask it in several requests"
        ))
        .into());
    }
    Ok(query?)
}

/// Reads one expression, to the end of the text.
pub fn parse_expr(text: &str) -> std::result::Result<crate::Expr, ParseError> {
    let params = Params::new();
    let mut parser = Parser::new(text, &params);
    let expr = parser.expr()?;
    parser.expect(Kind::Eof)?;
    Ok(expr)
}

struct Parser<'p> {
    lexer: Lexer,
    /// Every token of this statement read so far.
    tokens: Vec<Token>,
    /// How many tokens were read in all.
    read: usize,
    /// Index into `tokens` of the next one; less than its length after stepping back.
    next: usize,
    params: &'p Params,
    nesting: u32,
}

impl<'p> Parser<'p> {
    fn new(text: &str, params: &'p Params) -> Self {
        Self { lexer: Lexer::new(text), tokens: Vec::new(), read: 0, next: 0, params, nesting: 0 }
    }

    fn query(&mut self) -> Result<Query> {
        let mut statements = Vec::new();
        let mut separated = true;
        loop {
            let token = self.scan();
            match token.kind {
                Kind::Eof => return Ok(Query { statements }),
                Kind::Semicolon => separated = true,
                _ if !separated => return Err(self.unexpected(&token, &[";"])),
                _ => {
                    self.unscan();
                    self.tokens.drain(..self.next);
                    self.next = 0;
                    statements.push(self.statement()?);
                    separated = false;
                }
            }
        }
    }

    fn statement(&mut self) -> Result<Statement> {
        const FIRST: [&str; 11] = [
            "SELECT", "DELETE", "SHOW", "CREATE", "DROP", "EXPLAIN", "GRANT", "REVOKE", "ALTER", "SET",
            "KILL",
        ];
        let token = self.scan();
        let Kind::Keyword(keyword) = token.kind else { return Err(self.unexpected(&token, &FIRST)) };
        match keyword {
            Keyword::Select => Ok(Statement::Select(Box::new(self.select(false)?))),
            Keyword::Delete => self.delete(),
            Keyword::Show => Ok(Statement::Show(self.show()?)),
            Keyword::Create => self.create(),
            Keyword::Drop => self.drop_statement(),
            Keyword::Explain => self.explain(),
            Keyword::Grant => self.grant(),
            Keyword::Revoke => self.revoke(),
            Keyword::Alter => self.alter_retention_policy(),
            Keyword::Set => self.set_password(),
            Keyword::Kill => self.kill_query(),
            _ => Err(self.unexpected(&token, &FIRST)),
        }
    }

    fn create(&mut self) -> Result<Statement> {
        let token = self.scan();
        match token.kind {
            Kind::Keyword(Keyword::Continuous) => self.create_continuous_query(),
            Kind::Keyword(Keyword::Database) => self.create_database(),
            Kind::Keyword(Keyword::User) => self.create_user(),
            Kind::Keyword(Keyword::Retention) => self.create_retention_policy(),
            Kind::Keyword(Keyword::Subscription) => self.create_subscription(),
            _ => {
                Err(self.unexpected(&token, &["CONTINUOUS", "DATABASE", "USER", "RETENTION", "SUBSCRIPTION"]))
            }
        }
    }

    fn drop_statement(&mut self) -> Result<Statement> {
        let token = self.scan();
        match token.kind {
            Kind::Keyword(Keyword::Continuous) => self.drop_continuous_query(),
            Kind::Keyword(Keyword::Database) => self.drop_database(),
            Kind::Keyword(Keyword::Measurement) => self.drop_measurement(),
            Kind::Keyword(Keyword::Retention) => self.drop_retention_policy(),
            Kind::Keyword(Keyword::Series) => self.drop_series(),
            Kind::Keyword(Keyword::Shard) => self.drop_shard(),
            Kind::Keyword(Keyword::Subscription) => self.drop_subscription(),
            Kind::Keyword(Keyword::User) => self.drop_user(),
            _ => Err(self.unexpected(
                &token,
                &[
                    "CONTINUOUS",
                    "DATABASE",
                    "MEASUREMENT",
                    "RETENTION",
                    "SERIES",
                    "SHARD",
                    "SUBSCRIPTION",
                    "USER",
                ],
            )),
        }
    }
}

/// Reading tokens.
impl Parser<'_> {
    /// The next token, spaces and comments included.
    fn scan_any(&mut self) -> Token {
        self.scan_with(Lexer::token)
    }

    /// The next token that means something.
    fn scan(&mut self) -> Token {
        loop {
            let token = self.scan_any();
            if !matches!(token.kind, Kind::Whitespace | Kind::Comment) {
                return token;
            }
        }
    }

    fn scan_with(&mut self, lex: fn(&mut Lexer) -> Token) -> Token {
        if self.next == self.tokens.len() {
            let token = if self.read == TOKENS_MAX { self.lexer.end() } else { lex(&mut self.lexer) };
            self.read += 1;
            self.read = self.read.min(TOKENS_MAX);
            self.tokens.push(token);
        }
        let mut token = self.tokens[self.next].clone();
        self.next += 1;
        if token.kind == Kind::BoundParam
            && let Some(value) = self.params.get(&token.text[1..])
        {
            (token.kind, token.text) = value.token();
        }
        token
    }

    /// Steps back over one token, spaces being tokens too.
    fn unscan(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    fn skip_whitespace(&mut self) {
        if self.scan_any().kind != Kind::Whitespace {
            self.unscan();
        }
    }

    /// Takes the next token if it is of this kind.
    fn take(&mut self, kind: Kind) -> bool {
        let taken = self.scan().kind == kind;
        if !taken {
            self.unscan();
        }
        taken
    }

    fn take_keyword(&mut self, keyword: Keyword) -> bool {
        self.take(Kind::Keyword(keyword))
    }

    fn expect(&mut self, kind: Kind) -> Result<Token> {
        let token = self.scan();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(&token, &[kind.name()])) }
    }

    fn expect_keywords(&mut self, keywords: &[Keyword]) -> Result<()> {
        for &keyword in keywords {
            self.expect(Kind::Keyword(keyword))?;
        }
        Ok(())
    }

    fn position(&self, token: &Token) -> Position {
        self.lexer.position(token.at)
    }

    fn unexpected(&self, token: &Token, expected: &[&'static str]) -> SyntaxError {
        SyntaxError::unexpected(token, expected, self.position(token))
    }

    fn error_at(&self, token: &Token, message: impl Into<String>) -> SyntaxError {
        SyntaxError::At { message: message.into(), position: self.position(token) }
    }

    /// Runs a parser one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nesting == NESTING_MAX {
            return Err(SyntaxError::Plain(format!("query nests more than {NESTING_MAX} levels deep")));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }
}

/// The smallest pieces of statements.
impl Parser<'_> {
    fn ident(&mut self) -> Result<String> {
        let token = self.scan();
        if token.kind == Kind::Ident { Ok(token.text) } else { Err(self.unexpected(&token, &["identifier"])) }
    }

    fn string(&mut self) -> Result<String> {
        let token = self.scan();
        if token.kind == Kind::String { Ok(token.text) } else { Err(self.unexpected(&token, &["string"])) }
    }

    fn u64(&mut self) -> Result<u64> {
        let token = self.scan();
        if token.kind != Kind::Integer {
            return Err(self.unexpected(&token, &["integer"]));
        }
        token.text.parse().map_err(|_| {
            self.error_at(
                &token,
                format!("strconv.ParseUint: parsing \"{}\": value out of range", token.text),
            )
        })
    }

    /// A number of replicas.
    fn replication(&mut self) -> Result<u32> {
        const MAX: u32 = i32::MAX as u32;
        let token = self.scan();
        if token.kind != Kind::Integer {
            return Err(self.unexpected(&token, &["integer"]));
        }
        let Ok(number) = token.text.parse::<i64>() else {
            let reason = format!("strconv.Atoi: parsing \"{}\": value out of range", token.text);
            return Err(self.error_at(&token, reason));
        };
        match u32::try_from(number) {
            Ok(count @ 1..=MAX) => Ok(count),
            _ => Err(self.error_at(&token, format!("invalid value {number}: must be 1 <= n <= {MAX}"))),
        }
    }

    /// A duration literal in ns; `INF` is 0.
    fn duration(&mut self) -> Result<i64> {
        let token = self.scan();
        match token.kind {
            Kind::Keyword(Keyword::Inf) => Ok(0),
            Kind::Duration => {
                crate::parse_duration(&token.text).map_err(|error| self.error_at(&token, error.to_string()))
            }
            _ => Err(self.unexpected(&token, &["duration"])),
        }
    }

    /// `ON name`, where it may be absent.
    fn on_database(&mut self) -> Result<Option<String>> {
        if self.take_keyword(Keyword::On) { Ok(Some(self.ident()?)) } else { Ok(None) }
    }

    /// `LIMIT n` and its like; 0 if absent. Numbers above `i64::MAX` are that.
    fn count_clause(&mut self, keyword: Keyword) -> Result<u64> {
        if !self.take_keyword(keyword) {
            return Ok(0);
        }
        let token = self.scan();
        if token.kind != Kind::Integer {
            return Err(self.unexpected(&token, &["integer"]));
        }
        match token.text.parse::<i64>() {
            Ok(count) => u64::try_from(count)
                .map_err(|_| self.error_at(&token, format!("{} must be >= 0", keyword.name()))),
            Err(_) => Ok(i64::MAX.unsigned_abs()),
        }
    }

    fn order_by(&mut self) -> Result<Vec<SortField>> {
        const ONLY_TIME: &str = "only ORDER BY time supported at this time";
        if !self.take_keyword(Keyword::Order) {
            return Ok(Vec::new());
        }
        self.expect_keywords(&[Keyword::By])?;
        let token = self.scan();
        let first = match token.kind {
            Kind::Keyword(Keyword::Asc) => SortField { name: None, ascending: true },
            Kind::Keyword(Keyword::Desc) => SortField { name: None, ascending: false },
            Kind::Ident => {
                self.unscan();
                let field = self.sort_field()?;
                if token.text != "time" {
                    return Err(SyntaxError::Plain(ONLY_TIME.to_owned()));
                }
                field
            }
            _ => return Err(self.unexpected(&token, &["identifier", "ASC", "DESC"])),
        };
        let mut fields = vec![first];
        while self.take(Kind::Comma) {
            fields.push(self.sort_field()?);
        }
        if fields.len() > 1 {
            return Err(SyntaxError::Plain(ONLY_TIME.to_owned()));
        }
        Ok(fields)
    }

    fn sort_field(&mut self) -> Result<SortField> {
        let name = Some(self.ident()?);
        let ascending = match self.scan().kind {
            Kind::Keyword(Keyword::Asc) => true,
            Kind::Keyword(Keyword::Desc) => false,
            _ => {
                self.unscan();
                true
            }
        };
        Ok(SortField { name, ascending })
    }

    /// A regex, if one begins here. Only spaces are consumed otherwise.
    fn regex(&mut self) -> Result<Option<RegexLiteral>> {
        if self.lexer.peek_raw().is_some_and(|ch| matches!(ch, ' ' | '\t' | '\n')) {
            self.skip_whitespace();
        }
        match self.lexer.peek_raw() {
            Some('/') => {}
            Some('$') => {
                let kind = self.scan_any().kind;
                self.unscan();
                if kind != Kind::Regex {
                    return Ok(None);
                }
            }
            _ => return Ok(None),
        }
        let token = self.scan_with(Lexer::regex);
        match token.kind {
            Kind::Regex => self.compile(&token).map(Some),
            Kind::BadRegex => Err(self.error_at(&token, format!("bad regex: {}", token.text))),
            _ => Err(self.unexpected(&token, &["regex"])),
        }
    }

    fn compile(&self, token: &Token) -> Result<RegexLiteral> {
        compile(&token.text).map_err(|error| self.error_at(token, error.to_string()))
    }
}
