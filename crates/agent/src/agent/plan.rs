//! What a reload has to do. Pure.

use crate::config::{Fingerprint, PluginId};

/// What makes one plugin of a configuration the same as one of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Its kind, name and alias.
    pub(super) id: PluginId,
    /// What its table says.
    pub(super) table: Fingerprint,
    /// What the agent's settings and the global tags say about it.
    pub(super) setting: Fingerprint,
}

/// Where a plugin of the new configuration comes from; numbers count the old plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// That one goes on as it is.
    Keep(usize),
    /// That one, of the same name and alias, is replaced.
    Replace(usize),
    /// It is new.
    Start,
}

/// The fate of each new plugin. Old ones that no fate names are gone.
///
/// Equal plugins are kept first, each for one of its like, wherever it stands in the files. What is left of a name and
/// alias is replaced in order.
pub(super) fn compare(old: &[Key], new: &[Key]) -> Vec<Fate> {
    let mut is_taken = vec![false; old.len()];
    let mut take = |fits: &dyn Fn(&Key) -> bool| {
        let at = old.iter().zip(&is_taken).position(|(key, taken)| !taken && fits(key))?;
        is_taken[at] = true;
        Some(at)
    };
    let kept: Vec<_> = new.iter().map(|key| take(&|old| old == key)).collect();
    kept.into_iter()
        .zip(new)
        .map(|(kept, key)| match kept {
            Some(at) => Fate::Keep(at),
            None => take(&|old| old.id == key.id).map_or(Fate::Start, Fate::Replace),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &'static str, alias: &str, table: &str) -> Key {
        let alias = (!alias.is_empty()).then(|| alias.to_owned());
        Key {
            id: PluginId { kind: "inputs", name, alias },
            table: Fingerprint::of_text(table),
            setting: Fingerprint::default(),
        }
    }

    #[test]
    fn what_is_equal_is_kept_wherever_it_stands() {
        let old = [key("cpu", "", "a"), key("mem", "", "b"), key("cpu", "", "c")];
        let new = [key("cpu", "", "c"), key("cpu", "", "a"), key("mem", "", "b")];
        assert_eq!(compare(&old, &new), [Fate::Keep(2), Fate::Keep(0), Fate::Keep(1)]);
    }

    #[test]
    fn what_changed_is_replaced_by_its_name_and_alias() {
        let old = [key("cpu", "", "a"), key("cpu", "slow", "b"), key("cpu", "", "c")];
        let new =
            [key("cpu", "slow", "new"), key("cpu", "", "new"), key("cpu", "", "c"), key("cpu", "", "d")];
        assert_eq!(compare(&old, &new), [Fate::Replace(1), Fate::Replace(0), Fate::Keep(2), Fate::Start]);
    }

    #[test]
    fn two_of_a_kind_are_two() {
        let old = [key("cpu", "", "a")];
        let new = [key("cpu", "", "a"), key("cpu", "", "a")];
        assert_eq!(compare(&old, &new), [Fate::Keep(0), Fate::Start]);
        assert_eq!(compare(&new, &old), [Fate::Keep(0)]);
    }

    #[test]
    fn another_setting_replaces() {
        let old = [key("cpu", "", "a")];
        let new = [Key { setting: Fingerprint::of_text("other tags"), ..key("cpu", "", "a") }];
        assert_eq!(compare(&old, &new), [Fate::Replace(0)]);
    }
}
