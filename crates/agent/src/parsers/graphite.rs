//! `graphite`: lines of `name value [time]`, with tags behind the name (`;tag=value`) or by templates.

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::graphite_template::Templates;
use crate::metric::Metric;
use crate::parser::{Defaults, ParseError, Parser};

/// The parser.
#[derive(Debug, Clone)]
struct Graphite {
    templates: Templates,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Parser>, ConfigError> {
    let separator = section.string("separator")?.filter(|separator| !separator.is_empty());
    let templates = section.strings("templates")?.unwrap_or_default();
    let templates = Templates::compile(&templates, separator.as_deref().unwrap_or("."))
        .map_err(|why| section.bad("templates", why))?;
    Ok(Box::new(Graphite { templates }))
}

impl Parser for Graphite {
    fn parse(
        &mut self,
        data: &[u8],
        defaults: &Defaults<'_>,
        out: &mut Vec<Metric>,
    ) -> Result<(), ParseError> {
        super::each_line(data, |line| {
            if !line.trim().is_empty() {
                out.push(self.line(line, defaults.now_ns)?);
            }
            Ok(())
        })
    }

    fn fresh(&self) -> Box<dyn Parser> {
        Box::new(self.clone())
    }
}

impl Graphite {
    fn line(&self, line: &str, now_ns: i64) -> Result<Metric, String> {
        let words: Vec<_> = line.split_whitespace().take(4).collect();
        let (name, value, time) = match words.as_slice() {
            [name, value] => (*name, *value, None),
            [name, value, time] => (*name, *value, Some(*time)),
            _ => return Err("this is not `name value [time]`".to_owned()),
        };
        let number: f64 = value.parse().map_err(|_| format!("the value {value:?} is no number"))?;
        if !number.is_finite() {
            return Err(format!("the value {value:?} cannot be kept"));
        }
        let time_ns = match time {
            None => now_ns,
            Some(text) => {
                seconds(text, now_ns).ok_or_else(|| format!("the time {text:?} is no number of seconds"))?
            }
        };
        let mut parts = name.split(';');
        let (measurement, field, tags) = self.templates.apply(parts.next().unwrap_or_default());
        if measurement.is_empty() {
            return Err("there is no name".to_owned());
        }
        let mut metric = Metric::new(measurement, time_ns);
        for (key, value) in tags {
            metric.set_tag(key, value);
        }
        for tag in parts {
            match tag.split_once('=') {
                Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                    metric.set_tag(key.to_owned(), value);
                }
                _ => return Err(format!("the tag {tag:?} is not key=value")),
            }
        }
        metric.set_field(field.unwrap_or_else(|| "value".to_owned()), number);
        Ok(metric)
    }
}

/// Seconds since 1970, whole or not; -1 means now.
fn seconds(text: &str, now_ns: i64) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        return if whole == -1 { Some(now_ns) } else { whole.checked_mul(1_000_000_000) };
    }
    let seconds: f64 = text.parse().ok()?;
    if seconds == -1.0 {
        return Some(now_ns);
    }
    let whole = seconds.trunc();
    (seconds.abs() < 9.2e9).then(|| whole as i64 * 1_000_000_000 + ((seconds - whole) * 1e9).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{fault, parse, parsed, parser, survives_damage, try_parser};
    use super::*;

    #[test]
    fn lines_as_carbon_takes_them() {
        for (line, wanted) in [
            ("cpu.load 1.5 1419972457", "cpu.load value=1.5 1419972457000000000"),
            ("cpu.load 1.5 1419972457.25", "cpu.load value=1.5 1419972457250000000"),
            ("cpu.load\t2", "cpu.load value=2"),
            ("cpu.load 2 -1", "cpu.load value=2"),
            ("disk.used;dc=north;rack=r1 3 1", "disk.used,dc=north,rack=r1 value=3 1000000000"),
        ] {
            assert_eq!(parsed(build, "", line), [wanted]);
        }
        assert!(parsed(build, "", "\n\r\n").is_empty());
    }

    #[test]
    fn templates() {
        let options = "separator = '_'\ntemplates = ['*.app env.service.resource.measurement', \
                       'stats.* .host.measurement* region=eu', 'measurement.field*']";
        assert_eq!(
            parsed(build, options, "prod.app.mem.used 4"),
            ["used,env=prod,resource=mem,service=app value=4"]
        );
        assert_eq!(parsed(build, options, "stats.h1.cpu.load 4"), ["cpu_load,host=h1,region=eu value=4"]);
        assert_eq!(parsed(build, options, "cpu.usage.idle 4"), ["cpu usage_idle=4"]);
        assert!(try_parser(build, "templates = ['host.nothing']").is_err());
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let (lines, result) = parse(parser(build, "").as_mut(), "a 1 1\nb x\nc 3 3\n");
        assert_eq!(lines, ["a value=1 1000000000", "c value=3 3000000000"]);
        assert_eq!(result.expect_err("the second").to_string(), "the value \"x\" is no number (line 2)");
        assert_eq!(fault(build, "", "a"), "this is not `name value [time]` (line 1)");
        assert_eq!(fault(build, "", "a NaN"), "the value \"NaN\" cannot be kept (line 1)");
        assert_eq!(fault(build, "", "a;b 1"), "the tag \"b\" is not key=value (line 1)");
        assert_eq!(fault(build, "", "a 1 soon"), "the time \"soon\" is no number of seconds (line 1)");
        survives_damage(build, "templates = ['measurement.field*']", "a.b;c=d 1.5 1419972457.25\n");
    }
}
