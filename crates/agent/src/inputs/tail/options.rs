//! The options of `tail`.

use std::time::Duration;

use super::multiline::{Multiline, Quotation};
use crate::character_encoding::Encoding;
use crate::config::{ConfigError, Section};
use crate::go_regex;
use crate::path_glob::PathGlob;

/// Bytes of a line.
pub(super) const LINE_MAX: usize = 1 << 20;

/// What `[[inputs.tail]]` sets, besides the data format.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) files: Vec<PathGlob>,
    pub(super) start: Start,
    /// The files are named pipes.
    pub(super) pipe: bool,
    pub(super) undelivered_max: usize,
    pub(super) encoding: Encoding,
    pub(super) path_tag: Option<String>,
    pub(super) without_colors: bool,
    pub(super) multiline: Option<Multiline>,
}

/// Where a file that is there at the start is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// From the remembered offset if there is one.
    pub(super) saved: bool,
    /// Else from the end; or from the beginning.
    pub(super) end: bool,
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let patterns = section.strings("files")?.unwrap_or_default();
        if patterns.is_empty() {
            return Err(section.bad("files", "say which files are followed"));
        }
        let files = patterns
            .iter()
            .map(|pattern| PathGlob::new(pattern).map_err(|why| section.bad("files", why)))
            .collect::<Result<_, _>>()?;
        let from_beginning = section.boolean("from_beginning")?.unwrap_or(false);
        let start = match section.string("initial_read_offset")?.as_deref() {
            None | Some("") if from_beginning => Start { saved: false, end: false },
            None | Some("" | "saved-or-end") => Start { saved: true, end: true },
            Some("saved-or-beginning") => Start { saved: true, end: false },
            Some("beginning") => Start { saved: false, end: false },
            Some("end") => Start { saved: false, end: true },
            Some(other) => {
                let known = "saved-or-end, saved-or-beginning, beginning, end";
                return Err(section.bad("initial_read_offset", format!("{other:?} is none of {known}")));
            }
        };
        if let Some(method) = section.string("watch_method")?
            && !matches!(method.as_str(), "" | "inotify" | "poll")
        {
            return Err(
                section.bad("watch_method", format!("{method:?} is neither \"inotify\" nor \"poll\""))
            );
        }
        let filters = section.strings("filters")?.unwrap_or_default();
        if let Some(unknown) = filters.iter().find(|filter| *filter != "ansi_color") {
            return Err(section.bad("filters", format!("{unknown:?} is not \"ansi_color\"")));
        }
        let multiline = section.sections("multiline", multiline)?;
        Ok(Self {
            files,
            start,
            pipe: section.boolean("pipe")?.unwrap_or(false),
            undelivered_max: section.count("max_undelivered_lines")?.filter(|most| *most > 0).unwrap_or(1000),
            encoding: Encoding::from_section(section)?,
            path_tag: Some(section.string("path_tag")?.unwrap_or_else(|| "path".to_owned()))
                .filter(|tag| !tag.is_empty()),
            without_colors: !filters.is_empty(),
            multiline: multiline.into_iter().next().flatten(),
        })
    }
}

fn multiline(table: &mut Section) -> Result<Option<Multiline>, ConfigError> {
    let pattern = table.string("pattern")?.filter(|pattern| !pattern.is_empty());
    let quotation = match table.string("quotation")?.as_deref() {
        None | Some("" | "ignore") => None,
        Some("single-quotes") => Some(Quotation::Single),
        Some("double-quotes") => Some(Quotation::Double),
        Some("backticks") => Some(Quotation::Backtick),
        Some(other) => {
            let known = "ignore, single-quotes, double-quotes, backticks";
            return Err(table.bad("quotation", format!("{other:?} is none of {known}")));
        }
    };
    let to_previous = match table.string("match_which_line")?.as_deref() {
        None | Some("" | "previous") => true,
        Some("next") => false,
        Some(other) => {
            let reason = format!("{other:?} is neither \"previous\" nor \"next\"");
            return Err(table.bad("match_which_line", reason));
        }
    };
    let inverted = table.boolean("invert_match")?.unwrap_or(false);
    let keep_line_feeds = table.boolean("preserve_newline")?.unwrap_or(false);
    let timeout = table.duration("timeout")?.filter(|nanos| *nanos > 0).unwrap_or(5_000_000_000);
    if pattern.is_none() && quotation.is_none() {
        return Ok(None);
    }
    let pattern = pattern
        .map(|pattern| go_regex::compile_for_bytes(&pattern).map_err(|why| table.bad("pattern", why)))
        .transpose()?;
    let timeout = Duration::from_nanos(timeout.unsigned_abs());
    Ok(Some(Multiline { pattern, to_previous, inverted, quotation, keep_line_feeds, timeout }))
}
