//! What can stand where the cursor is: from the words before it, which keywords, functions and names of the schema fit.
//! Pure; the names themselves are looked up by the caller.

use crate::{
    command::{BACKSLASH_COMMANDS, COMMANDS},
    schema::Listing,
    words::{Kind, Piece, pieces},
};

/// Functions of InfluxQL 1.8. A server that does not know one says so.
pub(crate) const FUNCTIONS: [&str; 58] = [
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "bottom",
    "ceil",
    "chande_momentum_oscillator",
    "cos",
    "count",
    "cumulative_sum",
    "derivative",
    "difference",
    "distinct",
    "double_exponential_moving_average",
    "elapsed",
    "exp",
    "exponential_moving_average",
    "first",
    "floor",
    "histogram",
    "holt_winters",
    "holt_winters_with_fit",
    "integral",
    "kaufmans_adaptive_moving_average",
    "kaufmans_efficiency_ratio",
    "last",
    "ln",
    "log",
    "log10",
    "log2",
    "max",
    "mean",
    "median",
    "min",
    "mode",
    "moving_average",
    "non_negative_derivative",
    "non_negative_difference",
    "percentile",
    "pow",
    "relative_strength_index",
    "round",
    "sample",
    "sin",
    "spread",
    "sqrt",
    "stddev",
    "sum",
    "tan",
    "top",
    "triple_exponential_derivative",
    "triple_exponential_moving_average",
    "now",
    "time",
    "tz",
    "fill",
    "rate",
];

/// Statements as far as their words are fixed; what follows is found from the clause.
const PHRASES: [&str; 48] = [
    "ALTER RETENTION POLICY",
    "CREATE CONTINUOUS QUERY",
    "CREATE DATABASE",
    "CREATE RETENTION POLICY",
    "CREATE SUBSCRIPTION",
    "CREATE USER",
    "DELETE FROM",
    "DELETE WHERE",
    "DROP CONTINUOUS QUERY",
    "DROP DATABASE",
    "DROP MEASUREMENT",
    "DROP RETENTION POLICY",
    "DROP SERIES FROM",
    "DROP SERIES WHERE",
    "DROP SHARD",
    "DROP SUBSCRIPTION",
    "DROP USER",
    "EXPLAIN ANALYZE SELECT",
    "EXPLAIN SELECT",
    "GRANT ALL PRIVILEGES TO",
    "GRANT ALL ON",
    "GRANT READ ON",
    "GRANT WRITE ON",
    "KILL QUERY",
    "REVOKE ALL PRIVILEGES FROM",
    "REVOKE ALL ON",
    "REVOKE READ ON",
    "REVOKE WRITE ON",
    "SELECT",
    "SET PASSWORD FOR",
    "SHOW CONTINUOUS QUERIES",
    "SHOW DATABASES",
    "SHOW DIAGNOSTICS",
    "SHOW FIELD KEY CARDINALITY",
    "SHOW FIELD KEYS",
    "SHOW GRANTS FOR",
    "SHOW MEASUREMENT CARDINALITY",
    "SHOW MEASUREMENTS",
    "SHOW QUERIES",
    "SHOW RETENTION POLICIES",
    "SHOW SERIES CARDINALITY",
    "SHOW SHARD GROUPS",
    "SHOW SHARDS",
    "SHOW STATS",
    "SHOW SUBSCRIPTIONS",
    "SHOW TAG KEYS",
    "SHOW TAG VALUES",
    "SHOW USERS",
];

/// What is between the word that is being typed and what can be made of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where the word begins, in bytes of the whole text.
    pub(crate) start: usize,
    /// What was typed of it, without its quote.
    pub(crate) typed: String,
    pub(crate) quote: Quote,
    /// Words that fit, as they are to be inserted.
    pub(crate) words: Vec<String>,
    /// Names that fit.
    pub(crate) listings: Vec<Listing>,
}

/// The quote that the word began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quote {
    None,
    Single,
    Double,
}

/// The part of a SELECT that the cursor is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clause {
    Other,
    Select,
    From,
    Into,
    Where,
    GroupBy,
    OrderBy,
}

/// What fits at `cursor`.
pub(crate) fn place(text: &str, cursor: usize) -> Place {
    let before = &text[..cursor];
    let mut words = pieces(before);
    if let Some(at) = words.iter().rposition(|piece| piece.is(";")) {
        words.drain(..=at);
    }
    let typed = words.pop_if(|piece| {
        matches!(piece.kind, Kind::Word | Kind::Number)
            || matches!(piece.kind, Kind::Name { closed: false } | Kind::Text { closed: false })
    });
    let start_of_unit = words.iter().find(|piece| piece.is_significant()).map_or(cursor, |piece| piece.start);
    words.retain(Piece::is_significant);
    let (start, quote, typed) = match typed {
        None => (cursor, Quote::None, String::new()),
        Some(piece) => match piece.kind {
            Kind::Name { .. } => (piece.start, Quote::Double, piece.text[1..].to_owned()),
            Kind::Text { .. } => (piece.start, Quote::Single, piece.text[1..].to_owned()),
            _ => (piece.start, Quote::None, piece.text.to_owned()),
        },
    };
    let mut found = Place { start, typed, quote, words: Vec::new(), listings: Vec::new() };
    if words.is_empty() || words[0].is("\\") || words[0].is("?") {
        found.begin(before, &words);
    } else if !found.command(&words) {
        found.statement(&words, &text[start_of_unit..]);
    }
    found.in_case_of_typed();
    found
}

impl Place {
    fn begin(&mut self, before: &str, words: &[Piece<'_>]) {
        if let Some(backslash) = words.first() {
            let commands = BACKSLASH_COMMANDS.iter().filter(|_| words.len() == 1);
            // The backslash is a word of its own to the lexer, not to who types it.
            self.typed = before[backslash.start..].to_owned();
            self.start = backslash.start;
            self.words.extend(commands.map(|command| (*command).to_owned()));
            return;
        }
        let mut verbs: Vec<&str> = PHRASES.iter().filter_map(|phrase| phrase.split(' ').next()).collect();
        verbs.dedup();
        self.words.extend(verbs.iter().map(|verb| format!("{verb} ")));
        self.words.extend(COMMANDS.iter().map(|command| format!("{command} ")));
    }

    /// Whether the first word is one of the shell's.
    fn command(&mut self, words: &[Piece<'_>]) -> bool {
        let choices: &[&str] = match words[0].text.to_ascii_lowercase().as_str() {
            "use" => {
                match words {
                    [_] => self.listings.push(Listing::Databases),
                    [_, database, dot] if dot.is(".") => {
                        self.listings.push(Listing::Policies(name_of(database)));
                    }
                    _ => {}
                }
                return true;
            }
            "insert" => {
                match words {
                    [_] => {
                        self.words.push("into ".to_owned());
                        self.listings.push(Listing::Measurements);
                    }
                    [_, into] if into.is("into") => self.listings.push(Listing::Policies(String::new())),
                    _ => {}
                }
                return true;
            }
            "format" => &["table", "json", "csv", "line", "column"],
            "precision" => &["rfc3339", "h", "m", "s", "ms", "u", "ns"],
            "consistency" => &["any", "one", "quorum", "all"],
            "clear" => &["database", "retention policy"],
            "chunk" => &["size "],
            "help" => &crate::help::TOPICS,
            "exit" | "quit" | "pretty" | "chunked" | "settings" | "history" | "auth" | "connect" => &[],
            _ => return false,
        };
        if words.len() == 1 {
            self.words.extend(choices.iter().map(|choice| (*choice).to_owned()));
        }
        true
    }

    fn statement(&mut self, words: &[Piece<'_>], unit: &str) {
        let last = words[words.len() - 1];
        let before_last = words.len().checked_sub(2).map(|index| words[index]);
        let follows = |word: &str| last.is(word);
        let measurement = source_in(unit);
        if self.phrases(words) {
            return;
        }
        let is_after =
            |first: &str, second: &str| before_last.is_some_and(|piece| piece.is(first)) && last.is(second);
        if follows(".") {
            self.listings.extend(
                before_last
                    .filter(|piece| piece.kind != Kind::Symbol)
                    .map(|database| Listing::Policies(name_of(&database))),
            );
            self.listings.push(Listing::Measurements);
        } else if follows("ON") || is_after("DROP", "DATABASE") {
            self.listings.push(Listing::Databases);
        } else if follows("MEASUREMENT") {
            self.listings.push(Listing::Measurements);
        } else if follows("POLICY") {
            self.listings.push(Listing::Policies(String::new()));
        } else if follows("USER") || follows("FOR") || (is_grant(words) && (follows("TO") || follows("FROM")))
        {
            self.listings.push(Listing::Users);
        } else if follows("WITH") && words[0].is("SHOW") {
            self.words.extend(["KEY = ", "KEY IN (", "MEASUREMENT =~ /"].map(str::to_owned));
        } else if is_key_list(words) {
            self.listings.push(Listing::TagKeys(measurement));
        } else {
            self.clause(words, measurement);
        }
    }

    /// The next fixed word of statements that began like this one.
    fn phrases(&mut self, words: &[Piece<'_>]) -> bool {
        for phrase in PHRASES {
            let mut rest = phrase.split(' ');
            let matches = words.iter().all(|word| rest.next().is_some_and(|expected| word.is(expected)));
            if let Some(next) = rest.next().filter(|_| matches) {
                let next = format!("{next} ");
                if !self.words.contains(&next) {
                    self.words.push(next);
                }
            }
        }
        let is_series = words.len() == 2 && words[0].is("SHOW") && words[1].is("SERIES");
        !self.words.is_empty() && !is_series
    }

    fn clause(&mut self, words: &[Piece<'_>], measurement: Option<String>) {
        let last = words[words.len() - 1];
        let wants_operand = matches!(last.kind, Kind::Symbol)
            && !last.is(")")
            && !(last.is("*") && words.len() > 1 && is_operand_place(words))
            || ["SELECT", "FROM", "WHERE", "AND", "OR", "BY", "INTO", "DISTINCT"]
                .iter()
                .any(|word| last.is(word));
        match (clause_of(words), wants_operand) {
            (Clause::Select, true) => {
                self.listings.push(Listing::FieldKeys(measurement.clone()));
                self.listings.push(Listing::TagKeys(measurement));
                self.words.extend(FUNCTIONS.iter().map(|name| format!("{name}(")));
                self.words.extend(["*", "DISTINCT "].map(str::to_owned));
            }
            (Clause::Select, false) => self.keywords(&["FROM", "AS", "INTO"]),
            (Clause::From | Clause::Into, true) => self.listings.push(Listing::Measurements),
            (Clause::Into, false) => self.keywords(&["FROM"]),
            (Clause::From, false) => self.keywords(&AFTER_FROM),
            (Clause::Where, true) => self.operand_of_condition(words, measurement),
            (Clause::Where, false) => self.keywords(&[
                "AND", "OR", "GROUP BY", "ORDER BY", "LIMIT", "OFFSET", "SLIMIT", "SOFFSET", "tz(",
            ]),
            (Clause::GroupBy, true) => {
                self.listings.push(Listing::TagKeys(measurement));
                self.words.extend(["time(", "*"].map(str::to_owned));
            }
            (Clause::GroupBy, false) => {
                self.keywords(&["fill(", "ORDER BY", "LIMIT", "OFFSET", "SLIMIT", "SOFFSET", "tz("]);
            }
            (Clause::OrderBy, true) => self.words.push("time ".to_owned()),
            (Clause::OrderBy, false) => {
                self.keywords(&["ASC", "DESC", "LIMIT", "OFFSET", "SLIMIT", "SOFFSET", "tz("]);
            }
            (Clause::Other, _) => self.keywords(&["ON", "FROM", "WITH", "WHERE", "LIMIT", "OFFSET"]),
        }
    }

    /// Left of a comparison stand tags, fields and the time; right of one a value.
    fn operand_of_condition(&mut self, words: &[Piece<'_>], measurement: Option<String>) {
        let compared = words.iter().rposition(|piece| !matches!(piece.kind, Kind::Symbol) || piece.is(")"));
        let operator: String =
            compared.map_or(String::new(), |at| words[at + 1..].iter().map(|piece| piece.text).collect());
        match (operator.as_str(), compared.map(|at| words[at])) {
            ("=" | "!=" | "<>", Some(key)) if !key.is("time") => {
                self.listings.push(Listing::TagValues(measurement, name_of(&key)));
            }
            ("=" | "!=" | "<>" | "<" | ">" | "<=" | ">=", Some(_)) => self.words.push("now()".to_owned()),
            ("=~" | "!~", _) => {}
            _ => {
                self.listings.push(Listing::TagKeys(measurement.clone()));
                self.listings.push(Listing::FieldKeys(measurement));
                self.words.push("time ".to_owned());
            }
        }
    }

    fn keywords(&mut self, words: &[&str]) {
        self.words.extend(
            words
                .iter()
                .map(|word| if word.ends_with('(') { (*word).to_owned() } else { format!("{word} ") }),
        );
    }

    /// Who types small letters gets small letters.
    fn in_case_of_typed(&mut self) {
        if self.typed.chars().any(|ch| ch.is_ascii_lowercase())
            && !self.typed.chars().any(|ch| ch.is_ascii_uppercase())
        {
            for word in &mut self.words {
                word.make_ascii_lowercase();
            }
        }
    }
}

const AFTER_FROM: [&str; 9] =
    ["WHERE", "GROUP BY", "ORDER BY", "LIMIT", "OFFSET", "SLIMIT", "SOFFSET", "WITH", "tz("];

/// The latest word that begins a clause decides. Subqueries are no exception.
fn clause_of(words: &[Piece<'_>]) -> Clause {
    for (index, piece) in words.iter().enumerate().rev() {
        let follows = |word: &str| index > 0 && words[index - 1].is(word);
        match piece.text.to_ascii_uppercase().as_str() {
            _ if piece.kind != Kind::Word => {}
            "SELECT" => return Clause::Select,
            "FROM" => return Clause::From,
            "INTO" => return Clause::Into,
            "WHERE" => return Clause::Where,
            "BY" if follows("GROUP") => return Clause::GroupBy,
            "BY" if follows("ORDER") => return Clause::OrderBy,
            _ => {}
        }
    }
    Clause::Other
}

/// Whether a `*` at the end stands for columns, so that it is an operand itself: after SELECT, a comma, `(` or BY.
fn is_operand_place(words: &[Piece<'_>]) -> bool {
    let before = words[words.len() - 2];
    ["SELECT", "BY", ",", "("].iter().any(|word| before.is(word))
}

fn is_grant(words: &[Piece<'_>]) -> bool {
    words[0].is("GRANT") || words[0].is("REVOKE")
}

/// `WITH KEY =`, `WITH KEY IN (a,`.
fn is_key_list(words: &[Piece<'_>]) -> bool {
    let key = words.iter().rposition(|piece| piece.is("KEY"));
    words[0].is("SHOW")
        && key.is_some_and(|key| {
            let rest = &words[key + 1..];
            rest.iter().all(|piece| {
                matches!(piece.kind, Kind::Symbol | Kind::Name { .. }) || piece.kind == Kind::Word
            }) && rest.last().is_some_and(|last| ["=", "(", ","].iter().any(|symbol| last.is(symbol)))
        })
}

/// The measurement of the first FROM.
fn source_in(unit: &str) -> Option<String> {
    let words: Vec<Piece<'_>> = pieces(unit).into_iter().filter(Piece::is_significant).collect();
    let from = words.iter().position(|piece| piece.is("FROM"))?;
    let mut name = words.get(from + 1)?;
    // "db"."policy"."measurement"
    for pair in words[from + 2..].chunks(2) {
        match pair {
            [dot, next] if dot.is(".") => name = next,
            _ => break,
        }
    }
    matches!(name.kind, Kind::Word | Kind::Name { closed: true }).then(|| name_of(name))
}

/// The name without its quotes.
fn name_of(piece: &Piece<'_>) -> String {
    match piece.kind {
        Kind::Name { .. } => piece.text.trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\"),
        _ => piece.text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_end(text: &str) -> Place {
        place(text, text.len())
    }

    fn words(text: &str) -> Vec<String> {
        at_end(text).words
    }

    fn m(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn statements_are_spelt_out_word_by_word() {
        assert!(words("").contains(&"SELECT ".to_owned()) && words("").contains(&"use ".to_owned()));
        assert_eq!(words("SHOW TAG "), ["KEYS ", "VALUES "]);
        assert_eq!(words("show field k"), ["key ", "keys "]);
        assert_eq!(words("drop retention "), ["POLICY "]);
        assert_eq!(at_end("select a from b; SHOW TAG ").words, ["KEYS ", "VALUES "]);
        assert!(words("\\ti").contains(&"\\timing".to_owned()));
        assert_eq!(at_end("\\ti").start, 0);
    }

    #[test]
    fn names_fit_where_the_grammar_has_them() {
        use Listing::*;
        for (text, listings) in [
            ("use ", vec![Databases]),
            ("use db.", vec![Policies("db".into())]),
            ("select * from ", vec![Measurements]),
            ("select * from c", vec![Measurements]),
            ("select * from a, ", vec![Measurements]),
            ("select mean(", vec![FieldKeys(None), TagKeys(None)]),
            ("select * from cpu where ", vec![TagKeys(m("cpu")), FieldKeys(m("cpu"))]),
            ("select * from db.rp.cpu where a = 1 and ", vec![TagKeys(m("cpu")), FieldKeys(m("cpu"))]),
            ("select * from cpu where host = ", vec![TagValues(m("cpu"), "host".into())]),
            ("select * from cpu where \"ho st\" != 'a", vec![TagValues(m("cpu"), "ho st".into())]),
            ("select * from cpu group by ", vec![TagKeys(m("cpu"))]),
            ("select * from cpu group by time(1m), ", vec![TagKeys(m("cpu"))]),
            ("show tag values with key = ", vec![TagKeys(None)]),
            ("show tag values from cpu with key in (a, ", vec![TagKeys(m("cpu"))]),
            ("show measurements on ", vec![Databases]),
            ("drop measurement ", vec![Measurements]),
            ("drop database ", vec![Databases]),
            ("grant all privileges to ", vec![Users]),
            ("grant read on db to ", vec![Users]),
            ("insert ", vec![Measurements]),
            ("select * from db.", vec![Policies("db".into()), Measurements]),
            ("select * from db..", vec![Measurements]),
            ("select * from cpu where host =~ ", vec![]),
        ] {
            assert_eq!(at_end(text).listings, listings, "{text}");
        }
    }

    #[test]
    fn a_measurement_behind_the_cursor_counts() {
        let text = "select  from cpu";
        assert_eq!(place(text, 7).listings[0], Listing::FieldKeys(m("cpu")));
    }

    #[test]
    fn keywords_follow_operands() {
        assert!(words("select * ").contains(&"FROM ".to_owned()));
        assert!(words("select a ").contains(&"FROM ".to_owned()));
        assert!(words("select * from cpu wh").contains(&"where ".to_owned()));
        assert!(words("select * from cpu where a = 1 ").contains(&"GROUP BY ".to_owned()));
        assert!(words("select * from cpu where time > ").contains(&"now()".to_owned()));
        assert!(words("select mean(a) from cpu group by time(1m) ").contains(&"fill(".to_owned()));
        assert!(words("precision ").contains(&"rfc3339".to_owned()));
    }

    #[test]
    fn quotes_are_noticed() {
        let typed = at_end("select * from \"c p");
        assert_eq!((typed.start, typed.typed.as_str(), typed.quote), (14, "c p", Quote::Double));
        let typed = at_end("select * from c where h = 'x");
        assert_eq!((typed.start, typed.typed.as_str(), typed.quote), (26, "x", Quote::Single));
    }
}
