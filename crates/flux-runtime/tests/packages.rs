//! Packages math, dict, json and types; memory of values that are no tables.

mod common;
#[path = "common/value.rs"]
mod value;

use common::Points;
use skywatch_flux_runtime::{Error, MemoryAccount, NoMemory, Request, Results, Table, run};
use value::{all, value, value_with};

#[test]
fn dictionaries() {
    all(
        "dict",
        &[
            (
                r#"display(v: dict.fromList(pairs: [{key: 2, value: "b"}, {key: 1, value: "a"}]))"#,
                "[1: a, 2: b]",
            ),
            (r#"display(v: dict.fromList(pairs: []))"#, "[:]"),
            (r#"dict.fromList(pairs: [{key: 1}])"#, "fromList: pairs[0] is not a record of key and value"),
            (r#"dict.get(dict: [1: "a"], key: 1, default: "-")"#, "a"),
            (r#"dict.get(dict: [1: "a"], key: 2, default: "-")"#, "-"),
            (
                r#"dict.get(dict: [1: "a"], key: "1", default: "-")"#,
                "get: keys of this dictionary are of type int, not string",
            ),
            (r#"display(v: dict.insert(dict: [1: "a"], key: 2, value: "b"))"#, "[1: a, 2: b]"),
            (r#"display(v: dict.insert(dict: [1: "a"], key: 1, value: "c"))"#, "[1: c]"),
            (
                r#"dict.insert(dict: [1: "a"], key: 2, value: 3)"#,
                "insert: values of this dictionary are of type string, not int",
            ),
            (r#"display(v: dict.remove(dict: [1: "a", 2: "b"], key: 1))"#, "[2: b]"),
            (r#"display(v: dict.remove(dict: [1: "a"], key: 3))"#, "[1: a]"),
        ],
    );
}

#[test]
fn types_are_told() {
    all(
        "types",
        &[
            (r#"types.isType(v: "a", type: "string")"#, "true"),
            (r#"types.isType(v: 1, type: "float")"#, "false"),
            (r#"types.isType(v: 2026-01-01T00:00:00Z, type: "time")"#, "true"),
            (r#"types.isType(v: 1h, type: "duration")"#, "true"),
            (r#"types.isType(v: /a/, type: "regexp")"#, "true"),
            (
                r#"types.isType(v: 1, type: "integer")"#,
                "isType: there is no type \"integer\"; ask for one of string, bytes, int, uint, float, bool, time, \
                 duration, regexp",
            ),
            (r#"types.isNumeric(v: 1.5)"#, "true"),
            (r#"types.isNumeric(v: "1.5")"#, "false"),
        ],
    );
}

#[test]
fn json_is_written() {
    // As the digits of the bytes.
    let json = |expression: &str| {
        let shown = value(&["json", "math"], &format!("json.encode(v: {expression})"));
        let Some(digits) = shown.strip_prefix("0x") else { return shown };
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        String::from_utf8((0..digits.len()).step_by(2).map(byte).collect()).unwrap()
    };
    assert_eq!(
        json(r#"{b: 1, a: [1.0, 2.5 * math.pow10(n: 30)], "c d": "x\"y"}"#),
        r#"{"a":[1,2.5e30],"b":1,"c d":"x\"y"}"#
    );
    assert_eq!(json("2026-01-01T00:00:00Z"), "\"2026-01-01T00:00:00Z\"");
    assert_eq!(json("1h30m"), "\"1h30m\"");
    assert_eq!(json("[\"k\": true]"), r#"{"k":true}"#);
    assert_eq!(json("[]"), "[]");
    assert_eq!(json("1.0 / 0.0"), "encode: JSON has no number +Inf");
    assert_eq!(json("(r) => r"), "encode: a function has no form in JSON");
}

#[test]
fn numbers() {
    all(
        "math",
        &[
            ("math.abs(x: -1.5)", "1.5"),
            ("math.abs(x: 1)", "abs: keyword argument \"x\" should be of kind float, but got int"),
            ("math.acosh(x: 2.0)", "1.3169578969248166"),
            ("math.atan2(x: 1.0, y: -1.0)", "2.356194490192345"),
            ("math.cbrt(x: 27.0)", "3"),
            ("math.copysign(x: 1.5, y: -2.0)", "-1.5"),
            ("math.dim(x: 12.2, y: 8.1)", "4.1"),
            ("math.dim(x: 1.0, y: 8.1)", "0"),
            ("math.erf(x: 22.6)", "1"),
            ("math.erfc(x: 22.6) * math.pow(x: 10.0, y: 224.0)", "3.772618913849058"),
            ("math.erfinv(x: 0.5)", "0.4769362762044699"),
            ("math.erfinv(x: -1.0)", "-Inf"),
            ("math.erfinv(x: 1.5)", "NaN"),
            ("math.erfcinv(x: 0.0)", "+Inf"),
            ("math.float64bits(f: 1234.56)", "4653144467747100426"),
            ("math.float64frombits(b: math.float64bits(f: -2.18))", "-2.18"),
            ("display(v: math.frexp(f: 22.0))", "{exp: 5, frac: 0.6875}"),
            ("display(v: math.frexp(f: -2.18))", "{exp: 2, frac: -0.545}"),
            ("display(v: math.frexp(f: 0.0))", "{exp: 0, frac: 0}"),
            ("display(v: math.frexp(f: math.smallestNonzeroFloat))", "{exp: -1073, frac: 0.5}"),
            ("math.gamma(x: 5.0)", "24"),
            ("math.hypot(p: 2.0, q: 5.0)", "5.385164807134505"),
            ("math.hypot(p: 33.9, q: 28.0)", "43.9682840238279"),
            ("math.ilogb(x: 123.45)", "6"),
            ("math.ilogb(x: 0.0)", "-2147483648"),
            ("math.isInf(f: 2.12, sign: 3)", "false"),
            ("math.isInf(f: math.mInf(sign: -1), sign: 0)", "true"),
            ("math.isInf(f: math.mInf(sign: -1), sign: 1)", "false"),
            ("math.isNaN(f: math.NaN())", "true"),
            ("math.ldexp(frac: 0.5, exp: 6)", "32"),
            ("math.ldexp(frac: 0.5, exp: 9000000000)", "+Inf"),
            ("math.lgamma(x: -2.18).sign", "-1"),
            ("math.hypot(p: 0.0, q: math.NaN())", "NaN"),
            ("math.logb(x: 3.14)", "1"),
            ("math.mInf(sign: 0)", "+Inf"),
            ("math.mMax(x: 1.23, y: 4.56)", "4.56"),
            ("math.mMax(x: 1.23, y: math.NaN())", "NaN"),
            ("math.mMin(x: 1.23, y: 4.56)", "1.23"),
            ("math.mod(x: 1.23, y: 4.56)", "1.23"),
            ("math.mod(x: 1.0, y: 0.0)", "NaN"),
            ("display(v: math.modf(f: 3.14))", "{frac: 0.14000000000000012, int: 3}"),
            ("math.nextafter(x: 1.23, y: 4.56)", "1.2300000000000002"),
            ("math.pow10(n: 3)", "1000"),
            ("math.pow10(n: -400)", "0"),
            ("math.pow10(n: 400)", "+Inf"),
            ("math.remainder(x: 21.0, y: 4.0)", "1"),
            ("math.round(x: -2.5)", "-3"),
            ("math.roundtoeven(x: 2.5)", "2"),
            ("math.signbit(x: -1.2)", "true"),
            ("math.trunc(x: -2.9)", "-2"),
            ("math.jn(n: 20000, x: 1.0)", "jn: orders beyond 10000 are not offered: 20000"),
            ("math.y0(x: 0.0)", "-Inf"),
            ("math.maxint", "9223372036854775807"),
            ("math.minint", "-9223372036854775808"),
            ("math.maxuint", "18446744073709551615"),
            ("math.float64bits(f: math.smallestNonzeroFloat)", "1"),
            ("math.pi", "3.141592653589793"),
        ],
    );
    // The last digits are the C library's.
    for (expression, expected) in [
        ("math.erfcinv(x: 0.42067)", 0.569_404_388_822_226),
        ("math.erfcinv(x: math.pow10(n: -300))", 26.209_469_96),
        ("math.erfinv(x: 0.9999999)", 3.766_562_581),
        ("math.erfinv(x: math.pow10(n: -10))", 8.862_269_254_5e-11),
        ("math.jn(n: 2, x: 1.23)", 0.166_369_383_786_814_07),
        ("math.lgamma(x: -2.18).lgamma", 0.903_172_708_406_443_7),
        ("math.lgamma(x: 3.14).lgamma", 0.826_138_704_777_028_6),
        ("math.sincos(x: 1.23).cos", 0.334_237_727_124_502_6),
    ] {
        let got: f64 = value(&["math"], expression).parse().unwrap();
        assert!((got / expected - 1.0).abs() < 1e-7, "{expression} is {got}");
    }
}

#[test]
fn what_grows_is_counted() {
    struct Little;

    impl MemoryAccount for Little {
        fn hold(&mut self, bytes: u64) -> Result<(), NoMemory> {
            if bytes > 10_000_000 { Err(out_of_memory()) } else { Ok(()) }
        }
    }

    struct Nowhere;

    impl Results for Nowhere {
        fn table(&mut self, _result: &str, _table: &Table) -> Result<(), Error> {
            Ok(())
        }

        fn end(&mut self, _result: &str) -> Result<(), Error> {
            Ok(())
        }
    }

    let run = |times: usize| {
        let long = |n| format!("a{n} = strings.repeat(v: \"abcd\", i: 1000000)\n");
        let names: String = (0..times).map(long).collect();
        let text = format!("import \"array\"\nimport \"strings\"\n{names}\narray.from(rows: [{{v: 1}}])");
        let request =
            Request { text: &text, now_ns: common::NOW_NS, names: Vec::new(), memory: Box::new(Little) };
        run(request, &Points::default(), &mut Nowhere)
    };
    assert_eq!(run(2), Ok(()));
    assert_eq!(run(3), Err(Error::Memory(out_of_memory())));
    let names: Vec<String> = (0..150).map(|n| format!("a{} = [a{n}]", n + 1)).collect();
    let got = value_with(&["json"], &format!("a0 = 1\n{}", names.join("\n")), "json.encode(v: a150)");
    assert_eq!(got, "arrays and records are nested more than 64 deep");
}

fn out_of_memory() -> NoMemory {
    NoMemory { message: "out of memory".to_owned(), is_hopeless: true }
}
