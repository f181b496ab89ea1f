//! A document's text before it is parsed: that it is text at all, and where variables are put into it as a whole, as
//! Telegraf did before its strict mode.

use super::env::{Lookup, substitute};

/// How environment variables get into a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    /// Into string values, after parsing.
    #[default]
    Strict,
    /// Into the whole text without its comments, before parsing: `--non-strict-env-handling`.
    Text,
    /// `$NAME` and `${NAME}` only, into the whole text, with quotes and backslashes of the value escaped:
    /// `--old-env-behavior`.
    Old,
}

/// The text of a file, or by what one sees that it is none.
pub(super) fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))?;
    let is_binary = |c: char| c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t' | '\x0c' | '\x1b');
    match text.char_indices().find(|(_, c)| is_binary(*c)) {
        Some((at, c)) => Err(format!("byte {at} is the control character {:#04x}", u32::from(c))),
        None => Ok(text),
    }
}

/// The text with its variables in place. The error is the message of a `${VAR:?message}` whose variable is missing.
pub(super) fn substituted(text: &str, mode: Environment, env: &Lookup<'_>) -> Result<String, String> {
    match mode {
        Environment::Strict => Ok(text.to_owned()),
        Environment::Text => substitute(&without_comments(text), env),
        Environment::Old => Ok(old(text, env)),
    }
}

/// The text without comments; its lines stay where they are.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '#' => {
                rest = rest.get(rest.find('\n').unwrap_or(rest.len())..).unwrap_or_default();
                continue;
            }
            '"' | '\'' => quoted_length(rest, c),
            _ => c.len_utf8(),
        };
        let (taken, after) = rest.split_at(length);
        out.push_str(taken);
        rest = after;
    }
    out
}

/// How long the string is that a text begins with, its quotes included.
fn quoted_length(text: &str, quote: char) -> usize {
    let triple = String::from(quote).repeat(3);
    let end = if text.starts_with(&triple) { triple.as_str() } else { &triple[..1] };
    let mut at = end.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(end) {
            return at + end.len();
        }
        if end.len() == 1 && rest.starts_with('\n') {
            // No such string; the parser will say so.
            return at;
        }
        let mut chars = rest.chars();
        let c = chars.next().map_or(1, char::len_utf8);
        let escaped =
            if quote == '"' && rest.starts_with('\\') { chars.next().map_or(0, char::len_utf8) } else { 0 };
        at += c + escaped;
    }
    text.len()
}

fn old(text: &str, env: &Lookup<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let inner = after[1..].strip_prefix('{').unwrap_or(&after[1..]);
        let is_braced = inner.len() + 1 != after.len();
        let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
        let is_closed = !is_braced || inner[end..].starts_with('}');
        let length = if is_braced { end + 3 } else { end + 1 };
        match env(&inner[..end]).filter(|_| end > 0 && is_closed) {
            Some(value) => {
                out.push_str(&value.replace('\\', "\\\\").replace('"', "\\\""));
                rest = &after[length..];
            }
            None => {
                out.push('$');
                rest = &after[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "N" => Some("5".to_owned()),
            "Q" => Some("a\"b\\c".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn what_is_no_text() {
        assert_eq!(text_of(b"a = 1\n\t# \xc3\xbc".to_vec()).as_deref(), Ok("a = 1\n\t# ü"));
        assert_eq!(text_of(b"ab\xff".to_vec()), Err("byte 2 is not UTF-8".to_owned()));
        assert_eq!(text_of(b"\x7fELF".to_vec()), Err("byte 0 is the control character 0x7f".to_owned()));
        assert_eq!(text_of(b"x\0".to_vec()), Err("byte 1 is the control character 0x00".to_owned()));
    }

    #[test]
    fn comments_go_and_strings_stay() {
        for (text, want) in [
            ("a = 1 # one\nb = 2", "a = 1 \nb = 2"),
            ("a = \"#1\" # x", "a = \"#1\" "),
            ("a = '#\\' # x", "a = '#\\' "),
            ("a = \"\\\"#\" # x", "a = \"\\\"#\" "),
            ("a = \"\"\"\n# no \" comment\n\"\"\" # x", "a = \"\"\"\n# no \" comment\n\"\"\" "),
            ("a = \"open # x\nb = 1 # y", "a = \"open # x\nb = 1 "),
            ("# ${X:?never asked}\n", "\n"),
        ] {
            assert_eq!(without_comments(text), want, "{text}");
        }
    }

    #[test]
    fn variables_in_the_text() {
        let read = |mode, text| substituted(text, mode, &env).expect("no missing variable");
        assert_eq!(read(Environment::Strict, "a = $N"), "a = $N");
        assert_eq!(read(Environment::Text, "a = $N # $N\nb = ${M:-7}"), "a = 5 \nb = 7");
        assert_eq!(
            read(Environment::Old, "a = $N # ${N}\nb = '$M' ${M:-7} $"),
            "a = 5 # 5\nb = '$M' ${M:-7} $"
        );
        assert_eq!(read(Environment::Old, "a = \"$Q\""), "a = \"a\\\"b\\\\c\"");
        assert!(substituted("a = ${M:?needed}", Environment::Text, &env).is_err());
    }
}
