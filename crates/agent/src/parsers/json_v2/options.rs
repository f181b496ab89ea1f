//! The tables of `json_v2`.

use std::collections::BTreeMap;

use super::super::json_path;
use super::super::scalar::Type;
use crate::config::{ConfigError, Section};
use crate::time_format::TimeFormat;

/// A table `[[json_v2]]`.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: Option<String>,
    pub(super) name_path: Option<String>,
    pub(super) time: Option<(String, TimeFormat)>,
    pub(super) tags: Vec<Item>,
    pub(super) fields: Vec<Item>,
    pub(super) objects: Vec<Object>,
}

/// A table `[[tag]]` or `[[field]]`.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) of_type: Option<Type>,
    pub(super) is_optional: bool,
}

/// A table `[[object]]`.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) path: String,
    pub(super) is_optional: bool,
    /// The key of the time inside the object.
    pub(super) time: Option<(String, TimeFormat)>,
    pub(super) tags: Vec<String>,
    pub(super) included: Vec<String>,
    pub(super) excluded: Vec<String>,
    /// Whether keys inside are named without the keys that lead to them.
    pub(super) bare_keys: bool,
    pub(super) renames: BTreeMap<String, String>,
    pub(super) types: BTreeMap<String, Type>,
    pub(super) tag_items: Vec<Item>,
    pub(super) field_items: Vec<Item>,
}

impl Table {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let table = Self {
            name: text(section, "measurement_name")?,
            name_path: path(section, "measurement_name_path")?,
            time: time(section, "timestamp_path")?,
            tags: section.sections("tag", Item::from_section)?,
            fields: section.sections("field", Item::from_section)?,
            objects: section.sections("object", Object::from_section)?,
        };
        if table.fields.is_empty() && table.objects.is_empty() {
            return Err(section.bad("field", "there is neither a [[field]] nor an [[object]], so no metric"));
        }
        Ok(table)
    }
}

impl Item {
    fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let path = needed_path(section)?;
        let name = text(section, "rename")?.unwrap_or_else(|| json_path::last_key(&path).into_owned());
        let of_type = match text(section, "type")? {
            Some(name) => Some(Type::named(&name).map_err(|why| section.bad("type", why))?),
            None => None,
        };
        Ok(Self { path, name, of_type, is_optional: section.boolean("optional")?.unwrap_or(false) })
    }
}

impl Object {
    fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let types = section.string_table("fields")?.unwrap_or_default();
        let types = types
            .into_iter()
            .map(|(key, name)| match Type::named(&name) {
                Ok(of_type) => Ok((key, of_type)),
                Err(why) => Err(section.bad("fields", format!("{key}: {why}"))),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            path: needed_path(section)?,
            is_optional: section.boolean("optional")?.unwrap_or(false),
            time: time(section, "timestamp_key")?,
            tags: section.strings("tags")?.unwrap_or_default(),
            included: section.strings("included_keys")?.unwrap_or_default(),
            excluded: section.strings("excluded_keys")?.unwrap_or_default(),
            bare_keys: section.boolean("disable_prepend_keys")?.unwrap_or(false),
            renames: section.string_table("renames")?.unwrap_or_default(),
            types,
            tag_items: section.sections("tag", Item::from_section)?,
            field_items: section.sections("field", Item::from_section)?,
        })
    }
}

fn text(section: &mut Section, key: &'static str) -> Result<Option<String>, ConfigError> {
    Ok(section.string(key)?.filter(|text| !text.is_empty()))
}

fn path(section: &mut Section, key: &'static str) -> Result<Option<String>, ConfigError> {
    let path = text(section, key)?;
    if let Some(path) = &path {
        json_path::check(path).map_err(|why| section.bad(key, why))?;
    }
    Ok(path)
}

fn needed_path(section: &mut Section) -> Result<String, ConfigError> {
    path(section, "path")?.ok_or_else(|| section.bad("path", "has to be set"))
}

/// Where the time is and how it is written; seconds since 1970 unless said otherwise.
fn time(section: &mut Section, key: &'static str) -> Result<Option<(String, TimeFormat)>, ConfigError> {
    let place = text(section, key)?;
    let format = text(section, "timestamp_format")?.unwrap_or_else(|| "unix".to_owned());
    let zone = text(section, "timestamp_timezone")?.unwrap_or_default();
    let format = TimeFormat::new(&format, &zone).map_err(|why| section.bad("timestamp_format", why))?;
    Ok(place.map(|place| (place, format)))
}
