//! Which of the configured plugins are taken: the command line's filters by name, and by label. Pure.

use std::collections::BTreeMap;

use crate::filter::glob::Globs;

/// What the command line says about plugins to take. Without anything said, all are taken.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Names by kind (`inputs`, `outputs`...), empty for all.
    names: BTreeMap<&'static str, Vec<String>>,
    /// Top-level tables to read, empty for all.
    tables: Vec<String>,
    /// Alternatives, each a list of keys and values that must all hold.
    labels: Vec<Vec<(String, Globs)>>,
}

impl Selection {
    /// Takes plugins of a kind by their names only, separated by colons as in `cpu:mem`.
    pub fn only(&mut self, kind: &'static str, names: &str) {
        self.names.entry(kind).or_default().extend(parts(names, ':'));
    }

    /// Reads these top-level tables only, separated by colons as in `agent:inputs`.
    pub fn only_tables(&mut self, tables: &str) {
        self.tables.extend(parts(tables, ':'));
    }

    /// Takes plugins with these labels, as in `region=eu-*;tier=gold`: all of them must hold, of several calls one. A
    /// plugin without labels is always taken.
    pub fn labelled(&mut self, text: &str) -> Result<(), String> {
        let mut all = Vec::new();
        for pair in parts(text, ';') {
            let (key, pattern) = pair
                .split_once('=')
                .map(|(key, pattern)| (key.trim(), pattern.trim()))
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| format!("{pair:?} is no label; write it like region=eu-*;tier=gold"))?;
            all.push((key.to_owned(), Globs::compile(&[pattern.to_owned()], "")?));
        }
        if all.is_empty() {
            return Err("no label; write it like region=eu-*;tier=gold".to_owned());
        }
        self.labels.push(all);
        Ok(())
    }

    pub(super) fn takes_table(&self, table: &str) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|wanted| wanted == table)
    }

    pub(super) fn takes_name(&self, kind: &str, name: &str) -> bool {
        self.names.get(kind).is_none_or(|wanted| wanted.iter().any(|wanted| wanted == name))
    }

    pub(super) fn takes_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let holds =
            |(key, globs): &(String, Globs)| labels.get(key).is_some_and(|value| globs.matches(value));
        labels.is_empty() || self.labels.is_empty() || self.labels.iter().any(|all| all.iter().all(holds))
    }
}

fn parts(text: &str, separator: char) -> impl Iterator<Item = String> {
    text.split(separator).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tables() {
        let mut selection = Selection::default();
        assert!(selection.takes_name("inputs", "cpu") && selection.takes_table("outputs"));
        selection.only("inputs", "cpu:mem");
        selection.only_tables("agent:inputs");
        assert!(selection.takes_name("inputs", "mem") && !selection.takes_name("inputs", "me"));
        assert!(selection.takes_name("outputs", "file"), "another kind is not concerned");
        assert!(selection.takes_table("agent") && !selection.takes_table("outputs"));
    }

    #[test]
    fn labels_hold_all_of_one_alternative() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let mut selection = Selection::default();
        selection.labelled("region=eu-*;tier=gold").expect("valid");
        selection.labelled("test=yes").expect("valid");
        assert!(selection.takes_labels(&labels(&[])));
        assert!(selection.takes_labels(&labels(&[("region", "eu-1"), ("tier", "gold"), ("more", "x")])));
        assert!(!selection.takes_labels(&labels(&[("region", "eu-1")])));
        assert!(!selection.takes_labels(&labels(&[("region", "us-1"), ("tier", "gold")])));
        assert!(selection.takes_labels(&labels(&[("test", "yes")])));
        assert!(Selection::default().takes_labels(&labels(&[("a", "b")])));
        for bad in ["", "region", "=x"] {
            assert!(Selection::default().labelled(bad).is_err(), "{bad}");
        }
    }
}
