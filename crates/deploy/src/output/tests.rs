use super::*;

fn file(path: &str, text: &str) -> RenderedFile {
    RenderedFile::beside(path, text)
}

fn changes(report: &Report) -> Vec<(&str, Change)> {
    report.changes.iter().map(|(path, change)| (path.as_str(), *change)).collect()
}

#[test]
fn only_what_changed_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a/out");
    let files = [file("hosts/a/etc/x", "1\n"), file("hosts/b/etc/y", "2\n").secret()];
    let created = write(&out, &files, Consent::default()).unwrap();
    assert_eq!((created.count(Change::Created), created.changes.len()), (2, 2));
    let mode = |path: &str| fs::metadata(out.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode(""), mode("hosts"), mode("hosts/a/etc/x"), mode("hosts/b/etc/y")),
        (0o700, 0o755, 0o644, 0o600)
    );

    let inode = |path: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(out.join(path)).unwrap());
    let before = inode("hosts/b/etc/y");
    let files = [file("hosts/a/etc/x", "1\n3\n"), files[1].clone()];
    let again = write(&out, &files, Consent::default()).unwrap();
    assert_eq!(changes(&again), [("hosts/a/etc/x", Change::Changed), ("hosts/b/etc/y", Change::Unchanged)]);
    assert_eq!(before, inode("hosts/b/etc/y"), "the file was not touched");
    assert_eq!(fs::read_to_string(out.join("hosts/a/etc/x")).unwrap(), "1\n3\n");
}

#[test]
fn what_was_changed_by_hand_stays_until_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    write(&out, &[file("x", "1\n")], Consent::default()).unwrap();
    fs::write(out.join("x"), "mine\n").unwrap();
    for files in [[file("x", "1\n")], [file("x", "2\n")]] {
        let report = write(&out, &files, Consent::default()).unwrap();
        assert_eq!(changes(&report), [("x", Change::ByHand)]);
        assert_eq!(fs::read_to_string(out.join("x")).unwrap(), "mine\n");
    }
    let report = write(&out, &[file("x", "2\n")], Consent { force: true, prune: false }).unwrap();
    assert_eq!(changes(&report), [("x", Change::Changed)]);
    let report = write(&out, &[file("x", "3\n")], Consent::default()).unwrap();
    assert_eq!(changes(&report), [("x", Change::Changed)]);
}

#[test]
fn a_file_that_was_there_before_is_nobodys_to_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), "older\n").unwrap();
    let report = write(dir.path(), &[file("x", "1\n")], Consent::default()).unwrap();
    assert_eq!(changes(&report), [("x", Change::ByHand)]);
    // The very same text is nobody's loss.
    let report = write(dir.path(), &[file("x", "older\n")], Consent::default()).unwrap();
    assert_eq!(report.count(Change::ByHand), 0);
}

#[test]
fn what_is_not_rendered_any_more_is_told_and_removed_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path();
    write(out, &[file("hosts/a/x", "1"), file("hosts/b/etc/y", "2")], Consent::default()).unwrap();
    let files = [file("hosts/a/x", "1")];
    for consent in [Consent::default(), Consent { force: true, prune: false }] {
        let report = write(out, &files, consent).unwrap();
        assert_eq!(report.of(Change::LeftOver).collect::<Vec<_>>(), ["hosts/b/etc/y"]);
        assert!(out.join("hosts/b/etc/y").exists());
    }
    write(out, &files, Consent { force: false, prune: true }).unwrap();
    assert!(!out.join("hosts/b").exists() && out.join("hosts/a/x").exists());
    assert_eq!(write(out, &files, Consent::default()).unwrap().changes.len(), 1);
}

#[test]
fn permissions_are_put_right() {
    let dir = tempfile::tempdir().unwrap();
    let files = [file("x", "1").secret()];
    write(dir.path(), &files, Consent::default()).unwrap();
    fs::set_permissions(dir.path().join("x"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(write(dir.path(), &files, Consent::default()).unwrap().count(Change::Changed), 1);
    let mode = fs::metadata(dir.path().join("x")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_list_that_leads_elsewhere_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (out, victim) = (dir.path().join("out"), dir.path().join("victim"));
    fs::create_dir(&out).unwrap();
    fs::write(&victim, "mine").unwrap();
    fs::write(out.join(LIST), format!("0  ../victim\n0  {}\n", victim.display())).unwrap();
    write(&out, &[], Consent { force: true, prune: true }).unwrap();
    assert!(victim.exists());
}
