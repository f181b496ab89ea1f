//! Documents, tables and the metrics they give.

use super::super::testing::{fault, parse, parsed, parser, survives_damage, try_parser};
use super::build;

const BOOK: &str = r#"{"book": {"title": "The Lord Of The Rings",
    "chapters": ["A Long-expected Party", "The Shadow of the Past"], "author": "Tolkien",
    "characters": [{"name": "Bilbo", "species": "hobbit"}, {"name": "Frodo", "species": "hobbit"}],
    "random": [1, 2]}}"#;

const SHOP: &str = r#"{"shop": "north", "at": 1536869008, "ids": [1, 2], "names": ["a", "b"], "open": true,
    "price": "12.5", "kind": {"x": 1}, "none": null}"#;

#[test]
fn an_object_gives_a_metric_for_each_element_of_its_arrays() {
    let options =
        "[[json_v2]]\n[[json_v2.object]]\npath = 'book'\ntags = ['title']\ndisable_prepend_keys = true";
    let title = r"file,title=The\ Lord\ Of\ The\ Rings";
    assert_eq!(
        parsed(build, options, BOOK),
        [
            format!("{title} author=\"Tolkien\",chapters=\"A Long-expected Party\""),
            format!("{title} author=\"Tolkien\",chapters=\"The Shadow of the Past\""),
            format!("{title} author=\"Tolkien\",name=\"Bilbo\",species=\"hobbit\""),
            format!("{title} author=\"Tolkien\",name=\"Frodo\",species=\"hobbit\""),
            format!("{title} author=\"Tolkien\",random=1"),
            format!("{title} author=\"Tolkien\",random=2"),
        ]
    );
    let options = "[[json_v2]]\n[[json_v2.object]]\npath = 'book'\nincluded_keys = ['characters']\n\
                   tags = ['title', 'characters_name']\n[json_v2.object.renames]\ncharacters_species = 'kind'\n";
    assert_eq!(
        parsed(build, options, BOOK),
        [
            r#"file,characters_name=Bilbo,title=The\ Lord\ Of\ The\ Rings kind="hobbit""#,
            r#"file,characters_name=Frodo,title=The\ Lord\ Of\ The\ Rings kind="hobbit""#,
        ]
    );
    let options = "[[json_v2]]\n[[json_v2.object]]\npath = 'book'\nexcluded_keys = ['characters', 'chapters', 'title']\n\
                   [json_v2.object.fields]\nrandom = 'int'\n";
    assert_eq!(
        parsed(build, options, BOOK),
        ["file author=\"Tolkien\",random=1i", "file author=\"Tolkien\",random=2i"]
    );
}

#[test]
fn fields_and_tags_combine() {
    let options = "[[json_v2]]\nmeasurement_name = 'm'\ntimestamp_path = 'at'\n\
        [[json_v2.tag]]\npath = 'shop'\nrename = 'where'\n\
        [[json_v2.field]]\npath = 'ids'\ntype = 'uint'\n[[json_v2.field]]\npath = 'names'\n\
        [[json_v2.field]]\npath = 'open'\ntype = 'int'\n[[json_v2.field]]\npath = 'price'\ntype = 'float'\n\
        [[json_v2.field]]\npath = 'absent'\noptional = true\n[[json_v2.field]]\npath = 'none'";
    let line =
        |id, name| format!("m,where=north ids={id}u,names=\"{name}\",open=1i,price=12.5 1536869008000000000");
    assert_eq!(parsed(build, options, SHOP), [line(1, "a"), line(1, "b"), line(2, "a"), line(2, "b")]);
}

#[test]
fn names_times_and_tables() {
    let options = "[[json_v2]]\nmeasurement_name_path = 'shop'\n[[json_v2.field]]\npath = 'kind.x'\n\
        [[json_v2]]\n[[json_v2.tag]]\npath = 'open'\n[[json_v2.object]]\npath = 'kind'\n[[json_v2.object]]\npath = 'no'\noptional = true";
    assert_eq!(parsed(build, options, SHOP), ["north x=1", "file,open=true x=1"]);
    let events =
        r#"{"list": [{"t": "2018-09-13T20:03:28Z", "v": 1.5, "in": {"k": [1, 2], "n": "a"}}, {"v": 2}]}"#;
    let options = "[[json_v2]]\n[[json_v2.object]]\npath = 'list'\ntimestamp_key = 't'\ntimestamp_format = 'rfc3339'\n\
        excluded_keys = ['in']\n[[json_v2.object.tag]]\npath = 'in.n'\noptional = true\n\
        [[json_v2.object.field]]\npath = 'in.k'\ntype = 'int'\noptional = true";
    assert_eq!(
        parsed(build, options, events),
        ["file,n=a v=1.5,k=1i 1536869008000000000", "file,n=a v=1.5,k=2i 1536869008000000000", "file v=2"]
    );
    let queried =
        "[[json_v2]]\n[[json_v2.field]]\npath = 'list.#.v'\n[[json_v2.tag]]\npath = 'list.#(v==1.5).in.n'";
    assert_eq!(parsed(build, queried, events), ["file,n=a v=1.5", "file,n=a v=2"]);
    let whole = "[[json_v2]]\n[[json_v2.object]]\npath = '@this'\nincluded_keys = ['a_b']";
    assert_eq!(parsed(build, whole, "{\"a\": {\"b\": 1, \"c\": 2}}"), ["file a_b=1"]);
    assert_eq!(
        parsed(build, whole, "[{\"a\": {\"b\": 1}}, {\"a\": {\"b\": 2}}]"),
        ["file a_b=1", "file a_b=2"]
    );
}

#[test]
fn one_table_that_does_not_fit_leaves_the_others_theirs() {
    let options =
        "[[json_v2]]\n[[json_v2.field]]\npath = 'absent'\n[[json_v2]]\n[[json_v2.field]]\npath = 'shop'";
    let (lines, result) = parse(parser(build, options).as_mut(), SHOP);
    assert_eq!(lines, ["file shop=\"north\""]);
    assert_eq!(
        result.expect_err("the first").to_string(),
        "the path \"absent\" leads nowhere; set optional = true if that may be"
    );
    let options = "[[json_v2]]\n[[json_v2.field]]\npath = 'kind'";
    assert!(fault(build, options, SHOP).contains("a table [[object]] takes those"));
    let options = "[[json_v2]]\n[[json_v2.field]]\npath = 'shop'\ntype = 'int'";
    assert_eq!(fault(build, options, SHOP), "\"shop\": \"north\" is no integer");
    let many = format!("{{\"a\": [{}0], \"b\": 1}}", "0,".repeat(1_500));
    let options = "[[json_v2]]\n[[json_v2.field]]\npath = 'a'\n[[json_v2.field]]\npath = 'a'\nrename = 'c'";
    assert!(fault(build, options, &many).contains("more than 1000000 metrics"));
}

#[test]
fn tables_that_cannot_be() {
    for options in [
        "",
        "[[json_v2]]",
        "[[json_v2]]\n[[json_v2.field]]\ntype = 'int'",
        "[[json_v2]]\n[[json_v2.field]]\npath = 'a'\ntype = 'number'",
        "[[json_v2]]\n[[json_v2.object]]\npath = 'a'\ntimestamp_format = '%Y'",
    ] {
        assert!(try_parser(build, options).is_err(), "{options}");
    }
}

#[test]
fn damage_does_no_harm() {
    let options = "[[json_v2]]\n[[json_v2.object]]\npath = 'book'\n[[json_v2.field]]\npath = 'book.characters.#(name%\"B*\")#.species'";
    survives_damage(build, options, BOOK);
}
