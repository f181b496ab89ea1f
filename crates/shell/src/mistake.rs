//! Errors of statements with the place marked in the text, where the server tells one.

/// Longest part of a line that is shown.
const SHOWN_CHARS_MAX: usize = 100;

/// The server's words; below them the line of the statement that they are about, and a caret below the place.
pub(crate) fn mark(error: &str, statement: &str) -> String {
    let Some((line, char)) = place(error) else { return error.to_owned() };
    let Some(text) = statement.lines().nth(line - 1) else { return error.to_owned() };
    let chars: Vec<char> = text.chars().map(|ch| if ch.is_control() { ' ' } else { ch }).collect();
    // The end of the text may be said to be a little further than it is.
    let at = (char - 1).min(chars.len());
    let start = (at + 20).saturating_sub(SHOWN_CHARS_MAX).min(chars.len());
    let end = chars.len().min(start + SHOWN_CHARS_MAX);
    let before = if start > 0 { "..." } else { "" };
    let after = if end < chars.len() { "..." } else { "" };
    let shown: String = chars[start..end].iter().collect();
    let indent = " ".repeat(before.len() + at - start);
    format!("{error}\n  {before}{shown}{after}\n  {indent}^")
}

/// From `... at line 1, char 14`.
fn place(error: &str) -> Option<(usize, usize)> {
    let (_, place) = error.rsplit_once(" at line ")?;
    let (line, char) = place.split_once(", char ")?;
    let digits = char.split(|ch: char| !ch.is_ascii_digit()).next()?;
    match (line.parse().ok()?, digits.parse().ok()?) {
        (0, _) | (_, 0) => None,
        place => Some(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_below_the_place() {
        let error = "error parsing query: found FORM, expected FROM at line 2, char 3";
        assert_eq!(mark(error, "select a\n  FORM cpu\n"), format!("{error}\n    FORM cpu\n    ^"));
        let error = "found EOF, expected identifier at line 1, char 15";
        assert_eq!(mark(error, "SELECT * FROM"), format!("{error}\n  SELECT * FROM\n{}^", " ".repeat(15)));
    }

    #[test]
    fn long_lines_are_shown_in_part() {
        let statement = format!("select {} FORM m{}", "x".repeat(200), " ".repeat(50));
        let told = mark("found FORM at line 1, char 209", &statement);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(&lines[1][lines[2].find('^').unwrap()..][..4], "FORM", "{told}");
        assert!(lines[1].len() < 120);
    }

    #[test]
    fn errors_without_a_place_stay_as_they_are() {
        for error in ["database not found: x", "x at line 0, char 1", "at line 9, char 9"] {
            assert_eq!(mark(error, "select 1"), error);
        }
    }
}
