//! States in memory, in files, and across changes of the configuration.

use super::*;
use crate::context::{Context, Shared};

fn key(name: &'static str, alias: Option<&str>, table: &str) -> StateKey {
    let id = PluginId { kind: "inputs", name, alias: alias.map(str::to_owned) };
    StateKey::new(&id, Fingerprint::of_text(table))
}

fn shared(path: &Path, keys: &[&StateKey]) -> Shared {
    let shared = Shared::default();
    shared.states.keep_in(&path.display().to_string());
    shared.states.claim(&keys.iter().copied().cloned().collect());
    shared
}

fn state(shared: &Shared, key: &StateKey) -> PluginState {
    let surroundings = Surroundings::default();
    surroundings.join(shared);
    PluginState::new(surroundings, Some(key.clone()))
}

#[test]
fn what_is_saved_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("state.json");
    let (named, unnamed) = (key("tail", Some("syslog"), "a"), key("tail", None, "b"));
    let first = shared(&path, &[&named, &unnamed]);
    assert_eq!(state(&first, &named).load(), None);
    state(&first, &named).save(json!({"/var/log/syslog": 512}));
    state(&first, &unnamed).save(json!(7));
    first.states.write_if_changed();
    let renamed_table = key("tail", Some("syslog"), "changed");
    let second = shared(&path, &[&renamed_table, &unnamed]);
    assert_eq!(state(&second, &renamed_table).load(), Some(json!({"/var/log/syslog": 512})));
    assert_eq!(state(&second, &unnamed).load(), Some(json!(7)));
    assert!(!path.with_extension("json.new").exists(), "nothing is left beside it");
}

#[test]
fn a_table_without_an_alias_that_changed_takes_its_predecessors_state() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("state.json");
    let (old, other, new) = (key("tail", None, "a"), key("file", None, "a"), key("tail", None, "b"));
    let first = shared(&path, &[&old, &other]);
    state(&first, &old).save(json!(1));
    state(&first, &other).save(json!(2));
    first.states.claim(&[new.clone(), other.clone()].into());
    assert_eq!(state(&first, &new).load(), Some(json!(1)));
    assert_eq!(state(&first, &other).load(), Some(json!(2)));
    let (third, fourth) = (key("tail", None, "c"), key("tail", None, "d"));
    first.states.claim(&[third.clone(), fourth.clone()].into());
    assert_eq!(state(&first, &third).load(), None, "either might be the successor");
    assert_eq!(state(&first, &fourth).load(), None);
    first.states.claim(&[new.clone()].into());
    assert_eq!(state(&first, &new).load(), Some(json!(1)), "what is gone may come back");
}

#[test]
fn both_instances_of_a_processor_remember_for_themselves() {
    let id = PluginId { kind: "processors", name: "dedup", alias: None };
    let context = Context::default().of_plugin(&id, Fingerprint::of_text("a"));
    let (first, second) = (context.state(), context.after_aggregators().state());
    first.save(json!(1));
    second.save(json!(2));
    assert_eq!((first.load(), second.load()), (Some(json!(1)), Some(json!(2))));
}

#[test]
fn a_file_that_is_not_understood_is_set_aside() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("state.json");
    let key = key("tail", None, "a");
    for text in ["", "{", "[]", r#"{"plugins": {}}"#, r#"{"version": 2, "plugins": {}}"#] {
        fs::write(&path, text).expect("written");
        let shared = shared(&path, &[&key]);
        assert_eq!(state(&shared, &key).load(), None);
        let aside = dir.path().join("state.json.unreadable");
        assert_eq!(fs::read_to_string(&aside).expect("kept"), text);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_tried_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("absent").join("state.json");
    let key = key("tail", None, "a");
    let shared = shared(&path, &[&key]);
    state(&shared, &key).save(json!(1));
    shared.states.write_if_changed();
    fs::create_dir(dir.path().join("absent")).expect("created");
    shared.states.write_if_changed();
    assert!(fs::read_to_string(&path).expect("written").contains("inputs.tail#"));
}

#[test]
fn what_is_gone_is_kept_within_bounds() {
    let shared = Shared::default();
    for n in 0..500 {
        state(&shared, &key("tail", Some(&format!("a{n}")), "")).save(json!(n));
    }
    let kept = key("tail", Some("a77"), "");
    shared.states.claim(&[kept.clone()].into());
    assert_eq!(shared.states.lock().plugins.len(), ORPHANS_MAX + 1);
    assert_eq!(state(&shared, &kept).load(), Some(json!(77)));
}
