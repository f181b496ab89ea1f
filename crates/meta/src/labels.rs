//! What a label of a data node may be.
//!
//! Asked before a command is made, never where one is carried out: what a log has accepted once stays accepted.

use std::collections::BTreeMap;

/// Longest name of a label, and longest value.
const BYTES_MAX: usize = 128;

/// What is wrong with a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// It has no name.
    #[error("a label needs a name")]
    Unnamed,
    /// Nobody could read it where it is shown.
    #[error("label {name:?}: its {part} has a control character: {text:?}")]
    Control {
        /// The label, its beginning if it is long.
        name: String,
        /// Name or value.
        part: &'static str,
        /// Which of them, its beginning if it is long.
        text: String,
    },
    /// Too long.
    #[error("label {name:?}: its {part} has {bytes} bytes, at most {} are taken", BYTES_MAX)]
    TooLong {
        /// The label, its beginning if it is long.
        name: String,
        /// Name or value.
        part: &'static str,
        /// How long it is.
        bytes: usize,
    },
}

/// Refuses names and values that no label should have. One that is taken away, which an empty value stands for, may have any name.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), LabelError> {
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        if name.is_empty() {
            return Err(LabelError::Unnamed);
        }
        for (part, text) in [("name", name), ("value", value)] {
            if text.len() > BYTES_MAX {
                return Err(LabelError::TooLong { name: beginning(name), part, bytes: text.len() });
            }
            if text.chars().any(char::is_control) {
                return Err(LabelError::Control { name: beginning(name), part, text: beginning(text) });
            }
        }
    }
    Ok(())
}

/// As much of a text as a message needs.
fn beginning(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> Option<String> {
        let labels = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        check_labels(&labels).err().map(|error| error.to_string())
    }

    #[test]
    fn labels_are_short_and_readable() {
        assert_eq!(told("rack", "r1"), None);
        assert_eq!(told("Étage", "3 \u{2013} nord"), None);
        assert_eq!(told(&"n".repeat(128), &"v".repeat(128)), None);
        assert_eq!(told("", "r1").unwrap(), "a label needs a name");
        assert_eq!(
            told("rack", "r1\n2").unwrap(),
            r#"label "rack": its value has a control character: "r1\n2""#
        );
        assert_eq!(
            told("ra\u{7f}ck", "r1").unwrap(),
            r#"label "ra\u{7f}ck": its name has a control character: "ra\u{7f}ck""#
        );
        assert_eq!(
            told("rack", &"v".repeat(129)).unwrap(),
            r#"label "rack": its value has 129 bytes, at most 128 are taken"#
        );
        let long = told(&"n".repeat(200_000), "v").unwrap();
        assert!(long.contains("its name has 200000 bytes") && long.len() < 120, "{long}");
    }

    #[test]
    fn whatever_there_is_can_be_taken_away() {
        assert_eq!(told("a\nb", ""), None);
        assert_eq!(told(&"n".repeat(200), ""), None);
    }
}
