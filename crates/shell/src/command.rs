//! Commands of the shell itself: those of `influx`, and some with a backslash as other database shells have them.

use std::{path::PathBuf, time::Duration};

use crate::settings::{Format, Precision, Vertical};

/// Names of commands, for completion: what follows is asked of [`parse`].
pub(crate) const COMMANDS: [&str; 16] = [
    "auth",
    "chunk size",
    "chunked",
    "clear",
    "connect",
    "consistency",
    "exit",
    "format",
    "help",
    "history",
    "insert",
    "precision",
    "pretty",
    "quit",
    "settings",
    "use",
];

/// Names of those with a backslash.
pub(crate) const BACKSLASH_COMMANDS: [&str; 10] =
    ["\\?", "\\d", "\\i", "\\l", "\\o", "\\q", "\\timing", "\\watch", "\\x", "\\g"];

/// Shortest time between two asks of `\watch`.
const WATCH_EVERY_MIN: f64 = 0.1;

/// What a command asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    Use {
        database: String,
        policy: Option<String>,
    },
    /// `policy` may be empty, `database` too: what was chosen then counts.
    Insert {
        database: String,
        policy: String,
        line: String,
    },
    Format(Format),
    Precision(Precision),
    /// `None` turns over.
    Pretty,
    Chunked,
    ChunkSize(Option<u32>),
    Consistency(String),
    Vertical(Option<Vertical>),
    Timing,
    ClearDatabase,
    ClearPolicy,
    Settings,
    History,
    Auth {
        user: Option<String>,
    },
    Connect(String),
    Help(String),
    Exit,
    /// Runs a file.
    Include(PathBuf),
    /// Answers go to a file from now on, or to the screen again.
    Output(Option<PathBuf>),
    /// Repeats the latest statement.
    Again,
    Watch(Duration),
    ListDatabases,
    Describe(Option<String>),
}

/// Whether a text begins with a command.
pub(crate) fn is_command(text: &str) -> bool {
    if text.starts_with('\\') || text.starts_with('?') {
        return true;
    }
    let word =
        text.split(|ch: char| !ch.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_lowercase();
    let follows_space = text[word.len()..].chars().next().is_none_or(|ch| ch.is_whitespace() || ch == ';');
    follows_space && (word == "chunk" || COMMANDS.contains(&word.as_str()))
}

/// Reads a command; the error says how it is written.
pub(crate) fn parse(text: &str) -> Result<Command, String> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match word.to_ascii_lowercase().as_str() {
        "use" => use_database(rest),
        "insert" => insert(rest),
        "format" => rest.parse().map(Command::Format).map_err(|error| format!("format: {error}")),
        "precision" => rest.parse().map(Command::Precision).map_err(|error| format!("precision: {error}")),
        "pretty" => none(rest, Command::Pretty, "pretty"),
        "chunked" => none(rest, Command::Chunked, "chunked"),
        "chunk" => chunk_size(rest),
        "consistency" => consistency(rest),
        "clear" => clear(rest),
        "settings" => none(rest, Command::Settings, "settings"),
        "history" => none(rest, Command::History, "history"),
        "auth" => Ok(Command::Auth { user: (!rest.is_empty()).then(|| rest.to_owned()) }),
        "connect" if rest.is_empty() => Err("write: connect URL".to_owned()),
        "connect" => Ok(Command::Connect(rest.to_owned())),
        "help" | "?" | "\\?" | "\\h" => Ok(Command::Help(rest.to_owned())),
        "exit" | "quit" | "\\q" => none(rest, Command::Exit, "exit"),
        "\\timing" => none(rest, Command::Timing, "\\timing"),
        "\\x" if rest.is_empty() => Ok(Command::Vertical(None)),
        "\\x" => rest
            .parse()
            .map(|chosen| Command::Vertical(Some(chosen)))
            .map_err(|error| format!("\\x: {error}")),
        "\\g" => none(rest, Command::Again, "\\g"),
        "\\watch" => watch(rest),
        "\\o" => Ok(Command::Output((!rest.is_empty()).then(|| PathBuf::from(rest)))),
        "\\i" if rest.is_empty() => Err("write: \\i FILE".to_owned()),
        "\\i" => Ok(Command::Include(PathBuf::from(rest))),
        "\\l" => none(rest, Command::ListDatabases, "\\l"),
        "\\d" => Ok(Command::Describe(match name(rest) {
            Some((measurement, "")) => Some(measurement),
            None if rest.is_empty() => None,
            _ => return Err("write: \\d or \\d MEASUREMENT".to_owned()),
        })),
        word => Err(format!("there is no command {word}; help lists those there are")),
    }
}

fn none(rest: &str, command: Command, name: &str) -> Result<Command, String> {
    if rest.is_empty() { Ok(command) } else { Err(format!("{name} takes nothing: what is {rest:?}?")) }
}

fn use_database(rest: &str) -> Result<Command, String> {
    let usage = || {
        "write: use DATABASE or use DATABASE.POLICY, names with special characters in double quotes"
            .to_owned()
    };
    let (database, rest) = name(rest).ok_or_else(usage)?;
    match rest.strip_prefix('.') {
        None if rest.is_empty() => Ok(Command::Use { database, policy: None }),
        Some(rest) => match name(rest) {
            Some((policy, "")) => Ok(Command::Use { database, policy: Some(policy) }),
            _ => Err(usage()),
        },
        None => Err(usage()),
    }
}

/// `[INTO [db.]policy] line`, as `influx` has it.
fn insert(rest: &str) -> Result<Command, String> {
    let usage =
        || "write: insert [into [DATABASE.]POLICY] LINE, such as: insert cpu,host=a usage=12.5".to_owned();
    let into = rest
        .split_at_checked(4)
        .filter(|(word, after)| word.eq_ignore_ascii_case("into") && after.starts_with(char::is_whitespace));
    let (database, policy, line) = match into {
        None => (String::new(), String::new(), rest),
        Some((_, after)) => {
            let (first, after) = name(after.trim_start()).ok_or_else(usage)?;
            match after.strip_prefix('.') {
                None => (String::new(), first, after),
                Some(after) => {
                    let (second, after) = name(after).ok_or_else(usage)?;
                    (first, second, after)
                }
            }
        }
    };
    match line.trim() {
        "" => Err(usage()),
        line => Ok(Command::Insert { database, policy, line: line.to_owned() }),
    }
}

fn chunk_size(rest: &str) -> Result<Command, String> {
    let number = rest.split_at_checked(4).filter(|(word, _)| word.eq_ignore_ascii_case("size"));
    match number.map(|(_, number)| number.trim().parse::<u32>()) {
        Some(Ok(0)) => Ok(Command::ChunkSize(None)),
        Some(Ok(rows)) => Ok(Command::ChunkSize(Some(rows))),
        _ => Err("write: chunk size ROWS; 0 leaves it to the server".to_owned()),
    }
}

fn consistency(rest: &str) -> Result<Command, String> {
    match rest {
        "any" | "one" | "quorum" | "all" => Ok(Command::Consistency(rest.to_owned())),
        _ => Err(format!("consistency: {rest:?} is none of any, one, quorum, all")),
    }
}

fn clear(rest: &str) -> Result<Command, String> {
    match rest.to_ascii_lowercase().as_str() {
        "database" | "db" => Ok(Command::ClearDatabase),
        "retention policy" | "rp" => Ok(Command::ClearPolicy),
        _ => Err("write: clear database (db) or clear retention policy (rp)".to_owned()),
    }
}

fn watch(rest: &str) -> Result<Command, String> {
    let seconds = if rest.is_empty() { Ok(2.0) } else { rest.parse::<f64>() };
    match seconds {
        Ok(seconds) if (WATCH_EVERY_MIN..=86_400.0).contains(&seconds) => {
            Ok(Command::Watch(Duration::from_secs_f64(seconds)))
        }
        _ => Err(format!("write: \\watch SECONDS, from {WATCH_EVERY_MIN} to 86400")),
    }
}

/// A name at the beginning of a text, bare up to a dot or a space or in double quotes, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|ch: char| ch == '.' || ch.is_whitespace()).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, ch)) = chars.next() {
        match ch {
            '"' => return Some((name, &quoted[at + 1..])),
            '\\' => name.push(chars.next()?.1),
            ch => name.push(ch),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_statements() {
        for text in ["use db", "USE db", "exit", "exit;", "insert cpu v=1", "\\x", "chunk size 5", "help"] {
            assert!(is_command(text), "{text}");
        }
        for text in ["show databases", "user", "formatted", "select 1", "delete from cpu"] {
            assert!(!is_command(text), "{text}");
        }
        for name in COMMANDS {
            assert!(is_command(name), "{name}");
        }
    }

    #[test]
    fn habits_of_influx_work() {
        let uses = |database: &str, policy: Option<&str>| {
            Ok(Command::Use { database: database.into(), policy: policy.map(Into::into) })
        };
        assert_eq!(parse("USE \"my.db\""), uses("my.db", None));
        assert_eq!(parse("use db.week"), uses("db", Some("week")));
        assert_eq!(parse("use \"a\\\"b\".\"c d\""), uses("a\"b", Some("c d")));
        assert_eq!(parse("precision s"), Ok(Command::Precision(Precision::Seconds)));
        assert_eq!(parse("format column"), Ok(Command::Format(Format::Table)));
        assert_eq!(parse("chunk size 100"), Ok(Command::ChunkSize(Some(100))));
        assert_eq!(parse("clear rp"), Ok(Command::ClearPolicy));
        let insert = |database: &str, policy: &str, line: &str| {
            Ok(Command::Insert { database: database.into(), policy: policy.into(), line: line.into() })
        };
        assert_eq!(parse("insert into week cpu v=1"), insert("", "week", "cpu v=1"));
        assert_eq!(parse("INSERT INTO \"db\".\"week\" cpu v=1"), insert("db", "week", "cpu v=1"));
        assert_eq!(parse("insert intox v=1"), insert("", "", "intox v=1"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, told) in [
            ("use", "write: use"),
            ("use \"db", "write: use"),
            ("use a b", "write: use"),
            ("format xml", "\"xml\" is none of table"),
            ("precision x", "none of rfc3339"),
            ("insert", "write: insert"),
            ("\\watch 0", "write: \\watch"),
            ("\\nope", "there is no command \\nope"),
            ("exit now", "takes nothing"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
