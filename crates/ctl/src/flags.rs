//! Options as Go's programs take them: `-name value`, `-name=value`, one dash or two, switches without a value. Unlike
//! there, options may also follow the arguments.

use std::time::Duration;

use crate::go_duration;

/// An option a command knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag {
    /// Without dashes.
    pub(crate) name: &'static str,
    /// What its value is called in the usage; empty for a switch.
    pub(crate) value: &'static str,
    /// One sentence.
    pub(crate) help: &'static str,
}

impl Flag {
    /// An option that is there or not.
    pub(crate) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { name, value: "", help }
    }

    /// An option with a value.
    pub(crate) const fn valued(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, value, help }
    }
}

/// What is wrong with the options themselves; in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    #[error("flag needs an argument: -{0}")]
    NoValue(String),
    #[error("invalid boolean value {value:?} for -{name}: parse error")]
    NoBoolean { name: String, value: String },
    #[error("invalid value {value:?} for flag -{name}: {reason}")]
    BadValue { name: String, value: String, reason: &'static str },
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// Not a mistake: the usage is asked for.
    #[error("help requested")]
    Help,
}

/// The options and arguments of one command line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    /// In the order given; a switch has the value `true` or `false`.
    given: Vec<(&'static str, String)>,
    /// What is no option.
    pub(crate) arguments: Vec<String>,
}

impl Flags {
    /// Reads everything. After `--` nothing is an option.
    pub(crate) fn parse(texts: &[String], known: &[Flag]) -> Result<Self, FlagError> {
        let (flags, rest) = Self::parse_until(texts, known, |_| false)?;
        debug_assert!(rest.is_empty());
        Ok(flags)
    }

    /// Reads options up to the first argument, which begins the rest.
    pub(crate) fn parse_leading<'a>(
        texts: &'a [String],
        known: &[Flag],
    ) -> Result<(Self, &'a [String]), FlagError> {
        Self::parse_until(texts, known, |_| true)
    }

    fn parse_until<'a>(
        mut texts: &'a [String],
        known: &[Flag],
        ends: impl Fn(&str) -> bool,
    ) -> Result<(Self, &'a [String]), FlagError> {
        let mut flags = Self::default();
        while let Some((text, rest)) = texts.split_first() {
            if text == "--" {
                flags.arguments.extend_from_slice(rest);
                return Ok((flags, &[]));
            }
            let Some(name) = option_name(text) else {
                if ends(text) {
                    return Ok((flags, texts));
                }
                flags.arguments.push(text.clone());
                texts = rest;
                continue;
            };
            texts = flags.take_option(name, rest, known)?;
        }
        Ok((flags, texts))
    }

    fn take_option<'a>(
        &mut self,
        option: &str,
        rest: &'a [String],
        known: &[Flag],
    ) -> Result<&'a [String], FlagError> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(FlagError::Syntax(format!("-{option}")));
        }
        let Some(flag) = known.iter().find(|flag| flag.name == name) else {
            let is_help = matches!(name, "h" | "help");
            return Err(if is_help { FlagError::Help } else { FlagError::Unknown(name.to_owned()) });
        };
        let (value, rest) = match (value, flag.value.is_empty()) {
            (None, true) => ("true".to_owned(), rest),
            (Some(value), true) => (boolean(name, value)?.to_string(), rest),
            (Some(value), false) => (value.to_owned(), rest),
            (None, false) => {
                let (value, rest) = rest.split_first().ok_or_else(|| FlagError::NoValue(name.to_owned()))?;
                (value.clone(), rest)
            }
        };
        self.given.push((flag.name, value));
        Ok(rest)
    }

    /// These, after those: what is given twice counts as given last.
    pub(crate) fn after(mut self, mut earlier: Self) -> Self {
        earlier.given.append(&mut self.given);
        earlier.arguments.append(&mut self.arguments);
        earlier
    }

    /// Whether a switch is set.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// The value given last.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// Every value given.
    pub(crate) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.given.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// A duration, or `default`.
    pub(crate) fn duration(&self, name: &str, default: Duration) -> Result<Duration, FlagError> {
        let Some(value) = self.text(name) else { return Ok(default) };
        go_duration::parse(value).ok_or_else(|| FlagError::BadValue {
            name: name.to_owned(),
            value: value.to_owned(),
            reason: "a duration such as 10s, 1m30s or 500ms is expected",
        })
    }
}

/// What follows the dashes, if the text is an option. A dash alone is an argument, and so is a number below zero.
fn option_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix('-')?;
    (!name.is_empty() && !name.starts_with(|char: char| char.is_ascii_digit()))
        .then(|| name.strip_prefix('-').unwrap_or(name))
}

/// As Go's `strconv.ParseBool`.
fn boolean(name: &str, value: &str) -> Result<bool, FlagError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(FlagError::NoBoolean { name: name.to_owned(), value: value.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Flag; 3] =
        [Flag::switch("k", ""), Flag::valued("bind", "addr", ""), Flag::valued("exp", "duration", "")];

    fn parse(text: &str) -> Result<Flags, FlagError> {
        let texts: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Flags::parse(&texts, &KNOWN)
    }

    #[test]
    fn one_dash_or_two_before_or_behind() {
        for text in ["-bind a:1 -k x", "--bind=a:1 --k x", "x -k=true -bind a:1", "-k x --bind a:1"] {
            let flags = parse(text).unwrap();
            assert_eq!((flags.text("bind"), flags.is_set("k")), (Some("a:1"), true), "{text}");
            assert_eq!(flags.arguments, ["x"], "{text}");
        }
        assert_eq!(parse("-- -k - x").unwrap().arguments, ["-k", "-", "x"]);
        assert_eq!(parse("-k -1").unwrap().arguments, ["-1"]);
        assert!(!parse("-k -k=false").unwrap().is_set("k"));
        assert_eq!(parse("-bind a -bind b").unwrap().texts("bind").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn mistakes_are_told_as_go_does() {
        for (text, told) in [
            ("-x", "flag provided but not defined: -x"),
            ("--bind", "flag needs an argument: -bind"),
            ("-k=maybe", "invalid boolean value \"maybe\" for -k: parse error"),
            ("---k", "bad flag syntax: --k"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), told);
        }
        for text in ["-h", "--help"] {
            assert_eq!(parse(text), Err(FlagError::Help));
        }
    }

    #[test]
    fn durations_have_units() {
        let second = Duration::from_secs(1);
        assert_eq!(parse("-exp 90s").unwrap().duration("exp", second), Ok(Duration::from_secs(90)));
        assert_eq!(parse("").unwrap().duration("exp", second), Ok(second));
        assert!(parse("-exp 90").unwrap().duration("exp", second).is_err());
    }
}
