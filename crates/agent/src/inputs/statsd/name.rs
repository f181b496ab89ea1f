//! From a bucket's name to a measurement, a field and tags. Pure.

use std::collections::BTreeMap;

use crate::graphite_template::Templates;

/// The rules of names.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) templates: Templates,
    /// Replaces `.` and what Graphite's names may not hold.
    pub(super) sanitize: bool,
    /// The older rule: `.` becomes `_` and `-` becomes `__`.
    pub(super) convert: bool,
}

impl Names {
    /// Measurement, field and tags of a bucket.
    pub(super) fn resolve(&self, bucket: &str) -> (String, String, BTreeMap<String, String>) {
        let bucket = if self.sanitize { sanitized(bucket) } else { bucket.to_owned() };
        let (mut name, field, tags) = self.templates.apply(&bucket);
        if self.convert {
            name = name.replace('.', "_").replace('-', "__");
        }
        (name, field.unwrap_or_else(|| "value".to_owned()), tags)
    }
}

/// As the upstream StatsD server does: white space becomes `_`, `/` becomes `-`, other characters that are no letters,
/// digits, `_`, `-` or `.` go.
fn sanitized(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut in_space = false;
    for c in name.chars() {
        if c.is_whitespace() {
            if !in_space {
                out.push('_');
            }
            in_space = true;
            continue;
        }
        in_space = false;
        match c {
            '/' => out.push('-'),
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_names() {
        assert_eq!(sanitized("a b\t c/d!é.e-f_g"), "a_b_c-d.e-f_g");
    }
}
