//! Wildcards and regexes become names; every reference gets its type, written into its cast.
//!
//! After this a reference casts to the type of its field, to `::tag`, or to nothing if the schema does not know it.

use std::sync::Arc;

use skywatch_influxql::{Call, DataType, Expr, RegexLiteral, Select, VarRef, WildcardKind};
use skywatch_model::FieldType;

use super::{Schema, compile::Compiled, parameters, types};
use crate::{QueryError, kernel::function};

/// Fields and dimensions without wildcards.
#[derive(Debug)]
pub(super) struct Expanded {
    /// Expressions and their aliases.
    pub(super) fields: Vec<(Expr, Option<String>)>,
    /// Type of each expression, where it is known and no tag's.
    pub(super) types: Vec<Option<FieldType>>,
    /// Tags to group by, sorted, distinct.
    pub(super) dimensions: Vec<Arc<str>>,
}

pub(super) fn expand(
    compiled: &Compiled,
    select: &Select,
    schema: &Schema,
    is_subquery: bool,
) -> Result<Expanded, QueryError> {
    let names = selectable(select, schema);
    let mut fields = Vec::new();
    for (expr, alias) in &compiled.fields {
        match expr {
            Expr::Wildcard(kind) => fields.extend(
                names
                    .iter()
                    .filter(|name| of_kind(name, *kind))
                    .map(|name| (Expr::VarRef(name.clone()), None)),
            ),
            Expr::Regex(regex) => fields.extend(
                names
                    .iter()
                    .filter(|name| regex.is_match(&name.name))
                    .map(|name| (Expr::VarRef(name.clone()), None)),
            ),
            Expr::Call(call) => expand_call(call, alias.as_deref(), &names, &mut fields)?,
            _ => fields.push((expr.clone(), alias.clone())),
        }
        fields.extend(ranked_tags(expr));
    }
    for (expr, _) in &mut fields {
        annotate(expr, schema);
    }
    let types = types::check(&fields, is_subquery)?;
    Ok(Expanded { fields, types, dimensions: dimensions(select, schema) })
}

/// What `*` stands for: fields, and the tags not grouped by, sorted.
fn selectable(select: &Select, schema: &Schema) -> Vec<VarRef> {
    let groups_by_wildcard =
        select.group_by.iter().any(|dimension| matches!(dimension, Expr::Wildcard(_) | Expr::Regex(_)));
    let is_dimension = |tag: &str| {
        select.group_by.iter().any(|dimension| matches!(dimension, Expr::VarRef(name) if name.name == tag))
    };
    let fields = schema
        .fields
        .iter()
        .map(|(name, field_type)| VarRef { name: name.to_string(), cast: Some(cast(*field_type)) });
    let tags = schema
        .tags
        .iter()
        .filter(|tag| !groups_by_wildcard && !is_dimension(tag))
        .map(|tag| VarRef { name: tag.to_string(), cast: Some(DataType::Tag) });
    let mut names: Vec<_> = fields.chain(tags).collect();
    names.sort_by(|a, b| a.name.cmp(&b.name));
    names
}

fn of_kind(name: &VarRef, kind: Option<WildcardKind>) -> bool {
    match kind {
        None => true,
        Some(WildcardKind::Tag) => name.cast == Some(DataType::Tag),
        Some(WildcardKind::Field) => name.cast != Some(DataType::Tag),
    }
}

/// `mean(*)` becomes `mean(a) AS mean_a, ...` over the fields that the function takes.
fn expand_call(
    call: &Call,
    alias: Option<&str>,
    names: &[VarRef],
    fields: &mut Vec<(Expr, Option<String>)>,
) -> Result<(), QueryError> {
    let mut innermost = call;
    while let Some(Expr::Call(inner)) = innermost.args.first() {
        innermost = inner;
    }
    let regex: Option<&RegexLiteral> = match innermost.args.first() {
        Some(Expr::Wildcard(Some(WildcardKind::Tag))) => {
            return Err(QueryError::invalid(format!("unable to use tag wildcard in {}()", innermost.name)));
        }
        Some(Expr::Wildcard(_)) => None,
        Some(Expr::Regex(regex)) => Some(regex),
        _ => {
            fields.push((Expr::Call(call.clone()), alias.map(str::to_owned)));
            return Ok(());
        }
    };
    let caption = alias.unwrap_or(&call.name);
    for name in names {
        if takes(&innermost.name, name.cast) && regex.is_none_or(|regex| regex.is_match(&name.name)) {
            let expr = Expr::Call(with_argument(call, name));
            fields.push((expr, Some(format!("{caption}_{}", name.name))));
        }
    }
    Ok(())
}

/// The tags among the arguments of `top` and `bottom` are shown beside it.
pub(crate) fn ranked_tags(mut expr: &Expr) -> Vec<(Expr, Option<String>)> {
    while let Expr::Paren(inner) = expr {
        expr = inner;
    }
    let Expr::Call(call) = expr else { return Vec::new() };
    let Some(function) = function::find(&call.name) else { return Vec::new() };
    parameters::ranked_tags(function, call).iter().map(|tag| (tag.clone(), None)).collect()
}

/// Which types a wildcard inside a function stands for.
fn takes(function: &str, data_type: Option<DataType>) -> bool {
    let any = matches!(function, "count" | "first" | "last" | "distinct" | "elapsed" | "mode" | "sample");
    match data_type {
        Some(DataType::Float | DataType::Integer | DataType::Unsigned) => true,
        Some(DataType::String) => any,
        Some(DataType::Boolean) => any || matches!(function, "min" | "max"),
        Some(DataType::Tag | DataType::AnyField) | None => false,
    }
}

fn with_argument(call: &Call, name: &VarRef) -> Call {
    let mut call = call.clone();
    if let Some(first) = call.args.first_mut() {
        *first = match first {
            Expr::Call(inner) => Expr::Call(with_argument(inner, name)),
            _ => Expr::VarRef(name.clone()),
        };
    }
    call
}

/// Writes the type of every reference into its cast.
pub(super) fn annotate(expr: &mut Expr, schema: &Schema) {
    match expr {
        Expr::VarRef(name) => {
            name.cast = match name.cast {
                None => schema
                    .field_type(&name.name)
                    .map(cast)
                    .or_else(|| schema.is_tag(&name.name).then_some(DataType::Tag)),
                Some(DataType::AnyField) => schema.field_type(&name.name).map(cast),
                explicit => explicit,
            };
        }
        Expr::Binary(binary) => {
            annotate(&mut binary.lhs, schema);
            annotate(&mut binary.rhs, schema);
        }
        Expr::Paren(inner) => annotate(inner, schema),
        Expr::Call(call) => call.args.iter_mut().for_each(|arg| annotate(arg, schema)),
        Expr::Distinct(name) => {
            let mut argument = Expr::var(std::mem::take(name));
            annotate(&mut argument, schema);
            *expr = Expr::Call(Call { name: "distinct".to_owned(), args: vec![argument] });
        }
        _ => {}
    }
}

pub(super) const fn cast(field_type: FieldType) -> DataType {
    match field_type {
        FieldType::Float => DataType::Float,
        FieldType::Integer => DataType::Integer,
        FieldType::Unsigned => DataType::Unsigned,
        FieldType::String => DataType::String,
        FieldType::Boolean => DataType::Boolean,
    }
}

fn dimensions(select: &Select, schema: &Schema) -> Vec<Arc<str>> {
    let mut dimensions: Vec<Arc<str>> = Vec::new();
    for dimension in &select.group_by {
        match dimension {
            Expr::VarRef(name) => dimensions.push(name.name.as_str().into()),
            Expr::Wildcard(_) => dimensions.extend(schema.tags.iter().cloned()),
            Expr::Regex(regex) => {
                dimensions.extend(schema.tags.iter().filter(|tag| regex.is_match(tag)).cloned());
            }
            _ => {}
        }
    }
    dimensions.sort();
    dimensions.dedup();
    dimensions
}
