//! Golden answers recorded from InfluxDB 1.6.7 for the points
//!
//! ```text
//! m,host=a\ b,r=x f=1.5,i=2i,s="he<>&\"y",b=true 1
//! m,host=c f=2 1000000000
//! m,host=c f=1e21 1000000000001
//! m,host=c f=1e-7 1500000000000000000
//! ```

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use skywatch_model::{Bitmap, Column, FieldValue, Values};
use skywatch_query::{Message, OutputColumn, QueryError, ResultSeries, StatementResult};

use super::*;

const JSON: EncodeOptions =
    EncodeOptions { format: Format::Json, time: TimeFormat::Rfc3339, pretty: false, chunked: false };
const CSV: EncodeOptions = EncodeOptions { format: Format::Csv, ..JSON };
const MSGPACK: EncodeOptions = EncodeOptions { format: Format::Msgpack, ..JSON };

/// What leaves, one element for each time bytes leave.
fn encode(options: EncodeOptions, pieces: &[StatementResult]) -> Vec<Vec<u8>> {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&sent);
    let mut out = Outlet::new(false, move |bytes| {
        into.lock().unwrap().push(bytes);
        Ok(())
    });
    let mut encoder = options.encoder();
    for piece in pieces {
        encoder.piece(piece, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    out.finish().unwrap();
    Arc::into_inner(sent).unwrap().into_inner().unwrap()
}

fn text(options: EncodeOptions, pieces: &[StatementResult]) -> String {
    String::from_utf8(encode(options, pieces).concat()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names(names: &[&str]) -> Arc<[Arc<str>]> {
    names.iter().map(|&name| Arc::from(name)).collect()
}

fn series(name: &str, tags: &[(&str, &str)], columns: &[&str], values: Vec<OutputColumn>) -> ResultSeries {
    let tags = tags.iter().map(|&(key, value)| (Arc::from(key), Arc::from(value))).collect();
    ResultSeries { name: Arc::from(name), tags, columns: names(columns), values, partial: false }
}

fn floats(values: &[f64]) -> OutputColumn {
    OutputColumn::Values(Column { values: Values::Float(values.to_vec()), valid: None })
}

/// A column in which only the first of `len` rows has a value.
fn first_only(values: Values) -> OutputColumn {
    let mut valid = Bitmap::filled(values.len(), false);
    valid.set(0, true);
    OutputColumn::Values(Column { values, valid: Some(valid) })
}

fn answer(statement_id: u32, series: Vec<ResultSeries>) -> StatementResult {
    StatementResult { statement_id, series, ..StatementResult::default() }
}

const TIMES: [i64; 4] = [1, 1_000_000_000, 1_000_000_000_001, 1_500_000_000_000_000_000];
const FLOATS: [f64; 4] = [1.5, 2.0, 1e21, 1e-7];

/// `SELECT * FROM m`
fn select_all(statement_id: u32) -> StatementResult {
    let values = vec![
        OutputColumn::Time(TIMES.to_vec()),
        first_only(Values::Boolean(vec![true, false, false, false])),
        floats(&FLOATS),
        OutputColumn::strings(["a b", "c", "c", "c"].map(Arc::from)),
        first_only(Values::Integer(vec![2, 0, 0, 0])),
        OutputColumn::Coded {
            codes: Arc::new([1, 0, 0, 2]),
            dictionary: Arc::new([None, Some(Arc::from("x")), None]),
        },
        OutputColumn::Mixed(vec![Some(FieldValue::String(Arc::from("he<>&\"y"))), None, None, None]),
    ];
    answer(statement_id, vec![series("m", &[], &["time", "b", "f", "host", "i", "r", "s"], values)])
}

/// `SELECT f FROM m WHERE host = 'c'` as pieces of at most two rows.
fn pieces(statement_id: u32) -> Vec<StatementResult> {
    let piece = |rows: std::ops::Range<usize>, partial| {
        let values = vec![OutputColumn::Time(TIMES[rows.clone()].to_vec()), floats(&FLOATS[rows])];
        let mut series = series("m", &[("host", "c")], &["time", "f"], values);
        series.partial = partial;
        StatementResult { partial, ..answer(statement_id, vec![series]) }
    };
    vec![piece(1..3, true), piece(3..4, false)]
}

fn databases(statement_id: u32) -> StatementResult {
    let values = vec![OutputColumn::strings(["db0", "zz"].map(Arc::from))];
    answer(statement_id, vec![series("databases", &[], &["name"], values)])
}

fn warning() -> StatementResult {
    let text =
        "deprecated use of 'CREATE DATABASE zz' in a read only context, please use a POST request instead";
    let message = Message { level: "warning", text: text.to_owned() };
    StatementResult { messages: vec![message], ..answer(0, Vec::new()) }
}

fn failed(statement_id: u32) -> StatementResult {
    let error = QueryError::Invalid("database not found: missing".to_owned());
    StatementResult { error: Some(error), ..answer(statement_id, Vec::new()) }
}

const SELECT_ALL: &str = concat!(
    r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","b","f","host","i","r","s"],"#,
    r#""values":[["1970-01-01T00:00:00.000000001Z",true,1.5,"a b",2,"x","he\u003c\u003e\u0026\"y"],"#,
    r#"["1970-01-01T00:00:01Z",null,2,"c",null,null,null],"#,
    r#"["1970-01-01T00:16:40.000000001Z",null,1e+21,"c",null,null,null],"#,
    r#"["2017-07-14T02:40:00Z",null,1e-7,"c",null,null,null]]}]}]}"#,
    "\n"
);

#[test]
fn json_as_influxdb() {
    assert_eq!(text(JSON, &[select_all(0)]), SELECT_ALL);
    assert_eq!(text(JSON, &[answer(0, Vec::new())]), "{\"results\":[{\"statement_id\":0}]}\n");
    assert_eq!(text(JSON, &[]), "{}\n");
    assert_eq!(
        text(JSON, &[failed(0)]),
        "{\"results\":[{\"statement_id\":0,\"error\":\"database not found: missing\"}]}\n"
    );
    assert_eq!(
        text(JSON, &[warning(), databases(1)]),
        concat!(
            r#"{"results":[{"statement_id":0,"messages":[{"level":"warning","text":"deprecated use of "#,
            r#"'CREATE DATABASE zz' in a read only context, please use a POST request instead"}]},"#,
            r#"{"statement_id":1,"series":[{"name":"databases","columns":["name"],"#,
            r#""values":[["db0"],["zz"]]}]}]}"#,
            "\n"
        )
    );
}

#[test]
fn json_epochs() {
    let milliseconds = EncodeOptions { time: TimeFormat::from_epoch("ms"), ..JSON };
    assert_eq!(
        text(milliseconds, &pieces(0)),
        concat!(
            r#"{"results":[{"statement_id":0,"series":[{"name":"m","tags":{"host":"c"},"columns":["time","f"],"#,
            r#""values":[[1000,2],[1000000,1e+21],[1500000000000,1e-7]]}]}]}"#,
            "\n"
        )
    );
}

#[test]
fn json_without_rows_has_no_values() {
    let empty = series("databases", &[], &["name"], vec![OutputColumn::Null(0)]);
    assert_eq!(
        text(JSON, &[answer(0, vec![empty])]),
        "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"databases\",\"columns\":[\"name\"]}]}]}\n"
    );
}

/// Texts of columns that share their codes are kept joined, from piece to piece; that must not show.
#[test]
fn json_of_coded_strings() {
    let dictionary = |prefix: &str| -> Arc<[Option<Arc<str>>]> {
        (0..3).map(|entry| (entry != 1).then(|| Arc::from(format!("{prefix}<{entry}>")))).collect()
    };
    let dictionaries = ["a", "b", "c"].map(dictionary);
    let answer_of = |share: bool, options: EncodeOptions| {
        let piece = |codes: [u32; 3], partial| {
            let shared: Arc<[u32]> = Arc::new(codes);
            let own = || if share { Arc::clone(&shared) } else { Arc::new(codes) };
            let coded = |dictionary: &Arc<[_]>| OutputColumn::Coded {
                codes: own(),
                dictionary: Arc::clone(dictionary),
            };
            let mut values: Vec<_> = dictionaries.iter().map(coded).collect();
            values.insert(2, OutputColumn::Null(3));
            let mut series = series("m", &[], &["a", "b", "n", "c"], values);
            series.partial = partial;
            StatementResult { partial, ..answer(0, vec![series]) }
        };
        text(options, &[piece([2, 1, 0], true), piece([0, 0, 2], false)])
    };
    let shared = answer_of(true, JSON);
    assert!(
        shared.contains(concat!(
            r#""values":[["a\u003c2\u003e","b\u003c2\u003e",null,"c\u003c2\u003e"],[null,null,null,null],"#,
            r#"["a\u003c0\u003e","b\u003c0\u003e",null,"c\u003c0\u003e"]"#
        )),
        "{shared}"
    );
    assert_eq!(shared, answer_of(false, JSON));
    let pretty = EncodeOptions { pretty: true, ..JSON };
    assert_eq!(answer_of(true, pretty), answer_of(false, pretty));
}

#[test]
fn json_chunks_are_objects_of_their_own() {
    let chunked = EncodeOptions { chunked: true, ..JSON };
    let all: Vec<_> = pieces(0).into_iter().chain([warning()]).collect();
    let sent = encode(chunked, &all);
    let lines: Vec<_> = sent.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
    assert_eq!(
        lines[..2],
        [
            concat!(
                r#"{"results":[{"statement_id":0,"series":[{"name":"m","tags":{"host":"c"},"columns":["time","f"],"#,
                r#""values":[["1970-01-01T00:00:01Z",2],["1970-01-01T00:16:40.000000001Z",1e+21]],"partial":true}],"#,
                r#""partial":true}]}"#,
                "\n"
            ),
            concat!(
                r#"{"results":[{"statement_id":0,"series":[{"name":"m","tags":{"host":"c"},"columns":["time","f"],"#,
                r#""values":[["2017-07-14T02:40:00Z",1e-7]]}]}]}"#,
                "\n"
            ),
        ]
    );
    assert!(lines[2].starts_with("{\"results\":[{\"statement_id\":0,\"messages\":["), "{}", lines[2]);
    assert_eq!(lines.len(), 3);
}

/// Lets the engine hand out several series in one piece without that being seen.
#[test]
fn json_chunks_hold_one_series_each() {
    let tagged = |host: &str| series("m", &[("host", host)], &["time"], vec![OutputColumn::Time(vec![0])]);
    let chunked = EncodeOptions { chunked: true, time: TimeFormat::from_epoch("s"), ..JSON };
    assert_eq!(
        text(chunked, &[answer(3, vec![tagged("a"), tagged("b")])]),
        concat!(
            r#"{"results":[{"statement_id":3,"series":[{"name":"m","tags":{"host":"a"},"columns":["time"],"#,
            r#""values":[[0]]}],"partial":true}]}"#,
            "\n",
            r#"{"results":[{"statement_id":3,"series":[{"name":"m","tags":{"host":"b"},"columns":["time"],"#,
            r#""values":[[0]]}]}]}"#,
            "\n"
        )
    );
}

#[test]
fn pretty_json_as_influxdb() {
    let pretty = EncodeOptions { pretty: true, ..JSON };
    let expected = serde_json::from_str::<serde_json::Value>(SELECT_ALL).unwrap();
    let written = text(pretty, &[select_all(0)]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), expected);
    assert!(written.starts_with(concat!(
        "{\n    \"results\": [\n        {\n            \"statement_id\": 0,\n            \"series\": [\n",
        "                {\n                    \"name\": \"m\",\n                    \"columns\": [\n",
        "                        \"time\",\n",
    )));
    assert!(written.ends_with(concat!(
        "                            null,\n                            null\n                        ]\n",
        "                    ]\n                }\n            ]\n        }\n    ]\n}\n",
    )));
    let first_row = concat!(
        "                    \"values\": [\n                        [\n",
        "                            \"1970-01-01T00:00:00.000000001Z\",\n                            true,\n",
        "                            1.5,\n",
    );
    assert!(written.contains(first_row), "{written}");
    assert_eq!(
        text(pretty, &[answer(0, Vec::new())]),
        "{\n    \"results\": [\n        {\n            \"statement_id\": 0\n        }\n    ]\n}\n"
    );
}

/// Go indents what it writes compactly; so must the two layouts agree on everything but white space.
#[test]
fn pretty_and_compact_json_agree() {
    let mut all = pieces(2);
    all.extend([warning(), failed(7), databases(9)]);
    let compact = text(JSON, &all);
    let pretty = text(EncodeOptions { pretty: true, ..JSON }, &all);
    let squeezed: String = pretty.lines().map(str::trim_start).collect::<String>().replace("\": ", "\":");
    assert_eq!(squeezed, compact.trim_end().replace("\": ", "\":"));
}

#[test]
fn csv_as_influxdb() {
    let expected = concat!(
        "name,tags,time,b,f,host,i,r,s\n",
        "m,,1,true,1.5,a b,2,x,\"he<>&\"\"y\"\n",
        "m,,1000000000,,2,c,,,\n",
        "m,,1000000000001,,1000000000000000000000,c,,,\n",
        "m,,1500000000000000000,,0.0000001,c,,,\n",
        "\n",
        "name,tags,name\n",
        "databases,,db0\n",
        "databases,,zz\n",
    );
    assert_eq!(text(CSV, &[select_all(0), answer(1, Vec::new()), databases(2)]), expected);
    assert_eq!(text(CSV, &[answer(0, Vec::new())]), "");
    assert_eq!(text(CSV, &pieces(0)), text(EncodeOptions { chunked: true, ..CSV }, &pieces(0)));
}

#[test]
fn csv_tags_are_a_series_key() {
    let tags = [("b", "\\\\q"), ("nosuch", ""), ("t=, x", "v=, w")];
    let values = vec![OutputColumn::Time(vec![1]), floats(&[1.0])];
    let esc = series("esc", &tags, &["time", "f"], values);
    let expected = "name,tags,time,f\nesc,\"b=\\\\q,t\\=\\,\\ x=v\\=\\,\\ w\",1,1\n";
    assert_eq!(text(CSV, &[answer(0, vec![esc])]), expected);
}

#[test]
fn csv_shows_errors() {
    assert_eq!(
        text(CSV, &[databases(0), failed(1)]),
        "name,tags,name\ndatabases,,db0\ndatabases,,zz\n\nerror\ndatabase not found: missing\n"
    );
}

/// What was sent of a statement before it failed is void.
#[test]
fn a_failure_takes_back_what_has_not_left() {
    let begun = || StatementResult { partial: true, ..databases(1) };
    assert_eq!(text(JSON, &[databases(0), begun(), failed(1)]), text(JSON, &[databases(0), failed(1)]));
    assert_eq!(text(CSV, &[databases(0), begun(), failed(1)]), text(CSV, &[databases(0), failed(1)]));
    assert_eq!(text(CSV, &[begun(), failed(1)]), "error\ndatabase not found: missing\n");
}

/// After the first bytes have left, the answer is still sound JSON with the error in it.
#[test]
fn a_late_failure_leaves_sound_json() {
    let many = vec![OutputColumn::Time((0..20_000).collect())];
    let mut long = series("m", &[], &["time"], many);
    long.partial = true;
    let long = StatementResult { partial: true, ..answer(0, vec![long]) };
    let sent = encode(JSON, &[long, failed(0)]);
    assert!(sent.len() > 1, "the answer was to leave in parts");
    let value: serde_json::Value = serde_json::from_slice(&sent.concat()).unwrap();
    assert_eq!(value["results"][0]["error"], "database not found: missing");
    assert_eq!(value["results"][0]["series"][0]["values"].as_array().unwrap().len(), 20_000);
}

#[test]
fn msgpack_as_influxdb() {
    let bytes = |pieces: &[StatementResult]| hex(&encode(MSGPACK, pieces).concat());
    assert_eq!(
        bytes(&[warning()]),
        concat!(
            "81a7726573756c74739183ac73746174656d656e745f696400a86d657373616765739182a56c6576656ca77761726e696e67",
            "a474657874d9606465707265636174656420757365206f662027435245415445204441544142415345207a7a2720696e2061",
            "2072656164206f6e6c7920636f6e746578742c20706c6561736520757365206120504f5354207265717565737420696e7374",
            "656164a673657269657390"
        )
    );
    assert_eq!(
        bytes(&[answer(0, Vec::new())]),
        "81a7726573756c74739182ac73746174656d656e745f696400a673657269657390"
    );
    assert_eq!(
        bytes(&[failed(0)]),
        "81a7726573756c74739181a56572726f72bb6461746162617365206e6f7420666f756e643a206d697373696e67"
    );
    assert_eq!(
        bytes(&[select_all(0), databases(1)]).replace("a27a7a", "ZZ"),
        concat!(
            "81a7726573756c74739282ac73746174656d656e745f696400a67365726965739183a46e616d65a16da7636f6c756d6e7397",
            "a474696d65a162a166a4686f7374a169a172a173a676616c7565739497c70c05000000000000000000000001c3cb3ff80000",
            "00000000a361206202a178a768653c3e26227997c70c05000000000000000100000000c0cb4000000000000000a163c0c0c0",
            "97c70c0500000000000003e800000001c0cb444b1ae4d6e2ef50a163c0c0c097c70c050000000059682f0000000000c0cb3e",
            "7ad7f29abcaf48a163c0c0c082ac73746174656d656e745f696401a67365726965739183a46e616d65a96461746162617365",
            "73a7636f6c756d6e7391a46e616d65a676616c7565739291a364623091ZZ"
        )
    );
}

#[test]
fn msgpack_chunks_and_integers() {
    let options = EncodeOptions { chunked: true, time: TimeFormat::from_epoch("ms"), ..MSGPACK };
    assert_eq!(
        hex(&encode(options, &pieces(0))[1]),
        concat!(
            "81a7726573756c74739182ac73746174656d656e745f696400a67365726965739184a46e616d65a16da47461677381a4686f",
            "7374a163a7636f6c756d6e7392a474696d65a166a676616c7565739192d30000015d3ef79800cb3e7ad7f29abcaf48"
        )
    );
    let values = Values::Integer(vec![0, 127, -32, -33, 128, -129, 40_000, i64::MIN]);
    let integers = OutputColumn::Values(Column { values, valid: None });
    let bytes = hex(&encode(MSGPACK, &[answer(0, vec![series("", &[], &["i"], vec![integers])])]).concat());
    let rows = "9891009 17f91e091d0df91d1008091d1ff7f91d200009c4091d38000000000000000".replace(' ', "");
    assert!(bytes.ends_with(&rows), "{bytes}");
}

#[test]
fn formats_by_accept_header() {
    let expected = [
        ("", Format::Json),
        ("*/*", Format::Json),
        ("application/json;q=0.9", Format::Json),
        ("text/csv", Format::Csv),
        ("text/html, application/csv; q=0.5, */*", Format::Csv),
        ("application/x-msgpack", Format::Msgpack),
        ("text/plain", Format::Json),
        ("text/csv, application/json", Format::Csv),
        ("text/csv;q=0.5, application/json", Format::Json),
        ("application/json; charset=utf-8; q=0.2, application/x-msgpack ;q=0.3", Format::Msgpack),
        ("text/csv;q=often, application/json;q=0.9", Format::Csv),
    ];
    for (accept, format) in expected {
        assert_eq!(Format::from_accept(accept), format, "{accept}");
    }
}

proptest! {
    /// However the engine cuts a series, the joined answer is the same.
    #[test]
    fn cuts_do_not_show(cuts in prop::collection::btree_set(1usize..200, 0..8)) {
        let times: Vec<i64> = (0..200).map(|row| row * 999_999_999).collect();
        let whole = answer(0, vec![series("m", &[("t", "v")], &["time"], vec![OutputColumn::Time(times.clone())])]);
        let mut bounds: Vec<usize> = cuts.into_iter().collect();
        bounds.push(200);
        let mut from = 0;
        let mut cut = Vec::new();
        for &to in &bounds {
            let mut part = series("m", &[("t", "v")], &["time"], vec![OutputColumn::Time(times[from..to].to_vec())]);
            part.partial = to < 200;
            cut.push(StatementResult { partial: to < 200, ..answer(0, vec![part]) });
            from = to;
        }
        for options in [JSON, CSV, MSGPACK, EncodeOptions { pretty: true, ..JSON }] {
            prop_assert_eq!(encode(options, &cut).concat(), encode(options, std::slice::from_ref(&whole)).concat());
        }
    }
}
