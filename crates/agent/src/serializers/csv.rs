//! `csv`: time, name, tags and fields of a metric, in columns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use skywatch_model::FieldValue;

use super::time_format::TimeFormat;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::metric::Metric;
use crate::serializer::{Serializer, Unwritable};

/// The format with its options.
#[derive(Debug)]
struct Csv {
    time: TimeFormat,
    separator: u8,
    header: bool,
    /// `tag_` and `field_` before names in the header.
    prefix: bool,
    /// The columns to write, in their order, instead of all.
    columns: Vec<Column>,
    /// Metrics of their own have one header, before the first.
    header_is_out: AtomicBool,
}

/// What a column shows.
#[derive(Debug)]
enum Column {
    Time,
    Name,
    Tag(String),
    Field(String),
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Serializer>, ConfigError> {
    let layout = section.string("csv_timestamp_format")?;
    let time = TimeFormat::named(layout.as_deref().unwrap_or("unix"))
        .map_err(|why| section.bad("csv_timestamp_format", why))?;
    let separator = section.string("csv_separator")?.filter(|text| !text.is_empty());
    let &[separator] = separator.as_deref().unwrap_or(",").as_bytes() else {
        return Err(section.bad("csv_separator", "one ASCII character is needed"));
    };
    let columns = section.strings("csv_columns")?.unwrap_or_default();
    let column =
        |name: &String| match name.split_once('.') {
            _ if name == "timestamp" => Ok(Column::Time),
            _ if name == "name" => Ok(Column::Name),
            Some(("tag", key)) => Ok(Column::Tag(key.to_owned())),
            Some(("field", key)) => Ok(Column::Field(key.to_owned())),
            _ => Err(section
                .bad("csv_columns", format!("{name:?} is none of timestamp, name, tag.NAME, field.NAME"))),
        };
    Ok(Box::new(Csv {
        time,
        separator,
        columns: columns.iter().map(column).collect::<Result<_, _>>()?,
        header: section.boolean("csv_header")?.unwrap_or(false),
        prefix: section.boolean("csv_column_prefix")?.unwrap_or(false),
        header_is_out: AtomicBool::new(false),
    }))
}

impl Csv {
    fn header(&self, metric: &Metric) -> Vec<String> {
        let name = |prefix, key: &str| if self.prefix { format!("{prefix}{key}") } else { key.to_owned() };
        if self.columns.is_empty() {
            let tags = metric.tags().iter().map(|(key, _)| name("tag_", key));
            let fields = sorted(metric).into_iter().map(|(key, _)| name("field_", key));
            return ["timestamp".to_owned(), "name".to_owned()]
                .into_iter()
                .chain(tags)
                .chain(fields)
                .collect();
        }
        let title = |column: &Column| match column {
            Column::Time => "timestamp".to_owned(),
            Column::Name => "name".to_owned(),
            Column::Tag(key) => name("tag_", key),
            Column::Field(key) => name("field_", key),
        };
        self.columns.iter().map(title).collect()
    }

    fn row(&self, metric: &Metric) -> Vec<String> {
        let time = || match self.time.value(metric.time_ns) {
            serde_json::Value::String(text) => text,
            number => number.to_string(),
        };
        if self.columns.is_empty() {
            let tags = metric.tags().iter().map(|(_, value)| value.clone());
            let fields = sorted(metric).into_iter().map(|(_, value)| text(value));
            return [time(), metric.name.to_string()].into_iter().chain(tags).chain(fields).collect();
        }
        let cell = |column: &Column| match column {
            Column::Time => time(),
            Column::Name => metric.name.to_string(),
            Column::Tag(key) => metric.tag_value(key).unwrap_or_default().to_owned(),
            Column::Field(key) => metric.field_value(key).map(text).unwrap_or_default(),
        };
        self.columns.iter().map(cell).collect()
    }

    fn write(&self, rows: &[Vec<String>], out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let mut writer =
            csv::WriterBuilder::new().delimiter(self.separator).flexible(true).from_writer(Vec::new());
        for row in rows {
            writer.write_record(row).map_err(|error| Unwritable(error.to_string()))?;
        }
        out.extend(writer.into_inner().map_err(|error| Unwritable(error.to_string()))?);
        Ok(())
    }
}

fn sorted(metric: &Metric) -> Vec<(&str, &FieldValue)> {
    let mut fields: Vec<_> = metric.fields().iter().map(|(key, value)| (key.as_ref(), value)).collect();
    fields.sort_by_key(|(key, _)| *key);
    fields
}

fn text(value: &FieldValue) -> String {
    match value {
        FieldValue::Float(v) => v.to_string(),
        FieldValue::Integer(v) => v.to_string(),
        FieldValue::Unsigned(v) => v.to_string(),
        FieldValue::Boolean(v) => v.to_string(),
        FieldValue::String(v) => v.to_string(),
    }
}

impl Serializer for Csv {
    fn metric(&self, metric: &Metric, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let mut rows = Vec::new();
        if self.header && !self.header_is_out.swap(true, Ordering::Relaxed) {
            rows.push(self.header(metric));
        }
        rows.push(self.row(metric));
        self.write(&rows, out)
    }

    fn batch(&self, metrics: &[Arc<Metric>], out: &mut Vec<u8>) -> Vec<(usize, Unwritable)> {
        let header = metrics.first().filter(|_| self.header).map(|first| self.header(first));
        let rows: Vec<_> = header.into_iter().chain(metrics.iter().map(|metric| self.row(metric))).collect();
        match self.write(&rows, out) {
            Ok(()) => Vec::new(),
            Err(why) => (0..metrics.len()).map(|index| (index, why.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;

    fn written(options: &str) -> String {
        let mut section = section_for_tests(options);
        let serializer = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok());
        let metrics = [
            Arc::new(Metric::new("m", 1_500_000_000).tag("host", "a,b").field("z", 1.5).field("a", true)),
            Arc::new(Metric::new("n", 2_000_000_000).field("x", "say \"hi\"")),
        ];
        let mut out = Vec::new();
        assert!(serializer.batch(&metrics, &mut out).is_empty());
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn columns_are_time_name_tags_and_fields() {
        assert_eq!(written(""), "1,m,\"a,b\",true,1.5\n2,n,\"say \"\"hi\"\"\"\n");
        assert_eq!(
            written(
                "csv_header = true\ncsv_column_prefix = true\ncsv_separator = ';'\ncsv_timestamp_format = 'unix_ms'"
            ),
            "timestamp;name;tag_host;field_a;field_z\n1500;m;a,b;true;1.5\n2000;n;\"say \"\"hi\"\"\"\n"
        );
    }

    #[test]
    fn columns_may_be_chosen() {
        let options = "csv_columns = ['field.z', 'timestamp', 'tag.host']\ncsv_timestamp_format = 'RFC3339'\ncsv_header = true";
        assert_eq!(
            written(options),
            "z,timestamp,host\n1.5,1970-01-01T00:00:01Z,\"a,b\"\n,1970-01-01T00:00:02Z,\n"
        );
        let error =
            build(&mut section_for_tests("csv_columns = ['x']"), &Context::default()).expect_err("unknown");
        assert!(error.to_string().ends_with("\"x\" is none of timestamp, name, tag.NAME, field.NAME"));
    }
}
