//! Passwords do not belong into logs: `p` of the URL, and the password of a statement that sets one.

use std::borrow::Cow;

use hyper::Uri;

use crate::params::Params;

const REDACTED: &str = "[REDACTED]";

/// Path and query of a request. With a password in it, the query is written anew, its parameters sorted, as InfluxDB
/// does.
pub(crate) fn redacted_uri(uri: &Uri) -> String {
    let query = uri.query().unwrap_or_default();
    let mut params = Params::parse(query);
    let statement = redacted_statement(params.get("q"));
    if params.get("p").is_empty() && statement.is_none() {
        return uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
    }
    if !params.get("p").is_empty() {
        params.replace("p", REDACTED);
    }
    if let Some(statement) = statement {
        params.replace("q", &statement);
    }
    format!("{}?{}", uri.path(), params.encode())
}

/// The text of a query as it may be logged.
pub(crate) fn redacted_query(text: &str) -> Cow<'_, str> {
    redacted_statement(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The text of a query with `PASSWORD '...'` and `SET PASSWORD FOR u = '...'` blanked out; `None` when there is none.
fn redacted_statement(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let mut redacted = String::new();
    let mut copied = 0;
    for (at, word) in lower.match_indices("password") {
        if at < copied {
            continue;
        }
        // Up to the next quote; a statement that ends before it has no password.
        let rest = &text[at + word.len()..];
        let Some(quote) = rest.find('\'') else { break };
        if rest[..quote].contains(';') {
            continue;
        }
        let begin = at + word.len() + quote + 1;
        redacted.push_str(&text[copied..begin]);
        redacted.push_str(REDACTED);
        copied = begin + quoted_length(&text[begin..]);
    }
    if copied == 0 {
        return None;
    }
    redacted.push_str(&text[copied..]);
    Some(redacted)
}

/// Bytes up to the closing quote, or to the end where there is none.
fn quoted_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'\'' => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(uri: &str) -> String {
        redacted_uri(&uri.parse().unwrap())
    }

    #[test]
    fn passwords_are_blanked_out() {
        assert_eq!(redacted("/query?q=show+databases&u=me"), "/query?q=show+databases&u=me");
        assert_eq!(redacted("/write?u=me&p=x%20y&db=a/b"), "/write?db=a%2Fb&p=%5BREDACTED%5D&u=me");
        assert_eq!(redacted("/ping"), "/ping");
    }

    #[test]
    fn also_in_statements() {
        let blank = |text| redacted_statement(text);
        assert_eq!(
            blank("CREATE USER a WITH PASSWORD 'se\\'cret' WITH ALL PRIVILEGES").as_deref(),
            Some("CREATE USER a WITH PASSWORD '[REDACTED]' WITH ALL PRIVILEGES")
        );
        assert_eq!(
            blank("set password for \"a\" = 'x';create user b with password 'y").as_deref(),
            Some("set password for \"a\" = '[REDACTED]';create user b with password '[REDACTED]")
        );
        assert_eq!(blank("select password from m; select 'a'"), None);
        assert_eq!(blank("SELECT 1"), None);
    }
}
