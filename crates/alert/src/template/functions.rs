//! The functions a template may call.

use super::{RenderError, Value, layout};

/// Name, least and most arguments of every function.
pub(super) const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("and", 1, usize::MAX),
    ("date", 2, 2),
    ("eq", 2, usize::MAX),
    ("ge", 2, 2),
    ("gt", 2, 2),
    ("humanize", 1, 1),
    ("humanize1024", 1, 1),
    ("humanizeDuration", 1, 1),
    ("humanizePercentage", 1, 1),
    ("humanizeTimestamp", 1, 1),
    ("index", 2, usize::MAX),
    ("join", 2, 2),
    ("le", 2, 2),
    ("len", 1, 1),
    ("lt", 2, 2),
    ("match", 2, 2),
    ("ne", 2, 2),
    ("not", 1, 1),
    ("or", 1, usize::MAX),
    ("print", 0, usize::MAX),
    ("printf", 1, usize::MAX),
    ("reReplaceAll", 3, 3),
    ("safeHtml", 1, 1),
    ("stringSlice", 0, usize::MAX),
    ("stripDomain", 1, 1),
    ("stripPort", 1, 1),
    ("title", 1, 1),
    ("toLower", 1, 1),
    ("toTime", 1, 1),
    ("toUpper", 1, 1),
    ("trimSpace", 1, 1),
    ("tz", 2, 2),
];

/// Methods that take an argument.
pub(super) const METHODS: &[&str] = &["Format", "Remove"];

fn fail<T>(text: impl Into<String>) -> Result<T, RenderError> {
    Err(RenderError(text.into()))
}

fn number(name: &str, value: &Value) -> Result<f64, RenderError> {
    value.number().ok_or_else(|| RenderError(format!("{name}: {:?} is no number", value.to_text())))
}

/// Calls a function. Arity has been checked when the template was parsed.
pub(super) fn call(name: &str, args: &[Value]) -> Result<Value, RenderError> {
    let text = |index: usize| args.get(index).map(Value::to_text).unwrap_or_default();
    let first = args.first().unwrap_or(&Value::Missing);
    Ok(match name {
        "and" => args.iter().find(|arg| !arg.is_true()).or(args.last()).cloned().unwrap_or(Value::Missing),
        "or" => args.iter().find(|arg| arg.is_true()).or(args.last()).cloned().unwrap_or(Value::Missing),
        "not" => Value::Bool(!first.is_true()),
        "eq" => Value::Bool(args[1..].iter().any(|arg| equal(first, arg))),
        "ne" => Value::Bool(!equal(first, &args[1])),
        "lt" | "le" | "gt" | "ge" => Value::Bool(compare(name, first, &args[1])),
        "humanize" => Value::Text(humanize(number(name, first)?)),
        "humanize1024" => Value::Text(humanize_1024(number(name, first)?)),
        "humanizePercentage" => Value::Text(format!("{}%", significant(number(name, first)? * 100.0))),
        "humanizeDuration" => Value::Text(humanize_duration(number(name, first)?)),
        "humanizeTimestamp" => Value::Text(seconds(name, first)?.to_iso()),
        "index" => args[1..].iter().try_fold(first.clone(), |value, key| index(&value, key))?,
        "join" => join(first, &args[1])?,
        "len" => match first {
            Value::List(items) => Value::Number(items.len() as f64),
            Value::Map(entries) => Value::Number(entries.len() as f64),
            Value::Missing => Value::Number(0.0),
            other => Value::Number(other.to_text().len() as f64),
        },
        "match" => Value::Bool(regex(&text(0))?.is_match(&text(1))),
        "reReplaceAll" => {
            let replacement = text(1);
            Value::Text(regex(&text(0))?.replace_all(&text(2), replacement.as_str()).into_owned())
        }
        "print" => Value::Text(args.iter().map(Value::to_text).collect()),
        "printf" => Value::Text(printf(&text(0), &args[1..])?),
        "safeHtml" => Value::Text(text(0)),
        "stripPort" => Value::Text(strip_port(&text(0))),
        "stripDomain" => Value::Text(strip_domain(&text(0))),
        "title" => Value::Text(title(&text(0))),
        "toLower" => Value::Text(text(0).to_lowercase()),
        "toTime" => Value::moment(seconds(name, first)?),
        "toUpper" => Value::Text(text(0).to_uppercase()),
        "trimSpace" => Value::Text(text(0).trim().to_owned()),
        "date" => method(&args[1], "Format", &args[..1])?,
        "stringSlice" => Value::List(args.to_vec()),
        "tz" => match &args[1] {
            Value::Moment(at) => Value::Moment(
                at.in_tz(&text(0)).map_err(|_| RenderError(format!("tz: {} is no time zone", text(0))))?,
            ),
            other => return fail(format!("tz: {:?} is no time", other.to_text())),
        },
        other => return fail(format!("function {other:?} is not known")),
    })
}

/// Calls a method: `Format` of times, and `Remove` of labels and annotations, which leaves out those that are named.
pub(super) fn method(receiver: &Value, name: &str, args: &[Value]) -> Result<Value, RenderError> {
    match (receiver, name, args) {
        (Value::Moment(at), "Format", [layout]) => Ok(Value::Text(layout::format(at, &layout.to_text()))),
        // The end of what has not ended.
        (Value::Text(text), "Format", [_]) if text.is_empty() => Ok(Value::Text(String::new())),
        (Value::Map(entries), "Remove", [Value::List(names)]) => {
            let is_named = |key: &String| names.iter().any(|name| name.to_text() == *key);
            let left = entries.iter().filter(|(key, _)| !is_named(key));
            Ok(Value::Map(left.map(|(key, value)| (key.clone(), value.clone())).collect()))
        }
        _ => fail(format!("{:?} has no method {name} for what it is given", receiver.to_text())),
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_) | Value::Quantity(..), _) | (_, Value::Number(_) | Value::Quantity(..)) => {
            a.number().is_some() && a.number() == b.number()
        }
        (Value::Missing, Value::Missing) => true,
        (Value::Missing, _) | (_, Value::Missing) => false,
        (a, b) => a.to_text() == b.to_text(),
    }
}

fn compare(name: &str, a: &Value, b: &Value) -> bool {
    let order = match (a.number(), b.number()) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => Some(a.to_text().cmp(&b.to_text())),
    };
    match name {
        "lt" => order.is_some_and(std::cmp::Ordering::is_lt),
        "le" => order.is_some_and(std::cmp::Ordering::is_le),
        "gt" => order.is_some_and(std::cmp::Ordering::is_gt),
        _ => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

fn regex(pattern: &str) -> Result<regex::Regex, RenderError> {
    regex::RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| RenderError(format!("{pattern:?} is no regular expression")))
}

fn index(value: &Value, key: &Value) -> Result<Value, RenderError> {
    match (value, key) {
        (Value::Map(entries), key) => Ok(match entries.get(&key.to_text()) {
            Some(value) => value.clone(),
            // Of texts, as labels are: Go's function has the empty one for what is not there, which its fields have not.
            None if entries.values().all(|value| matches!(value, Value::Text(_))) => {
                Value::Text(String::new())
            }
            None => Value::Missing,
        }),
        (Value::List(items), key) => match key.number() {
            Some(at) if at >= 0.0 && (at as usize) < items.len() => Ok(items[at as usize].clone()),
            _ => fail(format!("index: {} is outside the list", key.to_text())),
        },
        _ => Ok(Value::Missing),
    }
}

fn join(separator: &Value, list: &Value) -> Result<Value, RenderError> {
    match list {
        Value::List(items) => {
            Ok(Value::Text(items.iter().map(Value::to_text).collect::<Vec<_>>().join(&separator.to_text())))
        }
        Value::Missing => Ok(Value::Text(String::new())),
        _ => fail("join: the second argument is no list"),
    }
}

fn title(text: &str) -> String {
    let mut at_start = true;
    text.chars()
        .flat_map(|c| {
            let upper = at_start;
            at_start = !c.is_alphanumeric() && c != '\'';
            if upper { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

fn strip_port(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) && !host.is_empty() => {
            host.trim_start_matches('[').trim_end_matches(']').to_owned()
        }
        _ => text.to_owned(),
    }
}

/// The host alone of a name with a domain; addresses are left as they are.
fn strip_domain(text: &str) -> String {
    let host = strip_port(text);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let port = text.strip_prefix(&host).unwrap_or_default();
    format!("{}{port}", host.split('.').next().unwrap_or_default())
}

/// The instant so many seconds after 1970.
fn seconds(name: &str, value: &Value) -> Result<crate::Time, RenderError> {
    let seconds = number(name, value)?;
    if !seconds.is_finite() || seconds.abs() > 1e11 {
        return fail(format!("{name}: {seconds} is no time"));
    }
    Ok(crate::Time::from_millis((seconds * 1000.0) as i64))
}

/// A number as Go prints it with `%v`: the shortest text that reads back the same.
pub(crate) fn format_number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => text,
    }
}

/// A number without an exponent, whatever its size.
pub(crate) fn format_decimal(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { format_number(value) }
}

/// Four significant digits, without trailing zeros (`%.4g`).
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format_number(value);
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if !(0..=12).contains(&digits) {
        let scale = 10f64.powi(digits);
        return format_number((value * scale).round() / scale);
    }
    let text = format!("{value:.*}", digits as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `12345` as `12.35k`: SI prefixes, four significant digits.
pub(crate) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format_number(value);
    }
    if value.abs() >= 1.0 {
        scaled(value, 1000.0, &["", "k", "M", "G", "T", "P", "E", "Z", "Y"])
    } else {
        let prefixes = ["", "m", "u", "n", "p", "f", "a", "z", "y"];
        let mut value = value;
        let mut at = 0;
        while value.abs() < 1.0 && at + 1 < prefixes.len() {
            value *= 1000.0;
            at += 1;
        }
        format!("{}{}", significant(value), prefixes[at])
    }
}

/// `1536` as `1.5ki`: binary prefixes, four significant digits.
pub(crate) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return significant(value);
    }
    scaled(value, 1024.0, &["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

fn scaled(mut value: f64, base: f64, prefixes: &[&str]) -> String {
    let mut at = 0;
    while value.abs() >= base && at + 1 < prefixes.len() {
        value /= base;
        at += 1;
    }
    format!("{}{}", significant(value), prefixes[at])
}

/// Seconds as `1d 2h 3m 4s`; below a second with a prefix (`20ms`).
fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return format_number(seconds);
    }
    if seconds == 0.0 {
        return "0s".to_owned();
    }
    if seconds.abs() < 1.0 {
        return format!("{}s", humanize(seconds));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = seconds.abs() as i64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {}s", whole % 60)
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {}s", whole % 60)
    } else if minutes > 0 {
        format!("{sign}{minutes}m {}s", whole % 60)
    } else {
        format!("{sign}{}s", significant(seconds.abs()))
    }
}

/// The verbs `%s %v %q %d %f %e %g %x %t %%` with flags `-`, `+`, `0`, space, width and precision.
fn printf(format: &str, args: &[Value]) -> Result<String, RenderError> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| "-+0 #".contains(*c)) {
            match flag {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                '0' => spec.zero = true,
                _ => {}
            }
        }
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            spec.width = (spec.width * 10 + digit as usize - '0' as usize).min(200);
        }
        if chars.next_if_eq(&'.').is_some() {
            let mut precision = 0;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                precision = (precision * 10 + digit as usize - '0' as usize).min(100);
            }
            spec.precision = Some(precision);
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some(verb) => match args.next() {
                Some(arg) => out.push_str(&spec.format(verb, arg)?),
                None => return fail(format!("printf: no argument is left for %{verb}")),
            },
            None => return fail("printf: the format ends in %"),
        }
        if out.len() > crate::limits::RENDERED_BYTES_MAX {
            return fail("printf: the text is too long");
        }
    }
    Ok(out)
}

#[derive(Debug, Default)]
struct Spec {
    left: bool,
    plus: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Spec {
    fn format(&self, verb: char, arg: &Value) -> Result<String, RenderError> {
        let body = match verb {
            's' | 'v' => {
                let text = arg.to_text();
                match self.precision {
                    Some(precision) if verb == 's' => text.chars().take(precision).collect(),
                    _ => text,
                }
            }
            'q' => format!("{:?}", arg.to_text()),
            't' => arg.is_true().to_string(),
            'd' => self.signed(number("printf", arg)?, |value| format!("{:.0}", value.trunc())),
            'f' => {
                let precision = self.precision.unwrap_or(6);
                self.signed(number("printf", arg)?, |value| format!("{value:.precision$}"))
            }
            'e' => {
                let precision = self.precision.unwrap_or(6);
                self.signed(number("printf", arg)?, |value| go_exponent(&format!("{value:.precision$e}")))
            }
            'g' => self.signed(number("printf", arg)?, |value| match self.precision {
                Some(precision) => general(value, precision.max(1)),
                None => format_number(value),
            }),
            'x' => format!("{:x}", number("printf", arg)? as i64),
            other => return fail(format!("printf: the verb %{other} is not known")),
        };
        let missing = self.width.saturating_sub(body.chars().count());
        Ok(if self.left {
            format!("{body}{}", " ".repeat(missing))
        } else if self.zero && !matches!(verb, 's' | 'v' | 'q' | 't') {
            let (sign, digits) = body.split_at(usize::from(body.starts_with(['-', '+'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        } else {
            format!("{}{body}", " ".repeat(missing))
        })
    }

    fn signed(&self, value: f64, write: impl Fn(f64) -> String) -> String {
        if !value.is_finite() {
            return format_number(value);
        }
        let text = write(value);
        if self.plus && value >= 0.0 { format!("+{text}") } else { text }
    }
}

fn go_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(digits) => format!("{mantissa}e-{digits:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => text.to_owned(),
    }
}

/// `%.Ng`: N significant digits, exponent form outside 1e-4 ..= 10^N.
fn general(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent = value.abs().log10().floor() as i32;
    let trim = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let text = format!("{value:.*e}", digits - 1);
        return match text.split_once('e') {
            Some((mantissa, exponent)) => go_exponent(&format!("{}e{exponent}", trim(mantissa))),
            None => text,
        };
    }
    trim(&format!("{value:.*}", (digits as i32 - 1 - exponent).max(0) as usize))
}
