//! Planning of queries with transformations: which branches read what, over which times.
//!
//! As in InfluxDB:
//!
//! - A transformation that looks back has its argument read from a window earlier on (a window later, when the newest
//!   come first), so that the first window has one before it. Transformations inside each other add up.
//! - Nothing is read beyond what the statement as a whole asks for: its times, and as many windows before them as its
//!   widest transformation looks back. Windows in there are filled all the same. A subquery is bound by the statement
//!   around it.

use skywatch_influxql::{Call, Expr as Ast, Fill, Select};
use skywatch_model::{FieldType, MAX_TIME, MIN_TIME, TimeRange};

use super::{
    Branch, BranchOutput, NamedSource, ScanField, Schema, SelectPlan, SourceContext, TransformCall,
    compile::{Compiled, transform::settings},
    expand::Expanded,
    names,
    resolve::{self, Reading},
    types::field_type,
};
use crate::{
    QueryError,
    kernel::function,
    transform::function::{self as transformation, Arguments},
    window::Windows,
};

/// Whether there are transformations among the expressions.
pub(super) fn applies(fields: &[(Ast, Option<String>)]) -> bool {
    let mut found = false;
    visit_transformations(fields, &mut |_| found = true);
    found
}

/// The times that anything in the statement may read.
pub(super) fn readable(compiled: &Compiled, select: &Select, context: &SourceContext<'_>) -> TimeRange {
    context.readable.unwrap_or_else(|| {
        let mut windows = 0;
        visit_transformations(&compiled.fields, &mut |call| windows = windows.max(windows_before(call)));
        widened(compiled, select, windows)
    })
}

/// The times that the transformation looking back furthest is after.
pub(super) fn widest(compiled: &Compiled, select: &Select) -> TimeRange {
    let mut windows = 0;
    for (expr, _) in &compiled.fields {
        resolve::visit_leaves(expr, &mut |leaf| windows = windows.max(Chain::of(leaf).looks_back()));
    }
    widened(compiled, select, windows)
}

fn visit_transformations(fields: &[(Ast, Option<String>)], visit: &mut dyn FnMut(&Call)) {
    for (expr, _) in fields {
        expr.walk(&mut |expr| {
            if let Ast::Call(call) = expr
                && transformation::find(&call.name).is_some()
            {
                visit(call);
            }
        });
    }
}

/// Windows before the times of a statement in which a transformation may have something read.
fn windows_before(call: &Call) -> i64 {
    match (transformation::find(&call.name), call.args.get(1)) {
        (Some(function), _) if !function.looks_back => 0,
        (Some(function), Some(Ast::Integer(count)))
            if matches!(function.arguments, Arguments::Window | Arguments::Period { .. }) =>
        {
            *count
        }
        _ => 1,
    }
}

/// The times of a query and some windows more, in the direction from which rows come. An open end stays open.
fn widened(compiled: &Compiled, select: &Select, windows: i64) -> TimeRange {
    let TimeRange { start, end } = compiled.range;
    let more = compiled.interval.map_or(0, |(interval, _)| interval.saturating_mul(windows));
    if !select.ascending() {
        return TimeRange::new(start, end.saturating_add(more).min(MAX_TIME));
    }
    TimeRange::new(if start == MIN_TIME { start } else { start.saturating_sub(more).max(MIN_TIME) }, end)
}

/// A selected call taken apart.
struct Chain<'a> {
    /// Transformations, innermost first.
    transforms: Vec<&'a Call>,
    /// What they transform: a reference, or a call of an aggregate.
    base: &'a Ast,
}

impl<'a> Chain<'a> {
    fn of(expr: &'a Ast) -> Self {
        let (mut transforms, mut base) = (Vec::new(), expr);
        while let Ast::Call(call) = base
            && transformation::find(&call.name).is_some()
            && let Some(inner) = call.args.first()
        {
            transforms.push(call);
            base = inner;
        }
        transforms.reverse();
        Self { transforms, base }
    }

    /// How many windows it looks back.
    fn looks_back(&self) -> i64 {
        let functions = self.transforms.iter().filter_map(|call| transformation::find(&call.name));
        functions.map(|function| i64::from(function.looks_back)).sum()
    }

    fn reads_rows(&self) -> bool {
        matches!(self.base, Ast::VarRef(_))
    }
}

pub(super) fn resolve(
    compiled: &Compiled,
    expanded: &Expanded,
    sources: Vec<NamedSource>,
    schema: &Schema,
    select: &Select,
    context: &SourceContext<'_>,
) -> Result<Option<SelectPlan>, QueryError> {
    let mut calls: Vec<&Ast> = Vec::new();
    for (expr, _) in &expanded.fields {
        resolve::visit_leaves(expr, &mut |leaf| {
            if !calls.contains(&leaf) {
                calls.push(leaf);
            }
        });
    }
    let readable = readable(compiled, select, context);
    let planner = Planner { compiled, expanded, schema, select, now_ns: context.now_ns, readable };
    let mut branches = Vec::new();
    let mut types = Vec::with_capacity(calls.len());
    for (slot, call) in calls.iter().enumerate() {
        let chain = Chain::of(call);
        types.push(default_type(&chain));
        // Calls that look back equally far are read in one go.
        let shared = branches.iter_mut().find(|draft: &&mut Draft<'_>| draft.suits(&chain));
        match shared {
            Some(draft) => draft.members.push((slot, chain)),
            None => branches.push(Draft { members: vec![(slot, chain)] }),
        }
    }
    let mut plans = Vec::new();
    for draft in branches {
        plans.extend(planner.branch(draft)?);
    }
    if plans.is_empty() {
        return Ok(None);
    }
    let fields = expanded
        .fields
        .iter()
        .map(|(expr, _)| resolve::over_slots(expr, &|leaf| calls.iter().position(|call| *call == leaf)));
    let zone = select.time_zone.as_ref().map(|zone| zone.zone().clone());
    Ok(Some(SelectPlan {
        columns: names::columns(&compiled.time_column, &expanded.fields),
        sources,
        reads_subquery: resolve::reads_subquery(select),
        range: compiled.range,
        scan_fields: Vec::new(),
        condition: None,
        dimensions: expanded.dimensions.clone(),
        windows: compiled.interval.map(|(interval, offset)| Windows::new(interval, offset, zone.clone())),
        filled: compiled.range,
        calls: Vec::new(),
        refusal: plans.iter().find_map(refusal),
        branches: plans,
        branch_types: types,
        references: Vec::new(),
        fields: fields.collect(),
        types: expanded.types.clone(),
        fill: select.fill,
        ascending: select.ascending(),
        limit: select.limit,
        offset: select.offset,
        series_limit: select.slimit,
        series_offset: select.soffset,
        zone,
        keeps_nan: false,
    }))
}

/// Calls that are read in one go, with their slots.
struct Draft<'a> {
    members: Vec<(usize, Chain<'a>)>,
}

impl Draft<'_> {
    fn suits(&self, chain: &Chain<'_>) -> bool {
        self.members.first().is_some_and(|(_, member)| {
            let same_field = !chain.reads_rows() || chain.base == member.base;
            chain.reads_rows() == member.reads_rows()
                && chain.looks_back() == member.looks_back()
                && same_field
        })
    }
}

struct Planner<'a> {
    compiled: &'a Compiled,
    expanded: &'a Expanded,
    schema: &'a Schema,
    select: &'a Select,
    now_ns: i64,
    readable: TimeRange,
}

impl Planner<'_> {
    /// Whether values of a field can be had in the type wanted: numbers as numbers, others as what they are.
    fn can_be(&self, field: &ScanField) -> bool {
        let is_number =
            |field_type| matches!(field_type, FieldType::Float | FieldType::Integer | FieldType::Unsigned);
        self.schema
            .field_type(&field.name)
            .is_some_and(|stored| stored == field.wanted || is_number(stored) && is_number(field.wanted))
    }

    /// `None` if nothing of it exists.
    fn branch(&self, draft: Draft<'_>) -> Result<Option<Branch>, QueryError> {
        let Some((_, first)) = draft.members.first() else { return Ok(None) };
        let rows = first.reads_rows();
        let wanted = widened(self.compiled, self.select, first.looks_back());
        let reading = Reading {
            range: wanted.intersect(self.readable),
            filled: wanted,
            interval: if rows { None } else { self.compiled.interval },
            fill: if rows { Fill::Null } else { self.select.fill },
            limit: 0,
            offset: 0,
            own_times: false,
            now_ns: self.now_ns,
        };
        let mut bases: Vec<(Ast, Option<String>)> = Vec::new();
        let mut calls = Vec::with_capacity(draft.members.len());
        for (_, chain) in &draft.members {
            let known = bases.iter().position(|(base, _)| base == chain.base);
            calls.push(known.unwrap_or_else(|| {
                bases.push((chain.base.clone(), None));
                bases.len() - 1
            }));
        }
        let types = vec![None; bases.len()];
        let expanded = Expanded { fields: bases, types, dimensions: self.expanded.dimensions.clone() };
        let (compiled, schema, select) = (self.compiled, self.schema, self.select);
        let plan = resolve::resolve(compiled, expanded, Vec::new(), schema, select, &reading)?;
        let Some(plan) = plan else { return Ok(None) };
        let interval_ns = self.compiled.interval.map(|(interval, _)| interval);
        let mut outputs = Vec::with_capacity(draft.members.len());
        for ((slot, chain), call) in draft.members.into_iter().zip(calls) {
            let points = match plan.calls.get(call) {
                Some(call) => call.output,
                None => plan
                    .scan_fields
                    .first()
                    .filter(|field| rows && self.can_be(field))
                    .map(|field| field.wanted),
            };
            let mut transforms = Vec::with_capacity(chain.transforms.len());
            for call in chain.transforms {
                let Some(function) = transformation::find(&call.name) else { continue };
                transforms
                    .push(TransformCall { function, settings: settings(function, &call.args, interval_ns)? });
            }
            outputs.push(BranchOutput { call, points, transforms, slot });
        }
        Ok(Some(Branch { plan, outputs }))
    }
}

/// Why a function of a branch cannot work on its argument.
fn refusal(branch: &Branch) -> Option<String> {
    let of_transforms = |output: &BranchOutput| {
        let mut points = output.points?;
        for call in &output.transforms {
            match call.function.output(points) {
                Some(output) => points = output,
                None => {
                    let (title, points) = (call.function.title, points.name());
                    return Some(format!(
                        "unsupported {title} iterator type: *query.{points}InterruptIterator"
                    ));
                }
            }
        }
        None
    };
    branch.plan.refusal.clone().or_else(|| branch.outputs.iter().find_map(of_transforms))
}

/// Type of the answers of a chain, also where its argument is unknown but some function in it answers the same type to
/// all.
fn default_type(chain: &Chain<'_>) -> Option<FieldType> {
    let mut points = match chain.base {
        Ast::VarRef(name) => name.cast.and_then(field_type),
        Ast::Call(call) => {
            let argument = match call.args.first() {
                Some(Ast::VarRef(name)) => name.cast.and_then(field_type),
                _ => None,
            };
            function::find(&call.name).and_then(|function| match argument {
                Some(argument) => (function.output)(argument),
                None => (function.output)(FieldType::Float).filter(|_| function.fixed_output),
            })
        }
        _ => None,
    };
    for function in chain.transforms.iter().filter_map(|call| transformation::find(&call.name)) {
        points = function.nominal.fixed().or_else(|| points.map(|points| function.nominal.of(points)));
    }
    points
}
