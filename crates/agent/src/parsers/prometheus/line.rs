//! One line of the text. Pure.
//!
//! ```text
//! # TYPE http_requests_total counter
//! http_requests_total{method="post",code="200"} 1027 1395066363000
//! {"http.requests","method"="post"} 3 # {trace_id="x"} 0.5
//! ```

use crate::metric::Kind;

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// The kind of a family.
    Type(String, Kind),
    Sample(Sample),
    /// Nothing, or what is for people.
    Other,
}

/// A value of a series.
#[derive(Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
    pub(super) time: Option<f64>,
}

/// Reads a line.
pub(super) fn parse(text: &str) -> Result<Line, String> {
    let text = text.trim();
    if let Some(comment) = text.strip_prefix('#') {
        return kind(comment.trim_start());
    }
    if text.is_empty() {
        return Ok(Line::Other);
    }
    let mut rest = text;
    let end = rest.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(rest.len());
    let mut name = rest[..end].to_owned();
    rest = rest[end..].trim_start();
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = parse_labels(inside, &mut name, &mut labels)?.trim_start();
    }
    if name.is_empty() {
        return Err(format!("no name in {:?}", shortened(text)));
    }
    // What follows a number sign is an example of what was counted.
    let rest = rest.split(" # ").next().unwrap_or(rest);
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or_else(|| format!("no value in {:?}", shortened(text)))?;
    let time = words.next();
    if let Some(more) = words.next() {
        return Err(format!("{:?} after the time of {name}", shortened(more)));
    }
    let float =
        |text: &str| text.parse::<f64>().map_err(|_| format!("{:?} of {name} is no number", shortened(text)));
    let (value, time) = (float(value)?, time.map(float).transpose()?);
    Ok(Line::Sample(Sample { name, labels, value, time }))
}

/// `TYPE name kind`; every other comment says nothing to us.
fn kind(comment: &str) -> Result<Line, String> {
    let Some(rest) = comment.strip_prefix("TYPE").filter(|rest| rest.starts_with(char::is_whitespace)) else {
        return Ok(Line::Other);
    };
    let rest = rest.trim();
    let (name, kind) = match rest.strip_prefix('"') {
        Some(quoted) => text_until_quote(quoted)?,
        None => {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        }
    };
    let kind = match kind.trim() {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        "histogram" => Kind::Histogram,
        "summary" => Kind::Summary,
        "untyped" | "unknown" | "info" | "stateset" | "gaugehistogram" => Kind::Untyped,
        other => return Err(format!("{:?} of {name} is no type", shortened(other))),
    };
    Ok(Line::Type(name, kind))
}

/// Reads labels up to the brace, and a name that stands among them; returns what follows.
fn parse_labels<'a>(
    mut rest: &'a str,
    name: &mut String,
    labels: &mut Vec<(String, String)>,
) -> Result<&'a str, String> {
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let key;
        if let Some(quoted) = rest.strip_prefix('"') {
            (key, rest) = text_until_quote(quoted)?;
            rest = rest.trim_start();
            // A name that needs quotes stands here, and alone.
            if name.is_empty() && !rest.starts_with('=') {
                *name = key;
                rest = after_label(rest)?;
                continue;
            }
        } else {
            let end = rest.find(|c: char| c == '=' || c.is_whitespace());
            let end = end.ok_or_else(|| format!("{:?} is no label", shortened(rest)))?;
            key = rest[..end].to_owned();
            rest = rest[end..].trim_start();
        }
        let value =
            rest.strip_prefix('=').ok_or_else(|| format!("no = after the label {:?}", shortened(&key)))?;
        let quoted = value.trim_start().strip_prefix('"');
        let quoted =
            quoted.ok_or_else(|| format!("no \" before the value of the label {:?}", shortened(&key)))?;
        if key.is_empty() {
            return Err("a label without a name".to_owned());
        }
        let value;
        (value, rest) = text_until_quote(quoted)?;
        labels.push((key, value));
        rest = after_label(rest)?;
    }
}

/// What follows a label: a comma and more, or the brace.
fn after_label(rest: &str) -> Result<&str, String> {
    let rest = rest.trim_start();
    match rest.strip_prefix(',') {
        Some(rest) => Ok(rest),
        None if rest.starts_with('}') => Ok(rest),
        None => Err(format!("neither , nor }} after a label, but {:?}", shortened(rest))),
    }
}

/// The text before the closing quote without its escapes, and what follows.
fn text_until_quote(rest: &str) -> Result<(String, &str), String> {
    let mut text = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((text, &rest[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, c @ ('\\' | '"'))) => text.push(c),
                Some((_, c)) => text.extend(['\\', c]),
                None => break,
            },
            c => text.push(c),
        }
    }
    Err("a \" is missing".to_owned())
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}
