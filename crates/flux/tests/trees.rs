//! Texts and their trees, as their canonical text with every operator in parentheses; texts and what is wrong with them.

use skywatch_flux::{Call, Expression, File, Kind, Statement, parse};

/// A tree with parentheses around every operator, so that the text tells its shape.
fn shape(expression: &Expression) -> String {
    match &expression.kind {
        Kind::Binary { operator, left, right } => format!("({} {operator} {})", shape(left), shape(right)),
        Kind::Logical { operator, left, right } => format!("({} {operator} {})", shape(left), shape(right)),
        Kind::Unary { operator, operand } => format!("({operator} {})", shape(operand)),
        Kind::Pipe { value, call } => format!("({} |> {})", shape(value), shape_of_call(call)),
        Kind::Call(call) => shape_of_call(call),
        Kind::Index { array, index } => format!("{}[{}]", shape(array), shape(index)),
        Kind::Member(member) => format!("{}.{}", shape(&member.record), member.name),
        Kind::Conditional { test, then, otherwise } => {
            format!("(if {} then {} else {})", shape(test), shape(then), shape(otherwise))
        }
        Kind::Parenthesis(inner) => format!("<{}>", shape(inner)),
        other => other.to_string(),
    }
}

fn shape_of_call(call: &Call) -> String {
    let arguments: Vec<String> = call
        .arguments
        .iter()
        .map(|argument| format!("{}: {}", argument.name, shape(&argument.value)))
        .collect();
    format!("{}({})", shape(&call.callee), arguments.join(", "))
}

fn read(text: &str) -> File {
    let file = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let written = file.to_string();
    assert_eq!(parse(&written).as_ref(), Ok(&file), "{text} is written {written}");
    file
}

#[test]
fn operators_bind() {
    for (text, expected) in [
        ("a - b - c", "((a - b) - c)"),
        ("a + b * c", "(a + (b * c))"),
        ("a * b / c % d", "(((a * b) / c) % d)"),
        ("a ^ b ^ c", "((a ^ b) ^ c)"),
        ("a * b ^ c * d", "((a * (b ^ c)) * d)"),
        ("-a ^ b", "((- a) ^ b)"),
        ("a ^ -b", "(a ^ (- b))"),
        ("a - -b", "(a - (- b))"),
        ("-1h", "(- 1h)"),
        ("-a.b", "(- a.b)"),
        ("-a |> f()", "((- a) |> f())"),
        ("a + b |> f()", "(a + (b |> f()))"),
        ("a |> f() |> g() ^ c", "(((a |> f()) |> g()) ^ c)"),
        ("a |> f.g()()", "(a |> f.g()())"),
        ("a < b == c", "((a < b) == c)"),
        ("a =~ /b/ and c !~ /d/", "((a =~ /b/) and (c !~ /d/))"),
        ("not a == b", "(not (a == b))"),
        ("not exists r.a and b", "((not (exists r.a)) and b)"),
        ("not -a", "(not (- a))"),
        ("a or b and c or d", "((a or (b and c)) or d)"),
        ("a and not b or c", "((a and (not b)) or c)"),
        ("a and (b or c)", "(a and <(b or c)>)"),
        ("if a then b else if c then d else e + f", "(if a then b else (if c then d else (e + f)))"),
        ("if a or b then c |> d() else e", "(if (a or b) then (c |> d()) else e)"),
        ("a\n-b", "(a - b)"),
        ("a\n(b: 1)", "a(b: 1)"),
        ("a\n[0]", "a[0]"),
        ("a // c\n// d\n|> f()", "(a |> f())"),
        ("a / b / c", "((a / b) / c)"),
        ("a[\"b\"][0][\"${c}\"]", "a.b[0][\"${c}\"]"),
        ("a[(\"b\")]", "a[<\"b\">]"),
    ] {
        match read(text).statements.as_slice() {
            [Statement::Expression(expression)] => assert_eq!(shape(expression), expected, "{text}"),
            statements => panic!("{text}: {statements:?}"),
        }
    }
}

#[test]
fn texts_are_written_canonically() {
    for (text, expected) in [
        ("", ""),
        ("// nothing\n", ""),
        (
            "@edition(\"2022\")\npackage main\nimport \"date\" import d \"a/b\"",
            "package main\nimport \"date\"\nimport d \"a/b\"\n",
        ),
        ("x=1 y=2", "x = 1\ny = 2\n"),
        ("a b", "a\nb\n"),
        ("a @b() (c)", "a\n@_() (c)\n"),
        ("option now=()=>2020-01-01", "option now = () => 2020-01-01T00:00:00Z\n"),
        ("option a . b = 1", "option a.b = 1\n"),
        ("@a(1, [b]) @c x = 1", "x = 1\n"),
        ("f(a:1,b:2,)", "f(a: 1, b: 2)\n"),
        ("f(a,b)", "f(a: a, b: b)\n"),
        ("f(\"a b\":1, \"if\": 2)", "f(\"a b\": 1, \"if\": 2)\n"),
        ("{a, b}", "{a: a, b: b}\n"),
        ("{r with}", "{r with }\n"),
        ("{r with a: 1, a: 2}", "{r with a: 1, a: 2}\n"),
        ("{with: 1}", "{with: 1}\n"),
        ("{with with with: 1}", "{with with with: 1}\n"),
        ("[]", "[]\n"),
        ("[:]", "[:]\n"),
        ("[1,2,]", "[1, 2]\n"),
        ("[a:1,\"b\":2,]", "[a: 1, \"b\": 2]\n"),
        ("(a,b=1,t=<-,)=>a+b", "(a, b=1, t=<-) => a + b\n"),
        ("(a)=>{b=a return b}", "(a) => { b = a return b }\n"),
        ("()=>{return 1}()", "() => { return 1 }()\n"),
        ("()=>({a:1})", "() => ({a: 1})\n"),
        ("(()=>a)()", "(() => a)()\n"),
        ("a + ()=>b", "a + () => b\n"),
        ("r[\"a\"]", "r.a\n"),
        ("r[\"and\"]", "r[\"and\"]\n"),
        ("r.from", "r.from\n"),
        ("0.5 .5 5. 072.40", "0.5\n0.5\n5.0\n72.4\n"),
        ("100000000000000000000.0", "100000000000000000000.0\n"),
        ("1.5s 90m 1y1mo 30m1h 0s 5µs", "1s500ms\n1h30m\n1y1mo\n1h30m\n0ns\n5us\n"),
        ("2020-01-01 2020-01-01T02:00:00.50+02:00", "2020-01-01T00:00:00Z\n2020-01-01T00:00:00.5Z\n"),
        ("2020-1-1", "2020 - 1 - 1\n"),
        ("9223372036854775807", "9223372036854775807\n"),
        ("\"a${b + \"c${d}\"}e\"", "\"a${b + \"c${d}\"}e\"\n"),
        ("\"${{a: 1}}\"", "\"${{a: 1}}\"\n"),
        ("\"\\n\\r\\t\\\"\\\\\\${\\x41\\xc3\\xa9\"", "\"\\n\\r\\t\\\"\\\\\\${Aé\"\n"),
        ("\"a\nb\"", "\"a\\nb\"\n"),
        ("\"$a $${b} $$${c}\"", "\"$a \\x24\\${b} \\x24\\x24${c}\"\n"),
        ("/a\\/b\\\\\\/c[\\/]/", "/a\\/b\\\\\\/c[\\/]/\n"),
        ("/\\xe6\\x97\\xa5\\d+/", "/日\\d+/\n"),
        ("αβ = _x", "αβ = _x\n"),
        ("x = if a then 1else 2", "x = if a then 1 else 2\n"),
        ("testcase a extends \"b.c\" { x = 1 super() }", "testcase _ {}\n"),
        (
            "builtin f: (<-t: stream[A], ?n: {B with a: [int], \"b\": [string: int]}) => dynamic where A: Record, B: C + D",
            "builtin _: A where A: B\n",
        ),
    ] {
        assert_eq!(read(text).to_string(), expected, "{text}");
    }
}

#[test]
fn errors_tell_their_place_and_what_to_do() {
    for (text, expected) in [
        ("x = 'a'", "1:5-1:6: `'` means nothing here: text stands in double quotes: \"text\""),
        ("x = `a`", "1:5-1:6: ``` means nothing here: names stand without quotes, text in double quotes"),
        ("f(a=1)", "1:4-1:5: values stand behind `:`, not `=`: a: value"),
        ("{a=1}", "1:3-1:4: values stand behind `:`, not `=`: a: value"),
        ("f(1)", "1:3-1:4: arguments are given by name, as in f(name: value); found 1"),
        ("f(\"a\")", "1:3-1:6: arguments are given by name, as in f(name: value); found \"a\""),
        ("f(a.b)", "1:4-1:5: arguments are given by name, as in f(name: value); found a."),
        (
            "f(a: 1, b)",
            "1:9-1:10: either all names have values or none: write name: name where both are the same",
        ),
        ("f(a: 1, a: 2)", "1:9-1:13: the argument \"a\" is given twice"),
        ("(a, a) => a", "1:5-1:6: the parameter \"a\" is named twice"),
        (
            "(a=<-, b=<-) => a",
            "1:8-1:12: a function has at most one parameter that takes what comes through `|>`",
        ),
        ("a && b", "1:3-1:5: `&&` means nothing here: write `and`"),
        ("a || b", "1:3-1:5: `||` means nothing here: write `or`"),
        ("a | f()", "1:3-1:4: `|` means nothing here: functions are joined by `|>`"),
        ("!a", "1:1-1:2: `!` means nothing here: write `not`"),
        ("a;", "1:2-1:3: `;` means nothing here: statements need nothing between them"),
        ("a # b", "1:3-1:4: `#` means nothing here: comments begin with `//`"),
        ("a /* b */", "1:3-1:5: `/*` means nothing here: comments begin with `//`"),
        ("f(fn: (r) => r.a = 1)", "1:18-1:19: expected `,` or `)`, found `=`; to compare, write `==`"),
        (
            "a.b = 1",
            "1:5-1:6: expected a statement, found `=`: only a name can stand before it; to compare, write `==`",
        ),
        (
            "if a = b then c else d",
            "1:6-1:7: expected `then`, as in `if a then b else c`, found `=`; to compare, write `==`",
        ),
        ("if a then b", "1:12-1:12: expected `else`, as in `if a then b else c`, found the end of the text"),
        (
            "1 + if a then b else c",
            "1:5-1:7: expected an expression, found the keyword if; put `if ... then ... else ...` in parentheses",
        ),
        ("a == not b", "1:6-1:9: expected an expression, found the keyword not; put it in parentheses"),
        ("a |> f", "1:6-1:7: `|>` passes on to the call of a function: write f() with its parentheses"),
        ("|> f()", "1:1-1:3: nothing stands before `|>` that it could pass on"),
        ("x<-1", "1:2-1:4: expected a statement, found `<-`; to compare with a negative number, write `< -`"),
        ("r.and", "1:3-1:6: the keyword and cannot stand behind `.`: write [\"and\"] instead of .and"),
        ("f(import: 1)", "1:3-1:9: the keyword import is no name; in quotes it is: \"import\""),
        (
            "(r) => {r with a: 1}",
            "1:17-1:18: expected a statement, found `:`; a record as a function's value stands in parentheses: ({name: value})",
        ),
        (
            "(a) => {b = a}",
            "1:14-1:15: a function's braces end with `return` and a value; without braces none is needed: (a) => a",
        ),
        (
            "() => {return 1 return 2}",
            "1:17-1:23: expected `}`, found the keyword return: nothing stands behind `return`",
        ),
        (
            "return 1",
            "1:1-1:7: `return` stands only between the braces of a function; a value by itself is a file's result",
        ),
        ("() => {option a = 1 return a}", "1:8-1:14: options are set outside functions"),
        ("x = 1\nimport \"date\"", "2:1-2:7: imports stand before all other statements"),
        (
            "import date",
            "1:12-1:12: expected the package's path in double quotes, such as \"date\", found the end of the text",
        ),
        ("from(bucket: \"a\"\n  |> range(start: -1h)", "2:23-2:23: `(` at 1:5 is never closed: expected `)`"),
        ("x = \"a", "1:5-1:6: the text is never closed: expected `\"`; a `\"` within it is written \\\""),
        (
            "x = \"\\d\"",
            "1:6-1:8: \\d means nothing in a text: a backslash is written \\\\; there are \\n, \\r, \\t, \\\", \\${ and \\x41",
        ),
        ("x = \"${}\"", "1:6-1:9: an expression is missing in `${}`; for the text itself write \\${}"),
        ("x = \"${a b}\"", "1:10-1:11: expected `}` behind what is put into the text, found b"),
        ("x = \"\\xff\"", "1:6-1:10: the bytes written with \\x are not UTF-8"),
        (
            "x = /a",
            "1:5-1:6: the regular expression that begins here never ends: expected `/`; a `/` within it is written \\/",
        ),
        ("x = /(/", "1:5-1:8: error parsing regexp: missing closing ): `(`"),
        ("x = 007", "1:5-1:8: integers have no leading zeros: 007"),
        (
            "x = 9223372036854775808",
            "1:5-1:24: integers go up to 9223372036854775807; write a greater one as a float, with `.0`",
        ),
        (
            "x = 5min",
            "1:5-1:9: 5min is neither a number nor a duration: units are y, mo, w, d, h, m, s, ms, us, ns, as in 1h30m",
        ),
        ("x = 2020-01-01T00:00:00", "1:5-1:24: the time needs an offset: Z, or such as +01:00"),
        (
            "x = 2020-02-30",
            "1:5-1:15: there is no such time between the years 1677 and 2262, all that 64 bits of nanoseconds hold",
        ),
        ("x = 400y300000w", "1:5-1:16: duration is too long"),
        ("é = ]", "1:6-1:7: expected an expression, found `]`"),
        ("x =\r\n  ]", "2:3-2:4: expected an expression, found `]`"),
        (
            "\u{feff}x = 1",
            "1:1-1:4: '\\u{feff}' means nothing here: the text begins with a byte order mark; save it without one",
        ),
        ("@a()", "1:1-1:5: an attribute stands before what it is about"),
        (
            "(a, b)",
            "1:7-1:7: expected `=>` and the function's value behind its parameters, found the end of the text",
        ),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert_eq!(error, format!("error @{expected}"), "{text}");
    }
}

#[test]
fn nodes_know_their_places() {
    let file = read("a = f(b: 1)\n  |> g()");
    let [Statement::Assign(assignment)] = file.statements.as_slice() else { panic!("{file:?}") };
    assert_eq!(assignment.span.to_string(), "1:1-2:9");
    let Kind::Pipe { value, call } = &assignment.value.kind else { panic!("{file:?}") };
    assert_eq!(assignment.value.span.to_string(), "1:5-2:9");
    assert_eq!(value.span.to_string(), "1:5-1:12");
    assert_eq!(call.span.to_string(), "2:6-2:9");
}
