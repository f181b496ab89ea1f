//! The line editor's helper: completion from the schema, hints from the history, colours, and when Enter sends.

use std::{borrow::Cow, sync::Arc};

use rustyline::{
    Context, Helper, Result,
    completion::{Completer, Pair},
    highlight::{CmdKind, Highlighter},
    hint::{Hinter, HistoryHinter},
    validate::{ValidationContext, ValidationResult, Validator},
};
use skywatch_influxql::{quote_ident, quote_string};
use tokio::runtime::Handle;

use crate::{
    command::is_command,
    complete::{FUNCTIONS, Quote, place},
    schema::Schema,
    script::is_complete,
    style::Style,
    words::{Kind, Piece, pieces},
};

/// Longest text that is coloured: beyond it, typing would become slow.
const COLOURED_BYTES_MAX: usize = 8 * 1024;

/// Words in colours. The rest of InfluxQL's are too short or too rare to matter.
const KEYWORDS: [&str; 62] = [
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "AS",
    "ASC",
    "BEGIN",
    "BY",
    "CARDINALITY",
    "CREATE",
    "CONTINUOUS",
    "DATABASE",
    "DATABASES",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DIAGNOSTICS",
    "DISTINCT",
    "DROP",
    "DURATION",
    "END",
    "EVERY",
    "EXACT",
    "EXPLAIN",
    "FIELD",
    "FOR",
    "FROM",
    "GRANT",
    "GRANTS",
    "GROUP",
    "GROUPS",
    "IN",
    "INTO",
    "KEY",
    "KEYS",
    "KILL",
    "LIMIT",
    "MEASUREMENT",
    "MEASUREMENTS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "PASSWORD",
    "POLICIES",
    "POLICY",
    "PRIVILEGES",
    "QUERIES",
    "QUERY",
    "REPLICATION",
    "RETENTION",
    "REVOKE",
    "SELECT",
    "SERIES",
    "SHARD",
    "SHARDS",
    "SHOW",
    "SLIMIT",
    "TAG",
    "VALUES",
    "WHERE",
    "WITH",
];

/// See the module's header.
pub(crate) struct Assistant {
    schema: Arc<Schema>,
    runtime: Handle,
    style: Style,
    hinter: HistoryHinter,
}

impl Assistant {
    pub(crate) fn new(schema: Arc<Schema>, runtime: Handle, style: Style) -> Self {
        Self { schema, runtime, style, hinter: HistoryHinter::new() }
    }

    /// Words and names that fit at a place, each once, those of the schema first.
    fn candidates(&self, text: &str, cursor: usize) -> (usize, Vec<Pair>) {
        let place = place(text, cursor);
        let mut pairs: Vec<Pair> = Vec::new();
        for listing in &place.listings {
            let is_value = matches!(listing, crate::schema::Listing::TagValues(..));
            for name in self.schema.names(listing, &self.runtime).iter() {
                let replacement = match (place.quote, is_value) {
                    (Quote::Single, true) | (Quote::None, true) => quote_string(name),
                    (Quote::None, false) => quote_ident(name),
                    (Quote::Double, false) => in_double_quotes(name),
                    (Quote::Single, false) | (Quote::Double, true) => continue,
                };
                if name.starts_with(&place.typed) || replacement.starts_with(&place.typed) {
                    push_once(&mut pairs, name.clone(), replacement);
                }
            }
        }
        if place.quote == Quote::None {
            let typed = place.typed.to_ascii_uppercase();
            for word in place.words.iter().filter(|word| word.to_ascii_uppercase().starts_with(&typed)) {
                push_once(&mut pairs, word.trim_end().to_owned(), word.clone());
            }
        }
        (place.start, pairs)
    }
}

fn push_once(pairs: &mut Vec<Pair>, display: String, replacement: String) {
    if !pairs.iter().any(|pair| pair.replacement == replacement) {
        pairs.push(Pair { display, replacement });
    }
}

fn in_double_quotes(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _ctx: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        Ok(self.candidates(line, pos))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, ctx: &Context<'_>) -> Option<String> {
        // What has several lines would tear the screen apart at every key.
        self.hinter.hint(line, pos, ctx).filter(|hint| !hint.contains('\n') && self.style.is_coloured())
    }
}

impl Validator for Assistant {
    fn validate(&self, ctx: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        Ok(if is_complete(ctx.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        if !self.style.is_coloured() || line.len() > COLOURED_BYTES_MAX || is_command(line.trim_start()) {
            return Cow::Borrowed(line);
        }
        let pieces = pieces(line);
        let paint = |(index, piece): (usize, &Piece<'_>)| {
            let calls = pieces.get(index + 1).is_some_and(|next| next.is("("));
            paint(piece, calls, self.style)
        };
        Cow::Owned(pieces.iter().enumerate().map(paint).collect())
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        Cow::Owned(self.style.bold(prompt))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(self.style.dim(hint))
    }

    fn highlight_char(&self, _line: &str, _pos: usize, kind: CmdKind) -> bool {
        self.style.is_coloured() && kind != CmdKind::MoveCursor
    }
}

fn paint(piece: &Piece<'_>, calls: bool, style: Style) -> String {
    let text = piece.text;
    match piece.kind {
        Kind::Word if KEYWORDS.iter().any(|word| piece.is(word)) => style.blue(text),
        Kind::Word if calls && FUNCTIONS.iter().any(|name| piece.is(name)) => style.cyan(text),
        Kind::Text { .. } | Kind::Regex { .. } => style.green(text),
        Kind::Number => style.magenta(text),
        Kind::Comment => style.dim(text),
        Kind::Word | Kind::Name { .. } | Kind::Space | Kind::Symbol => text.to_owned(),
    }
}
