//! Huge and deeply nested texts get an answer or an error, on the stack of any thread and in bounded memory.

use skywatch_influxql::parse_query;

/// What a thread of the server has.
const STACK_BYTES: usize = 2 << 20;

/// What is said to a text; what it means is written and dropped on the same stack.
fn on_small_stack(text: String) -> Result<usize, String> {
    let read = move || {
        let query = parse_query(&text).map_err(|error| error.to_string())?;
        Ok(query.to_string().len())
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(read)
        .expect("a thread starts")
        .join()
        .expect("no stack overflow")
}

#[test]
fn nesting_is_refused() {
    const N: usize = 200_000;
    let nest = |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(N), close.repeat(N));
    for text in [
        format!("SELECT {} FROM m", nest("(", "v", ")")),
        format!("SELECT {} FROM m", nest("abs(", "v", ")")),
        format!("SELECT {} FROM m", nest("-(", "v", ")")),
        format!("SELECT v FROM m WHERE {}", nest("(", "v = 1", ")")),
        format!("SELECT v FROM m GROUP BY {}", nest("f(", "v", ")")),
        format!("SELECT v FROM {}", nest("(SELECT v FROM ", "m", ")")),
        format!("SELECT {} FROM m", nest("(", "", "")),
        format!("EXPLAIN SELECT {} FROM m", nest("(", "v", ")")),
        format!("DELETE FROM m WHERE {}", nest("(", "v = 1", ")")),
        format!("SHOW SERIES WHERE {}", nest("(", "v = 1", ")")),
    ] {
        let error = on_small_stack(text).unwrap_err();
        assert_eq!(error, "error parsing query: query nests more than 128 levels deep");
    }
}

#[test]
fn chains_are_refused_or_read() {
    let sum = format!("SELECT {} FROM m", vec!["v"; 200_000].join(" + "));
    let error = on_small_stack(sum).unwrap_err();
    assert_eq!(error, "error parsing query: expression is more than 512 operations deep");
    for op in [" OR ", " AND "] {
        let text = format!("SELECT v FROM m WHERE {}", vec!["h = 'a'"; 50_000].join(op));
        assert_eq!(on_small_stack(text.clone()), Ok(text.len()));
    }
}

#[test]
fn regexes_are_bounded() {
    let of = |regex: String| on_small_stack(format!("SELECT v FROM m WHERE h =~ /{regex}/"));
    for regex in [
        format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000)),
        "(((a{1000}){1000}){1000})".to_owned(),
        "(?:a?){900}".repeat(50_000),
    ] {
        let error = of(regex).unwrap_err();
        assert!(
            error.starts_with("error parsing query: error parsing regexp: "),
            "{}",
            &error[..200.min(error.len())]
        );
    }
    let hosts: Vec<String> = (0..20_000).map(|n| format!("host{n}")).collect();
    assert!(of(hosts.join("|")).is_ok());
}

#[test]
fn long_lists_are_read() {
    let keys: Vec<String> = (0..100_000).map(|n| format!("k{n}")).collect();
    let text = format!("SHOW TAG VALUES WITH KEY IN ({})", keys.join(", "));
    assert_eq!(on_small_stack(text.clone()), Ok(text.len()));
    assert!(on_small_stack("SHOW DATABASES;".repeat(60_000)).is_ok());
    assert!(on_small_stack(format!("SELECT v FROM m WHERE h = '{}'", "a".repeat(8_000_000))).is_ok());
}

#[test]
fn a_text_of_too_many_words_is_refused() {
    for text in [
        format!("SELECT {} FROM m", vec!["v"; 2_000_000].join(",")),
        "SHOW DATABASES;".repeat(500_000),
        ";".repeat(5_000_000),
        format!("SHOW SERIES {}", " -- x\n".repeat(3_000_000)),
    ] {
        let error = on_small_stack(text).unwrap_err();
        assert_eq!(
            error,
            "error parsing query: query has more than 1000000 words and signs: ask it in several requests"
        );
    }
}
