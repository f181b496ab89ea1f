//! InfluxQL text cut into pieces, as an editor needs it: nothing is refused, nothing is left out, and each piece knows
//! where it stands. What the text means is the parser's business (`skywatch_influxql`).

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Spaces and line feeds.
    Space,
    /// `-- ...` or `/* ... */`.
    Comment,
    /// A bare word: a keyword or a name.
    Word,
    /// `"a name"`.
    Name { closed: bool },
    /// `'a string'`.
    Text { closed: bool },
    /// `/a regex/`.
    Regex { closed: bool },
    /// Digits and what belongs to them: `10`, `1.5`, `10m`.
    Number,
    /// Any other character.
    Symbol,
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'t> {
    pub(crate) kind: Kind,
    pub(crate) text: &'t str,
    /// Where it begins, in bytes.
    pub(crate) start: usize,
}

impl Piece<'_> {
    /// Whether it is this symbol, or this word in any case.
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Symbol) && self.text.eq_ignore_ascii_case(text)
    }

    /// Whether it means something to a parser.
    pub(crate) fn is_significant(&self) -> bool {
        !matches!(self.kind, Kind::Space | Kind::Comment)
    }

    /// Whether it is a string, a name or a regex that does not end.
    pub(crate) fn is_open(&self) -> bool {
        match self.kind {
            Kind::Name { closed } | Kind::Text { closed } | Kind::Regex { closed } => !closed,
            Kind::Comment => {
                self.text.starts_with("/*") && !(self.text.len() >= 4 && self.text.ends_with("*/"))
            }
            Kind::Space | Kind::Word | Kind::Number | Kind::Symbol => false,
        }
    }
}

/// Cuts a text up.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found: Vec<Piece<'_>> = Vec::new();
    let mut start = 0;
    while let Some(first) = text[start..].chars().next() {
        let rest = &text[start..];
        let before = found.iter().rev().find(|piece| piece.is_significant());
        let (kind, length) = piece_at(rest, first, before);
        found.push(Piece { kind, text: &rest[..length], start });
        start += length;
    }
    found
}

fn piece_at(rest: &str, first: char, before: Option<&Piece<'_>>) -> (Kind, usize) {
    let run = |test: fn(char) -> bool| rest.find(|ch| !test(ch)).unwrap_or(rest.len());
    match first {
        ch if ch.is_whitespace() => (Kind::Space, run(char::is_whitespace)),
        '"' => delimited(rest, '"', |closed| Kind::Name { closed }),
        '\'' => delimited(rest, '\'', |closed| Kind::Text { closed }),
        '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => {
            (Kind::Comment, rest[2..].find("*/").map_or(rest.len(), |end| end + 4))
        }
        '/' if begins_regex(before) => regex(rest),
        '0'..='9' => (Kind::Number, run(|ch| ch.is_alphanumeric() || ch == '.')),
        ch if ch.is_alphabetic() || ch == '_' => (Kind::Word, run(|ch| ch.is_alphanumeric() || ch == '_')),
        ch => (Kind::Symbol, ch.len_utf8()),
    }
}

fn delimited(rest: &str, quote: char, kind: fn(bool) -> Kind) -> (Kind, usize) {
    let mut escaped = false;
    for (at, ch) in rest.char_indices().skip(1) {
        if ch == quote && !escaped {
            return (kind(true), at + 1);
        }
        escaped = ch == '\\' && !escaped;
    }
    (kind(false), rest.len())
}

/// A regex ends where its line does.
fn regex(rest: &str) -> (Kind, usize) {
    let line = rest.find('\n').unwrap_or(rest.len());
    let (kind, length) = delimited(&rest[..line], '/', |closed| Kind::Regex { closed });
    (kind, length)
}

/// After an operand `/` divides; elsewhere a regex begins.
fn begins_regex(before: Option<&Piece<'_>>) -> bool {
    const BEFORE_SOURCES: [&str; 9] =
        ["FROM", "BY", "KEY", "IN", "MEASUREMENT", "SELECT", "WHERE", "AND", "OR"];
    match before {
        None => false,
        Some(piece) => match piece.kind {
            Kind::Word => BEFORE_SOURCES.iter().any(|word| piece.is(word)),
            Kind::Symbol => !piece.is(")") && !piece.is("*"),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        pieces(text).into_iter().filter(Piece::is_significant).map(|piece| (piece.kind, piece.text)).collect()
    }

    #[test]
    fn nothing_is_lost() {
        for text in ["SELECT a/b FROM /x\\/y/ -- c", "'a\\'b' \"c", "µ§ 1.5e3 /* open", ""] {
            assert_eq!(pieces(text).iter().map(|piece| piece.text).collect::<String>(), text);
        }
    }

    #[test]
    fn slashes_divide_or_delimit() {
        assert!(kinds("a / b / c").iter().all(|(kind, _)| !matches!(kind, Kind::Regex { .. })));
        assert_eq!(kinds("FROM /a;b/")[1], (Kind::Regex { closed: true }, "/a;b/"));
        assert_eq!(kinds("h =~ /a\\/b/")[3], (Kind::Regex { closed: true }, "/a\\/b/"));
    }

    #[test]
    fn quotes_and_comments_may_be_open() {
        for (text, open) in [
            ("'a", true),
            ("'a\\'", true),
            ("'a'", false),
            ("\"a", true),
            ("/* a", true),
            ("/*/", true),
            ("/**/", false),
        ] {
            assert_eq!(pieces(text)[0].is_open(), open, "{text}");
        }
    }

    proptest::proptest! {
        /// Whatever is typed: nothing is lost, and neither Enter nor Tab nor a command's reading panics anywhere in it.
        #[test]
        fn any_text_can_be_typed(text in "([a-zA-Z ]{0,6}|[\"'/\\\\;.,()=~*\n\t -]|insert into |use |select |from |é日|\\\\x){0,14}") {
            assert_eq!(pieces(&text).iter().map(|piece| piece.text).collect::<String>(), text);
            std::hint::black_box(crate::script::is_complete(&text));
            for unit in crate::script::units(&text) {
                if let crate::script::Unit::Command(command) = unit {
                    drop(crate::command::parse(command));
                }
            }
            for (cursor, _) in text.char_indices() {
                let place = crate::complete::place(&text, cursor);
                assert!(text.is_char_boundary(place.start) && place.start <= cursor);
            }
            drop(crate::history::to_keep(&text));
        }
    }
}
