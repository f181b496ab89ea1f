//! Lines of StatsD: `bucket:value|type[|@rate][|#tags]`, with tags in the bucket and several values. Pure.

/// One value of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// The name before the first `,` or `:`.
    pub(super) bucket: String,
    pub(super) tags: Vec<(String, String)>,
    pub(super) value: Value,
}

/// What is to be done with it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `c`: to be added, already divided by the sample rate.
    Count(f64),
    /// `g`: the new value, or with a sign a change.
    Gauge { value: f64, is_change: bool },
    /// `s`: a member of a set.
    Member(String),
    /// `ms` or `h`: an observation, and how many it stands for.
    Timing { value: f64, weight: u64, kind: TimingKind },
    /// `d`: an observation to be passed on by itself.
    Distribution(f64),
}

/// The two names of the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimingKind {
    Timing,
    Histogram,
}

/// An observation stands for at most this many: a sample rate is a client's word.
const WEIGHT_MAX: u64 = 10_000;

/// Parses a line into its samples. With `datadog`, tags after `|#` are read and several values may be packed as
/// `bucket:1:2:3|type`; with `distributions`, `d` is a type.
pub(super) fn parse(line: &str, datadog: bool, distributions: bool) -> Result<Vec<Sample>, String> {
    let (key, values) = line.split_once(':').ok_or("there is no value: no ':'")?;
    let mut parts = key.split(',');
    let bucket = parts.next().unwrap_or_default();
    if bucket.is_empty() {
        return Err("there is no name".to_owned());
    }
    let mut tags: Vec<_> = parts
        .filter_map(|tag| tag.split_once('='))
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let mut values = values;
    if datadog {
        if let Some((before, after)) = values.split_once("|#") {
            let mut sections = after.split('|');
            datadog_tags(sections.next().unwrap_or_default(), &mut tags);
            let container = sections.find_map(|section| section.strip_prefix("c:"));
            tags.extend(container.map(|id| ("container".to_owned(), id.to_owned())));
            values = before;
        } else if let Some((before, id)) = container(values) {
            tags.push(("container".to_owned(), id.to_owned()));
            values = before;
        }
    }
    let mut samples = Vec::new();
    let mut untyped = Vec::new();
    for section in values.split(':') {
        let mut fields = section.split('|');
        let value = fields.next().unwrap_or_default();
        let Some(kind) = fields.next() else {
            // The type follows with the last of several values.
            untyped.push(value);
            continue;
        };
        let rate = rate(fields)?;
        for value in untyped.drain(..).chain([value]) {
            let value = typed(value, kind, rate, distributions)?;
            samples.push(Sample { bucket: bucket.to_owned(), tags: tags.clone(), value });
        }
    }
    match untyped.first() {
        Some(value) => Err(format!("{value:?} has no type")),
        None => Ok(samples),
    }
}

/// The section `|c:ID` at the end; what looks like it after a bare value is a counter's type and the next value.
fn container(values: &str) -> Option<(&str, &str)> {
    let (before, id) = values.rsplit_once("|c:")?;
    let last_value = before.rsplit(':').next().unwrap_or(before);
    (last_value.contains('|') && !id.contains('|')).then_some((before, id))
}

/// `k:v,k2:v2,flag`; a tag without a value is true.
pub(super) fn datadog_tags(list: &str, tags: &mut Vec<(String, String)>) {
    for tag in list.split(',').filter(|tag| !tag.is_empty()) {
        match tag.split_once(':') {
            Some(("", _)) => {}
            Some((key, "")) => tags.push((key.to_owned(), "true".to_owned())),
            Some((key, value)) => tags.push((key.to_owned(), value.to_owned())),
            None => tags.push((tag.to_owned(), "true".to_owned())),
        }
    }
}

fn rate<'a>(fields: impl Iterator<Item = &'a str>) -> Result<f64, String> {
    for field in fields {
        if let Some(text) = field.strip_prefix('@') {
            let rate: f64 = text.parse().map_err(|_| format!("the sample rate {text:?} is no number"))?;
            if !(rate > 0.0 && rate <= 1.0) {
                return Err(format!("the sample rate {text} is not above 0 and up to 1"));
            }
            return Ok(rate);
        }
    }
    Ok(1.0)
}

fn typed(text: &str, kind: &str, rate: f64, distributions: bool) -> Result<Value, String> {
    let number = || -> Result<f64, String> {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(format!("{text:?} is no number")),
        }
    };
    let weight = || ((1.0 / rate).round() as u64).clamp(1, WEIGHT_MAX);
    match kind {
        "c" => Ok(Value::Count(number()? / rate)),
        "g" => Ok(Value::Gauge { value: number()?, is_change: text.starts_with(['+', '-']) }),
        "s" => Ok(Value::Member(text.to_owned())),
        "ms" => Ok(Value::Timing { value: number()?, weight: weight(), kind: TimingKind::Timing }),
        "h" => Ok(Value::Timing { value: number()?, weight: weight(), kind: TimingKind::Histogram }),
        "d" if distributions => Ok(Value::Distribution(number()?)),
        "d" => Err("distributions are off: datadog_distributions = true".to_owned()),
        other => Err(format!("{other:?} is none of c, g, s, ms, h, d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Vec<Value> {
        parse(line, true, true).expect(line).into_iter().map(|sample| sample.value).collect()
    }

    #[test]
    fn every_type() {
        assert_eq!(values("a:1|c"), [Value::Count(1.0)]);
        assert_eq!(values("a:1|c|@0.1"), [Value::Count(10.0)]);
        assert_eq!(values("a:-5|g"), [Value::Gauge { value: -5.0, is_change: true }]);
        assert_eq!(values("a:+5|g"), [Value::Gauge { value: 5.0, is_change: true }]);
        assert_eq!(values("a:5|g"), [Value::Gauge { value: 5.0, is_change: false }]);
        assert_eq!(values("a:x1|s"), [Value::Member("x1".to_owned())]);
        let timing = |value, weight, kind| Value::Timing { value, weight, kind };
        assert_eq!(values("a:3.5|ms|@0.25"), [timing(3.5, 4, TimingKind::Timing)]);
        assert_eq!(values("a:3|h"), [timing(3.0, 1, TimingKind::Histogram)]);
        assert_eq!(values("a:3|d"), [Value::Distribution(3.0)]);
    }

    #[test]
    fn several_values() {
        assert_eq!(values("a:1|c:2|c"), [Value::Count(1.0), Value::Count(2.0)]);
        assert_eq!(values("a:1:2|c|@0.5"), [Value::Count(2.0), Value::Count(4.0)]);
        assert_eq!(values("a:1|c:2|c|c:id"), [Value::Count(1.0), Value::Count(2.0)]);
    }

    #[test]
    fn tags_of_both_kinds() {
        let samples = parse("a.b,host=h,rack=r1:1|c|#env:prod,flag,u:http://x", true, true).expect("valid");
        let tags: Vec<_> = samples[0].tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(tags, ["host=h", "rack=r1", "env=prod", "flag=true", "u=http://x"]);
        assert_eq!(samples[0].bucket, "a.b");
        for line in ["a:1|g|#x:y|c:83c0", "a:1|g|c:83c0"] {
            let tags = &parse(line, true, true).expect("valid")[0].tags;
            assert_eq!(tags.last(), Some(&("container".to_owned(), "83c0".to_owned())), "{line}");
        }
    }

    #[test]
    fn faults_are_named() {
        for line in ["a", ":1|c", "a:1", "a:x|c", "a:1|x", "a:1|c|@2", "a:1|c|@x", "a:NaN|g"] {
            assert!(parse(line, true, false).is_err(), "{line}");
        }
    }
}
