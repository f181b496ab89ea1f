//! Where commands and statements begin and end in what was typed, pasted or read from a file.
//!
//! A statement ends at its `;`, at the end of the text, or where a line begins like a statement or a command and what
//! is before it is a whole statement, so that lines without semicolons work as they do in `influx`. A command of the
//! shell ends with its line or at its `;`.

use skywatch_influxql::parse_query;

use crate::{
    command::is_command,
    words::{Kind, Piece, pieces},
};

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit<'t> {
    /// A command of the shell, without its `;`.
    Command(&'t str),
    /// A statement for the server, without its `;`.
    Statement(&'t str),
}

/// Words that a statement begins with.
pub(crate) const VERBS: [&str; 11] =
    ["ALTER", "CREATE", "DELETE", "DROP", "EXPLAIN", "GRANT", "KILL", "REVOKE", "SELECT", "SET", "SHOW"];

/// What a text asks for, in order.
pub(crate) fn units(text: &str) -> Vec<Unit<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = skip_empty(rest);
        if rest.is_empty() {
            return found;
        }
        if is_command(rest) {
            let end = command_end(rest);
            found.push(Unit::Command(rest[..end].trim_end()));
            rest = rest[end..].strip_prefix(';').unwrap_or(&rest[end..]);
        } else {
            let end = statement_end(rest);
            found.push(Unit::Statement(rest[..end].trim_end()));
            rest = rest[end..].strip_prefix(';').unwrap_or(&rest[end..]);
        }
    }
}

/// Whether Enter sends the text, or more of it is to come: quotes, parentheses and statements may be open. An empty
/// line at the end sends it whatever it is.
pub(crate) fn is_complete(text: &str) -> bool {
    if text.ends_with("\n\n") || text.trim_start_matches(' ').ends_with("\n\n") {
        return true;
    }
    match units(text).last() {
        None => !pieces(text).last().is_some_and(Piece::is_open),
        Some(Unit::Command(command)) => !(is_insert(command) && has_open_quote(command)),
        Some(Unit::Statement(statement)) => {
            let is_ended = text.trim_end().ends_with(';') && !pieces(text).last().is_some_and(Piece::is_open);
            is_ended || is_whole(statement)
        }
    }
}

/// Whether the grammar does not ask for more. A text that is wrong is whole: the server says what is wrong.
fn is_whole(statement: &str) -> bool {
    let pieces = pieces(statement);
    if pieces.iter().any(Piece::is_open) {
        return false;
    }
    let depth =
        pieces.iter().fold(0_i64, |depth, piece| depth + i64::from(piece.is("(")) - i64::from(piece.is(")")));
    match parse_query(statement) {
        Ok(_) => true,
        Err(error) => depth <= 0 && !error.to_string().contains("found EOF"),
    }
}

/// Drops spaces, comments and semicolons.
fn skip_empty(text: &str) -> &str {
    let is_empty = |piece: &Piece<'_>| !piece.is_significant() || piece.is(";");
    let start = pieces_until(text, |piece| !is_empty(piece));
    &text[start..]
}

fn pieces_until(text: &str, stop: impl Fn(&Piece<'_>) -> bool) -> usize {
    pieces(text).iter().find(|piece| stop(piece)).map_or(text.len(), |piece| piece.start)
}

/// A command ends with its line. Strings of a point may have line feeds in them, and anything may follow in the line
/// of a command with a backslash.
fn command_end(text: &str) -> usize {
    if is_insert(text) {
        let mut end = line_end(text, 0);
        while has_open_quote(&text[..end]) && end < text.len() {
            end = line_end(text, end + 1);
        }
        return end;
    }
    let line = line_end(text, 0);
    if text.starts_with('\\') {
        return line;
    }
    pieces_until(&text[..line], |piece| piece.is(";"))
}

fn statement_end(text: &str) -> usize {
    let pieces = pieces(text);
    for (index, piece) in pieces.iter().enumerate() {
        if piece.is(";") {
            return piece.start;
        }
        let begins_line =
            index > 0 && pieces[index - 1].kind == Kind::Space && pieces[index - 1].text.contains('\n');
        if begins_line
            && begins_unit(&text[piece.start..], piece)
            && parse_query(&text[..piece.start]).is_ok()
        {
            return piece.start;
        }
    }
    text.len()
}

fn begins_unit(text: &str, piece: &Piece<'_>) -> bool {
    VERBS.iter().any(|verb| piece.is(verb)) || is_command(text)
}

fn is_insert(text: &str) -> bool {
    text.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("insert"))
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |end| from + end)
}

/// Whether the quotes that no backslash escapes are odd in number.
fn has_open_quote(text: &str) -> bool {
    crate::import::has_open_quote(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Unit::{Command, Statement};

    #[test]
    fn semicolons_end_statements_where_they_are_no_text() {
        assert_eq!(
            units("select ';' from \"a;b\" where h =~ /;/ -- ;\n; show databases;;"),
            [Statement("select ';' from \"a;b\" where h =~ /;/ -- ;"), Statement("show databases")]
        );
        assert_eq!(units(" ; -- nothing\n/* at all */"), []);
    }

    #[test]
    fn lines_without_semicolons_are_statements_of_their_own() {
        assert_eq!(
            units("use db\nselect usage from cpu\nshow databases\nexit\n"),
            [
                Command("use db"),
                Statement("select usage from cpu"),
                Statement("show databases"),
                Command("exit")
            ]
        );
        // A subquery and a continuous query go on.
        for whole in [
            "select * from (\nselect a from b)",
            "create continuous query c on d begin\nselect mean(a) into x from b group by time(1m)\nend",
            "explain\nselect a from b",
        ] {
            assert_eq!(units(whole), [Statement(whole)]);
        }
    }

    #[test]
    fn commands_end_with_their_line() {
        assert_eq!(
            units("use db; insert m,t=a;b s=\"x;\ny\" 1\n\\o /tmp/a;b\nselect 1"),
            [
                Command("use db"),
                Command("insert m,t=a;b s=\"x;\ny\" 1"),
                Command("\\o /tmp/a;b"),
                Statement("select 1")
            ]
        );
    }

    #[test]
    fn enter_sends_what_is_whole() {
        for text in [
            "show databases",
            "select * from cpu;",
            "select * from cpu",
            "selec",
            "select * from cpu)",
            "use db",
            "",
            "insert m v=1",
            "select\n\n",
            "select * from cpu where host = 'a' -- it's",
            "exit",
        ] {
            assert!(is_complete(text), "{text:?}");
        }
        for text in [
            "select",
            "select * from",
            "select mean(a",
            "select * from cpu where host = 'a",
            "show tag",
            "select * from \"cpu",
            "insert m s=\"a",
            "select a, /* b",
            "show databases; select",
            "/* a",
            "select * from cpu where host = 'a;",
        ] {
            assert!(!is_complete(text), "{text:?}");
        }
    }
}
