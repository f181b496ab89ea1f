//! Rows and what becomes of them.

use super::super::testing::{fault, parse, parsed, parser, survives_damage, try_parser};
use super::build;

const HEADER: &str = "csv_header_row_count = 1\n";

#[test]
fn types_are_inferred_or_given() {
    assert_eq!(
        parsed(build, HEADER, "i,f,b,s,e\n1,1.5,true,\"a, \"\"b\"\"\",\n"),
        ["file i=1i,f=1.5,b=true,s=\"a, \\\"b\\\"\",e=\"\""]
    );
    let options =
        "csv_column_names = ['a', 'b', 'c', 'd']\ncsv_column_types = ['float', 'string', 'int', 'bool']";
    assert_eq!(parsed(build, options, "1,2,3,1\n"), ["file a=1,b=\"2\",c=3i,d=true"]);
    assert_eq!(fault(build, options, "1,2,3,1\n1,2,x,1\n"), "\"c\": \"x\" is no integer (line 2)");
}

#[test]
fn columns_that_are_no_fields() {
    let options = "csv_header_row_count = 1\ncsv_tag_columns = ['host']\ncsv_measurement_column = 'm'\n\
                   csv_timestamp_column = 't'\ncsv_timestamp_format = '2006-01-02 15:04:05'\n\
                   csv_timezone = 'Europe/Berlin'";
    assert_eq!(
        parsed(build, options, "t,m,host,v\n2018-09-13 22:03:28,cpu,h1,3\n2018-09-13 22:03:29,,h2,4\n"),
        ["cpu,host=h1 v=3i 1536869008000000000", "file,host=h2 v=4i 1536869009000000000"]
    );
    assert_eq!(
        fault(build, options, "m,v\ncpu,1\n"),
        "the row has no \"t\", which csv_timestamp_column asks for (line 2)"
    );
}

#[test]
fn what_stands_before_the_data() {
    let options = "csv_skip_rows = 1\ncsv_metadata_rows = 2\ncsv_metadata_separators = [':', '=']\n\
                   csv_metadata_trim_set = ' #'\ncsv_header_row_count = 2\ncsv_skip_columns = 1\n";
    let document = "garbage, \"\n# Version = 1.0\n#File: a.csv\nx,cpu_,mem_\nx,used,free\nx,1,2\n";
    assert_eq!(parsed(build, options, document), ["file,File=a.csv,Version=1.0 cpu_used=1i,mem_free=2i"]);
    let named = format!("{options}csv_column_names = ['a', 'b']");
    assert_eq!(parsed(build, &named, document), ["file,File=a.csv,Version=1.0 a=1i,b=2i"]);
    let tagged = format!("{options}csv_column_names = ['File', 'b']\ncsv_tag_columns = ['File']\n");
    assert_eq!(parsed(build, &tagged, document), ["file,File=a.csv,Version=1.0 b=2i"]);
    let tagged = format!("{tagged}csv_tag_overwrite = true");
    assert_eq!(parsed(build, &tagged, document), ["file,File=1,Version=1.0 b=2i"]);
}

#[test]
fn how_rows_are_written() {
    let options = "csv_column_names = ['a', 'b']\ncsv_delimiter = ';'\ncsv_comment = '#'\ncsv_trim_space = true\n\
                   csv_skip_values = ['-', '']";
    assert_eq!(
        parsed(build, options, "\u{feff}# a comment\r\n 1 ; x y \r\n-;2\n;-\n3;4;5\n6\n"),
        ["file a=1i,b=\"x y\"", "file b=2i", "file a=3i,b=4i", "file a=6i"]
    );
    let options = "csv_column_names = ['a', 'b']\ncsv_delimiter = \"\\t\"";
    assert_eq!(parsed(build, options, "1\t\"two\nlines\"\n"), ["file a=1i,b=\"two\nlines\""]);
}

#[test]
fn a_bad_row_costs_only_itself() {
    let options = "csv_column_names = ['a']\ncsv_column_types = ['int']\n";
    let (lines, result) = parse(parser(build, options).as_mut(), "1\nx\n3\ny\n");
    assert_eq!(lines, ["file a=1i", "file a=3i"]);
    let why = result.expect_err("two are bad").to_string();
    assert_eq!(why, "\"a\": \"x\" is no integer (and 1 further bad lines) (line 2)");
    assert_eq!(
        parsed(build, &format!("{options}csv_skip_errors = true"), "1\nx\n3\n"),
        ["file a=1i", "file a=3i"]
    );
}

#[test]
fn the_header_counts_once_or_for_each_document() {
    let mut once = parser(build, HEADER);
    assert!(parse(once.as_mut(), "a,b\n").0.is_empty());
    assert_eq!(parse(once.as_mut(), "1,2\n").0, ["file a=1i,b=2i"]);
    assert!(parse(once.fresh().as_mut(), "a,b\n").0.is_empty());
    let mut always = parser(build, &format!("{HEADER}csv_reset_mode = 'always'"));
    for _ in 0..2 {
        assert_eq!(parse(always.as_mut(), "a\n1\n").0, ["file a=1i"]);
    }
}

#[test]
fn options_that_cannot_be() {
    for options in [
        "",
        "csv_header_row_count = 1\ncsv_delimiter = '::'",
        "csv_header_row_count = 1\ncsv_timestamp_column = 't'",
        "csv_header_row_count = 1\ncsv_reset_mode = 'sometimes'",
        "csv_header_row_count = 1\ncsv_metadata_rows = 1",
        "csv_column_names = ['a']\ncsv_column_types = ['int', 'int']",
        "csv_column_names = ['a']\ncsv_column_types = ['number']",
    ] {
        assert!(try_parser(build, options).is_err(), "{options}");
    }
}

#[test]
fn damage_does_no_harm() {
    survives_damage(build, HEADER, "a,b\n1,\"x\ny\"\n2,z\n");
    survives_damage(
        build,
        "csv_column_names = ['a']\ncsv_skip_rows = 2\ncsv_trim_space = true",
        "q\nr\n1\n2\n",
    );
}
