//! Text to tokens.
//!
//! Positions in error messages are part of InfluxDB's behaviour that users and their tests see, so the lexer reads as
//! that server's does: through a cursor that can step back, on which the end of the text is itself read as a
//! character. The first such read stands right after the text, every later one a column further, and a word or a run
//! of spaces that reaches the end swallows one. That is why `SELECT` is told `found EOF ... char 8`.

use crate::{
    ast::BinaryOp,
    token::{Kind, Token},
};

/// A place in the text, counted from 1 in lines and characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub char: usize,
}

/// Cuts a text into tokens on demand.
#[derive(Debug)]
pub(crate) struct Lexer {
    /// The text, line ends normalised; it ends at the first NUL.
    chars: Vec<char>,
    /// Index of the next character; beyond the end once the end has been read.
    next: usize,
}

/// What a delimited text came to.
enum Quoted {
    Text(String),
    /// No closing quote before the end of the line.
    Open(String),
    BadEscape(String),
}

impl Lexer {
    pub(crate) fn new(text: &str) -> Self {
        let mut chars = Vec::with_capacity(text.len());
        let mut rest = text.chars().take_while(|&ch| ch != '\0').peekable();
        while let Some(ch) = rest.next() {
            if ch == '\r' {
                rest.next_if_eq(&'\n');
                chars.push('\n');
            } else {
                chars.push(ch);
            }
        }
        Self { chars, next: 0 }
    }

    /// Line and column of a character index.
    pub(crate) fn position(&self, at: usize) -> Position {
        let end = self.chars.len();
        let before = &self.chars[..at.min(end)];
        let line_start = before.iter().rposition(|&ch| ch == '\n').map_or(0, |newline| newline + 1);
        let line = before.iter().filter(|&&ch| ch == '\n').count();
        // However often the end is read, its column grows only once.
        Position { line: line + 1, char: at.min(end + 1) - line_start + 1 }
    }

    /// The character the next token will begin with; `None` at the end, which this read swallows.
    pub(crate) fn peek_raw(&mut self) -> Option<char> {
        let ch = self.read();
        if ch.is_some() {
            self.unread();
        }
        ch
    }

    /// The end of the text, whatever is left of it.
    pub(crate) fn end(&mut self) -> Token {
        self.next = self.chars.len();
        simple(Kind::Eof, self.next)
    }

    /// The next token. Regexes are never found here, as `/` also divides: see [`Self::regex`].
    pub(crate) fn token(&mut self) -> Token {
        let at = self.next;
        let Some(ch) = self.read() else { return simple(Kind::Eof, at) };
        match ch {
            ' ' | '\t' | '\n' => self.whitespace(at, ch),
            'a'..='z' | 'A'..='Z' | '_' | '"' => {
                self.unread();
                self.word(at, true)
            }
            '0'..='9' => {
                self.unread();
                self.number(at)
            }
            '\'' => {
                self.unread();
                self.string()
            }
            '.' => {
                let digit = self.read().is_some_and(|ch| ch.is_ascii_digit());
                self.unread();
                if digit {
                    self.unread();
                    self.number(at)
                } else {
                    simple(Kind::Dot, at)
                }
            }
            '$' => {
                let word = self.word(self.next, false);
                let text = format!("${}", word.text);
                let kind = if word.kind == Kind::Ident { Kind::BoundParam } else { word.kind };
                Token { kind, at, text }
            }
            '+' => simple(Kind::Op(BinaryOp::Add), at),
            '-' => {
                if self.take('-') {
                    self.skip_line();
                    simple(Kind::Comment, at)
                } else {
                    simple(Kind::Op(BinaryOp::Sub), at)
                }
            }
            '*' => simple(Kind::Op(BinaryOp::Mul), at),
            '/' => {
                if self.take('*') {
                    let kind = if self.skip_block_comment() { Kind::Comment } else { Kind::Illegal };
                    simple(kind, at)
                } else {
                    simple(Kind::Op(BinaryOp::Div), at)
                }
            }
            '%' => simple(Kind::Op(BinaryOp::Mod), at),
            '&' => simple(Kind::Op(BinaryOp::BitAnd), at),
            '|' => simple(Kind::Op(BinaryOp::BitOr), at),
            '^' => simple(Kind::Op(BinaryOp::BitXor), at),
            '=' => {
                let op = if self.take('~') { BinaryOp::EqRegex } else { BinaryOp::Eq };
                simple(Kind::Op(op), at)
            }
            '!' if self.take('=') => simple(Kind::Op(BinaryOp::NotEq), at),
            '!' if self.take('~') => simple(Kind::Op(BinaryOp::NotEqRegex), at),
            '>' => {
                let op = if self.take('=') { BinaryOp::GtEq } else { BinaryOp::Gt };
                simple(Kind::Op(op), at)
            }
            '<' => {
                let op = if self.take('=') {
                    BinaryOp::LtEq
                } else if self.take('>') {
                    BinaryOp::NotEq
                } else {
                    BinaryOp::Lt
                };
                simple(Kind::Op(op), at)
            }
            '(' => simple(Kind::LParen, at),
            ')' => simple(Kind::RParen, at),
            ',' => simple(Kind::Comma, at),
            ';' => simple(Kind::Semicolon, at),
            ':' => simple(if self.take(':') { Kind::DoubleColon } else { Kind::Colon }, at),
            _ => Token { kind: Kind::Illegal, at, text: ch.to_string() },
        }
    }

    /// A regex literal: everything from the `/` the cursor stands at to the next unescaped one on the same line.
    pub(crate) fn regex(&mut self) -> Token {
        let at = self.before();
        let mut text = String::new();
        if self.read() != Some('/') {
            return simple(Kind::BadRegex, at);
        }
        loop {
            match self.read() {
                Some('/') => return Token { kind: Kind::Regex, at, text },
                None | Some('\n') => return simple(Kind::BadRegex, at),
                Some('\\') => match self.read() {
                    Some('/') => text.push('/'),
                    None => return simple(Kind::BadRegex, at),
                    Some(_) => {
                        self.unread();
                        text.push('\\');
                    }
                },
                Some(ch) => text.push(ch),
            }
        }
    }

    fn read(&mut self) -> Option<char> {
        let ch = self.chars.get(self.next).copied();
        self.next += 1;
        ch
    }

    fn unread(&mut self) {
        self.next -= 1;
    }

    /// The place of the character before the cursor: where quoted tokens are said to stand.
    fn before(&self) -> usize {
        self.next.saturating_sub(1)
    }

    fn take(&mut self, wanted: char) -> bool {
        let taken = self.read() == Some(wanted);
        if !taken {
            self.unread();
        }
        taken
    }

    /// Appends characters while they satisfy the test, and leaves the cursor at the first that does not.
    fn take_while(&mut self, text: &mut String, test: impl Fn(char) -> bool) {
        while let Some(ch) = self.read().filter(|&ch| test(ch)) {
            text.push(ch);
        }
        self.unread();
    }

    fn whitespace(&mut self, at: usize, first: char) -> Token {
        let mut text = String::from(first);
        loop {
            match self.read() {
                Some(ch @ (' ' | '\t' | '\n')) => text.push(ch),
                None => break,
                Some(_) => {
                    self.unread();
                    break;
                }
            }
        }
        Token { kind: Kind::Whitespace, at, text }
    }

    /// A bare or quoted name, or a keyword. A quote right after a bare word discards the word, as the server does.
    fn word(&mut self, at: usize, keywords: bool) -> Token {
        let mut text = String::new();
        loop {
            match self.read() {
                None => break,
                Some('"') => {
                    self.unread();
                    let token = self.string();
                    return match token.kind {
                        Kind::String => Token { kind: Kind::Ident, at, text: token.text },
                        _ => token,
                    };
                }
                Some(ch) if is_word_char(ch) => {
                    text.push(ch);
                    while let Some(ch) = self.read() {
                        if !is_word_char(ch) {
                            self.unread();
                            break;
                        }
                        text.push(ch);
                    }
                }
                Some(_) => {
                    self.unread();
                    break;
                }
            }
        }
        match Kind::of_word(&text) {
            kind if keywords && kind != Kind::Ident => simple(kind, at),
            _ => Token { kind: Kind::Ident, at, text },
        }
    }

    fn string(&mut self) -> Token {
        let at = self.before();
        match self.quoted() {
            Quoted::Text(text) => Token { kind: Kind::String, at, text },
            Quoted::Open(text) => Token { kind: Kind::BadString, at, text },
            Quoted::BadEscape(text) => Token { kind: Kind::BadEscape, at: self.before(), text },
        }
    }

    fn quoted(&mut self) -> Quoted {
        let quote = self.read();
        let mut text = String::new();
        loop {
            match self.read() {
                ch if ch == quote => return Quoted::Text(text),
                None | Some('\n') => return Quoted::Open(text),
                Some('\\') => match self.read() {
                    Some('n') => text.push('\n'),
                    Some(ch @ ('\\' | '"' | '\'')) => text.push(ch),
                    None => return Quoted::BadEscape("\\\0".to_owned()),
                    Some(ch) => return Quoted::BadEscape(format!("\\{ch}")),
                },
                Some(ch) => text.push(ch),
            }
        }
    }

    fn number(&mut self, at: usize) -> Token {
        let mut text = String::new();
        self.take_while(&mut text, |ch| ch.is_ascii_digit());
        if self.take('.') {
            let before_fraction = text.len();
            text.push('.');
            self.take_while(&mut text, |ch| ch.is_ascii_digit());
            if text.len() == before_fraction + 1 {
                text.pop(); // "1." is the number 1; its dot is gone all the same
            }
            return Token { kind: Kind::Number, at, text };
        }
        let starts_unit = self.read().is_some_and(is_unit_char);
        self.unread();
        if !starts_unit {
            return Token { kind: Kind::Integer, at, text };
        }
        self.take_while(&mut text, |ch| is_unit_char(ch) || ch.is_ascii_digit());
        Token { kind: Kind::Duration, at, text }
    }

    fn skip_line(&mut self) {
        while self.read().is_some_and(|ch| ch != '\n') {}
    }

    /// Whether the comment is closed.
    fn skip_block_comment(&mut self) -> bool {
        loop {
            match self.read() {
                None => return false,
                Some('*') => loop {
                    match self.read() {
                        Some('/') => return true,
                        Some('*') => {}
                        Some(_) => break,
                        None => return false,
                    }
                },
                Some(_) => {}
            }
        }
    }
}

fn simple(kind: Kind, at: usize) -> Token {
    Token { kind, at, text: String::new() }
}

fn is_word_char(ch: char) -> bool {
    ch.is_ascii_alphanumeric() || ch == '_'
}

fn is_unit_char(ch: char) -> bool {
    ch.is_ascii_alphabetic() || ch == 'µ'
}
