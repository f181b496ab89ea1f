//! Lines that belong together: by a pattern, or by a quotation that is not closed. Pure.

use std::time::{Duration, Instant};

use regex::bytes::Regex;

use super::follower::Line;
use super::options::LINE_MAX;

/// The rules.
#[derive(Debug, Clone)]
pub(super) struct Multiline {
    /// Lines that belong to another.
    pub(super) pattern: Option<Regex>,
    /// They belong to the one before; else to the one after.
    pub(super) to_previous: bool,
    /// Lines that do not match belong to another.
    pub(super) inverted: bool,
    pub(super) quotation: Option<Quotation>,
    pub(super) keep_line_feeds: bool,
    /// How long the rest is waited for.
    pub(super) timeout: Duration,
}

/// What opens and closes a quotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotation {
    Single,
    Double,
    Backtick,
}

/// Puts lines together.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    begun: Option<Line>,
    since: Option<Instant>,
}

impl Joiner {
    /// Takes the next line; what is complete goes into `out`.
    pub(super) fn add(&mut self, rules: &Multiline, line: Line, now: Instant, out: &mut Vec<Line>) {
        let quoted = self.begun.as_ref().is_some_and(|begun| rules.is_open(&begun.text));
        let matches = rules.pattern.as_ref().is_some_and(|p| p.is_match(&line.text) != rules.inverted);
        let joins = quoted || (matches && rules.to_previous);
        match (&mut self.begun, joins || !rules.to_previous) {
            (Some(begun), true) => {
                if rules.keep_line_feeds {
                    begun.text.push(b'\n');
                }
                begun.text.extend_from_slice(&line.text);
                begun.end = line.end;
                begun.lines += line.lines;
            }
            _ => {
                out.extend(self.begun.take());
                self.begun = Some(line);
            }
        }
        self.since = Some(now);
        let begun = self.begun.as_ref().map(|begun| begun.text.as_slice()).unwrap_or_default();
        let waits_for_next = matches && !rules.to_previous;
        let is_open = rules.is_open(begun);
        let is_complete = (!rules.to_previous && !waits_for_next && !is_open)
            || (rules.pattern.is_none() && !is_open)
            || begun.len() > LINE_MAX;
        if is_complete {
            out.extend(self.begun.take());
        }
    }

    /// What has waited for long enough goes into `out`.
    pub(super) fn late(&mut self, rules: &Multiline, now: Instant, out: &mut Vec<Line>) {
        if self.since.is_some_and(|since| now.saturating_duration_since(since) >= rules.timeout) {
            out.extend(self.begun.take());
        }
    }

    /// The rest, at the end of a file.
    pub(super) fn finish(&mut self, out: &mut Vec<Line>) {
        out.extend(self.begun.take());
    }
}

impl Multiline {
    /// Whether a quotation is begun and not ended; a backslash takes a mark's meaning away.
    fn is_open(&self, text: &[u8]) -> bool {
        let mark = match self.quotation {
            None => return false,
            Some(Quotation::Single) => b'\'',
            Some(Quotation::Double) => b'"',
            Some(Quotation::Backtick) => b'`',
        };
        let mut open = false;
        let mut escaped = false;
        for byte in text {
            if escaped {
                escaped = false;
            } else if *byte == b'\\' {
                escaped = true;
            } else if *byte == mark {
                open = !open;
            }
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(rules: &Multiline, lines: &[&str]) -> Vec<String> {
        let mut joiner = Joiner::default();
        let mut out = Vec::new();
        for (at, text) in lines.iter().enumerate() {
            let line = Line { text: text.as_bytes().to_vec(), end: at as u64, lines: 1 };
            joiner.add(rules, line, Instant::now(), &mut out);
        }
        joiner.finish(&mut out);
        out.into_iter().map(|line| String::from_utf8(line.text).expect("text")).collect()
    }

    fn rules(pattern: &str, to_previous: bool, inverted: bool) -> Multiline {
        Multiline {
            pattern: Some(Regex::new(pattern).expect("valid")),
            to_previous,
            inverted,
            quotation: None,
            keep_line_feeds: true,
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn by_patterns() {
        let indented = ["a", " b", " c", "d", "e", " f"];
        assert_eq!(joined(&rules(r"^\s", true, false), &indented), ["a\n b\n c", "d", "e\n f"]);
        assert_eq!(joined(&rules(r"^\d", true, true), &["1 a", "b", "2 c"]), ["1 a\nb", "2 c"]);
        assert_eq!(joined(&rules(r"\\$", false, false), &["a\\", "b\\", "c", "d"]), ["a\\\nb\\\nc", "d"]);
    }

    #[test]
    fn by_quotations() {
        let quoted =
            Multiline { pattern: None, quotation: Some(Quotation::Double), ..rules(".", true, false) };
        assert_eq!(joined(&quoted, &["a \"b", "c", "d\" e", "f \\\" g"]), ["a \"b\nc\nd\" e", "f \\\" g"]);
    }
}
