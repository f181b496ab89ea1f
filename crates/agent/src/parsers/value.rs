//! `value`: a document that is one value, as a small file of `/sys` or the output of a command.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use skywatch_model::FieldValue;

use super::scalar;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::parser::{Defaults, ParseError, Parser};

/// The parser.
#[derive(Debug, Clone)]
struct Value {
    data_type: DataType,
    field: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DataType {
    Integer,
    Float,
    Text,
    Boolean,
    Base64,
    /// An integer if it is one, or a text.
    AutoInteger,
    /// A float if it is one, or a text.
    AutoFloat,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Parser>, ConfigError> {
    let data_type = match section.string("data_type")?.as_deref() {
        None | Some("" | "int" | "integer" | "long") => DataType::Integer,
        Some("float" | "double") => DataType::Float,
        Some("str" | "string") => DataType::Text,
        Some("bool" | "boolean") => DataType::Boolean,
        Some("base64") => DataType::Base64,
        Some("auto_integer") => DataType::AutoInteger,
        Some("auto_float") => DataType::AutoFloat,
        Some(other) => {
            return Err(section.bad(
                "data_type",
                format!(
                    "{other:?} is none of integer, float, string, boolean, base64, auto_integer, auto_float"
                ),
            ));
        }
    };
    let field = section.string("value_field_name")?.filter(|name| !name.is_empty());
    Ok(Box::new(Value { data_type, field: field.unwrap_or_else(|| "value".to_owned()) }))
}

impl Parser for Value {
    fn parse(
        &mut self,
        data: &[u8],
        defaults: &Defaults<'_>,
        out: &mut Vec<Metric>,
    ) -> Result<(), ParseError> {
        let text = String::from_utf8_lossy(data);
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        let is_whole = matches!(self.data_type, DataType::Text | DataType::Base64);
        let token = if is_whole { Some(text) } else { text.split_whitespace().next_back() };
        let Some(token) = token.filter(|token| is_whole || !token.is_empty()) else { return Ok(()) };
        let value = self.data_type.read(token).map_err(ParseError::new)?;
        let mut metric = Metric::new(defaults.name.clone().into_owned(), defaults.now_ns);
        metric.set_field(self.field.clone(), value);
        out.push(metric);
        Ok(())
    }

    fn fresh(&self) -> Box<dyn Parser> {
        Box::new(self.clone())
    }
}

impl DataType {
    fn read(self, token: &str) -> Result<FieldValue, String> {
        let text = || FieldValue::String(Arc::from(token));
        let bad = |what: &str| format!("{:?} is no {what}", shortened(token));
        Ok(match self {
            Self::Integer => FieldValue::Integer(token.parse().map_err(|_| bad("integer"))?),
            Self::Float => FieldValue::Float(token.parse().map_err(|_| bad("number"))?),
            Self::Text => text(),
            Self::Boolean => FieldValue::Boolean(scalar::boolean(token).ok_or_else(|| bad("boolean"))?),
            Self::Base64 => {
                let decoded = BASE64_STANDARD.decode(token).map_err(|_| bad("base64"))?;
                FieldValue::String(Arc::from(String::from_utf8_lossy(&decoded)))
            }
            Self::AutoInteger => token.parse().map(FieldValue::Integer).unwrap_or_else(|_| text()),
            Self::AutoFloat => token.parse().map(FieldValue::Float).unwrap_or_else(|_| text()),
        })
    }
}

/// The beginning of a text, for messages.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{fault, parsed, survives_damage, try_parser};
    use super::*;

    #[test]
    fn the_last_word_is_the_value() {
        assert_eq!(parsed(build, "", "55\n"), ["file value=55i"]);
        assert_eq!(parsed(build, "", "load is 55\0\0\n"), ["file value=55i"]);
        assert_eq!(parsed(build, "data_type = 'float'", "1 2.5"), ["file value=2.5"]);
        assert_eq!(parsed(build, "data_type = 'boolean'", "true"), ["file value=true"]);
        assert_eq!(parsed(build, "data_type = 'string'", " two words\n"), ["file value=\"two words\""]);
        assert_eq!(parsed(build, "data_type = 'base64'", "aGVsbG8="), ["file value=\"hello\""]);
        assert_eq!(parsed(build, "value_field_name = 'temp'", "7"), ["file temp=7i"]);
        for text in ["", " \n", "\0"] {
            assert!(parsed(build, "", text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn types_that_depend_on_the_value() {
        for (options, text, line) in [
            ("data_type = 'auto_integer'", "55", "file value=55i"),
            ("data_type = 'auto_integer'", "55.5", "file value=\"55.5\""),
            ("data_type = 'auto_float'", "55", "file value=55"),
            ("data_type = 'auto_float'", "up", "file value=\"up\""),
        ] {
            assert_eq!(parsed(build, options, text), [line]);
        }
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(fault(build, "", "5.5"), "\"5.5\" is no integer");
        assert_eq!(fault(build, "data_type = 'boolean'", "maybe"), "\"maybe\" is no boolean");
        assert!(try_parser(build, "data_type = 'number'").is_err());
        survives_damage(build, "data_type = 'base64'", "aGVsbG8=");
        survives_damage(build, "", "12345");
    }
}
