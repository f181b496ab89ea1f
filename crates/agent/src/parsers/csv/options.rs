//! The options of `csv`.

use super::super::scalar::Type;
use crate::config::{ConfigError, Section};
use crate::time_format::TimeFormat;

/// What the keys `csv_*` set.
#[derive(Debug)]
pub(super) struct Options {
    /// Of the columns after those skipped; empty if header rows have them.
    pub(super) names: Vec<String>,
    /// Empty if types are inferred.
    pub(super) types: Vec<Type>,
    pub(super) skip_rows: usize,
    pub(super) metadata_rows: usize,
    pub(super) header_rows: usize,
    pub(super) skip_columns: usize,
    pub(super) delimiter: u8,
    pub(super) comment: Option<u8>,
    pub(super) trim_space: bool,
    pub(super) tag_columns: Vec<String>,
    /// Whether columns go before metadata that has the same key.
    pub(super) tag_overwrite: bool,
    pub(super) measurement_column: Option<String>,
    pub(super) time: Option<(String, TimeFormat)>,
    pub(super) skip_values: Vec<String>,
    pub(super) skip_errors: bool,
    /// Whether each document begins anew.
    pub(super) reset_always: bool,
    metadata_separators: Vec<String>,
    metadata_trim: Vec<char>,
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let names = section.strings("csv_column_names")?.unwrap_or_default();
        let header_rows = section.count("csv_header_row_count")?.unwrap_or(0);
        if names.is_empty() && header_rows == 0 {
            let reason = "has to be set unless csv_header_row_count is: columns need names";
            return Err(section.bad("csv_column_names", reason));
        }
        let types = section.strings("csv_column_types")?.unwrap_or_default();
        if !names.is_empty() && !types.is_empty() && names.len() != types.len() {
            let reason =
                format!("has {} types for the {} names of csv_column_names", types.len(), names.len());
            return Err(section.bad("csv_column_types", reason));
        }
        let types = types
            .iter()
            .map(|name| Type::named(name).map_err(|why| section.bad("csv_column_types", why)))
            .collect::<Result<_, _>>()?;
        let reset_always = match section.string("csv_reset_mode")?.as_deref() {
            None | Some("" | "none") => false,
            Some("always") => true,
            Some(other) => {
                let reason = format!("{other:?} is neither \"none\" nor \"always\"");
                return Err(section.bad("csv_reset_mode", reason));
            }
        };
        let metadata_separators = section.strings("csv_metadata_separators")?.unwrap_or_default();
        let metadata_rows = section.count("csv_metadata_rows")?.unwrap_or(0);
        if metadata_rows > 0 && metadata_separators.iter().all(String::is_empty) {
            return Err(section.bad("csv_metadata_separators", "has to be set, for csv_metadata_rows"));
        }
        let trim = section.string("csv_metadata_trim_set")?.unwrap_or_default();
        Ok(Self {
            names,
            types,
            skip_rows: section.count("csv_skip_rows")?.unwrap_or(0),
            metadata_rows,
            header_rows,
            skip_columns: section.count("csv_skip_columns")?.unwrap_or(0),
            delimiter: byte(section, "csv_delimiter")?.unwrap_or(b','),
            comment: byte(section, "csv_comment")?,
            trim_space: section.boolean("csv_trim_space")?.unwrap_or(false),
            tag_columns: section.strings("csv_tag_columns")?.unwrap_or_default(),
            tag_overwrite: section.boolean("csv_tag_overwrite")?.unwrap_or(false),
            measurement_column: section.string("csv_measurement_column")?.filter(|name| !name.is_empty()),
            time: time(section)?,
            skip_values: section.strings("csv_skip_values")?.unwrap_or_default(),
            skip_errors: section.boolean("csv_skip_errors")?.unwrap_or(false),
            reset_always,
            metadata_separators,
            metadata_trim: trim.chars().collect(),
        })
    }

    /// The tag of a metadata line: it is divided at the first separator of the list that it holds.
    pub(super) fn metadata(&self, line: &str) -> Option<(String, String)> {
        let separators = self.metadata_separators.iter().filter(|separator| !separator.is_empty());
        let (key, value) = separators.filter_map(|separator| line.split_once(separator.as_str())).next()?;
        let trimmed = |text: &str| match self.metadata_trim.as_slice() {
            [] => text.trim().to_owned(),
            set => text.trim_matches(set).to_owned(),
        };
        let (key, value) = (trimmed(key), trimmed(value));
        (!key.is_empty() && !value.is_empty()).then_some((key, value))
    }
}

/// A character that is one byte.
fn byte(section: &mut Section, key: &'static str) -> Result<Option<u8>, ConfigError> {
    match section.string(key)?.as_deref().map(str::as_bytes) {
        None | Some([]) => Ok(None),
        Some([byte]) => Ok(Some(*byte)),
        Some(_) => Err(section.bad(key, "must be a single character of ASCII")),
    }
}

fn time(section: &mut Section) -> Result<Option<(String, TimeFormat)>, ConfigError> {
    let column = section.string("csv_timestamp_column")?.filter(|column| !column.is_empty());
    let format = section.string("csv_timestamp_format")?.filter(|format| !format.is_empty());
    let zone = section.string("csv_timezone")?.unwrap_or_default();
    match (column, format) {
        (None, _) => Ok(None),
        (Some(_), None) => {
            Err(section.bad("csv_timestamp_format", "has to be set, for csv_timestamp_column"))
        }
        (Some(column), Some(format)) => TimeFormat::new(&format, &zone)
            .map(|format| Some((column, format)))
            .map_err(|why| section.bad("csv_timestamp_format", why)),
    }
}
