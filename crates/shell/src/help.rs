//! What `help` says.

/// Topics, for completion.
pub(crate) const TOPICS: [&str; 12] = [
    "commands",
    "delete",
    "editing",
    "export",
    "fill",
    "functions",
    "group by",
    "insert",
    "select",
    "show",
    "time",
    "where",
];

const OVERVIEW: &str = "\
What is typed is sent to the server when it is whole: a statement may go over several lines and may end
with a semicolon. An empty line sends whatever there is; Ctrl-C forgets it, or ends a running query.

  use DATABASE[.POLICY]      choose what statements are about       \\l   databases
  insert [into POLICY] LINE  write a point in line protocol         \\d   measurements; \\d NAME tags and fields
  format table|json|csv|line how answers are printed                \\x   rows as lists: on, off, auto
  precision rfc3339|h|m|s|ms|u|ns   how times are printed and read  \\g   the latest statement again
  settings                   what is chosen                         \\watch SECONDS   again and again
  history                    what was typed                         \\timing   how long statements take
  auth [USER]                who asks                               \\o [FILE]   answers to a file
  connect URL                another server                         \\i FILE   run a file
  help commands              the rest of them
  exit, quit, \\q, Ctrl-D     leave

Topics: help select, where, group by, fill, time, functions, show, insert, delete, export, editing
";

const COMMANDS: &str = "\
Besides those that help lists:
  pretty                     indent JSON, or do not
  chunked                    answers in chunks, or whole; chunks need little memory on both sides
  chunk size ROWS            rows of a chunk; 0 leaves it to the server
  consistency any|one|quorum|all   how many replicas must have a point that insert writes
  clear database | clear retention policy   forget what was chosen with use
";

const SELECT: &str = "\
SELECT field, function(field) AS name, ... FROM measurement
  [WHERE condition] [GROUP BY tag, time(10m)] [fill(none)] [ORDER BY time DESC] [LIMIT rows] [SLIMIT series] [tz('Asia/Seoul')]

  SELECT * FROM cpu WHERE time > now() - 5m
  SELECT mean(usage_idle) FROM cpu WHERE time > now() - 1h GROUP BY time(10m), host
  SELECT max(m) FROM (SELECT mean(usage_idle) AS m FROM cpu GROUP BY host) WHERE time > now() - 1d
  SELECT mean(*) INTO week.cpu_10m FROM cpu WHERE time > now() - 1d GROUP BY time(10m), *

FROM takes db.policy.measurement, several measurements, regexes (FROM /^net/) and SELECTs in parentheses.
Names with special characters stand in double quotes, strings in single quotes.
";

const WHERE: &str = "\
Conditions:
  WHERE host = 'a' AND usage > 90 AND time > now() - 1h
  WHERE host =~ /^web-[0-9]+$/ OR host != 'db'

Operators: = != <> < <= > >= =~ !~ AND OR, parentheses; + - * / % & | ^ on fields.
Tags are strings: in single quotes. help time says how times are written.
";

const GROUP_BY: &str = "\
How rows are parted into series:
  GROUP BY host, dc              a series for each combination of tags
  GROUP BY *                     of all tags
  GROUP BY time(10m)             windows of time; needs a function: mean(usage)
  GROUP BY time(1d, -9h), host   windows moved by an offset
  GROUP BY /^h/                  tags whose names match
";

const FILL: &str = "\
After GROUP BY time(...), what stands in windows without points:
  fill(null)      null, if nothing is said        fill(none)      no row
  fill(previous)  the value before                fill(linear)    a line between its neighbours
  fill(0)         a number
";

const TIME: &str = "\
Times in conditions:
  time > now() - 1h              relative; units: ns u (µ) ms s m h d w
  time >= '2026-05-01T00:00:00Z' a date; '2026-05-01' and '2026-05-01 12:00:00' are dates as well
  time >= 1777593600s            since 1970; without a unit in nanoseconds

Times are UTC unless tz('Asia/Seoul') ends the statement. Without a condition, queries with a function and
GROUP BY time(...) end now.
";

const FUNCTIONS: &str = "\
Aggregates    count distinct integral mean median mode spread stddev sum
Selectors     bottom first last max min percentile(f, 95) sample(f, 3) top(f, tag, 3)
Changes       derivative(f, 1s) non_negative_derivative difference non_negative_difference elapsed
              cumulative_sum moving_average(f, 5)
Numbers       abs acos asin atan atan2 ceil cos exp floor ln log log2 log10 pow round sin sqrt tan
Predictors    holt_winters(mean(f), 10, 4) holt_winters_with_fit
Analysis      exponential_moving_average double_exponential_moving_average triple_exponential_moving_average
              triple_exponential_derivative relative_strength_index kaufmans_efficiency_ratio
              kaufmans_adaptive_moving_average chande_momentum_oscillator
";

const SHOW: &str = "\
What there is:
  SHOW DATABASES                          SHOW RETENTION POLICIES [ON db]
  SHOW MEASUREMENTS [WITH MEASUREMENT =~ /^net/]
  SHOW TAG KEYS [FROM cpu]                SHOW TAG VALUES [FROM cpu] WITH KEY = host
  SHOW FIELD KEYS [FROM cpu]              SHOW SERIES [FROM cpu] [WHERE host = 'a'] [LIMIT 10]
  SHOW SERIES CARDINALITY                 SHOW SHARDS, SHOW SHARD GROUPS
  SHOW QUERIES, then KILL QUERY 36        SHOW STATS, SHOW DIAGNOSTICS
  SHOW USERS, SHOW GRANTS FOR me          SHOW CONTINUOUS QUERIES, SHOW SUBSCRIPTIONS
";

const INSERT: &str = "\
insert [into [DATABASE.]POLICY] measurement,tag=value,... field=value,... [time]

  insert cpu,host=a usage=12.5
  insert into week cpu,host=a usage=12.5,cores=4i,state=\"up\",ok=true 1777593600000000000

12.5 is a float, 4i an integer, \"up\" a string. Spaces, commas and equals signs in names and tags need a
backslash. The time is in nanoseconds, or as precision says. Files are written with skywatch query import.
";

const DELETE: &str = "\
What is deleted is gone:
  DELETE FROM cpu WHERE host = 'a' AND time < '2026-05-01'   points of some series, of some time
  DROP SERIES FROM cpu WHERE host = 'a'                      series with all their points
  DROP MEASUREMENT cpu          DROP RETENTION POLICY week ON db          DROP DATABASE db
";

const EXPORT: &str = "\
Answers as files:
  \\o cpu.csv                       answers go to a file from now on; \\o alone: to the screen again
  format csv                       or json, or line
  SELECT * FROM cpu GROUP BY *

format line writes line protocol, which skywatch query import reads; GROUP BY * is not needed for it, but makes
it faster. From the command line: skywatch query --db a --format line 'SELECT * FROM cpu GROUP BY *' > cpu.txt
";

const EDITING: &str = "\
Keys:
  Tab            complete: keywords, functions, databases, measurements, tags, their values, fields
  Up, Down       earlier lines; Ctrl-R looks for one; Right takes the grey suggestion
  Alt-Enter      a new line, whether or not the statement is whole
  Ctrl-A, Ctrl-E, Ctrl-K, Ctrl-U, Ctrl-W, Ctrl-Y, Ctrl-_   as in bash
  Ctrl-C         forget the line; while a query runs: end it, here and on the server

Lines that begin with a space, and passwords, are not kept in the history.
";

/// The text about a topic; the overview for an empty one.
pub(crate) fn topic(topic: &str) -> Option<&'static str> {
    Some(match topic.trim().to_ascii_lowercase().as_str() {
        "" => OVERVIEW,
        "commands" => COMMANDS,
        "select" | "from" | "into" => SELECT,
        "where" => WHERE,
        "group by" | "group" => GROUP_BY,
        "fill" => FILL,
        "time" | "now" | "tz" => TIME,
        "functions" | "function" => FUNCTIONS,
        "show" => SHOW,
        "insert" => INSERT,
        "delete" | "drop" => DELETE,
        "export" | "\\o" | "format" | "line" => EXPORT,
        "editing" | "keys" => EDITING,
        _ => return None,
    })
}

/// For a topic there is nothing about.
pub(crate) fn unknown(topic: &str) -> String {
    format!("there is no help about {topic:?}; there is about {}", TOPICS.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_a_text_that_fits_a_screen() {
        for name in TOPICS {
            let text = topic(name).unwrap();
            assert!(text.lines().count() <= 24 && text.ends_with('\n'), "{name}");
            assert!(text.lines().all(|line| line.len() <= 132), "{name}");
        }
        assert!(topic("nope").is_none());
    }
}
