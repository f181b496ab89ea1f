//! The server's JSON passes through unchanged; what is looked for on the way are errors, so that a script learns of
//! them from the exit code.

/// Longest error that is kept.
const ERROR_BYTES_MAX: usize = 16 * 1024;

/// Finds `"error": "..."` of the answer (`{"error":..}`) and of its statements (`{"results":[{"error":..}]}`) in
/// bytes that come in pieces.
#[derive(Debug, Default)]
pub(crate) struct ErrorScanner {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The latest string at a depth where errors are, with its quotes; empty elsewhere.
    string: Vec<u8>,
    /// Whether the latest string was the key of an error.
    after_key: bool,
    error: Option<String>,
}

impl ErrorScanner {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.in_string {
                self.string_byte(byte);
            } else {
                self.structure_byte(byte);
            }
        }
    }

    /// The first error there was.
    pub(crate) fn into_error(self) -> Option<String> {
        self.error
    }

    fn is_where_errors_are(&self) -> bool {
        self.depth == 1 || self.depth == 3
    }

    fn string_byte(&mut self, byte: u8) {
        if self.is_where_errors_are() && self.string.len() < ERROR_BYTES_MAX {
            self.string.push(byte);
        }
        if byte == b'"' && !self.escaped {
            self.in_string = false;
            self.string_ends();
        }
        self.escaped = byte == b'\\' && !self.escaped;
    }

    fn string_ends(&mut self) {
        if !self.is_where_errors_are() {
            return;
        }
        if self.after_key {
            let text = serde_json::from_slice(&self.string)
                .unwrap_or_else(|_| "an error too long to show".to_owned());
            self.error.get_or_insert(text);
        }
    }

    fn structure_byte(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                self.escaped = false;
                self.string.clear();
                self.string.push(b'"');
            }
            b':' => self.after_key = self.string == b"\"error\"" && self.is_where_errors_are(),
            b'{' | b'[' => {
                self.depth += 1;
                self.after_key = false;
                self.string.clear();
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.after_key = false;
                self.string.clear();
            }
            b',' => self.after_key = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str, piece: usize) -> Option<String> {
        let mut scanner = ErrorScanner::default();
        json.as_bytes().chunks(piece).for_each(|piece| scanner.feed(piece));
        scanner.into_error()
    }

    #[test]
    fn errors_of_statements_are_found_and_nothing_else_is() {
        for piece in [1, 3, 1000] {
            assert_eq!(
                error(
                    r#"{"results":[{"statement_id":0},{ "error" : "bad \"x\"" , "statement_id":1}]}"#,
                    piece
                )
                .unwrap(),
                "bad \"x\""
            );
            assert_eq!(error(r#"{"error":"no"}"#, piece).unwrap(), "no");
            let no_error = r#"{"results":[{"series":[{"name":"error","columns":["error"],"tags":{"error":"x"},
                "values":[["{\"error\":\"y\"}"]]}],"messages":[{"error":"z"}],"a":"error","b":"c"}]}"#;
            assert_eq!(error(no_error, piece), None);
        }
    }
}
