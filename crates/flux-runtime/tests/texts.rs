//! Packages strings and regexp.

mod common;
#[path = "common/value.rs"]
mod value;

use value::{all, value, value_with};

#[test]
fn strings_change_case() {
    all(
        "strings",
        &[
            (r#"strings.title(v: "smpl_g9 the flux-cup o'neil")"#, "Smpl_g9 The Flux-Cup O'Neil"),
            (r#"strings.toUpper(v: "kölnß")"#, "KÖLNß"),
            (r#"strings.toLower(v: "ΑΣ İ")"#, "ασ i"),
            (r#"strings.toTitle(v: "ǆx")"#, "ǅX"),
            (r#"strings.equalFold(v: "RJqcÄ", t: "rjQCä")"#, "true"),
            (r#"strings.equalFold(v: "ab", t: "abc")"#, "false"),
        ],
    );
}

#[test]
fn strings_are_searched() {
    all(
        "strings",
        &[
            (r#"strings.compare(v: "a", t: "b")"#, "-1"),
            (r#"strings.compare(v: "a", t: "a")"#, "0"),
            (r#"strings.compare(v: "b", t: "aa")"#, "1"),
            (r#"strings.containsAny(v: "abc", chars: "zxb")"#, "true"),
            (r#"strings.containsAny(v: "abc", chars: "")"#, "false"),
            (r#"strings.containsStr(v: "abc", substr: "")"#, "true"),
            (r#"strings.countStr(v: "aaaa", substr: "aa")"#, "2"),
            (r#"strings.countStr(v: "äb", substr: "")"#, "3"),
            (r#"strings.hasPrefix(v: "smpl_5", prefix: "smpl")"#, "true"),
            (r#"strings.hasSuffix(v: "smpl_5", suffix: "smpl")"#, "false"),
            (r#"strings.index(v: "chicken", substr: "dmr")"#, "-1"),
            (r#"strings.index(v: "äken", substr: "ken")"#, "2"),
            (r#"strings.indexAny(v: "golang", chars: "gn")"#, "0"),
            (r#"strings.lastIndex(v: "go gopher", substr: "go")"#, "3"),
            (r#"strings.lastIndex(v: "abc", substr: "")"#, "3"),
            (r#"strings.lastIndexAny(v: "golang", chars: "lo")"#, "2"),
            (r#"strings.isDigit(v: "4")"#, "true"),
            (r#"strings.isDigit(v: "")"#, "false"),
            (r#"strings.isLetter(v: "é")"#, "true"),
            (r#"strings.isLower(v: "B")"#, "false"),
            (r#"strings.isUpper(v: "B")"#, "true"),
            (r#"strings.strlen(v: "äöü")"#, "3"),
        ],
    );
}

#[test]
fn strings_are_cut_and_joined() {
    all(
        "strings",
        &[
            (r#"strings.split(v: "foo, bar, baz", t: ", ")"#, "[foo, bar, baz]"),
            (r#"strings.split(v: "äb", t: "")"#, "[ä, b]"),
            (r#"strings.split(v: "", t: "")"#, "[]"),
            (r#"strings.split(v: "", t: ",")"#, "[]"),
            (r#"strings.splitN(v: "a,b,c", t: ",", i: 2)"#, "[a, b,c]"),
            (r#"strings.splitN(v: "a,b,c", t: ",", i: 0)"#, "[]"),
            (r#"strings.splitN(v: "a,b,c", t: ",", i: -1)"#, "[a, b, c]"),
            (r#"strings.splitN(v: "abc", t: "", i: 2)"#, "[a, bc]"),
            (r#"strings.splitAfter(v: "a,b,", t: ",")"#, "[a,, b,, ]"),
            (r#"strings.splitAfterN(v: "foo, bar, baz, quz", t: ", ", i: 3)"#, "[foo, , bar, , baz, quz]"),
            (r#"strings.joinStr(arr: ["a", "b"], v: "+")"#, "a+b"),
            (r#"strings.joinStr(arr: [], v: "+")"#, ""),
            (r#"strings.substring(v: "smäpl_g9qczs", start: 2, end: 5)"#, "äpl"),
            (r#"strings.substring(v: "abc", start: -4, end: 40)"#, "abc"),
            (r#"strings.substring(v: "abc", start: 2, end: 2)"#, ""),
            (r#"strings.substring(v: "abc", start: 9, end: 12)"#, ""),
            (r#"strings.trim(v: ".smpl_.", cutset: "_.")"#, "smpl"),
            (r#"strings.trim(v: ".smpl.", cutset: "smpl")"#, ".smpl."),
            (r#"strings.trimLeft(v: "..a..", cutset: ".")"#, "a.."),
            (r#"strings.trimRight(v: "..a..", cutset: ".")"#, "..a"),
            (r#"strings.trimSpace(v: " \t a b\n")"#, "a b"),
            (r#"strings.trimPrefix(v: "smpl_x", prefix: "smpl_")"#, "x"),
            (r#"strings.trimSuffix(v: "smpl_x", suffix: "smpl_")"#, "smpl_x"),
        ],
    );
}

#[test]
fn strings_are_replaced_and_repeated() {
    all(
        "strings",
        &[
            (r#"strings.replace(v: "oink oink oink", t: "oink", u: "moo", i: 2)"#, "moo moo oink"),
            (r#"strings.replace(v: "aaa", t: "a", u: "b", i: -1)"#, "bbb"),
            (r#"strings.replace(v: "aaa", t: "a", u: "b", i: 0)"#, "aaa"),
            (r#"strings.replaceAll(v: "äb", t: "", u: "-")"#, "-ä-b-"),
            (r#"strings.repeat(v: "ha", i: 3)"#, "hahaha"),
            (r#"strings.repeat(v: "ha", i: 0)"#, ""),
            (r#"strings.repeat(v: "ha", i: -1)"#, "repeat: i is how often, and cannot be negative: -1"),
            (
                r#"strings.repeat(v: "ha", i: 9223372036854775807)"#,
                "repeat: the text would be longer than 4194304 bytes",
            ),
            (
                r#"strings.toUpper(v: 1)"#,
                r#"toUpper: keyword argument "v" should be of kind string, but got int"#,
            ),
        ],
    );
    let long = "long = strings.repeat(v: \"a\", i: 1000000)";
    let grown = value_with(&["strings"], long, r#"strings.replaceAll(v: long, t: "a", u: "12345")"#);
    assert_eq!(grown, "replaceAll: the text would be longer than 4194304 bytes");
}

#[test]
fn regular_expressions() {
    all(
        "regexp",
        &[
            (r#""abc" =~ regexp.compile(v: "^a.c$")"#, "true"),
            (r#"regexp.quoteMeta(v: "a.b[c]{2}^$#-")"#, r"a\.b\[c\]\{2\}\^\$#-"),
            (r#"regexp.findString(r: /foo.?/, v: "seafood fool")"#, "food"),
            (r#"regexp.findString(r: /zoo/, v: "seafood")"#, ""),
            (r#"regexp.findStringIndex(r: /ab?/, v: "tablet")"#, "[1, 3]"),
            (r#"regexp.findStringIndex(r: /x/, v: "tablet")"#, "[]"),
            (r#"regexp.getString(r: /[a-z]\d/)"#, r"[a-z]\d"),
            (r#"regexp.matchRegexpString(r: /(gopher){2}/, v: "gophergophergopher")"#, "true"),
            (r#"regexp.replaceAllString(r: /a(x*)b/, v: "-ab-axxb-", t: "T")"#, "-T-T-"),
            (r#"regexp.replaceAllString(r: /a(x*)b/, v: "-ab-axxb-", t: "\${1}W")"#, "-W-xxW-"),
            (r#"regexp.replaceAllString(r: /a(x*)b/, v: "-ab-axxb-", t: "$1W")"#, "---"),
            (r#"regexp.splitRegexp(r: /a*/, v: "abaabaccadaaae", i: -1)"#, "[, b, b, c, c, d, e]"),
            (r#"regexp.splitRegexp(r: /a*/, v: "abaabaccadaaae", i: 5)"#, "[, b, b, c, cadaaae]"),
            (r#"regexp.splitRegexp(r: /,/, v: "a,b,", i: -1)"#, "[a, b, ]"),
            (r#"regexp.splitRegexp(r: /,/, v: "a,b", i: 0)"#, "[]"),
            (r#"regexp.splitRegexp(r: /,/, v: "", i: -1)"#, "[]"),
        ],
    );
    let bad = value(&["regexp"], r#"regexp.compile(v: "a(")"#);
    assert!(bad.starts_with("compile: "), "{bad}");
}
