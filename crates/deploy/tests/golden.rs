//! What is rendered of the example, the topology of the design document, compared with the files below `golden/` byte by
//! byte. `index` there lists every file with its permissions; one that has the very text of another is there only once, and
//! listed with `= ` and the other. After a change that is meant:
//!
//!     ACCEPT=1 cargo test -p skywatch-deploy --test golden      # then look at `git diff`

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use skywatch_deploy::{
    Certificates, Identity, Plan, RenderedFile, Secrets, cloud::Cloud, diff, inventory, render,
};

const INDEX: &str = "index";

fn plan() -> Plan {
    let (cloud, _) = inventory::read(inventory::EXAMPLE).expect("the example is an inventory");
    let secrets = Secrets::parse(include_str!("secrets.toml")).expect("secrets");
    let certificates = certificates(&cloud);
    Plan { cloud, secrets, certificates }
}

/// Words in the place of certificates, which are other ones each time they are made.
fn certificates(cloud: &Cloud) -> Certificates {
    let identity = |name: &str| Identity {
        certificate: format!("(the certificate of {name})\n"),
        key: format!("(the key of {name})\n"),
    };
    Certificates {
        authority: "(the certificate of the authority)\n".to_owned(),
        hosts: cloud.hosts.iter().map(|host| (host.name.clone(), identity(&host.name))).collect(),
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn expected() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).expect("the golden files are there") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(directory()).expect("below").to_string_lossy().into_owned();
                found.insert(name, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    found
}

fn rendered() -> BTreeMap<String, String> {
    let (mut all, mut first_with, mut index) = (BTreeMap::new(), BTreeMap::new(), String::new());
    for RenderedFile { path, mode, text } in render(&plan()) {
        match first_with.get(&text) {
            Some(first) => index += &format!("{mode:04o} {path} = {first}\n"),
            None => {
                index += &format!("{mode:04o} {path}\n");
                first_with.insert(text.clone(), path.clone());
                all.insert(path, text);
            }
        }
    }
    all.insert(INDEX.to_owned(), index);
    all
}

#[test]
fn the_example_is_rendered_as_before() {
    let rendered = rendered();
    if std::env::var_os("ACCEPT").is_some() {
        accept(&rendered);
    }
    let expected = expected();
    let mut differences = String::new();
    for (path, text) in &rendered {
        match expected.get(path) {
            None => differences += &format!("+++ {path} is new\n"),
            Some(before) if before != text => differences += &format!("*** {path}\n{}", diff(before, text)),
            Some(_) => {}
        }
    }
    for path in expected.keys().filter(|path| !rendered.contains_key(*path)) {
        differences += &format!("--- {path} is not rendered any more\n");
    }
    assert!(
        differences.is_empty(),
        "{differences}\nIf that is meant: ACCEPT=1 cargo test -p skywatch-deploy --test golden"
    );
}

fn accept(rendered: &BTreeMap<String, String>) {
    fs::remove_dir_all(directory()).expect("old files go");
    for (path, text) in rendered {
        let file = directory().join(path);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(&file, text).expect("a file");
    }
}

#[test]
fn rendering_again_gives_the_same() {
    assert_eq!(render(&plan()), render(&plan()));
}

/// Whoever reads a file knows where it came from; nothing is left open in it.
#[test]
fn every_file_tells_where_it_came_from_and_is_complete() {
    for file in render(&plan()) {
        let is_own_format =
            file.path.ends_with(".pem") || file.path.ends_with(".key") || file.path.ends_with("myid");
        let head: String = file.text.lines().take(6).collect();
        assert!(
            is_own_format || file.path.ends_with(".json") || head.contains("skywatch render"),
            "{}",
            file.path
        );
        for left_open in ["{}", "TODO", "<IP>", "None", "Some("] {
            let is_shell = file.path.ends_with(".sh") && left_open == "{}";
            let is_json = file.path.ends_with(".json");
            assert!(is_shell || is_json || !file.text.contains(left_open), "{}: {left_open}", file.path);
        }
        assert!(
            file.text.ends_with('\n') && !file.text.ends_with("\n\n"),
            "{} ends with one newline",
            file.path
        );
    }
}

/// Secrets are in no file that everybody may read.
#[test]
fn secrets_are_in_secret_files_only() {
    let secrets: toml::Table = include_str!("secrets.toml").parse().expect("secrets");
    let users = secrets["users"].as_table().expect("users").clone();
    let words: Vec<String> = secrets
        .iter()
        .chain(users.iter())
        .filter_map(|(_, secret)| secret.as_str().map(str::to_owned))
        .collect();
    assert!(words.len() > 10);
    for file in render(&plan()).iter().filter(|file| file.mode & 0o077 != 0) {
        for word in words.iter().filter(|word| *word != "ZXhhbXBsZS1jbHVzdGVyAA") {
            assert!(!file.text.contains(word.as_str()), "{} holds {word}", file.path);
        }
        assert!(!file.text.contains("(the key of"), "{} holds a key", file.path);
    }
}
