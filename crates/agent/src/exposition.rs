//! Prometheus' text format, and the metrics it is written of. Pure.
//!
//! ```text
//! metrics --Layout--> Families: name -> kind -> labels -> newest value --write--> text
//! ```
//!
//! A series is told apart by its tags. Strings may become labels of it as well; when one changes, the series has another
//! label from then on and is no second one beside the first.

mod families;
mod names;
pub(crate) mod number;
mod text;

pub(crate) use families::{Families, Full};
pub(crate) use names::{Names, Sanitization};
pub(crate) use text::{CONTENT_TYPE, Escaping, write_scalar};

use crate::config::{ConfigError, Section};
use crate::filter::glob::Globs;
use crate::metric::Kind;

/// How metrics become families; Telegraf's `metric_version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Families are named `<measurement>_<field>`, or `<measurement>` where the field only says what it is (`value`, and
    /// `counter` or `gauge` of that kind). Histograms and summaries have a field for each bound.
    One,
    /// Families are named `<measurement>_<field>`, or `<field>` of the measurement `prometheus`. Histograms and summaries
    /// have a metric for each bound, in the tag `le` or `quantile`. Booleans are 1 and 0.
    Two,
}

/// How metrics are put into families.
#[derive(Debug)]
pub(crate) struct Options {
    /// See [`Layout`].
    pub(crate) layout: Layout,
    /// Whether string fields become labels.
    pub(crate) string_as_label: bool,
    /// What becomes of characters that names cannot have.
    pub(crate) names: Names,
    /// Kinds by name instead of by metric.
    pub(crate) kinds: Kinds,
}

/// `metric_types`: names of families whose kind is given.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    counter: Option<Globs>,
    gauge: Option<Globs>,
}

impl Kinds {
    /// The globs of a table; `option` names it in errors.
    pub(crate) fn from_section(section: &mut Section, option: &'static str) -> Result<Self, ConfigError> {
        let mut tables = section.sections(option, |inside| {
            let mut globs = |key| match inside.strings(key)?.filter(|list| !list.is_empty()) {
                None => Ok(None),
                Some(list) => Globs::compile(&list, "").map(Some).map_err(|why| inside.bad(key, why)),
            };
            Ok(Self { counter: globs("counter")?, gauge: globs("gauge")? })
        })?;
        if tables.len() > 1 {
            return Err(section.bad(option, "there is more than one such table"));
        }
        Ok(tables.pop().unwrap_or_default())
    }

    /// The kind of a family of this name, of which a metric says `kind`.
    fn of(&self, name: &str, kind: Kind) -> Kind {
        let listed = |globs: &Option<Globs>| globs.as_ref().is_some_and(|globs| globs.matches(name));
        if listed(&self.gauge) {
            Kind::Gauge
        } else if listed(&self.counter) {
            Kind::Counter
        } else {
            kind
        }
    }
}

#[cfg(test)]
mod tests;
