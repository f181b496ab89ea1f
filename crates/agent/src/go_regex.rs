//! Regular expressions of configurations: in Go's syntax, as Telegraf reads them.

use regex::{Regex, bytes};

/// Compiles one; what is wrong with it, in Go's words.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&written(pattern)?).map_err(|error| error.to_string())
}

/// The same for bytes that need not be text.
pub(crate) fn compile_for_bytes(pattern: &str) -> Result<bytes::Regex, String> {
    bytes::Regex::new(&written(pattern)?).map_err(|error| error.to_string())
}

fn written(pattern: &str) -> Result<String, String> {
    skywatch_go_regex::translate_named(pattern).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        for (pattern, yes, no) in [
            ("^{\"a\"", "{\"a\": 1}", "a"),
            ("^[^[]+$", "a", "["),
            (r"^\Q[x]\E$", "[x]", "x"),
            (r"^\d$", "1", "٣"),
            ("^(?<name>a)$", "a", "b"),
        ] {
            let (text, data) = (compile(pattern).expect(pattern), compile_for_bytes(pattern).expect(pattern));
            assert!(text.is_match(yes) && data.is_match(yes.as_bytes()), "{pattern} should match {yes}");
            assert!(!text.is_match(no) && !data.is_match(no.as_bytes()), "{pattern} should not match {no}");
        }
        assert_eq!(compile("(").expect_err("open"), "error parsing regexp: missing closing ): `(`");
    }
}
