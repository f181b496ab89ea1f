//! What is wrong with an inventory, or may surprise: with the line and the key, in plain words.

use std::fmt;

/// Whether a problem stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot work: nothing is rendered.
    Error,
    /// It works, and not as well as it might.
    Warning,
    /// A figure to compare with.
    Hint,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// Where in the file, from 1.
    pub line: usize,
    /// The key, as a path such as `hosts.data1.address`; empty where the text itself is no TOML.
    pub key: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "hint",
        };
        write!(f, "line {}: {severity}: ", self.line)?;
        match self.key.as_str() {
            "" => write!(f, "{}", self.message),
            key => write!(f, "{key}: {}", self.message),
        }
    }
}

/// All that was found, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes one that stands in the way.
    pub(crate) fn error(&mut self, line: usize, key: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Error, line, key.into(), message.into());
    }

    /// Notes one that does not.
    pub(crate) fn warning(&mut self, line: usize, key: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Warning, line, key.into(), message.into());
    }

    /// Notes a figure to compare with.
    pub(crate) fn hint(&mut self, line: usize, key: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Hint, line, key.into(), message.into());
    }

    fn add(&mut self, severity: Severity, line: usize, key: String, message: String) {
        let problem = Problem { severity, line, key, message };
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Whether one stands in the way.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Those of a severity, in the order of the file.
    #[must_use]
    pub fn of(&self, severity: Severity) -> Vec<&Problem> {
        self.sorted().into_iter().filter(|problem| problem.severity == severity).collect()
    }

    /// All of them, in the order of the file.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|problem| (problem.line, problem.severity));
        all
    }
}

impl fmt::Display for Problems {
    /// One a line, in the order of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.sorted().into_iter().enumerate() {
            write!(f, "{}{problem}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}
