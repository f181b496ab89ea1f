//! `logfmt`: lines of `key=value` and `key="value with spaces"`.

use super::scalar;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::filter::glob::Globs;
use crate::metric::Metric;
use crate::parser::{Defaults, ParseError, Parser};

/// The parser.
#[derive(Debug, Clone)]
struct Logfmt {
    tag_keys: Option<Globs>,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Parser>, ConfigError> {
    Ok(Box::new(Logfmt { tag_keys: super::globs(section, "logfmt_tag_keys")? }))
}

impl Parser for Logfmt {
    fn parse(
        &mut self,
        data: &[u8],
        defaults: &Defaults<'_>,
        out: &mut Vec<Metric>,
    ) -> Result<(), ParseError> {
        super::each_line(data, |line| {
            let mut metric = Metric::new(defaults.name.clone().into_owned(), defaults.now_ns);
            for (key, value) in pairs(line)? {
                if self.tag_keys.as_ref().is_some_and(|globs| globs.matches(key)) {
                    metric.set_tag(key.to_owned(), value);
                } else if !value.is_empty() {
                    metric.set_field(key.to_owned(), scalar::infer(&value));
                }
            }
            if !metric.fields().is_empty() {
                out.push(metric);
            }
            Ok(())
        })
    }

    fn fresh(&self) -> Box<dyn Parser> {
        Box::new(self.clone())
    }
}

/// The pairs of a line; words without `=` say nothing.
fn pairs(line: &str) -> Result<Vec<(&str, String)>, String> {
    let mut pairs = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c == '"' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix('=') else {
            if after.starts_with('"') {
                return Err(format!("there is a quote in the key at {:?}", shortened(rest)));
            }
            rest = after.trim_start();
            continue;
        };
        if key.is_empty() {
            return Err(format!("there is no key before {:?}", shortened(after)));
        }
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = value.find(char::is_whitespace).unwrap_or(value.len());
                let (value, after) = value.split_at(end);
                if value.contains(['=', '"']) {
                    return Err(format!("the value {:?} has to be quoted", shortened(value)));
                }
                (value.to_owned(), after)
            }
        };
        pairs.push((key, value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// A quoted text of which the first quote is taken, and what follows it.
fn unquoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some('u') => {
                    let from = at + 2;
                    let hex =
                        text.get(from..from + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                    value.push(hex.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
                    if hex.is_some() {
                        chars.nth(3);
                    }
                }
                Some(other) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err("a quote is not closed".to_owned())
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{fault, parse, parsed, parser, survives_damage};
    use super::*;

    const LINE: &str = r#"ts=2018-07-24T19:43:40.275Z lvl=info msg="http request" method=POST "#;

    #[test]
    fn types_are_inferred() {
        assert_eq!(
            parsed(build, "", &format!("{LINE} status=200 took=1.5 ok=true empty= flag s=\"a\\\"b\\nc\"")),
            [
                "file ts=\"2018-07-24T19:43:40.275Z\",lvl=\"info\",msg=\"http request\",method=\"POST\",status=200i,\
              took=1.5,ok=true,s=\"a\\\"b\nc\""
            ]
        );
        assert_eq!(
            parsed(build, "logfmt_tag_keys = ['m*', 'lvl']", LINE),
            [r#"file,lvl=info,method=POST,msg=http\ request ts="2018-07-24T19:43:40.275Z""#]
        );
        assert!(parsed(build, "", "no pairs here\n\n").is_empty());
        assert_eq!(parsed(build, "", "a=1\r\nb=\"\\u00e9\"\n"), ["file a=1i", "file b=\"é\""]);
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let (lines, result) = parse(parser(build, "").as_mut(), "a=1\nb=\"open\nc=3\n");
        assert_eq!(lines, ["file a=1i", "file c=3i"]);
        assert_eq!(result.expect_err("the second").to_string(), "a quote is not closed (line 2)");
        assert_eq!(fault(build, "", "=1"), "there is no key before \"=1\" (line 1)");
        assert_eq!(fault(build, "", "a=b=c"), "the value \"b=c\" has to be quoted (line 1)");
        survives_damage(build, "", LINE);
        survives_damage(build, "", "a=\"\\u00e9x\\u12\"");
    }
}
