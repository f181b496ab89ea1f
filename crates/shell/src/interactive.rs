//! The interactive shell: a line, an answer. `use DB` chooses the database, `format F` the output.

use std::io::Write;

use rustyline::{DefaultEditor, error::ReadlineError};

use skywatch_client::{Client, ClientError};

use crate::{Format, ask};

const HELP: &str = "\
  use <database>          choose the database
  format table|json|csv   choose how answers are printed
  help                    this text
  exit, quit, Ctrl-D      leave
  anything else           is sent to the server, e.g. SHOW DATABASES
";

/// Where the shell keeps what was typed, below the home directory.
const HISTORY_FILE: &str = ".skywatch_history";

/// What a typed line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Nothing,
    Help,
    Exit,
    Use(&'a str),
    Format(&'a str),
    Query(&'a str),
}

/// Reads lines until the end of input or `exit`. Answers and errors go to `out`.
pub async fn run_interactive(
    client: &Client,
    mut database: String,
    mut format: Format,
    home: Option<&std::path::Path>,
    out: &mut impl Write,
) -> Result<(), ReadlineError> {
    let mut editor = DefaultEditor::new()?;
    let history = home.map(|home| home.join(HISTORY_FILE));
    if let Some(history) = &history {
        // The first session has no history yet.
        editor.load_history(history).unwrap_or_default();
    }
    writeln!(out, "Skywatch shell. 'help' lists commands, Ctrl-D leaves.")?;
    loop {
        let prompt = if database.is_empty() { "> ".to_owned() } else { format!("{database}> ") };
        let typed = match editor.readline(&prompt) {
            Ok(typed) => typed,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error),
        };
        let line = parse_line(&typed);
        if line != Line::Nothing {
            editor.add_history_entry(typed.trim())?;
        }
        match line {
            Line::Nothing => {}
            Line::Help => out.write_all(HELP.as_bytes())?,
            Line::Exit => break,
            Line::Use(name) => database = name.to_owned(),
            Line::Format(name) => match parse_format(name) {
                Some(chosen) => format = chosen,
                None => writeln!(out, "unknown format {name:?}: table, json or csv")?,
            },
            Line::Query(query) => answer(client, &database, query, format, out).await?,
        }
    }
    if let Some(history) = &history {
        editor.append_history(history)?;
    }
    Ok(())
}

async fn answer(
    client: &Client,
    database: &str,
    query: &str,
    format: Format,
    out: &mut impl Write,
) -> std::io::Result<()> {
    match ask(client, database, query, format).await {
        Ok(text) => writeln!(out, "{}", text.trim_end()),
        Err(error @ ClientError::Refused(_)) => writeln!(out, "ERR: {error}"),
        Err(error) => writeln!(out, "{error}"),
    }
}

fn parse_line(typed: &str) -> Line<'_> {
    let text = typed.trim().trim_end_matches(';').trim_end();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match word.to_ascii_lowercase().as_str() {
        "" => Line::Nothing,
        "help" | "?" if rest.is_empty() => Line::Help,
        "exit" | "quit" if rest.is_empty() => Line::Exit,
        "use" if !rest.is_empty() => Line::Use(rest.trim_matches('"')),
        "format" if !rest.is_empty() => Line::Format(rest),
        _ => Line::Query(text),
    }
}

fn parse_format(name: &str) -> Option<Format> {
    match name {
        "table" => Some(Format::Table),
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(parse_line("  "), Line::Nothing);
        assert_eq!(parse_line("USE \"my db\";"), Line::Use("my db"));
        assert_eq!(parse_line("quit"), Line::Exit);
        assert_eq!(parse_line("format csv"), Line::Format("csv"));
        assert_eq!(parse_line("show databases;"), Line::Query("show databases"));
    }
}
