//! Where lines end, and bodies with lines that are not UTF-8.

use super::{LineError, Reason};

/// The line that begins at `start`: where it ends, and where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineEnd {
    /// Past the line's last byte, without line feed and carriage return.
    pub(super) end: usize,
    /// Past the line feed.
    pub(super) next: usize,
}

/// Finds the end of the line that begins at `start`: a line feed that is neither escaped nor inside quotes.
/// Quotes count only in field values: past the space that ends the key, with more `=` than `,` seen since.
/// For line feeds backslashes pair up from the left; a name that ends in two of them does not eat the next line.
pub(super) fn find_line_end(text: &[u8], start: usize) -> LineEnd {
    let mut at = start;
    let mut in_fields = false;
    let mut is_quoted = false;
    let mut open_values = 0_i64;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b' ' | b'=' | b',' if !is_quoted && at > start && text[at - 1] == b'\\' => {}
            b' ' => in_fields = true,
            b'=' if in_fields && !is_quoted => open_values += 1,
            b',' if in_fields && !is_quoted => open_values -= 1,
            b'"' if in_fields && open_values > 0 => is_quoted = !is_quoted,
            b'\n' if !is_quoted => break,
            _ => {}
        }
        at += 1;
    }
    end_at(text, start, at.min(text.len()))
}

/// Finds the end of the comment that begins at `start`: the next line feed, whatever the comment says.
pub(super) fn find_comment_end(text: &[u8], start: usize) -> LineEnd {
    end_at(text, start, memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |length| start + length))
}

fn end_at(text: &[u8], start: usize, line_feed: usize) -> LineEnd {
    // A line whose quotes are not closed ends with the text; the text's last line feed is not part of it.
    let line = &text[start..line_feed];
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let end = start + line.strip_suffix(b"\r").unwrap_or(line).len();
    LineEnd { end, next: (line_feed + 1).min(text.len()) }
}

/// Past the spaces, tabs and NULs at `at`.
pub(super) fn skip_whitespace(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | 0)).count()
}

/// The number of line feeds in `text`.
pub(super) fn count_line_feeds(text: &[u8]) -> u32 {
    memchr::memchr_iter(b'\n', text).count() as u32
}

/// `body` with the lines that are not UTF-8 emptied, so that the others keep their numbers, and what is to be
/// said about each emptied one.
pub(super) fn without_invalid_utf8(body: &[u8], mut report: impl FnMut(LineError)) -> String {
    let mut repaired = String::with_capacity(body.len());
    let mut start = 0;
    let mut line = 1;
    while start < body.len() {
        let content = skip_whitespace(body, start);
        let is_comment = body.get(content) == Some(&b'#');
        let LineEnd { end, next } =
            if is_comment { find_comment_end(body, start) } else { find_line_end(body, start) };
        let line_feeds = count_line_feeds(&body[start..next]);
        match std::str::from_utf8(&body[start..next]) {
            Ok(text) => repaired.push_str(text),
            Err(error) => {
                if !is_comment {
                    let offset = (start + error.valid_up_to()).saturating_sub(content);
                    report(LineError::new(
                        line,
                        &body[content.min(end)..end],
                        Reason::InvalidUtf8 { offset },
                    ));
                }
                repaired.extend(std::iter::repeat_n('\n', line_feeds as usize));
            }
        }
        line += line_feeds;
        start = next;
    }
    repaired
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<&str> {
        let mut lines = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let LineEnd { end, next } = find_line_end(text.as_bytes(), start);
            lines.push(&text[start..end]);
            start = next;
        }
        lines
    }

    #[test]
    fn line_feeds_end_lines_outside_quotes_only() {
        assert_eq!(lines("a v=1\nb v=2"), ["a v=1", "b v=2"]);
        assert_eq!(lines("a v=1\r\n\r\nb v=2\r"), ["a v=1", "", "b v=2"]);
        assert_eq!(lines("a v=\"x\ny\",w=\"\r\n\" 1\nb v=2\n"), ["a v=\"x\ny\",w=\"\r\n\" 1", "b v=2"]);
        assert_eq!(lines("a v=\"x\\\"\ny\"\nb"), ["a v=\"x\\\"\ny\"", "b"]);
        assert_eq!(lines("a,t=\"x\nb v=1"), ["a,t=\"x", "b v=1"]);
        assert_eq!(lines("a \"k=1\nb v=1"), ["a \"k=1", "b v=1"]);
        assert_eq!(lines("a\\\nb v=1\nc"), ["a\\\nb v=1", "c"]);
        assert_eq!(lines("a\\"), ["a\\"]);
    }

    #[test]
    fn invalid_lines_are_emptied_and_counted() {
        let body = b"a v=1\n  b\xff v=2\nc v=\"\n\xc3\"\n#\xff\nd v=1";
        let mut errors = Vec::new();
        let repaired = without_invalid_utf8(body, |error| errors.push(error));
        assert_eq!(repaired, "a v=1\n\n\n\n\nd v=1");
        let said: Vec<_> = errors.iter().map(|error| (error.line, error.to_string())).collect();
        assert_eq!(
            said,
            [
                (2, "unable to parse 'b\u{fffd} v=2': invalid UTF-8 at byte 1 of the line".to_owned()),
                (3, "unable to parse 'c v=\"\n\u{fffd}\"': invalid UTF-8 at byte 6 of the line".to_owned()),
            ]
        );
    }
}
