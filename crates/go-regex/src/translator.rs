//! A pattern, read as Go reads it and written as the `regex` crate takes it.

use super::RegexError;

/// Largest count in `x{n}`, as in Go.
const REPEAT_MAX: u32 = 1000;

/// What may stand in `[[:name:]]`.
const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// What becomes of the names of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    Named,
    Unnamed,
}

pub(super) struct Translator<'a> {
    pattern: &'a str,
    names: Groups,
    rest: &'a str,
    out: String,
    /// For every open group, the pattern itself first: how often its most repeated part occurs.
    groups: Vec<u32>,
    /// The same for the last operand.
    repeats: u32,
}

/// What has just been read, as far as a repetition cares.
#[derive(Clone, Copy, PartialEq)]
enum Before<'a> {
    /// Nothing that can be repeated.
    Nothing,
    /// An operand.
    Operand,
    /// A repetition, which began here.
    Repetition(&'a str),
}

/// One end of a range in a class, or a class of its own.
enum ClassItem {
    Char(char),
    Class(String),
}

type Result<T, E = RegexError> = std::result::Result<T, E>;

fn syntax<T>(problem: &'static str, part: &str) -> Result<T> {
    Err(RegexError::Syntax { problem, part: part.to_owned() })
}

impl<'a> Translator<'a> {
    pub(super) fn new(pattern: &'a str, names: Groups) -> Self {
        Self { pattern, names, rest: pattern, out: String::new(), groups: vec![1], repeats: 1 }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn char(&mut self) -> Option<char> {
        let ch = self.peek()?;
        self.rest = &self.rest[ch.len_utf8()..];
        Some(ch)
    }

    fn take(&mut self, prefix: &str) -> bool {
        let after = self.rest.strip_prefix(prefix);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// What has been read since `from`.
    fn since(&self, from: &'a str) -> &'a str {
        &from[..from.len() - self.rest.len()]
    }

    fn literal(&mut self, ch: char) {
        self.out.push_str(&regex::escape(ch.encode_utf8(&mut [0; 4])));
    }

    pub(super) fn translate(mut self) -> Result<String> {
        let mut before = Before::Nothing;
        while let Some(ch) = self.peek() {
            let from = self.rest;
            if !matches!(ch, '*' | '+' | '?' | '{') {
                self.repeats = 1;
            }
            before = match ch {
                '(' => {
                    self.group()?;
                    Before::Nothing
                }
                ')' => {
                    if self.groups.len() == 1 {
                        return syntax("unexpected )", self.pattern);
                    }
                    self.push(ch);
                    self.repeats = self.groups.pop().unwrap_or(1);
                    Before::Operand
                }
                '|' => {
                    self.push(ch);
                    Before::Nothing
                }
                '^' | '$' | '.' => self.push(ch),
                '[' => {
                    self.class()?;
                    Before::Operand
                }
                '*' | '+' | '?' => {
                    self.char();
                    self.repetition(from, before, ch.encode_utf8(&mut [0; 4]))?
                }
                '{' => match self.counted()? {
                    Some((counts, most)) => {
                        let after = self.repetition(from, before, &counts)?;
                        self.repeated(from, most)?;
                        after
                    }
                    None => {
                        self.char();
                        self.literal('{');
                        Before::Operand
                    }
                },
                '\\' => self.escape(before)?,
                ch => {
                    self.char();
                    self.literal(ch);
                    Before::Operand
                }
            };
            if let Some(group) = self.groups.last_mut() {
                *group = (*group).max(self.repeats);
            }
        }
        if self.groups.len() > 1 {
            return syntax("missing closing )", self.pattern);
        }
        Ok(self.out)
    }

    /// Copies a character that means the same on both sides.
    fn push(&mut self, ch: char) -> Before<'a> {
        self.char();
        self.out.push(ch);
        Before::Operand
    }

    fn repetition(&mut self, from: &'a str, before: Before<'a>, operator: &str) -> Result<Before<'a>> {
        let lazy = self.take("?");
        match before {
            Before::Nothing => return syntax("missing argument to repetition operator", self.since(from)),
            Before::Repetition(first) => {
                return syntax("invalid nested repetition operator", self.since(first));
            }
            Before::Operand => {}
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        Ok(Before::Repetition(from))
    }

    /// Counts multiply where repetitions nest.
    fn repeated(&mut self, from: &'a str, most: u32) -> Result<()> {
        self.repeats = self.repeats.saturating_mul(most.max(1));
        if self.repeats > REPEAT_MAX { syntax("invalid repeat count", self.since(from)) } else { Ok(()) }
    }

    /// `{n}`, `{n,}` or `{n,m}` and its greatest number; anything else that begins with a brace is text.
    fn counted(&mut self) -> Result<Option<(String, u32)>> {
        let Some(end) = self.rest.find('}') else { return Ok(None) };
        let inside = &self.rest[1..end];
        let is_count = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits && (text == "0" || !text.starts_with('0'))
        };
        let (least, most) = match inside.split_once(',') {
            None => (inside, Some(inside)),
            Some((least, "")) => (least, None),
            Some((least, most)) => (least, Some(most)),
        };
        if !is_count(least) || most.is_some_and(|most| !is_count(most)) {
            return Ok(None);
        }
        let whole = &self.rest[..=end];
        let count = |text: &str| text.parse::<u32>().ok().filter(|&count| count <= REPEAT_MAX);
        let greatest = match (count(least), most.map(count)) {
            (Some(least), None) => least,
            (Some(least), Some(Some(most))) if least <= most => most,
            _ => return syntax("invalid repeat count", whole),
        };
        self.rest = &self.rest[end + 1..];
        Ok(Some((whole.to_owned(), greatest)))
    }

    /// `(`, `(?:`, `(?P<name>`, `(?flags)` or `(?flags:`.
    fn group(&mut self) -> Result<()> {
        let from = self.rest;
        self.char();
        if !self.take("?") {
            self.groups.push(1);
            self.out.push('(');
            return Ok(());
        }
        if self.take("P<") || (self.names == Groups::Named && self.take("<")) {
            return self.named_group(from);
        }
        let mut flags = String::new();
        let mut negative = false;
        let mut any_since_sign = false;
        loop {
            let Some(ch) = self.char() else { return syntax("invalid or unsupported Perl syntax", from) };
            match ch {
                'i' | 'm' | 's' | 'U' => {
                    flags.push(ch);
                    any_since_sign = true;
                }
                '-' if !negative => {
                    flags.push(ch);
                    (negative, any_since_sign) = (true, false);
                }
                ')' | ':' if !negative || any_since_sign => {
                    if ch == ':' {
                        self.groups.push(1);
                    }
                    // The crate refuses the empty group `(?)`, and flags given twice.
                    let flags = once_each(&flags);
                    if ch == ':' || !flags.is_empty() {
                        self.out.push_str(&format!("(?{flags}{ch}"));
                    }
                    return Ok(());
                }
                _ => return syntax("invalid or unsupported Perl syntax", self.since(from)),
            }
        }
    }

    fn named_group(&mut self, from: &'a str) -> Result<()> {
        let Some(end) = self.rest.find('>') else { return syntax("invalid named capture", from) };
        let name = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        let valid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !valid {
            return syntax("invalid named capture", self.since(from));
        }
        self.groups.push(1);
        match self.names {
            Groups::Named => self.out.push_str(&format!("(?P<{name}>")),
            // The crate would refuse names that begin with a digit.
            Groups::Unnamed => self.out.push('('),
        }
        Ok(())
    }

    /// An escape outside a class.
    fn escape(&mut self, before: Before<'a>) -> Result<Before<'a>> {
        let from = self.rest;
        self.char();
        match self.peek() {
            Some('A' | 'z') => {
                self.out.push('\\');
                let anchor = self.peek().unwrap_or('z');
                return Ok(self.push(anchor));
            }
            // ASCII words, as in Go; the crate has no such `\B` for text, so that one sees Unicode words.
            Some('b') => self.out.push_str("(?-u:\\b)"),
            Some('B') => self.out.push_str("\\B"),
            Some('Q') => {
                self.char();
                let end = self.rest.find("\\E");
                let quoted = &self.rest[..end.unwrap_or(self.rest.len())];
                self.rest = end.map_or("", |end| &self.rest[end + 2..]);
                self.out.push_str(&regex::escape(quoted));
                return Ok(if quoted.is_empty() { before } else { Before::Operand });
            }
            _ => {
                match self.escaped(from)? {
                    ClassItem::Char(ch) => self.literal(ch),
                    ClassItem::Class(class) => self.out.push_str(&class),
                }
                return Ok(Before::Operand);
            }
        }
        self.char();
        Ok(Before::Operand)
    }

    /// What may follow a backslash anywhere: a class or a single character.
    fn escaped(&mut self, from: &'a str) -> Result<ClassItem> {
        let Some(ch) = self.char() else { return syntax("trailing backslash at end of expression", "") };
        Ok(match ch {
            'd' => ClassItem::Class("[0-9]".to_owned()),
            'D' => ClassItem::Class("[^0-9]".to_owned()),
            's' => ClassItem::Class("[\\t\\n\\f\\r ]".to_owned()),
            'S' => ClassItem::Class("[^\\t\\n\\f\\r ]".to_owned()),
            'w' => ClassItem::Class("[0-9A-Za-z_]".to_owned()),
            'W' => ClassItem::Class("[^0-9A-Za-z_]".to_owned()),
            'p' | 'P' => ClassItem::Class(self.unicode_class(from, ch)?),
            'a' => ClassItem::Char('\x07'),
            'f' => ClassItem::Char('\x0c'),
            'n' => ClassItem::Char('\n'),
            'r' => ClassItem::Char('\r'),
            't' => ClassItem::Char('\t'),
            'v' => ClassItem::Char('\x0b'),
            'x' => ClassItem::Char(self.hexadecimal(from)?),
            '0'..='7' if ch == '0' || matches!(self.peek(), Some('0'..='7')) => {
                let mut value = u32::from(ch) - u32::from('0');
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|ch| ch.to_digit(8)) else { break };
                    value = value * 8 + digit;
                    self.char();
                }
                ClassItem::Char(char::from_u32(value).unwrap_or_default())
            }
            ch if ch.is_ascii() && !ch.is_ascii_alphanumeric() => ClassItem::Char(ch),
            _ => return syntax("invalid escape sequence", self.since(from)),
        })
    }

    /// `\x7F` or `\x{10FFFF}`, behind the `x`.
    fn hexadecimal(&mut self, from: &'a str) -> Result<char> {
        let braces = self.take("{");
        let (mut value, mut digits) = (Some(0), 0);
        while value.is_some() && (braces || digits < 2) {
            value = match self.char().map(|ch| (ch, ch.to_digit(16))) {
                Some((_, Some(digit))) => {
                    value.map(|value| value * 16 + digit).filter(|&value| value <= u32::from(char::MAX))
                }
                Some(('}', _)) if braces && digits > 0 => break,
                Some(_) if !braces && digits == 0 => {
                    self.char();
                    None
                }
                _ => None,
            };
            digits += 1;
        }
        match value.and_then(char::from_u32) {
            Some(ch) => Ok(ch),
            None => syntax("invalid escape sequence", self.since(from)),
        }
    }

    /// `\pL`, `\p{Greek}`, `\P{^Greek}`, behind the letter.
    fn unicode_class(&mut self, from: &'a str, letter: char) -> Result<String> {
        let name = if self.take("{") {
            let Some(end) = self.rest.find('}') else {
                return syntax("invalid character class range", from);
            };
            let name = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            name
        } else {
            let Some(ch) = self.peek() else { return syntax("invalid character class range", from) };
            let name = &self.rest[..ch.len_utf8()];
            self.rest = &self.rest[name.len()..];
            name
        };
        let (name, negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        let letter = if negated == (letter == 'p') { 'P' } else { 'p' };
        let class = format!("\\{letter}{{{name}}}");
        if name == "Any" || regex::Regex::new(&class).is_ok() {
            Ok(class)
        } else {
            syntax("invalid character class range", self.since(from))
        }
    }

    /// `[...]`.
    fn class(&mut self) -> Result<()> {
        let from = self.rest;
        self.char();
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            match self.peek() {
                None => return syntax("missing closing ]", from),
                Some(']') if !first => {
                    self.char();
                    self.out.push(']');
                    return Ok(());
                }
                Some(_) => {}
            }
            first = false;
            let start = self.rest;
            let low = match self.class_item(from)? {
                ClassItem::Class(class) => {
                    self.out.push_str(&class);
                    continue;
                }
                ClassItem::Char(ch) => ch,
            };
            self.out.push_str(&format!("\\x{{{:X}}}", u32::from(low)));
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
                self.char();
                let end = self.rest;
                let high = match self.class_item(from)? {
                    ClassItem::Char(high) if low <= high => high,
                    ClassItem::Class(_) if end.starts_with('\\') => {
                        return syntax("invalid escape sequence", self.since(end));
                    }
                    _ => return syntax("invalid character class range", self.since(start)),
                };
                self.out.push_str(&format!("-\\x{{{:X}}}", u32::from(high)));
            }
        }
    }

    fn class_item(&mut self, class: &'a str) -> Result<ClassItem> {
        let from = self.rest;
        if from.starts_with("[:")
            && let Some(end) = from.find(":]")
        {
            let name = &from[..end + 2];
            self.rest = &from[end + 2..];
            let posix = name.trim_matches(['[', ':', '^', ']']);
            if !POSIX_CLASSES.contains(&posix) {
                return syntax("invalid character class range", name);
            }
            return Ok(ClassItem::Class(name.to_owned()));
        }
        match self.char() {
            None => syntax("missing closing ]", class),
            Some('\\') => self.escaped(from),
            Some(ch) => Ok(ClassItem::Char(ch)),
        }
    }
}

/// Flags without repetition, the last mention counting; a sign without flags behind it goes.
fn once_each(flags: &str) -> String {
    let (on, off) = flags.split_once('-').unwrap_or((flags, ""));
    let unique = |text: &str| {
        let mut seen = String::new();
        for ch in text.chars() {
            if !seen.contains(ch) {
                seen.push(ch);
            }
        }
        seen
    };
    let off = unique(off);
    let on: String = unique(on).chars().filter(|&ch| !off.contains(ch)).collect();
    if off.is_empty() { on } else { format!("{on}-{off}") }
}
