//! Comma-separated values (RFC 4180): a header whenever columns change, then a line a row. The first two columns are
//! the series' name and its tags, `key=value` joined by commas, as InfluxDB's own CSV has them.

use std::io::{self, Write};

use crate::{answer::Series, render::Render};

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Csv {
    /// Those of the latest header.
    columns: Option<Vec<String>>,
    line: String,
}

impl Render for Csv {
    fn series(&mut self, series: Series, out: &mut dyn Write) -> io::Result<()> {
        self.line.clear();
        if self.columns.as_ref() != Some(&series.columns) {
            self.line.push_str("name,tags");
            for column in &series.columns {
                self.line.push(',');
                append_field(column, &mut self.line);
            }
            self.line.push('\n');
            self.columns = Some(series.columns);
        }
        let tags: Vec<String> = series.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut head = String::new();
        append_field(&series.name, &mut head);
        head.push(',');
        append_field(&tags.join(","), &mut head);
        for row in &series.values {
            self.line.push_str(&head);
            for cell in row {
                self.line.push(',');
                append_field(&cell.to_string(), &mut self.line);
            }
            self.line.push('\n');
        }
        out.write_all(self.line.as_bytes())
    }

    fn finish(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// A field, in quotes where its text would be taken for something else.
fn append_field(text: &str, line: &mut String) {
    if text.contains([',', '"', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        line.push('"');
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_follow_columns_and_quotes_protect() {
        let mut csv = Csv::default();
        let mut out = Vec::new();
        for json in [
            r#"{"name":"cpu","tags":{"host":"a","r":"x"},"columns":["time","v"],"values":[[1,1.5],[2,null]]}"#,
            r#"{"name":"cpu","tags":{"host":"b"},"columns":["time","v"],"values":[[1,"say \"hi\",\nplease"]]}"#,
            r#"{"name":"me,m","columns":["time","w"],"values":[[1,true]]}"#,
        ] {
            csv.series(serde_json::from_str(json).unwrap(), &mut out).unwrap();
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "name,tags,time,v\ncpu,\"host=a,r=x\",1,1.5\ncpu,\"host=a,r=x\",2,\n\
             cpu,host=b,1,\"say \"\"hi\"\",\nplease\"\nname,tags,time,w\n\"me,m\",,1,true\n"
        );
    }
}
