//! Commands as configurations write them: one text with a shell's quotes, or a list of words.

use std::fs;
use std::path::Path;

use crate::config::{ConfigError, Section, TextOrWords};
use crate::path_glob::PathGlob;

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    words: Vec<String>,
    /// Whether the program's path is a pattern.
    is_pattern: bool,
}

impl CommandLine {
    /// Splits a text as a shell would; nothing else of a shell is there.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words = shell_words::split(text).map_err(|error| format!("{text:?}: {error}"))?;
        match words.first() {
            None => Err("there is no command".to_owned()),
            Some(program) => Ok(Self { is_pattern: program.contains(['*', '?', '[']), words }),
        }
    }

    /// Words that are taken as they are.
    pub(super) fn of_words(words: Vec<String>) -> Result<Self, String> {
        if words.first().is_none_or(String::is_empty) {
            return Err("there is no command".to_owned());
        }
        Ok(Self { words, is_pattern: false })
    }

    /// The command for every program its path stands for; one that matches nothing stays as it is.
    pub(super) fn expanded(&self) -> Vec<Vec<String>> {
        let plain = || vec![self.words.clone()];
        let Some((program, arguments)) = self.words.split_first().filter(|_| self.is_pattern) else {
            return plain();
        };
        let programs = PathGlob::new(program).map(|glob| glob.files()).unwrap_or_default();
        if programs.is_empty() {
            return plain();
        }
        programs
            .iter()
            .filter(|path| is_file(path))
            .map(|path| {
                let program = path.to_string_lossy().into_owned();
                std::iter::once(program).chain(arguments.iter().cloned()).collect()
            })
            .collect()
    }
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// A list of commands: each a text, or a list of words.
pub(super) fn many(section: &mut Section, key: &'static str) -> Result<Vec<CommandLine>, ConfigError> {
    let lists = section.texts_or_words(key)?.unwrap_or_default();
    lists
        .into_iter()
        .map(|item| match item {
            TextOrWords::Text(text) => CommandLine::parse(&text),
            TextOrWords::Words(words) => CommandLine::of_words(words),
        })
        .collect::<Result<_, _>>()
        .map_err(|why| section.bad(key, why))
}

/// `environment`: `NAME=value`.
pub(super) fn environment(section: &mut Section) -> Result<Vec<(String, String)>, ConfigError> {
    let list = section.strings("environment")?.unwrap_or_default();
    list.iter()
        .map(|entry| match entry.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(section.bad("environment", format!("{entry:?} is not NAME=value"))),
        })
        .collect()
}
