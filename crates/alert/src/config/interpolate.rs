//! `$VAR`, `${VAR}`, `$__env{VAR}`, `$__file{path}` and `$$` in the values of a file.
//!
//! Unlike in Grafana, a variable that is not set is an error: an empty webhook or label would go unnoticed.

use std::{env, fs, io};

/// Where values of variables and files come from.
pub trait Environment: Send + Sync {
    /// The value of an environment variable; `None` when it is not set.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file.
    fn file(&self, path: &str) -> io::Result<String>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }

    fn file(&self, path: &str) -> io::Result<String> {
        fs::read_to_string(path)
    }
}

/// Replaces what is to be replaced. Errors name variables and paths, never values.
pub(super) fn interpolate(text: &str, environment: &dyn Environment) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((path, after)) = braced(rest, "__file{")? {
            let content =
                environment.file(path).map_err(|error| format!("file {path:?} cannot be read: {error}"))?;
            out.push_str(content.trim_end_matches(['\n', '\r']));
            rest = after;
        } else if let Some((name, after)) =
            braced(rest, "__env{")?.map_or_else(|| braced(rest, "{"), |hit| Ok(Some(hit)))?
        {
            out.push_str(&variable(name, environment)?);
            rest = after;
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                out.push('$');
            } else {
                out.push_str(&variable(name, environment)?);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The paths that a text may take values from.
pub(super) fn files_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("$__file{").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

fn braced<'a>(text: &'a str, open: &str) -> Result<Option<(&'a str, &'a str)>, String> {
    match text.strip_prefix(open) {
        None => Ok(None),
        Some(inner) => match inner.split_once('}') {
            Some(pair) => Ok(Some(pair)),
            None => Err(format!("${open} is not closed with }}; write $$ for a dollar sign")),
        },
    }
}

fn variable(name: &str, environment: &dyn Environment) -> Result<String, String> {
    environment.variable(name).ok_or_else(|| {
        if matches!(name, "labels" | "values" | "value") {
            format!(
                "in this place a template must be written with two dollar signs, as in {{{{ $${name} }}}}"
            )
        } else {
            format!(
                "environment variable {name} is not set: export it first (a dollar sign itself is written $$)"
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Environment for Fixed {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "HOOK" || name == "_A1").then(|| format!("<{name}>"))
        }
        fn file(&self, path: &str) -> io::Result<String> {
            if path == "/run/hook" { Ok("secret\n".into()) } else { Err(io::ErrorKind::NotFound.into()) }
        }
    }

    #[test]
    fn all_forms() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a $HOOK b", "a <HOOK> b"),
            ("${HOOK}$_A1.", "<HOOK><_A1>."),
            ("$__env{HOOK}", "<HOOK>"),
            ("$__file{/run/hook}", "secret"),
            ("{{ $$labels.x }} costs 5$$", "{{ $labels.x }} costs 5$"),
            ("^db.*$", "^db.*$"),
            ("5$ and $1 or $.", "5$ and $1 or $."),
        ] {
            assert_eq!(interpolate(text, &Fixed), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, needle) in [
            ("$NOPE", "NOPE is not set"),
            ("${NOPE}", "NOPE is not set"),
            ("${HOOK", "not closed"),
            ("$__file{/nope}", "/nope"),
            ("{{ $labels.x }}", "$$labels"),
        ] {
            let error = interpolate(text, &Fixed).unwrap_err();
            assert!(error.contains(needle), "{text}: {error}");
        }
    }
}
