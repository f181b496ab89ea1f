//! CSV with annotations: `#datatype`, `#group` and `#default` lines before a header say what its columns are.

use std::{collections::BTreeMap, sync::Arc};

use csv::StringRecord;

use super::{cells, check_header, check_width, each_line, wrong};
use crate::{Call, Column, ColumnBuilder, Error, GroupKey, KeyColumn, Kind, Table, Tables, Value};

/// Columns that say which table a row is of, and are none of its own.
const RESULT: &str = "result";
const TABLE: &str = "table";

/// The tables of a text. Rows of one group key are one table.
pub(super) fn tables(call: &mut Call<'_, '_>, text: &str) -> Result<Tables, Error> {
    let mut found = Found::default();
    let mut annotations = Annotations::default();
    let mut block: Option<Block> = None;
    each_line(call, text, |call, line, record| {
        let first = record.get(0).unwrap_or_default();
        if let Some(name) = first.strip_prefix('#') {
            if let Some(block) = block.take() {
                found.end(call, &block)?;
                annotations = Annotations::default();
            }
            return annotations.add(call, line, name, record);
        }
        match &mut block {
            Some(block) => {
                check_width(call, line, record.len(), block.width)?;
                found.row(call, line, block, record)
            }
            None => {
                block = Some(Block::new(call, line, &annotations, record)?);
                Ok(())
            }
        }
    })?;
    match block {
        Some(block) => found.end(call, &block)?,
        None => return Err(call.error("the text has no header: a line that names the columns")),
    }
    Ok(found.tables())
}

/// What the lines before a header say.
#[derive(Default)]
struct Annotations {
    datatype: Option<(u64, StringRecord)>,
    group: Option<(u64, StringRecord)>,
    default: Option<(u64, StringRecord)>,
}

impl Annotations {
    fn add(
        &mut self,
        call: &Call<'_, '_>,
        line: u64,
        name: &str,
        record: &StringRecord,
    ) -> Result<(), Error> {
        let place = match name {
            "datatype" => &mut self.datatype,
            "group" => &mut self.group,
            "default" => &mut self.default,
            other => {
                let text = format!("unknown annotation #{other}; there are #datatype, #group and #default");
                return Err(wrong(call, line, text));
            }
        };
        *place = Some((line, record.clone()));
        Ok(())
    }
}

/// A header and what is said of its columns.
struct Block {
    line: u64,
    /// Cells of a line, the annotations' own included.
    width: usize,
    columns: Vec<Described>,
    /// Whether there is a default for `table`: a table without rows is told by it.
    names_table: bool,
    has_rows: bool,
}

struct Described {
    /// In the line.
    at: usize,
    label: Arc<str>,
    kind: Kind,
    in_key: bool,
    default: Value,
}

impl Block {
    fn new(
        call: &Call<'_, '_>,
        line: u64,
        annotations: &Annotations,
        header: &StringRecord,
    ) -> Result<Self, Error> {
        let Some((datatype_line, datatypes)) = &annotations.datatype else {
            let text =
                "no #datatype annotation before the header; for CSV without annotations use mode: \"raw\"";
            return Err(wrong(call, line, text));
        };
        check_header(call, line, header.iter().skip(1))?;
        let width = header.len();
        for (line, annotation) in
            [&annotations.datatype, &annotations.group, &annotations.default].into_iter().flatten()
        {
            check_width(call, *line, annotation.len(), width)?;
        }
        let mut block = Self { line, width, columns: Vec::new(), names_table: false, has_rows: false };
        let said = |annotation: &Option<(u64, StringRecord)>, at: usize| match annotation {
            Some((line, record)) => (*line, record.get(at).unwrap_or_default().to_owned()),
            None => (line, String::new()),
        };
        for (at, label) in header.iter().enumerate().skip(1) {
            let kind = cells::kind_of(datatypes.get(at).unwrap_or_default());
            let kind = kind.map_err(|text| wrong(call, *datatype_line, text))?;
            let (default_line, default) = said(&annotations.default, at);
            if label == RESULT || label == TABLE {
                block.names_table |= label == TABLE && !default.is_empty();
                continue;
            }
            let in_key = match said(&annotations.group, at) {
                (_, group) if group == "true" => true,
                (_, group) if group == "false" || group.is_empty() => false,
                (line, group) => {
                    return Err(wrong(call, line, format!("#group is true or false, not \"{group}\"")));
                }
            };
            let default = if default.is_empty() {
                Value::Null
            } else {
                cells::read(kind, &default).map_err(|text| wrong(call, default_line, text))?
            };
            block.columns.push(Described { at, label: Arc::from(label), kind, in_key, default });
        }
        Ok(block)
    }

    /// The key of a row of values.
    fn key(&self, values: &[Value]) -> GroupKey {
        let members = self.columns.iter().zip(values).filter(|(column, _)| column.in_key);
        let members = members.map(|(column, value)| KeyColumn {
            label: Arc::clone(&column.label),
            kind: column.kind,
            value: value.clone(),
        });
        GroupKey::new(members.collect())
    }
}

/// Tables in the making.
#[derive(Default)]
struct Found {
    tables: Vec<(GroupKey, Vec<ColumnBuilder>)>,
    by_key: BTreeMap<GroupKey, usize>,
    /// The cells of the key of the row before, with the line of its header, and the table it went to.
    last: Option<(u64, Vec<String>, usize)>,
}

impl Found {
    fn row(
        &mut self,
        call: &Call<'_, '_>,
        line: u64,
        block: &mut Block,
        record: &StringRecord,
    ) -> Result<(), Error> {
        block.has_rows = true;
        let mut values = Vec::with_capacity(block.columns.len());
        for column in &block.columns {
            let cell = record.get(column.at).unwrap_or_default();
            values.push(if cell.is_empty() {
                column.default.clone()
            } else {
                let value = cells::read(column.kind, cell);
                value.map_err(|text| wrong(call, line, format!("column {}: {text}", column.label)))?
            });
        }
        if let (Some(error), Some(_)) = (member(block, &values, "error"), member(block, &values, "reference"))
        {
            return Err(wrong(call, line, format!("the text tells an error: {}", crate::show(error))));
        }
        let same_key = |cells: &[String]| {
            let own = block.columns.iter().filter(|column| column.in_key);
            own.map(|column| record.get(column.at).unwrap_or_default()).eq(cells.iter().map(String::as_str))
        };
        let at = match &self.last {
            Some((header, cells, at)) if *header == block.line && same_key(cells) => *at,
            _ => {
                let at = self.place(call, line, block, block.key(&values))?;
                let own = block.columns.iter().filter(|column| column.in_key);
                let cells = own.map(|column| record.get(column.at).unwrap_or_default().to_owned());
                self.last = Some((block.line, cells.collect(), at));
                at
            }
        };
        let Some((_, columns)) = self.tables.get_mut(at) else { return Ok(()) };
        for (column, value) in columns.iter_mut().zip(values) {
            // Cells were read as the column's type.
            let _same_kind = column.push(value);
        }
        Ok(())
    }

    /// The table of a key.
    fn place(
        &mut self,
        call: &Call<'_, '_>,
        line: u64,
        block: &Block,
        key: GroupKey,
    ) -> Result<usize, Error> {
        let made =
            || block.columns.iter().map(|column| ColumnBuilder::new(Arc::clone(&column.label), column.kind));
        if let Some(&at) = self.by_key.get(&key) {
            let same = self.tables.get(at).is_some_and(|(_, columns)| {
                let own = block.columns.iter().map(|column| (&column.label, column.kind));
                columns.iter().map(|column| (column.label(), column.kind())).eq(own)
            });
            if !same {
                return Err(wrong(call, line, "a table of the same group key has other columns"));
            }
            return Ok(at);
        }
        let at = self.tables.len();
        self.by_key.insert(key.clone(), at);
        self.tables.push((key, made().collect()));
        Ok(at)
    }

    /// A header without rows is an empty table if defaults say which.
    fn end(&mut self, call: &Call<'_, '_>, block: &Block) -> Result<(), Error> {
        if !block.has_rows && block.names_table {
            let defaults: Vec<Value> = block.columns.iter().map(|column| column.default.clone()).collect();
            self.place(call, block.line, block, block.key(&defaults))?;
        }
        Ok(())
    }

    fn tables(self) -> Tables {
        let mut tables: Tables = Vec::with_capacity(self.tables.len());
        for (key, columns) in self.tables {
            let columns: Vec<Column> = columns
                .into_iter()
                .map(|column| {
                    let (label, kind, rows) = (Arc::clone(column.label()), column.kind(), column.rows());
                    match key.get(&label) {
                        Some(value) => Column::repeat(label, kind, value.clone(), rows),
                        None => column.finish(),
                    }
                })
                .collect();
            tables.push(Table::new(key, columns));
        }
        tables
    }
}

fn member<'v>(block: &Block, values: &'v [Value], label: &str) -> Option<&'v Value> {
    let mut columns = block.columns.iter().zip(values);
    columns.find(|(column, _)| *column.label == *label).map(|(_, value)| value)
}
