//! What a probe has to say.

/// One thing that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// What it is called.
    pub(super) name: &'static str,
    pub(super) state: State,
    /// Where it was found, or why it is not used; part of a sentence, on one line.
    pub(super) note: String,
}

/// Whether it can be collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It answered: these tables collect it.
    Found(String),
    /// It is there, and something has to be done before these tables can collect it.
    Unusable(String),
    /// It is not there.
    Absent,
}

impl Finding {
    pub(super) fn found(name: &'static str, note: impl Into<String>, toml: impl Into<String>) -> Self {
        Self::new(name, State::Found(toml.into()), &note.into())
    }

    pub(super) fn unusable(name: &'static str, note: impl Into<String>, toml: impl Into<String>) -> Self {
        Self::new(name, State::Unusable(toml.into()), &note.into())
    }

    pub(super) fn absent(name: &'static str, note: impl Into<String>) -> Self {
        Self::new(name, State::Absent, &note.into())
    }

    /// Texts of other programs may be part of a note, and a note is a comment of one line.
    fn new(name: &'static str, state: State, note: &str) -> Self {
        Self { name, state, note: note.replace(char::is_control, " ") }
    }
}
