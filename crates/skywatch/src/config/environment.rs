//! What environment variables change in a configuration, named as InfluxDB names them: `INFLUXDB_`, the section, the key, in
//! capitals and with `_` for `-`. Keys outside of sections stand alone; of tables that there may be several of, one is
//! named by its number: `INFLUXDB_GRAPHITE_0_ENABLED`.

use std::ffi::OsString;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

const PREFIX: &str = "INFLUXDB_";
/// They say where files are, and name no key of one.
const FILE_VARIABLES: [&str; 2] = ["INFLUXDB_CONFIG_PATH", "INFLUXDB_META_CONFIG_PATH"];

/// Where keys may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// Keys outside of sections.
    pub(super) keys: &'static [&'static str],
    /// Sections that there is one of.
    pub(super) sections: &'static [&'static str],
    /// Sections that there may be several of.
    pub(super) lists: &'static [&'static str],
}

/// Where a variable puts its value.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Key(String),
    Section(&'static str, String),
    List(&'static str, usize, String),
}

impl Places {
    fn of(self, variable: &str) -> Option<Place> {
        let name = variable.strip_prefix(PREFIX)?;
        let key = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        let within = |section: &str| {
            let section = section.to_ascii_uppercase().replace('-', "_");
            name.strip_prefix(section.as_str())?.strip_prefix('_')
        };
        if self.keys.contains(&key(name).as_str()) {
            return Some(Place::Key(key(name)));
        }
        let of_list = self.lists.iter().find_map(|list| {
            let (number, name) = within(list)?.split_once('_')?;
            Some(Place::List(list, number.parse().ok()?, key(name)))
        });
        let of_section =
            || self.sections.iter().find_map(|section| Some(Place::Section(section, key(within(section)?))));
        of_list.or_else(of_section)
    }
}

impl Place {
    fn put(&self, table: &mut Table, value: Value) -> Result<()> {
        let misplaced = |section: &str| format!("[{section}] is no table in the file");
        match self {
            Self::Key(key) => {
                table.insert(key.clone(), value);
            }
            Self::Section(section, key) => {
                let entry = table.entry(*section).or_insert_with(|| Value::Table(Table::new()));
                let section = entry.as_table_mut().with_context(|| misplaced(section))?;
                section.insert(key.clone(), value);
            }
            Self::List(list, number, key) => {
                let entry = table.entry(*list).or_insert_with(|| Value::Array(Vec::new()));
                let tables = entry.as_array_mut().with_context(|| misplaced(list))?;
                if tables.len() == *number {
                    tables.push(Value::Table(Table::new()));
                }
                let (there, table) = (tables.len(), tables.get_mut(*number).and_then(Value::as_table_mut));
                let table = table
                    .with_context(|| format!("there are {there} of [[{list}]]; they are counted from 0"))?;
                table.insert(key.clone(), value);
            }
        }
        Ok(())
    }
}

/// What a text may mean, the most particular first.
fn meanings(text: &str) -> Vec<Value> {
    let mut meanings = Vec::new();
    meanings.extend(text.parse().ok().map(Value::Boolean));
    meanings.extend(text.parse().ok().map(Value::Integer));
    meanings.extend(text.parse().ok().map(Value::Float));
    meanings.push(Value::String(text.to_owned()));
    meanings
}

/// A configuration, and what variables change in it. Variables that name no place are others' and change nothing.
pub(super) fn overridden<T: DeserializeOwned>(
    table: Table,
    places: Places,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<T> {
    Ok(changed::<T>(table, places, environment)?.try_into()?)
}

/// The same as a table, which is one of a `T`.
pub(super) fn changed<T: DeserializeOwned>(
    mut table: Table,
    places: Places,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Table> {
    let mut variables: Vec<(String, String)> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !FILE_VARIABLES.contains(&name.as_str()))
        .collect();
    // Tables are counted from 0.
    variables.sort();
    for (name, value) in variables {
        let Some(place) = places.of(&name) else { continue };
        let mut problem = None;
        let mut accepted = None;
        for meaning in meanings(&value) {
            let mut changed = table.clone();
            place.put(&mut changed, meaning).with_context(|| format!("environment variable {name}"))?;
            match changed.clone().try_into::<T>() {
                Ok(_) => {
                    accepted = Some(changed);
                    break;
                }
                Err(error) => problem = Some(error),
            }
        }
        table = match (accepted, problem) {
            (Some(changed), _) => changed,
            (None, Some(error)) => {
                return Err(error).with_context(|| format!("environment variable {name} is {value:?}"));
            }
            (None, None) => continue,
        };
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
    struct File {
        hostname: String,
        hinted_handoff: Handoff,
        graphite: Vec<Graphite>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
    struct Handoff {
        enabled: bool,
        max_size: u64,
        max_age: String,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
    struct Graphite {
        enabled: bool,
        batch_size: f64,
    }

    const PLACES: Places =
        Places { keys: &["hostname"], sections: &["hinted-handoff"], lists: &["graphite"] };

    fn file(text: &str, variables: &[(&str, &str)]) -> Result<File> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        overridden(text.parse().unwrap(), PLACES, variables)
    }

    #[test]
    fn variables_override_the_file_in_the_type_of_the_key() {
        let text = "hostname = \"a\"\n[hinted-handoff]\nmax-age = \"1h\"\nmax-size = 1";
        let variables = [
            ("INFLUXDB_HOSTNAME", "42"),
            ("INFLUXDB_HINTED_HANDOFF_ENABLED", "true"),
            ("INFLUXDB_HINTED_HANDOFF_MAX_SIZE", "7"),
            ("INFLUXDB_GRAPHITE_1_BATCH_SIZE", "1.5"),
            ("INFLUXDB_GRAPHITE_0_ENABLED", "true"),
            ("INFLUXDB_ADMIN_PASSWORD", "of something else"),
            ("HOME", "/"),
        ];
        let expected = File {
            hostname: "42".into(),
            hinted_handoff: Handoff { enabled: true, max_size: 7, max_age: "1h".into() },
            graphite: vec![
                Graphite { enabled: true, batch_size: 0.0 },
                Graphite { enabled: false, batch_size: 1.5 },
            ],
        };
        assert_eq!(file(text, &variables).unwrap(), expected);
        assert_eq!(file("", &[]).unwrap(), File::default());
    }

    #[test]
    fn a_variable_that_means_nothing_is_named() {
        for (name, value) in [
            ("INFLUXDB_HINTED_HANDOFF_MAX_SIZE", "much"),
            ("INFLUXDB_HINTED_HANDOFF_MAXIMUM", "1"),
            ("INFLUXDB_GRAPHITE_5_ENABLED", "true"),
        ] {
            let error = format!("{:#}", file("", &[(name, value)]).unwrap_err());
            assert!(error.contains(name), "{error}");
        }
    }
}
