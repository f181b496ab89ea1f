//! Strings as Go's `encoding/json` and `encoding/csv` write them.

/// What a byte asks for inside a JSON string: 0 nothing, otherwise the letter after the backslash,
/// `u` for `\u00XX`, and 1 for the lead byte of U+2028 and U+2029, which need a closer look.
const JSON_ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'<' as usize] = b'u';
    table[b'>' as usize] = b'u';
    table[b'&' as usize] = b'u';
    table[0xE2] = 1;
    table
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` in quotes, escaped as Go does: also `<`, `>`, `&`, U+2028 and U+2029, so that the result can
/// be put into HTML and JavaScript.
#[inline]
pub(crate) fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape = JSON_ESCAPE[usize::from(byte)];
        if escape == 0 {
            continue;
        }
        copied = push_escaped(out, bytes, copied, at, escape);
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Writes what precedes position `at` and its escape; returns how far `bytes` has been written.
#[cold]
fn push_escaped(out: &mut Vec<u8>, bytes: &[u8], copied: usize, at: usize, escape: u8) -> usize {
    let byte = bytes[at];
    if escape == 1 {
        let separator = match bytes.get(at + 1..at + 3) {
            Some([0x80, 0xA8]) => b"\\u2028",
            Some([0x80, 0xA9]) => b"\\u2029",
            _ => return copied,
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(separator);
        return at + 3;
    }
    out.extend_from_slice(&bytes[copied..at]);
    if escape == b'u' {
        let [high, low] = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
    } else {
        out.extend_from_slice(&[b'\\', escape]);
    }
    at + 1
}

/// Appends one CSV field, in quotes where Go's `encoding/csv` uses them.
pub(crate) fn push_csv_field(out: &mut Vec<u8>, field: &str) {
    if !needs_quotes(field) {
        out.extend_from_slice(field.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in field.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn needs_quotes(field: &str) -> bool {
    field == r"\."
        || field.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'))
        || field.chars().next().is_some_and(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        push_json_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn csv(text: &str) -> String {
        let mut out = Vec::new();
        push_csv_field(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_escapes_as_go_does() {
        assert_eq!(json(""), r#""""#);
        assert_eq!(json("he<>&\"y\\"), r#""he\u003c\u003e\u0026\"y\\""#);
        assert_eq!(json("a\nb\rc\td\u{8}\u{c}\u{1}\u{1f}"), r#""a\nb\rc\td\u0008\u000c\u0001\u001f""#);
        assert_eq!(json("\u{2028}x\u{2029}"), r#""\u2028x\u2029""#);
        assert_eq!(json("\u{2020}\u{20ac}é😀\u{7f}"), "\"\u{2020}\u{20ac}é😀\u{7f}\"");
    }

    #[test]
    fn csv_quotes_as_go_does() {
        assert_eq!(csv(""), "");
        assert_eq!(csv("plain"), "plain");
        assert_eq!(csv("a,b"), "\"a,b\"");
        assert_eq!(csv("x\"y"), "\"x\"\"y\"");
        assert_eq!(csv("nl\nnl"), "\"nl\nnl\"");
        assert_eq!(csv(" lead"), "\" lead\"");
        assert_eq!(csv("tab\tinside "), "tab\tinside ");
        assert_eq!(csv(r"\."), "\"\\.\"");
    }

    proptest! {
        #[test]
        fn json_reads_back(text in any::<String>()) {
            let read: String = serde_json::from_str(&json(&text)).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
