use super::*;

#[test]
fn names_are_kept_for_those_who_ask_for_them() {
    let named = |pattern: &str| translate_named(pattern).expect("valid");
    assert_eq!(named("(?P<a>x)(?<b_1>y)(z)"), "(?P<a>x)(?P<b_1>y)(z)");
    assert_eq!(translate("(?P<a>x)(z)").as_deref(), Ok("(x)(z)"));
    let error = translate("(?<a>x)").expect_err("not of an older Go").to_string();
    assert_eq!(error, "error parsing regexp: invalid or unsupported Perl syntax: `(?<`");
    assert_eq!(
        translate_named("(?<a b>x)").expect_err("no name").to_string(),
        "error parsing regexp: invalid named capture: `(?<a b>`"
    );
}

#[test]
fn what_reads_otherwise_is_written_anew() {
    for (pattern, written) in [
        (r"\d{2}", "[0-9]{2}"),
        (r"\w+\s", "[0-9A-Za-z_]+[\\t\\n\\f\\r ]"),
        (r"\bx", "(?-u:\\b)x"),
        ("a{b}", r"a\{b\}"),
        (r"\Qa.b\E", r"a\.b"),
        ("^host-[0-9]+$", "^host\\-[\\x{30}-\\x{39}]+$"),
        ("[^[]", "[^\\x{5B}]"),
    ] {
        assert_eq!(translate(pattern).as_deref(), Ok(written), "{pattern}");
    }
    for pattern in ["(", "[a", "a**", r"\y", "a{2,1}", "(?P<a", "(?=x)"] {
        assert!(translate(pattern).is_err(), "{pattern}");
    }
}
