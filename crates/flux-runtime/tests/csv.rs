//! Tables from CSV.

mod common;

use common::{answer, check};

const ANNOTATED: &str = "
#datatype,string,long,dateTime:RFC3339,string,string,double
#group,false,false,false,true,true,false
#default,,,,,,
,result,table,_time,region,host,_value
,mean,0,2018-05-08T20:50:00Z,east,A,15.43
,mean,0,2018-05-08T20:51:00Z,east,A,
,mean,1,2018-05-08T20:50:20Z,east,B,59.25

#datatype,string,long,string,boolean,long,unsignedLong,duration,base64Binary,dateTime:RFC3339Nano
#group,false,false,true,false,false,false,false,false,false
#default,other,2,none,,7,,,,
,result,table,host,b,i,u,d,x,t
,,,,true,,18446744073709551615,1h30m,AQI=,2018-05-08T20:50:00.5Z
,,,\"C, \"\"c\"\"\",false,-1,,,,
";

/// A query of that text.
fn from(csv: &str, arguments: &str) -> String {
    let csv = csv.replace('"', "\\\"");
    format!("import \"csv\"\ncsv.from(csv: \"{csv}\"{arguments})")
}

#[test]
fn annotations_say_types_groups_and_defaults() {
    check(
        &from(ANNOTATED, ""),
        "_result: region=east,host=A
         _time:time region:string host:string _value:float
         2018-05-08T20:50:00Z east A 15.43
         2018-05-08T20:51:00Z east A -
         _result: region=east,host=B
         _time:time region:string host:string _value:float
         2018-05-08T20:50:20Z east B 59.25
         _result: host=none
         host:string b:bool i:int u:uint d:duration x:bytes t:time
         none true 7 18446744073709551615 1h30m 0x0102 2018-05-08T20:50:00.5Z
         _result: host=C, \"c\"
         host:string b:bool i:int u:uint d:duration x:bytes t:time
         C, \"c\" false -1 - - - -",
    );
}

#[test]
fn rows_of_one_key_are_one_table_and_a_header_may_be_alone() {
    check(
        &from(
            "#datatype,string,long,string,long\n#group,false,false,true,false\n#default,,,,\n\
             ,result,table,a,_value\n,,0,x,1\n,,1,y,2\n,,0,x,3\n\
             #datatype,string,long,string,long\n#group,false,false,true,false\n#default,_result,5,z,\n\
             ,result,table,a,_value\n",
            "",
        ),
        "_result: a=x
         a:string _value:int
         x 1
         x 3
         _result: a=y
         a:string _value:int
         y 2
         _result: a=z
         a:string _value:int",
    );
}

#[test]
fn raw_text_is_texts() {
    check(
        &from(
            "_time,host,_value\n2018-05-08T20:50:00Z,A,15.43\n2018-05-08T20:50:20Z,,59\n",
            ", mode: \"raw\"",
        ),
        "_result:
         _time:string host:string _value:string
         2018-05-08T20:50:00Z A 15.43
         2018-05-08T20:50:20Z  59",
    );
}

#[test]
fn errors_name_the_line() {
    let head = "#datatype,string,long,long\n#group,false,false,true\n#default,,,\n,result,table,a\n";
    for (csv, message) in [
        (format!("{head},,0,1\n,,0,x\n"), "line 6 of the text: column a: \"x\" is no value of type int"),
        (format!("{head},,0\n"), "line 5 of the text: 3 cells, but the header has 4"),
        (
            "a,b\n1,2\n".to_owned(),
            "line 1 of the text: no #datatype annotation before the header; for CSV without annotations use mode: \"raw\"",
        ),
        (
            "#datatype,integer\n,a\n,1\n".to_owned(),
            "line 1 of the text: unknown datatype \"integer\"; there are boolean, long, unsignedLong, double, string, base64Binary, dateTime:RFC3339, dateTime:RFC3339Nano, dateTime, duration",
        ),
        (
            "#datatype,long\n#group,yes\n,a\n,1\n".to_owned(),
            "line 2 of the text: #group is true or false, not \"yes\"",
        ),
        (
            "#datatype,long\n#default,x\n,a\n,1\n".to_owned(),
            "line 2 of the text: \"x\" is no value of type int",
        ),
        ("#datatype,long,long\n,a\n,1\n".to_owned(), "line 1 of the text: 3 cells, but the header has 2"),
        ("#datatype,long,long\n,a,a\n".to_owned(), "line 2 of the text: the header has column \"a\" twice"),
        (
            "#constant,a\n".to_owned(),
            "line 1 of the text: unknown annotation #constant; there are #datatype, #group and #default",
        ),
        (
            "#datatype,string,string\n,error,reference\n,no such bucket,897\n".to_owned(),
            "line 3 of the text: the text tells an error: no such bucket",
        ),
        (String::new(), "the text has no header: a line that names the columns"),
    ] {
        let got = answer(&from(&csv, ""));
        assert!(got.ends_with(&format!(": from: {message}\n")), "{csv}\n{got}");
    }
    for (arguments, message) in [
        (
            "file: \"/etc/passwd\"",
            "file: a query reads no files and no other servers; give the text itself as csv",
        ),
        ("csv: \"\", mode: \"x\"", "mode is \"annotations\" or \"raw\", not \"x\""),
        ("mode: \"raw\"", "missing required keyword argument \"csv\""),
    ] {
        let got = answer(&format!("import \"csv\"\ncsv.from({arguments})"));
        assert!(got.ends_with(&format!(": from: {message}\n")), "{got}");
    }
}
