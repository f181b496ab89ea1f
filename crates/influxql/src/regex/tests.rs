use super::*;

fn matches(pattern: &str, text: &str) -> bool {
    compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(text)
}

#[test]
fn what_both_dialects_share() {
    for (pattern, yes, no) in [
        ("^cpu[0-9]+$", "cpu12", "cpux"),
        ("(?i)HOST", "my-host", "guest"),
        ("a.c", "abc", "a\nc"),
        ("(?s)a.c", "a\nc", "ac"),
        ("^(a|b)$", "a", "ab"),
        ("a{2,3}$", "caa", "ca"),
        ("a+?b*", "aab", "b"),
        ("^(?P<n>x)(?:y)$", "xy", "y"),
        (r"\x41\x{42}", "AB", "ab"),
        (r"^\101$", "A", "1"),
        (r"^\pL+$", "é", "1"),
        (r"^\p{Greek}$", "α", "a"),
        (r"^\P{Greek}$", "a", "α"),
        ("^[[:alpha:]]$", "a", "1"),
    ] {
        assert!(matches(pattern, yes), "{pattern} should match {yes}");
        assert!(!matches(pattern, no), "{pattern} should not match {no}");
    }
}

#[test]
fn where_the_dialects_differ_go_counts() {
    for (pattern, yes, no) in [
        (r"^\d$", "1", "٣"),
        (r"^\w$", "a", "é"),
        (r"^[\d\s]$", "1", "٣"),
        (r"^[\W]$", "é", "a"),
        (r"\bx", "éx", "yx"),
        (r"^[[]$", "[", "]"),
        (r"^[a[b]$", "[", "c"),
        (r"^[a&&b]$", "&", "c"),
        (r"^[]]$", "]", "["),
        (r"^[^]]$", "[", "]"),
        ("a{", "a{", "a"),
        ("a{,2}", "a{,2}", "aa"),
        ("a{2", "a{2", "aa"),
        ("}]", "}]", "}"),
        (r"^\Qa.b\E+$", "a.bb", "axb"),
        (r"^\Q[", "[x", "x["),
        (r"a#b c", "a#b c", "ab"),
        (r"^[a\-z]$", "-", "b"),
        (r"^[a-]$", "-", "b"),
        (r"^[--/]$", ".", "a"),
        (r"^\_\-\/$", "_-/", "x"),
        ("(?i-i)a", "a", "A"),
        ("(?ii)a", "A", "b"),
        ("(?)a", "a", "b"),
        (r"\v", "\x0b", "v"),
    ] {
        assert!(matches(pattern, yes), "{pattern} should match {yes}");
        assert!(!matches(pattern, no), "{pattern} should not match {no}");
    }
}

#[test]
fn deep_and_large_patterns_are_refused_not_fatal() {
    let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(compile(&deep).unwrap_err(), RegexError::TooLarge);
    assert_eq!(
        compile("((a{1000}){1000}){1000}").unwrap_err().to_string(),
        "error parsing regexp: invalid repeat count: `{1000}`"
    );
    assert_eq!(compile(r"\pL{1000}\PL{1000}\pL{1000}\PL{1000}").unwrap_err(), RegexError::TooLarge);
}
