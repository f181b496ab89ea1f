//! Environment variables in string values, as Telegraf's strict mode substitutes them: the TOML is
//! parsed first, so that a value cannot change the document's structure.
//!
//! `$VAR`, `${VAR}`, `${VAR:-default}` (unset or empty), `${VAR-default}` (unset), `${VAR:+alt}`,
//! `${VAR+alt}`, `${VAR:?message}`, `${VAR?message}`, and `$$` for a dollar sign. Defaults may hold
//! variables. An undefined variable without default, and what is no valid template, stay as written.

/// Looks a variable up. A parameter, so that tests need no process-wide state.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Substitutes. The error is the message of a `${VAR:?message}` whose variable is missing.
pub(crate) fn substitute(text: &str, lookup: &Lookup<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let used = if after.starts_with('$') {
            out.push('$');
            1
        } else if let Some(inner) = after.strip_prefix('{').and_then(braced) {
            match expand(inner, lookup)? {
                Some(value) => out.push_str(&value),
                None => out.push_str(&rest[at..at + inner.len() + 3]),
            }
            inner.len() + 2
        } else {
            let name = name_prefix(after);
            match (!name.is_empty()).then(|| lookup(name)).flatten() {
                Some(value) => out.push_str(&value),
                None => out.push_str(&rest[at..=at + name.len()]),
            }
            name.len()
        };
        rest = &after[used..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The text up to the brace that closes the template, which may hold further templates.
fn braced(text: &str) -> Option<&str> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(..at);
        }
    }
    None
}

fn name_prefix(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = &text[..end];
    if name.starts_with(|c: char| c.is_ascii_digit()) { "" } else { name }
}

/// The value of what stands between the braces; `None` where it has none and stays verbatim.
fn expand(inner: &str, lookup: &Lookup<'_>) -> Result<Option<String>, String> {
    let name = name_prefix(inner);
    if name.is_empty() {
        return Ok(None);
    }
    let operator = &inner[name.len()..];
    let value = lookup(name);
    let (empty_counts, operator) = match operator.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, operator),
    };
    let present = value.filter(|v| !(empty_counts && v.is_empty()));
    let Some(kind) = operator.chars().next() else {
        return Ok(if empty_counts { None } else { present });
    };
    let argument = &operator[kind.len_utf8()..];
    match (kind, present) {
        ('-', Some(value)) | ('?', Some(value)) => Ok(Some(value)),
        ('-', None) | ('+', Some(_)) => substitute(argument, lookup).map(Some),
        ('+', None) => Ok(Some(String::new())),
        ('?', None) => Err(format!("environment variable {name} is required: {argument}")),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(text: &str) -> Result<String, String> {
        substitute(text, &|name| match name {
            "HOST" => Some("db-1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn templates() {
        for (text, want) in [
            ("http://$HOST:8086", "http://db-1:8086"),
            ("${HOST}.cloud", "db-1.cloud"),
            ("${NONE:-local}", "local"),
            ("${EMPTY:-local}", "local"),
            ("${EMPTY-local}", ""),
            ("${HOST:-local}", "db-1"),
            ("${NONE:-http://${HOST}:1}", "http://db-1:1"),
            ("${HOST:+set}${NONE:+set}", "set"),
            ("$NONE and ${NONE}", "$NONE and ${NONE}"),
            ("${1} $1 ${} $ ${HOST", "${1} $1 ${} $ ${HOST"),
            ("cost: $$5 of $$HOST", "cost: $5 of $HOST"),
            ("größe ${HOST} ü", "größe db-1 ü"),
        ] {
            assert_eq!(sub(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn a_required_variable_names_itself() {
        assert_eq!(
            sub("${TOKEN:?ask the operator}"),
            Err("environment variable TOKEN is required: ask the operator".to_owned())
        );
        assert_eq!(sub("${HOST:?x}").as_deref(), Ok("db-1"));
    }
}
