//! Text of configuration files, as editors write it: UTF-8, or UTF-16 with its mark; a mark before UTF-8 is passed over.

use std::{fs, io, path::Path};

/// A file as text.
pub(super) fn read(path: &Path) -> io::Result<String> {
    text(fs::read(path)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    let units = |of: fn([u8; 2]) -> u16| -> Vec<u16> {
        bytes[2..].chunks(2).map(|pair| of([pair[0], pair.get(1).copied().unwrap_or(0)])).collect()
    };
    let wide = match bytes.as_slice() {
        [0xff, 0xfe, ..] => Some(units(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => Some(units(u16::from_be_bytes)),
        _ => None,
    };
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("it is no {what}"));
    match wide {
        Some(units) => {
            String::from_utf16(&units).map_err(|_| wrong("UTF-16, which its first bytes say that it is"))
        }
        None => {
            let text = String::from_utf8(bytes).map_err(|_| wrong("UTF-8"))?;
            Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_the_byte_order_are_understood() {
        let expected = "a = \"ö\"\n";
        let wide = |of: fn(u16) -> [u8; 2]| {
            "\u{feff}".encode_utf16().chain(expected.encode_utf16()).flat_map(of).collect()
        };
        let marked = [b"\xef\xbb\xbf", expected.as_bytes()].concat();
        for bytes in [expected.as_bytes().to_vec(), marked, wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            assert_eq!(text(bytes).unwrap(), expected);
        }
        assert!(text(b"a = \"\xff\"".to_vec()).unwrap_err().to_string().contains("UTF-8"));
    }
}
