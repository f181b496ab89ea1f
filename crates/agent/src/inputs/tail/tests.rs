//! Files that grow, are renamed, cut, and come.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::*;
use crate::config::section_for_tests;
use crate::processors::testing::lines;
use crate::service::testing::Running;

fn start(options: &str) -> Running {
    let mut section = section_for_tests(options);
    let service = build(&mut section, &Context::default()).expect("valid");
    assert!(section.finish().is_ok(), "unknown options in {options}");
    Running::start(service)
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

/// Metrics until there are so many of them.
async fn next(running: &mut Running, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        found.extend(lines(&running.metrics().await));
    }
    found
}

#[tokio::test]
async fn what_is_appended_after_the_start_and_to_files_that_come() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (old, new) = (dir.path().join("old.log"), dir.path().join("new.log"));
    append(&old, "m x=0i 1\n");
    let mut running = start(&format!("files = ['{}/*.log']\npath_tag = ''", dir.path().display()));
    // Nobody tells when the first file is followed: lines are appended until one arrives.
    loop {
        append(&old, "m x=9i 9\n");
        if tokio::time::timeout(Duration::from_millis(300), running.metrics()).await.is_ok() {
            break;
        }
    }
    append(&new, "m x=1i 2\n");
    let mut first = next(&mut running, 1).await;
    while first.last().is_some_and(|line| line == "m x=9i 9") {
        first = next(&mut running, 1).await;
    }
    assert_eq!(first, ["m x=1i 2"], "a file that comes is read from its beginning");
    append(&old, "m x=2");
    append(&old, "i 3\r\nm x=3i 4\n");
    assert_eq!(next(&mut running, 2).await, ["m x=2i 3", "m x=3i 4"]);
    running.stop().await;
}

#[tokio::test]
async fn renamed_and_cut_files_lose_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("a.log");
    append(&path, "m x=0i 1\n");
    let options = format!("files = ['{}']\ninitial_read_offset = 'beginning'", path.display());
    let mut running = start(&options);
    let tagged = |n: i64| format!("m,path={} x={n}i {}", path.display(), n + 1);
    assert_eq!(next(&mut running, 1).await, [tagged(0)]);
    append(&path, "m x=1i 2\n");
    fs::rename(&path, dir.path().join("a.log.1")).expect("renamed");
    append(&dir.path().join("a.log.1"), "m x=2i 3\nm x=3i 4");
    append(&path, "m x=4i 5\nm x=5i 6\n");
    let mut found = next(&mut running, 5).await;
    found.sort();
    let all: Vec<_> = (1..=5).map(tagged).collect();
    assert_eq!(found, all, "the last line of the renamed file has no end and is there");
    fs::write(&path, "m x=6i 7\n").expect("cut");
    assert_eq!(next(&mut running, 1).await, [tagged(6)]);
    running.stop().await;
}

#[tokio::test]
async fn a_file_that_is_found_under_its_new_name_is_not_read_twice() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (path, renamed) = (dir.path().join("a.log"), dir.path().join("a.log.1"));
    append(&path, "m x=0i 1\n");
    let options =
        format!("files = ['{}*']\npath_tag = ''\ninitial_read_offset = 'beginning'", path.display());
    let mut running = start(&options);
    assert_eq!(next(&mut running, 1).await, ["m x=0i 1"]);
    fs::rename(&path, &renamed).expect("renamed");
    append(&path, "m x=1i 2\n");
    assert_eq!(next(&mut running, 1).await, ["m x=1i 2"]);
    // Longer than two looks for files.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    append(&renamed, "m x=2i 3\n");
    assert_eq!(next(&mut running, 1).await, ["m x=2i 3"], "what is appended later comes, and nothing again");
    running.stop().await;
}

#[tokio::test]
async fn lines_that_belong_together_and_bad_ones() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("a.log");
    let options = format!(
        "files = ['{}']\npath_tag = ''\ninitial_read_offset = 'beginning'\nfilters = ['ansi_color']\n\
         [multiline]\npattern = '^\\s'\ntimeout = '100ms'\n",
        path.display()
    );
    append(&path, "m \u{1b}[31ms=\u{1b}[0m\"a,\n b\" 5\nbad\nm x=1i 6\n");
    let mut running = start(&options);
    assert_eq!(next(&mut running, 1).await, ["m s=\"a, b\" 5"]);
    assert!(running.error().await.contains("unable to parse 'bad'"));
    assert_eq!(next(&mut running, 1).await, ["m x=1i 6"], "the last one after its time");
    running.stop().await;
}

#[test]
fn faults_are_named() {
    for (options, want) in [
        ("", "say which files"),
        ("files = ['a']\ninitial_read_offset = 'middle'", "none of saved-or-end"),
        ("files = ['a']\nfilters = ['x']", "ansi_color"),
        ("files = ['a']\n[multiline]\npattern = '('", "missing closing )"),
        ("files = ['a']\n[multiline]\nmatch_which_line = 'both'", "neither"),
    ] {
        let error = build(&mut section_for_tests(options), &Context::default()).expect_err(want).to_string();
        assert!(error.contains(want), "{error}");
    }
}
