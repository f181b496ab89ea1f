//! What is remembered of what was typed: everything but passwords.

use crate::words::{Kind, pieces};

/// The text as it is kept; `None` if nothing of it is.
pub(crate) fn to_keep(text: &str) -> Option<String> {
    let text = text.trim();
    let word = text.split_whitespace().next()?.to_ascii_lowercase();
    if word == "auth" || (word == "connect" && text.contains('@')) {
        return None;
    }
    Some(without_passwords(text))
}

/// `CREATE USER ... WITH PASSWORD '...'` and `SET PASSWORD FOR ... = '...'` name passwords; so does the URL of a
/// subscription with one, which is kept: it is no secret of the shell's user.
fn without_passwords(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut after_password = false;
    for piece in pieces(text) {
        match piece.kind {
            Kind::Text { .. } if after_password => {
                kept.push_str("'[REDACTED]'");
                after_password = false;
                continue;
            }
            _ if piece.is("PASSWORD") => after_password = true,
            _ if piece.is(";") => after_password = false,
            _ => {}
        }
        kept.push_str(piece.text);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_kept() {
        let keep = |text| to_keep(text).unwrap();
        assert_eq!(
            keep("create user a with password 'se\\'cret' with all privileges"),
            "create user a with password '[REDACTED]' with all privileges"
        );
        assert_eq!(
            keep("SET PASSWORD FOR \"a\" = 'x'; select 'y'"),
            "SET PASSWORD FOR \"a\" = '[REDACTED]'; select 'y'"
        );
        assert_eq!(keep("create user a with password 'open"), "create user a with password '[REDACTED]'");
        assert_eq!(keep(" show databases "), "show databases");
        assert_eq!(to_keep("auth me"), None);
        assert_eq!(to_keep("connect http://me:secret@store-1"), None);
        assert_eq!(to_keep("  "), None);
    }
}
