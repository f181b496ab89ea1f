//! An object as rows: what it and the objects inside hold is in every row, and each element of each array gives one.

use serde_json::{Map, Value};

use super::super::json_path;
use super::options::Object;
use super::{METRICS_MAX, Role, Row, combine, field, plain_text, product};

impl Object {
    /// The rows of all objects that the path leads to.
    pub(super) fn rows(&self, text: &str, now_ns: i64) -> Result<Vec<Row>, String> {
        let found = match json_path::find(text, &self.path)? {
            Some(found) if !found.is_null() => found,
            _ if self.is_optional => return Ok(Vec::new()),
            _ => {
                let path = &self.path;
                return Err(format!("the path {path:?} leads nowhere; set optional = true if that may be"));
            }
        };
        let mut rows = Vec::new();
        self.roots(&found, now_ns, &mut rows)?;
        Ok(rows)
    }

    fn roots(&self, value: &Value, now_ns: i64, rows: &mut Vec<Row>) -> Result<(), String> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.roots(item, now_ns, rows)),
            Value::Object(entries) => {
                let mut expanded = self.object("", entries, now_ns)?;
                if !self.tag_items.is_empty() || !self.field_items.is_empty() {
                    let text = value.to_string();
                    let tags = combine(&text, &self.tag_items, Role::Tag)?;
                    let fields = combine(&text, &self.field_items, Role::Field)?;
                    expanded = product(expanded, product(tags, fields)?)?;
                }
                rows.append(&mut expanded);
                bounded(rows)
            }
            Value::Null => Ok(()),
            // The elements of an array without objects.
            _ => {
                let name = json_path::last_key(&self.path).into_owned();
                rows.push(Row { fields: vec![(name, field(value, None, &self.path)?)], ..Row::default() });
                bounded(rows)
            }
        }
    }

    /// The rows of one object whose keys stand behind `prefix`.
    fn object(&self, prefix: &str, entries: &Map<String, Value>, now_ns: i64) -> Result<Vec<Row>, String> {
        let (mut base, mut of_arrays) = (Row::default(), Vec::new());
        self.gather(prefix, entries, now_ns, &mut base, &mut of_arrays)?;
        if of_arrays.is_empty() {
            return Ok(if base.is_empty() { Vec::new() } else { vec![base] });
        }
        let joined = of_arrays.into_iter().map(|row| {
            let mut whole = base.clone();
            whole.join(&row);
            whole
        });
        Ok(joined.collect())
    }

    /// Puts single values into `base`, those of objects inside as well, and the rows of arrays into `of_arrays`.
    fn gather(
        &self,
        prefix: &str,
        entries: &Map<String, Value>,
        now_ns: i64,
        base: &mut Row,
        of_arrays: &mut Vec<Row>,
    ) -> Result<(), String> {
        for (key, value) in entries {
            let bare = key.replace(' ', "_");
            let full = if prefix.is_empty() { bare.clone() } else { format!("{prefix}_{bare}") };
            match value {
                Value::Object(inside) => self.gather(&full, inside, now_ns, base, of_arrays)?,
                Value::Array(items) => self.array(&bare, &full, items, now_ns, of_arrays)?,
                leaf => self.leaf(&bare, &full, leaf, now_ns, base)?,
            }
        }
        Ok(())
    }

    fn array(
        &self,
        bare: &str,
        full: &str,
        items: &[Value],
        now_ns: i64,
        rows: &mut Vec<Row>,
    ) -> Result<(), String> {
        for item in items {
            match item {
                Value::Object(entries) => rows.append(&mut self.object(full, entries, now_ns)?),
                Value::Array(inside) => self.array(bare, full, inside, now_ns, rows)?,
                leaf => {
                    let mut row = Row::default();
                    self.leaf(bare, full, leaf, now_ns, &mut row)?;
                    if !row.is_empty() {
                        rows.push(row);
                    }
                }
            }
            bounded(rows)?;
        }
        Ok(())
    }

    fn leaf(&self, bare: &str, full: &str, value: &Value, now_ns: i64, row: &mut Row) -> Result<(), String> {
        let named = if self.bare_keys { bare } else { full };
        // Options name a key as it comes out, or by all the keys that lead to it.
        let is = |key: &str| key == named || key == full;
        let within = |key: &String| {
            is(key) || full.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('_'))
        };
        if value.is_null() {
            return Ok(());
        }
        if let Some((key, format)) = &self.time
            && is(key)
        {
            let time = format.parse(&plain_text(value), now_ns).map_err(|why| format!("{key:?}: {why}"))?;
            row.time_ns = Some(time);
            return Ok(());
        }
        let is_tag = self.tags.iter().any(|key| is(key));
        let is_wanted = self.included.is_empty() || is_tag || self.included.iter().any(within);
        if !is_wanted || self.excluded.iter().any(within) {
            return Ok(());
        }
        let name = self.renames.get(full).or_else(|| self.renames.get(named)).map_or(named, String::as_str);
        if is_tag {
            row.tags.push((name.to_owned(), plain_text(value)));
        } else {
            let of_type = self.types.get(full).or_else(|| self.types.get(named)).copied();
            row.fields.push((name.to_owned(), field(value, of_type, full)?));
        }
        Ok(())
    }
}

fn bounded(rows: &[Row]) -> Result<(), String> {
    if rows.len() > METRICS_MAX {
        return Err(format!("it gives more than {METRICS_MAX} metrics"));
    }
    Ok(())
}
