//! Series as aligned columns, or, where that is too wide to read, each row as a list.
//!
//! A window of rows is kept back to find out how wide columns are. Longer series go on with those widths: a cell that is
//! wider pushes its neighbours to the right. So a table of millions of rows needs the memory of a thousand.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use unicode_width::UnicodeWidthStr;

use crate::{
    answer::{Cell, Series},
    render::Render,
    settings::Vertical,
    style::Style,
};

/// Rows that are kept back.
const WINDOW_ROWS: usize = 1_000;
/// Between columns.
const GAP: &str = "  ";

/// What tables are to look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) style: Style,
    pub(crate) vertical: Vertical,
    /// Columns of the terminal; `None` where there is none and lines may be as long as they are.
    pub(crate) width: Option<usize>,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Tables {
    layout: Layout,
    current: Option<Table>,
    tables: u64,
}

/// One series on its way.
#[derive(Debug)]
struct Table {
    name: String,
    tags: BTreeMap<String, String>,
    columns: Vec<String>,
    /// Rows not printed yet.
    window: Vec<Vec<Cell>>,
    shape: Option<Shape>,
    rows: u64,
}

/// How a table is printed, once that is decided.
#[derive(Debug)]
enum Shape {
    Aligned(Vec<Column>),
    Vertical { name_width: usize },
}

#[derive(Debug, Clone, Copy)]
struct Column {
    width: usize,
    to_the_right: bool,
}

impl Tables {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, current: None, tables: 0 }
    }

    /// Whether there was no series at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.tables == 0 && self.current.is_none()
    }

    fn end_table(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Some(mut table) = self.current.take() else { return Ok(()) };
        table.print_window(self.layout, out)?;
        let rows = if table.rows == 1 { "(1 row)".to_owned() } else { format!("({} rows)", table.rows) };
        writeln!(out, "{}", self.layout.style.dim(&rows))
    }
}

impl Render for Tables {
    fn series(&mut self, series: Series, out: &mut dyn Write) -> io::Result<()> {
        if !self.current.as_ref().is_some_and(|table| table.is_of(&series)) {
            self.end_table(out)?;
            if self.tables > 0 {
                writeln!(out)?;
            }
            self.tables += 1;
            self.current = Some(Table::new(&series));
        }
        let Some(table) = &mut self.current else { return Ok(()) };
        for row in series.values {
            table.rows += 1;
            table.window.push(row);
            if table.window.len() >= WINDOW_ROWS {
                table.print_window(self.layout, out)?;
            }
        }
        if !series.partial {
            self.end_table(out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.end_table(out)
    }
}

impl Table {
    fn new(series: &Series) -> Self {
        Self {
            name: series.name.clone(),
            tags: series.tags.clone(),
            columns: series.columns.clone(),
            window: Vec::new(),
            shape: None,
            rows: 0,
        }
    }

    fn is_of(&self, series: &Series) -> bool {
        self.name == series.name && self.tags == series.tags && self.columns == series.columns
    }

    fn print_window(&mut self, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
        let rows = std::mem::take(&mut self.window);
        let texts: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell_text).collect()).collect();
        let first = self.rows - rows.len() as u64 + 1;
        let shape = match self.shape.take() {
            Some(shape) => shape,
            None => {
                let shape = self.choose_shape(layout, &rows, &texts);
                self.print_head(layout, &shape, out)?;
                shape
            }
        };
        let mut text = String::new();
        for (row, number) in texts.iter().zip(first..) {
            match &shape {
                Shape::Aligned(columns) => append_row(columns, row, &mut text),
                Shape::Vertical { name_width } => {
                    text += &layout.style.dim(&format!("-[ row {number} ]-"));
                    text.push('\n');
                    for (column, cell) in self.columns.iter().zip(row) {
                        text += &layout.style.bold(&padded(column, *name_width));
                        text += GAP;
                        text += cell;
                        text.truncate(text.trim_end_matches(' ').len());
                        text.push('\n');
                    }
                }
            }
        }
        self.shape = Some(shape);
        out.write_all(text.as_bytes())
    }

    fn choose_shape(&self, layout: Layout, rows: &[Vec<Cell>], texts: &[Vec<String>]) -> Shape {
        let columns: Vec<Column> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let widest = texts.iter().filter_map(|row| row.get(index)).map(|text| text.width()).max();
                let mut values =
                    rows.iter().filter_map(|row| row.get(index)).filter(|cell| **cell != Cell::Null);
                Column {
                    width: widest.unwrap_or(0).max(clean(name).width()),
                    to_the_right: values.clone().next().is_some() && values.all(Cell::is_number),
                }
            })
            .collect();
        let width: usize = columns.iter().map(|column| column.width).sum::<usize>()
            + GAP.len() * columns.len().saturating_sub(1);
        let is_vertical = match layout.vertical {
            Vertical::Off => false,
            Vertical::On => true,
            Vertical::Auto => layout.width.is_some_and(|limit| width > limit && columns.len() > 1),
        };
        if is_vertical {
            let name_width = self.columns.iter().map(|name| clean(name).width()).max().unwrap_or(0);
            Shape::Vertical { name_width }
        } else {
            Shape::Aligned(columns)
        }
    }

    fn print_head(&self, layout: Layout, shape: &Shape, out: &mut dyn Write) -> io::Result<()> {
        let style = layout.style;
        let mut title = if self.name.is_empty() { String::new() } else { style.bold(&clean(&self.name)) };
        for (key, value) in &self.tags {
            let gap = if title.is_empty() { "" } else { GAP };
            title += &format!("{gap}{}{}", style.dim(&format!("{}=", clean(key))), clean(value));
        }
        if !title.is_empty() {
            writeln!(out, "{title}")?;
        }
        if let Shape::Aligned(columns) = shape {
            let mut names = String::new();
            append_row(columns, &self.columns.iter().map(|name| clean(name)).collect::<Vec<_>>(), &mut names);
            let rule: Vec<String> = columns.iter().map(|column| "-".repeat(column.width)).collect();
            write!(out, "{}\n{}\n", style.bold(names.trim_end()), style.dim(&rule.join(GAP)))?;
        }
        Ok(())
    }
}

fn append_row(columns: &[Column], row: &[String], text: &mut String) {
    for (index, (column, cell)) in columns.iter().zip(row).enumerate() {
        if index > 0 {
            text.push_str(GAP);
        }
        let padding = column.width.saturating_sub(cell.width());
        if column.to_the_right {
            text.extend(std::iter::repeat_n(' ', padding));
            text.push_str(cell);
        } else {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', padding));
        }
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

fn padded(name: &str, width: usize) -> String {
    let name = clean(name);
    let padding = width.saturating_sub(name.width());
    format!("{name}{}", " ".repeat(padding))
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => clean(text),
        other => other.to_string(),
    }
}

/// Control characters as escapes: a line feed would break the table, others would reprogram the terminal.
fn clean(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.chars()
            .map(|ch| if ch.is_control() { ch.escape_default().to_string() } else { ch.to_string() })
            .collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(layout: Layout, answers: &[&str]) -> String {
        let mut tables = Tables::new(layout);
        let mut out = Vec::new();
        for json in answers {
            tables.series(serde_json::from_str(json).unwrap(), &mut out).unwrap();
        }
        tables.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const WIDE: Layout = Layout { style: Style::plain(), vertical: Vertical::Auto, width: None };

    #[test]
    fn numbers_stand_to_the_right_and_tags_in_the_title() {
        assert_eq!(
            render(
                WIDE,
                &[
                    r#"{"name":"cpu","tags":{"host":"a","r":"é"},"columns":["time","mean","s"],
                        "values":[["1970-01-01T00:00:00Z",9.5,"x"],["1970-01-01T00:00:10Z",null,"日本\n"]]}"#,
                    r#"{"name":"cpu","columns":["n"],"values":[[100]]}"#
                ]
            ),
            "cpu  host=a  r=é\n\
             time                  mean  s\n\
             --------------------  ----  ------\n\
             1970-01-01T00:00:00Z   9.5  x\n\
             1970-01-01T00:00:10Z        日本\\n\n\
             (2 rows)\n\
             \n\
             cpu\n  n\n---\n100\n(1 row)\n"
        );
    }

    #[test]
    fn pieces_of_a_series_are_one_table() {
        let piece = |values: &str, partial: bool| {
            format!(r#"{{"name":"m","columns":["v"],"values":[{values}],"partial":{partial}}}"#)
        };
        let text = render(WIDE, &[&piece("[1],[2]", true), &piece("[3]", false)]);
        assert_eq!(text, "m\nv\n-\n1\n2\n3\n(3 rows)\n");
        // Beyond the window, widths are what they are.
        let many = vec!["[1]"; WINDOW_ROWS].join(",");
        let text = render(WIDE, &[&piece(&many, true), &piece("[12345]", false)]);
        assert!(text.ends_with("\n1\n12345\n(1001 rows)\n"), "{text}");
    }

    #[test]
    fn what_is_too_wide_becomes_a_list() {
        let narrow = Layout { width: Some(20), ..WIDE };
        let wide = r#"{"name":"m","tags":{"h":"a"},"columns":["time","usage"],"values":[["1970-01-01T00:00:00Z",1],[null,2]]}"#;
        let list = "m  h=a\n-[ row 1 ]-\ntime   1970-01-01T00:00:00Z\nusage  1\n-[ row 2 ]-\ntime\nusage  2\n(2 rows)\n";
        assert_eq!(render(narrow, &[wide]), list);
        assert_eq!(render(Layout { vertical: Vertical::On, ..WIDE }, &[wide]), list);
        assert!(render(Layout { vertical: Vertical::Off, ..narrow }, &[wide]).contains("usage\n"));
    }

    #[test]
    fn a_terminal_cannot_be_reprogrammed_by_data() {
        let text =
            render(WIDE, &[r#"{"name":"m\u001b[2J","columns":["s"],"values":[["\u001b]0;x\u0007"]]}"#]);
        assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text:?}");
    }
}
