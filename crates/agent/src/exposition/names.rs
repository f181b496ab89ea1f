//! Names of families and labels: what becomes of characters that Prometheus does not allow.

use std::borrow::Cow;

use super::Layout;

/// Telegraf's `name_sanitization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sanitization {
    /// Letters, digits and `_`, and `:` in names of families.
    Legacy,
    /// Anything that is UTF-8.
    Utf8,
}

/// How names are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    /// See [`Sanitization`].
    pub(crate) sanitization: Sanitization,
    /// The layouts differ in what they do at the ends of a name.
    pub(crate) layout: Layout,
}

impl Names {
    /// The name of a family; `None` if nothing is left of it.
    pub(crate) fn family<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        self.name(name, true)
    }

    /// The name of a label; `None` if nothing is left of it.
    pub(crate) fn label<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        self.name(name, false)
    }

    fn name<'a>(&self, name: &'a str, colons: bool) -> Option<Cow<'a, str>> {
        if name.is_empty() {
            return None;
        }
        match (self.sanitization, self.layout) {
            (Sanitization::Utf8, _) => Some(Cow::Borrowed(name)),
            // A name that begins with a digit is none.
            (Sanitization::Legacy, Layout::One) => {
                let name = underscores(name, colons);
                (!name.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
            }
            // A beginning that is not allowed is cut off, and so are the underscores at the ends.
            (Sanitization::Legacy, Layout::Two) => {
                let mut rest = name.chars();
                if name.starts_with(|c| !is_first(c, colons)) {
                    rest.next();
                }
                match underscores(rest.as_str(), colons) {
                    Cow::Borrowed(name) => Some(Cow::Borrowed(name.trim_matches('_'))),
                    Cow::Owned(name) => Some(Cow::Owned(name.trim_matches('_').to_owned())),
                }
                .filter(|name| !name.is_empty())
            }
        }
    }
}

/// Whether a name needs no quotes in any version of the text format.
pub(super) fn is_plain(name: &str, colons: bool) -> bool {
    name.starts_with(|c| is_first(c, colons)) && name.chars().all(|c| is_rest(c, colons))
}

/// The name with underscores in the place of what is not allowed.
pub(super) fn underscores(name: &str, colons: bool) -> Cow<'_, str> {
    if name.chars().all(|c| is_rest(c, colons)) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(|c| if is_rest(c, colons) { c } else { '_' }).collect())
}

fn is_first(c: char, colons: bool) -> bool {
    is_rest(c, colons) && !c.is_ascii_digit()
}

fn is_rest(c: char, colons: bool) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_layouts() {
        let of = |layout, sanitization, name| {
            Names { layout, sanitization }.family(name).map(Cow::into_owned).unwrap_or_default()
        };
        for (name, one, two) in [
            ("cpu_usage", "cpu_usage", "cpu_usage"),
            ("a:b.c-d e", "a:b_c_d_e", "a:b_c_d_e"),
            ("größe", "gr__e", "gr__e"),
            ("9lives", "", "lives"),
            ("_a%", "_a_", "a"),
            ("%", "_", ""),
        ] {
            assert_eq!(of(Layout::One, Sanitization::Legacy, name), one, "{name}");
            assert_eq!(of(Layout::Two, Sanitization::Legacy, name), two, "{name}");
            assert_eq!(of(Layout::Two, Sanitization::Utf8, name), name);
        }
        let names = Names { layout: Layout::One, sanitization: Sanitization::Legacy };
        assert_eq!(names.label("a:b").as_deref(), Some("a_b"), "labels have no colons");
        assert_eq!(names.label(""), None);
    }
}
