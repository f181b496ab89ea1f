//! Huge and deeply nested texts get a tree or an error, on the stack of any thread.

use skywatch_flux::{Names, check, parse};

/// What a thread of the server has.
const STACK_BYTES: usize = 2 << 20;

struct Anything;

impl Names for Anything {
    fn is_universe(&self, _: &str) -> bool {
        true
    }

    fn is_package(&self, _: &str) -> bool {
        true
    }

    fn is_member(&self, _: &str, _: &str) -> bool {
        true
    }
}

/// What is said to a text; the tree is checked, written, read again, compared and dropped on the same stack.
fn on_small_stack(text: String) -> Result<usize, String> {
    let read = move || {
        let file = parse(&text).map_err(|error| error.message)?;
        check(&file, &Anything).map_err(|error| error.message)?;
        let written = file.to_string();
        assert!(parse(&written).as_ref() == Ok(&file), "{written}");
        Ok(written.len())
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(read);
    thread.expect("a thread starts").join().expect("no stack overflow")
}

fn assert_refused(message: &str, text: &str) {
    let refusals = [
        "the text nests more than 200 levels deep",
        "the expression consists of more than 600 steps; name parts of it",
    ];
    assert!(refusals.contains(&message), "{text}: {message}");
}

/// Ways to nest: what opens, what is innermost, what closes.
const NESTS: [(&str, &str, &str); 22] = [
    ("(", "a", ")"),
    ("[", "a", "]"),
    ("[a: ", "a", "]"),
    ("{a: ", "a", "}"),
    ("f(a: ", "a", ")"),
    ("a[", "a", "]"),
    ("\"${", "a", "}\""),
    ("-", "a", ""),
    ("not ", "a", ""),
    ("exists ", "a", ""),
    ("if a then b else ", "a", ""),
    ("if ", "a", " then b else c"),
    ("() => ", "a", ""),
    ("(x=", "a", ") => a"),
    ("() => { return ", "a", " }"),
    ("() => { b = ", "a", " return b }"),
    ("a or b and not c == d + e * f ^ -(", "a", ")"),
    ("a |> f(x: a + ", "a", ")"),
    ("a + () => ", "a", ""),
    ("x |> (", "a", ")()"),
    ("a or (b and ", "c", ")"),
    ("a[-(", "a", ")]"),
];

#[test]
fn moderate_nesting_is_read() {
    for (open, inner, close) in NESTS {
        let text = format!("x = {}{inner}{}", open.repeat(60), close.repeat(60));
        assert!(on_small_stack(text).is_ok(), "{open}");
    }
}

#[test]
fn the_deepest_that_is_read_fits_the_stack() {
    for (open, inner, close) in NESTS {
        let read = |depth: usize| {
            on_small_stack(format!("x = {}{inner}{}", open.repeat(depth), close.repeat(depth)))
        };
        let deepest = (60..=205).rev().find(|&depth| read(depth).is_ok());
        assert!(deepest.is_some(), "{open}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, inner, close) in NESTS {
        let text = format!("x = {}{inner}{}", open.repeat(100_000), close.repeat(100_000));
        assert_refused(&on_small_stack(text).expect_err(open), open);
    }
    for (before, open) in
        [("", "testcase a {"), ("builtin a: ", "["), ("builtin a: ", "() => "), ("@a(", "[")]
    {
        assert_refused(&on_small_stack(format!("{before}{}", open.repeat(100_000))).expect_err(open), open);
    }
}

#[test]
fn long_chains_are_refused() {
    for (first, next) in [
        ("a", " + a"),
        ("a", " |> f()"),
        ("a", ".b"),
        ("a", "[0]"),
        ("f", "()"),
        ("a", " == a"),
        ("a", " ^ () => a |> f()"),
    ] {
        let chain = on_small_stack(format!("x = {first}{}", next.repeat(100_000)));
        assert_refused(&chain.expect_err(next), next);
        assert!(on_small_stack(format!("x = {first}{}", next.repeat(190))).is_ok(), "{next}");
    }
}

#[test]
fn long_lists_of_conditions_are_read() {
    for operator in [" or ", " and "] {
        let text = format!("x = {}\n", vec!["r.host == \"a\""; 20_000].join(operator));
        assert_eq!(on_small_stack(text.clone()), Ok(text.len()));
    }
}

#[test]
fn long_files_and_lists_are_read() {
    assert!(on_small_stack("f(a: 1)\n".repeat(20_000)).is_ok());
    assert!(on_small_stack(format!("x = [{}]", "1, ".repeat(50_000))).is_ok());
}

#[test]
fn regular_expressions_are_bounded() {
    assert_eq!(
        on_small_stack("x = /((a{100}){100}){100}/".to_owned()),
        Err("error parsing regexp: invalid repeat count: `{100}`".to_owned()),
    );
    assert_eq!(
        on_small_stack(format!("x = /{}/", "(\\pL{999})".repeat(20))),
        Err("error parsing regexp: expression too large".to_owned()),
    );
}
