//! Telegraf's globs: `*`, `**`, `?`, `[abc]`, `[!a]`, `[a-z]`, `{a,b}`, `\` escapes.
//!
//! Each is translated to a regular expression, so that matching is linear in the text whatever the
//! pattern. With separators given, `*` and `?` do not cross one of them; `**` always does.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};

/// A list of patterns, any of which may match.
///
/// As in the original, a list is read as globs only if one of its patterns holds `*`, `?` or `[`
/// (or separators are given); otherwise it is a set of literal names, in which `{a,b}` means itself.
#[derive(Debug, Clone)]
pub(crate) struct Globs(Matcher);

#[derive(Debug, Clone)]
enum Matcher {
    Literal(BTreeSet<String>),
    Patterns(Vec<Regex>),
}

impl Globs {
    /// Compiles the patterns. The error names the first that cannot be.
    pub(crate) fn compile(patterns: &[String], separators: &str) -> Result<Self, String> {
        if !is_glob(patterns, separators) {
            return Ok(Self(Matcher::Literal(patterns.iter().cloned().collect())));
        }
        let compile = |pattern: &String| {
            let source = translate(pattern, separators).map_err(|why| format!("glob {pattern:?}: {why}"))?;
            RegexBuilder::new(&source)
                .dot_matches_new_line(true)
                .build()
                .map_err(|error| format!("glob {pattern:?}: {error}"))
        };
        Ok(Self(Matcher::Patterns(patterns.iter().map(compile).collect::<Result<_, _>>()?)))
    }

    /// Whether a list is compared literally although one of its patterns looks like alternatives.
    pub(crate) fn is_trap(patterns: &[String], separators: &str) -> bool {
        let looks_so = |pattern: &String| {
            pattern.split_once('{').is_some_and(|(_, rest)| rest.contains(',') && rest.contains('}'))
        };
        !is_glob(patterns, separators) && patterns.iter().any(looks_so)
    }

    /// Whether one of the patterns matches the whole text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match &self.0 {
            Matcher::Literal(names) => names.contains(text),
            Matcher::Patterns(patterns) => patterns.iter().any(|pattern| pattern.is_match(text)),
        }
    }
}

fn is_glob(patterns: &[String], separators: &str) -> bool {
    !separators.is_empty() || patterns.iter().any(|pattern| pattern.contains(['*', '?', '[']))
}

fn translate(pattern: &str, separators: &str) -> Result<String, &'static str> {
    let any =
        if separators.is_empty() { ".".to_owned() } else { format!("[^{}]", regex::escape(separators)) };
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars().peekable();
    let mut depth = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                while chars.next_if_eq(&'*').is_some() {}
                out.push_str(".*");
            }
            '*' => {
                out.push_str(&any);
                out.push('*');
            }
            '?' => out.push_str(&any),
            '[' => out.push_str(&class(&mut chars)?),
            '{' => {
                depth += 1;
                out.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            ',' if depth > 0 => out.push('|'),
            '\\' => out.push_str(&literal(chars.next().ok_or("ends with a backslash")?)),
            other => out.push_str(&literal(other)),
        }
    }
    if depth > 0 {
        return Err("has a { without }");
    }
    out.push_str(")$");
    Ok(out)
}

/// One character of a list, or of a range. As in the original a `-` stands for itself unless the class begins with a
/// range: `[a-c]` is a, b or c, and `[xa-c]` is x, a, - or c. Separators do not matter.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, &'static str> {
    const OPEN: &str = "has a [ without ]";
    let mut out = String::from("[");
    if chars.next_if_eq(&'!').is_some() {
        out.push('^');
    }
    let mut has_ranges = None;
    loop {
        let c = match chars.next().ok_or(OPEN)? {
            ']' if has_ranges.is_some() => break,
            ']' => return Err("has a class without characters"),
            '\\' => chars.next().ok_or(OPEN)?,
            c => c,
        };
        out.push_str(&literal(c));
        if *has_ranges.get_or_insert(chars.peek() == Some(&'-')) && chars.next_if_eq(&'-').is_some() {
            let last = chars.next().ok_or(OPEN)?;
            if last < c {
                return Err("has a range whose end is before its beginning");
            }
            out.push('-');
            out.push_str(&literal(last));
        }
    }
    out.push(']');
    Ok(out)
}

fn literal(c: char) -> String {
    regex::escape(&c.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        // A second pattern makes the list a glob list even when the first holds no wildcard.
        Globs::compile(&[pattern.to_owned(), "[#]".to_owned()], "").expect("valid").matches(text)
    }

    #[test]
    fn wildcards() {
        for (pattern, text, want) in [
            ("cpu*", "cpu", true),
            ("cpu*", "cpu.usage", true),
            ("*", "", true),
            ("cpu?", "cpu1", true),
            ("cpu?", "cpu", false),
            ("[abc]x", "bx", true),
            ("[!abc]x", "bx", false),
            ("[!abc]x", "dx", true),
            ("sd[a-c]", "sdb", true),
            ("sd[a-c]", "sdd", false),
            ("{cpu,mem}*", "memory", true),
            ("{cpu,mem}*", "swap", false),
            ("a{b,c{d,e}}", "ace", true),
            (r"lit\*", "lit*", true),
            (r"lit\*", "literal", false),
            ("a.b+", "a.b+", true),
            ("a.b+", "axbb", false),
            ("ü*", "über", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text}");
        }
    }

    #[test]
    fn classes() {
        for (pattern, text, want) in [
            ("[a-c]", "b", true),
            ("[a-c]", "-", false),
            ("[!a-c]", "b", false),
            ("[xa-c]", "b", false),
            ("[xa-c]", "-", true),
            ("[a-cx-z]", "y", true),
            ("[€<>&~^]", "€", true),
            ("[€<>&~^]", "<", true),
            ("[€<>&~^]", "&", true),
            ("[^a]", "^", true),
            (r"[\]x]", "]", true),
            (r"[x\-]", "-", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text}");
        }
        for pattern in ["[]", "[!]", "[c-a]", "[a-", "[a\\"] {
            assert!(Globs::compile(&[pattern.to_owned()], "").is_err(), "{pattern}");
        }
    }

    /// Tries every way to match, character by character.
    fn naive(pattern: &[char], text: &[char], separators: &[char]) -> bool {
        let plain = |c: &char| !separators.contains(c);
        match pattern {
            [] => text.is_empty(),
            ['*', '*', rest @ ..] => (0..=text.len()).any(|at| naive(rest, &text[at..], separators)),
            ['*', rest @ ..] => (0..=text.len())
                .take_while(|at| text[..*at].iter().all(plain))
                .any(|at| naive(rest, &text[at..], separators)),
            ['?', rest @ ..] => text.first().is_some_and(plain) && naive(rest, &text[1..], separators),
            ['[', '!', c, ']', rest @ ..] => {
                text.first().is_some_and(|first| first != c) && naive(rest, &text[1..], separators)
            }
            ['[', low, '-', high, ']', rest @ ..] => {
                text.first().is_some_and(|c| (low..=high).contains(&c)) && naive(rest, &text[1..], separators)
            }
            ['{', rest @ ..] => {
                let end = rest.iter().position(|c| *c == '}').expect("closed");
                rest[..end]
                    .split(|c| *c == ',')
                    .any(|one| naive(&[one, &rest[end + 1..]].concat(), text, separators))
            }
            ['\\', c, rest @ ..] | [c, rest @ ..] => {
                text.first() == Some(c) && naive(rest, &text[1..], separators)
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn as_a_naive_matcher(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "a", "b", ".", "*", "**", "?", "[a-b]", "[!a]", "{a,b.b}", "{a*,?}", r"\*", r"\a", "ü", "-", "<",
                ]),
                0..6,
            ),
            text in "[ab.ü*<-]{0,6}",
            separators in proptest::sample::select(vec!["", ".", ".-"]),
        ) {
            let pattern = parts.concat();
            let is_glob = pattern.contains(['*', '?', '[']) || !separators.is_empty();
            let globs = Globs::compile(std::slice::from_ref(&pattern), separators).expect("valid");
            let chars: Vec<char> = pattern.chars().collect();
            let text_chars: Vec<char> = text.chars().collect();
            let separators: Vec<char> = separators.chars().collect();
            let want = if is_glob { naive(&chars, &text_chars, &separators) } else { pattern == text };
            proptest::prop_assert_eq!(globs.matches(&text), want, "{} on {}", pattern, text);
        }
    }

    #[test]
    fn separators_stop_one_star_and_not_two() {
        let one = Globs::compile(&["a.*.c".to_owned()], ".").expect("valid");
        assert!(one.matches("a.b.c"));
        assert!(!one.matches("a.b.b.c"));
        let two = Globs::compile(&["a.**.c".to_owned()], ".").expect("valid");
        assert!(two.matches("a.b.b.c"));
        let question = Globs::compile(&["a?c".to_owned()], ".").expect("valid");
        assert!(!question.matches("a.c"));
    }

    #[test]
    fn a_list_without_wildcards_is_literal() {
        let globs = Globs::compile(&["{a,b}".to_owned(), "c".to_owned()], "").expect("valid");
        assert!(globs.matches("{a,b}"));
        assert!(!globs.matches("a"));
        assert!(globs.matches("c"));
        let is_trap = |pattern: &str, separators| Globs::is_trap(&[pattern.to_owned()], separators);
        assert!(is_trap("{a,b}", "") && is_trap("x{a,b}y", ""));
        assert!(!is_trap("{a,b}*", "") && !is_trap("{a,b}", ".") && !is_trap("{a}", ""));
    }

    #[test]
    fn a_pattern_that_cannot_be_is_named() {
        for pattern in ["[abc", "{a,*", "*\\"] {
            let error = Globs::compile(&[pattern.to_owned()], "").expect_err("invalid");
            assert!(error.contains(&format!("{pattern:?}")), "{error}");
        }
    }
}
