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
        let is_glob = !separators.is_empty() || patterns.iter().any(|p| p.contains(['*', '?', '[']));
        if !is_glob {
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

    /// Whether one of the patterns matches the whole text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match &self.0 {
            Matcher::Literal(names) => names.contains(text),
            Matcher::Patterns(patterns) => patterns.iter().any(|pattern| pattern.is_match(text)),
        }
    }
}

fn translate(pattern: &str, separators: &str) -> Result<String, &'static str> {
    let any = if separators.is_empty() { ".".to_owned() } else { format!("[^{}]", class_text(separators)) };
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

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, &'static str> {
    let mut out = String::from("[");
    if chars.next_if_eq(&'!').is_some() {
        out.push('^');
    }
    let mut empty = true;
    loop {
        match chars.next().ok_or("has a [ without ]")? {
            ']' if !empty => break,
            '-' => out.push('-'),
            '\\' => out.push_str(&class_text(&chars.next().ok_or("ends with a backslash")?.to_string())),
            c => out.push_str(&class_text(&c.to_string())),
        }
        empty = false;
    }
    out.push(']');
    Ok(out)
}

fn literal(c: char) -> String {
    regex::escape(&c.to_string())
}

/// Characters as they are written inside a regular expression's class.
fn class_text(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_alphanumeric() { vec![c] } else { vec!['\\', c] }).collect()
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
    }

    #[test]
    fn a_pattern_that_cannot_be_is_named() {
        for pattern in ["[abc", "{a,*", "*\\"] {
            let error = Globs::compile(&[pattern.to_owned()], "").expect_err("invalid");
            assert!(error.contains(&format!("{pattern:?}")), "{error}");
        }
    }
}
