//! Text to tokens, one at a time: what a `/` or what stands behind a quote is depends on what the parser expects there.

use crate::{duration, error::Slip, time};

/// Words that are no names.
pub(crate) const KEYWORDS: [&str; 13] = [
    "and", "builtin", "else", "exists", "if", "import", "not", "option", "or", "package", "return",
    "testcase", "then",
];

/// Signs, longer ones before those that they begin with.
const SIGNS: [&str; 29] = [
    "|>", "=>", "==", "=~", "!=", "!~", "<=", "<-", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "^", "(",
    ")", "[", "]", "{", "}", ",", ":", ".", "\"", "?",
];

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A word that may be a name.
    Name,
    /// A word of the language.
    Keyword,
    /// `@` and a name.
    Attribute,
    /// One of [`SIGNS`].
    Sign,
    /// `42`
    Integer,
    /// `4.2`
    Float,
    /// `1h30m`
    Duration,
    /// `2026-11-30`
    Time,
    /// Nothing is left.
    End,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) class: Class,
    pub(crate) text: &'a str,
    /// Its first byte in the whole text.
    pub(crate) start: usize,
}

impl Token<'_> {
    /// After its last byte.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(crate) fn is_sign(&self, sign: &str) -> bool {
        self.class == Class::Sign && self.text == sign
    }

    pub(crate) fn is_keyword(&self, word: &str) -> bool {
        self.class == Class::Keyword && self.text == word
    }

    /// How an error names it.
    pub(crate) fn found(&self) -> String {
        match self.class {
            Class::End => "the end of the text".to_owned(),
            Class::Keyword => format!("the keyword {}", self.text),
            Class::Sign => format!("`{}`", self.text),
            Class::Name
            | Class::Attribute
            | Class::Integer
            | Class::Float
            | Class::Duration
            | Class::Time => self.text.to_owned(),
        }
    }

    /// An error at this token.
    pub(crate) fn slip(&self, message: impl Into<String>) -> Box<Slip> {
        Slip::new(self.start, self.end(), message)
    }
}

/// Where reading has come to; a copy of it looks ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lexer<'a> {
    pub(crate) text: &'a str,
    /// The next byte.
    pub(crate) at: usize,
}

impl<'a> Lexer<'a> {
    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn next(&mut self) -> Result<Token<'a>, Box<Slip>> {
        self.skip_space();
        let (class, bytes) = self.classify()?;
        let token = Token { class, text: &self.rest()[..bytes], start: self.at };
        self.at += bytes;
        Ok(token)
    }

    fn skip_space(&mut self) {
        loop {
            let rest = self.rest().trim_start_matches([' ', '\t', '\r', '\n']);
            self.at = self.text.len() - rest.len();
            if !rest.starts_with("//") {
                return;
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    /// What comes next, and its length.
    fn classify(&self) -> Result<(Class, usize), Box<Slip>> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok((Class::End, 0)) };
        let fraction = rest.starts_with('.') && rest[1..].starts_with(|ch: char| ch.is_ascii_digit());
        if first.is_ascii_digit() || fraction {
            return self.number();
        }
        if is_name_start(first) {
            let word = &rest[..name_bytes(rest)];
            let class = if is_keyword(word) { Class::Keyword } else { Class::Name };
            return Ok((class, word.len()));
        }
        if let Some(behind) = rest.strip_prefix('@')
            && name_bytes(behind) > 0
        {
            return Ok((Class::Attribute, 1 + name_bytes(behind)));
        }
        match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) if !rest.starts_with("/*") => Ok((Class::Sign, sign.len())),
            _ => Err(self.stray(first)),
        }
    }

    /// A number, a duration or a time.
    fn number(&self) -> Result<(Class, usize), Box<Slip>> {
        let rest = self.rest();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(rest);
        if let Some(bytes) = time::literal_bytes(rest) {
            return Ok((Class::Time, bytes));
        }
        let (class, bytes) = match duration::literal_bytes(rest) {
            Some(bytes) => (Class::Duration, bytes),
            None if rest[whole..].starts_with('.') => (Class::Float, whole + 1 + digits(&rest[whole + 1..])),
            None => (Class::Integer, whole),
        };
        let word = name_bytes(&rest[bytes..]);
        if word == 0 || is_keyword(&rest[bytes..bytes + word]) {
            return Ok((class, bytes));
        }
        let text = &rest[..bytes + word];
        let message = format!(
            "{text} is neither a number nor a duration: units are y, mo, w, d, h, m, s, ms, us, ns, as in 1h30m"
        );
        Err(Slip::new(self.at, self.at + text.len(), message))
    }

    /// A character that begins nothing, and what may have been meant.
    fn stray(&self, first: char) -> Box<Slip> {
        let rest = self.rest();
        let advice = |sign: &str| {
            Some(match sign {
                "&&" | "&" => "write `and`",
                "||" => "write `or`",
                "|" => "functions are joined by `|>`",
                "!" => "write `not`",
                "'" | "‘" | "’" | "“" | "”" => "text stands in double quotes: \"text\"",
                "`" => "names stand without quotes, text in double quotes",
                ";" => "statements need nothing between them",
                "#" | "/*" => "comments begin with `//`",
                "@" => "an attribute is written @name(value)",
                "\\" => "a backslash stands only within texts and regular expressions",
                "~" => "regular expressions are compared with `=~` and `!~`",
                "$" => "`${}` stands only within a text in double quotes",
                "\u{feff}" => "the text begins with a byte order mark; save it without one",
                "\u{a0}" => "this is a no-break space; write an ordinary one",
                _ => return None,
            })
        };
        let one = &rest[..first.len_utf8()];
        let sign = ["&&", "||", "/*"].into_iter().find(|sign| rest.starts_with(sign)).unwrap_or(one);
        let shown = if first.is_control() || first.is_whitespace() || first == '\u{feff}' {
            format!("{first:?}")
        } else {
            format!("`{sign}`")
        };
        let message = match advice(sign) {
            Some(advice) => format!("{shown} means nothing here: {advice}"),
            None => format!("{shown} means nothing here"),
        };
        Slip::new(self.at, self.at + sign.len(), message)
    }
}

/// Whether a word is taken by the language.
pub(crate) fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

/// Whether a text is a name, and none that the language has taken.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && name_bytes(text) == text.len() && !is_keyword(text)
}

fn is_name_start(ch: char) -> bool {
    ch == '_' || ch.is_alphabetic()
}

/// How many bytes of the beginning are a word.
fn name_bytes(text: &str) -> usize {
    if !text.starts_with(is_name_start) {
        return 0;
    }
    text.find(|ch: char| !is_name_start(ch) && !ch.is_ascii_digit()).unwrap_or(text.len())
}
