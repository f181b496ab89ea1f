//! What plugins remember over reloads and restarts: how far a file was read, what was seen last.
//!
//! ```text
//!  {"version": 1,
//!   "plugins": {"inputs.tail::syslog": <as the plugin saved it>,
//!               "processors.dedup#1f0c...": ...}}
//! ```
//!
//! Without `statefile` in `[agent]` states live as long as the process, so over reloads. With it they are written at
//! most every [`WRITE_EVERY`] while they change and once at the end: to a file beside it that then takes its place, so
//! that a crash leaves the old states or the new ones and nothing in between.
//!
//! A plugin is known by its kind, name and alias; without an alias by what its table says. A table without an alias
//! that was changed takes over the state of the one it replaces, where there is no doubt which that is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tracing::{error, info, warn};

use crate::config::{Fingerprint, PluginId};
use crate::context::Surroundings;

/// Between two writes of the file.
pub(crate) const WRITE_EVERY: Duration = Duration::from_secs(3);
/// States of plugins that are not configured any more, at most: they may come back.
const ORPHANS_MAX: usize = 64;
/// The file's layout.
const VERSION: u64 = 1;

/// One plugin's memory, got from its context when it is built: `let state = context.state();`.
///
/// - Call [`load`](Self::load) when the plugin begins to work, as in its first gather or metric, not when it is built:
///   only then is there an agent, and its predecessor of before a reload has ended and saved.
/// - Call [`save`](Self::save) whenever something changed that is worth remembering. It only replaces a value in
///   memory; the agent writes the file. What was saved before the plugin's task ends is in the file at the end.
/// - Save only what is certain: an offset of lines whose metrics are delivered, not of lines read.
#[derive(Debug, Clone)]
pub(crate) struct PluginState {
    surroundings: Surroundings,
    key: Option<StateKey>,
}

impl PluginState {
    pub(crate) fn new(surroundings: Surroundings, key: Option<StateKey>) -> Self {
        Self { surroundings, key }
    }

    /// What was saved last, by this plugin or by its predecessor.
    pub(crate) fn load(&self) -> Option<Value> {
        let states = &self.surroundings.shared().states;
        states.lock().plugins.get(&self.key.as_ref()?.0).cloned()
    }

    /// Remembers this instead of what was saved before.
    pub(crate) fn save(&self, state: Value) {
        let Some(key) = &self.key else { return };
        let mut inner = self.surroundings.shared().states.lock();
        if inner.plugins.get(&key.0) != Some(&state) {
            inner.plugins.insert(key.0.clone(), state);
            inner.changed = true;
        }
    }
}

/// The name a state is saved under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StateKey(String);

/// Between a plugin's name and the fingerprint of its table, where it has no alias.
const UNNAMED: char = '#';

impl StateKey {
    pub(crate) fn new(id: &PluginId, fingerprint: Fingerprint) -> Self {
        Self(match &id.alias {
            Some(_) => id.to_string(),
            None => format!("{id}{UNNAMED}{fingerprint}"),
        })
    }

    /// Of a processor's instance for aggregates.
    pub(crate) fn after_aggregators(&self) -> Self {
        // In front of the name, so that one instance is never taken for the other.
        Self(format!("after_aggregators.{}", self.0))
    }

    /// The kind and name of a plugin without an alias.
    fn unnamed(&self) -> Option<&str> {
        unnamed(&self.0)
    }
}

fn unnamed(key: &str) -> Option<&str> {
    key.split_once(UNNAMED).map(|(plugin, _)| plugin)
}

/// All states, and the file they are kept in.
#[derive(Debug, Default)]
pub(crate) struct States(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    file: Option<PathBuf>,
    plugins: BTreeMap<String, Value>,
    changed: bool,
    /// Whether the last write failed; told of once.
    failing: bool,
}

impl States {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps states in this file from now on and takes in what it holds; states in memory are newer. An empty path
    /// keeps them in memory only.
    pub(crate) fn keep_in(&self, path: &str) {
        let path = (!path.is_empty()).then(|| PathBuf::from(path));
        let mut inner = self.lock();
        if inner.file == path {
            return;
        }
        inner.changed = true;
        for (key, state) in path.as_deref().map(read).unwrap_or_default() {
            inner.plugins.entry(key).or_insert(state);
        }
        inner.file = path;
    }

    /// Tells which plugins there are. A plugin without an alias and without a state takes over that of the only one of
    /// its name that is gone. Of those that are gone otherwise a bounded number is kept.
    pub(crate) fn claim(&self, keys: &BTreeSet<StateKey>) {
        let mut inner = self.lock();
        for key in keys {
            let Some(plugin) = key.unnamed() else { continue };
            let of_name = || keys.iter().filter(|other| other.unnamed() == Some(plugin));
            if of_name().filter(|other| !inner.plugins.contains_key(&other.0)).count() != 1
                || inner.plugins.contains_key(&key.0)
            {
                continue;
            }
            let mut gone = inner
                .plugins
                .keys()
                .filter(|saved| unnamed(saved) == Some(plugin) && of_name().all(|other| other.0 != **saved));
            if let (Some(saved), None) = (gone.next().cloned(), gone.next())
                && let Some(state) = inner.plugins.remove(&saved)
            {
                inner.plugins.insert(key.0.clone(), state);
                inner.changed = true;
            }
        }
        let mut orphans = 0;
        inner.plugins.retain(|saved, _| {
            let claimed = keys.contains(&StateKey(saved.clone()));
            orphans += usize::from(!claimed);
            claimed || orphans <= ORPHANS_MAX
        });
    }

    /// Writes what changed since the last time. Blocks.
    pub(crate) fn write_if_changed(&self) {
        let (path, text) = {
            let mut inner = self.lock();
            if !inner.changed {
                return;
            }
            inner.changed = false;
            let Some(path) = inner.file.clone() else { return };
            (path, json!({ "version": VERSION, "plugins": inner.plugins }).to_string())
        };
        let written = write(&path, &text);
        let mut inner = self.lock();
        match written {
            Ok(()) => {
                if std::mem::take(&mut inner.failing) {
                    info!("the state file {} can be written again", path.display());
                }
            }
            Err(why) => {
                inner.changed = true;
                if !std::mem::replace(&mut inner.failing, true) {
                    error!("cannot write the state file {}: {why}; it is tried again", path.display());
                }
            }
        }
    }
}

/// What a file holds; nothing if there is none. A file that cannot be understood is set aside: it may be somebody
/// else's.
fn read(path: &Path) -> BTreeMap<String, Value> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(why) => {
            error!("cannot read the state file {}: {why}; plugins begin anew", path.display());
            return BTreeMap::new();
        }
    };
    match parse(&text) {
        Ok(plugins) => plugins,
        Err(why) => {
            let aside = beside(path, ".unreadable");
            let kept = match fs::rename(path, &aside) {
                Ok(()) => format!("it is kept as {}", aside.display()),
                Err(why) => format!("and it cannot be renamed: {why}"),
            };
            warn!("the state file {} is not understood ({why}); plugins begin anew, {kept}", path.display());
            BTreeMap::new()
        }
    }
}

fn parse(text: &[u8]) -> Result<BTreeMap<String, Value>, String> {
    let whole: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    match whole.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(other) => return Err(format!("its version is {other}, and only {VERSION} is known")),
        None => return Err("it has no version".to_owned()),
    }
    let plugins = whole.get("plugins").and_then(Value::as_object).ok_or("it has no `plugins`")?;
    Ok(plugins.iter().map(|(key, state)| (key.clone(), state.clone())).collect())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = beside(path, ".new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The new name survives a power cut only once the directory is on disk.
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
