//! Names that nothing defines, and names that are defined twice.

use skywatch_flux::{Names, check, parse};

struct Known;

impl Names for Known {
    fn is_universe(&self, name: &str) -> bool {
        ["from", "range", "true", "now"].contains(&name)
    }

    fn is_package(&self, path: &str) -> bool {
        ["date", "math", "influxdata/influxdb/schema"].contains(&path)
    }

    fn is_member(&self, path: &str, name: &str) -> bool {
        matches!(
            (path, name),
            ("math", "pi") | ("date", "add" | "opt") | ("influxdata/influxdb/schema", "tagKeys")
        )
    }
}

fn checked(text: &str) -> Result<(), String> {
    let file = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    check(&file, &Known).map_err(|error| error.to_string())
}

#[test]
fn defined_names_pass() {
    for text in [
        "from(bucket: \"a\") |> range(start: -1h)",
        "from = 1",
        "import \"math\"\nx = math.pi",
        "import m \"math\"\nx = m.pi",
        "import \"influxdata/influxdb/schema\"\nschema.tagKeys()",
        "import \"math\"\nx = (math) => math.other",
        "import \"math\"\nmath = {other: 1}\nx = math.other",
        "import \"date\"\noption date.opt = 1",
        "option now = () => 2020-01-01\nx = now()",
        "x = (a) => a",
        "x = (a) => { b = a return b }",
        "x = 1\nf = () => { x = x return x }",
        "f = (r) => { g = (r) => { return r } return g(r: r) }",
        "a = 1\nb = {a with c: a}",
        "import \"date\"\nimport \"date\"",
    ] {
        assert_eq!(checked(text), Ok(()), "{text}");
    }
}

#[test]
fn the_first_undefined_name_is_told() {
    for (text, expected) in [
        ("x = y", "1:5-1:6: undefined identifier \"y\""),
        ("x = x", "1:5-1:6: undefined identifier \"x\""),
        ("x = y\ny = 1", "1:5-1:6: undefined identifier \"y\""),
        ("f = () => f()", "1:11-1:12: undefined identifier \"f\""),
        ("a |> b()", "1:1-1:2: undefined identifier \"a\""),
        ("from(bucket: \"a\")\n  |> rnge(start: z)", "2:6-2:10: undefined identifier \"rnge\""),
        ("x = \"a${z}\"", "1:9-1:10: undefined identifier \"z\""),
        ("x = [z: 1]", "1:6-1:7: undefined identifier \"z\""),
        ("x = {z}", "1:6-1:7: undefined identifier \"z\""),
        ("x = {z with a: 1}", "1:6-1:7: undefined identifier \"z\""),
        ("x = z.a[0]", "1:5-1:6: undefined identifier \"z\""),
        ("x = if true then 1 else z", "1:25-1:26: undefined identifier \"z\""),
        ("x = (a=b, b=1) => a", "1:8-1:9: undefined identifier \"b\""),
        ("x = (a) => { return () => { return q } }", "1:36-1:37: undefined identifier \"q\""),
        ("x = (a) => a\ny = a", "2:5-2:6: undefined identifier \"a\""),
        ("import m \"math\"\nx = math.pi", "2:5-2:9: undefined identifier \"math\""),
        ("import \"math\"\nx = math.foo", "2:5-2:9: record is missing label foo"),
        ("import \"foo/bar\"", "1:1-1:17: invalid import path foo/bar"),
        ("option date.opt = 1", "1:8-1:12: undefined identifier \"date\""),
        ("import \"date\"\noption date.foo = 1", "2:8-2:12: record is missing label foo"),
        ("x = 1\nx = 2", "2:1-2:6: variable \"x\" reassigned"),
        ("x = (a) => { a = 1 return a }", "1:14-1:19: variable \"a\" reassigned"),
        ("option x = 1\nx = 2", "2:1-2:6: variable \"x\" conflicts with option of same name"),
        ("option x = 1\noption x = 2", "2:8-2:13: option \"x\" reassigned"),
    ] {
        assert_eq!(checked(text), Err(format!("error @{expected}")), "{text}");
    }
}
