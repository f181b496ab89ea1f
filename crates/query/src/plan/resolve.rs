//! The last step of planning: expressions over slots, calls with their kernels, limits.

use std::sync::Arc;

use skywatch_influxql::{Call, DataType, Expr as Ast, Fill, Select, Source, VarRef};
use skywatch_model::{FieldType, TimeRange};

use super::{
    CallPlan, Condition, NamedSource, Reference, ScanField, Schema, SelectPlan, compile::Compiled,
    condition::literal, expand::Expanded, names, parameters, types::field_type,
};
use crate::{
    QueryError,
    expr::{Expr, MathFunction},
    kernel::{
        PointTime, SelectorConfig,
        function::{self, CallConfig},
    },
    window::Windows,
};

/// What of a query is read: all of it, or a branch.
pub(super) struct Reading {
    /// Which rows.
    pub(super) range: TimeRange,
    /// Where empty windows are filled.
    pub(super) filled: TimeRange,
    /// Interval and offset of windows.
    pub(super) interval: Option<(i64, i64)>,
    /// What empty windows hold.
    pub(super) fill: Fill,
    /// Rows per series; 0 is no limit.
    pub(super) limit: u64,
    /// Rows skipped per series.
    pub(super) offset: u64,
    /// Whether a selector that stands alone shows the times of its points.
    pub(super) own_times: bool,
    /// What `now()` is.
    pub(super) now_ns: i64,
}

impl Reading {
    /// All of a query.
    pub(super) const fn whole(compiled: &Compiled, select: &Select, now_ns: i64) -> Self {
        Self {
            range: compiled.range,
            filled: compiled.range,
            interval: compiled.interval,
            fill: select.fill,
            limit: select.limit,
            offset: select.offset,
            own_times: true,
            now_ns,
        }
    }
}

pub(super) fn resolve(
    compiled: &Compiled,
    expanded: Expanded,
    sources: Vec<NamedSource>,
    schema: &Schema,
    select: &Select,
    reading: &Reading,
) -> Result<Option<SelectPlan>, QueryError> {
    let zone = select.time_zone.as_ref().map(|zone| zone.zone().clone());
    let windows = reading.interval.map(|(interval, offset)| Windows::new(interval, offset, zone.clone()));
    let mut slots = Slots::default();
    // Calls come first, so that their number is known when references get their slots.
    expanded.fields.iter().for_each(|(expr, _)| slots.collect(expr));
    let fields: Vec<Expr> = expanded.fields.iter().map(|(expr, _)| slots.expr(expr)).collect();
    if compiled.range.is_empty() || !slots.reads_anything() {
        return Ok(None);
    }
    let lone_selector = matches!(slots.calls.as_slice(), [(_, call)] if call.function.selector);
    let selector = SelectorConfig {
        time: if lone_selector && windows.is_none() && reading.own_times {
            PointTime::Own
        } else {
            PointTime::Window
        },
        with_aux: !slots.references.is_empty(),
    };
    for (_, call) in &mut slots.calls {
        call.config.selector = selector;
        call.config.descending = !select.ascending();
        call.config.windows.clone_from(&windows);
        call.config.origin =
            if compiled.range.start == skywatch_model::MIN_TIME { 0 } else { compiled.range.start };
        // The clock is all that differs between two runs of one query.
        call.config.seed = reading.now_ns as u64;
    }
    let refusal = slots.calls.iter().find_map(|(_, call)| refused_argument(call));
    let condition = compiled.condition.as_ref().map(|condition| {
        Condition::resolve(condition, schema, &mut |name, data_type| slots.scan(name, field_type(data_type)?))
    });
    Ok(Some(SelectPlan {
        columns: names::columns(&compiled.time_column, &expanded.fields),
        sources,
        reads_subquery: reads_subquery(select),
        range: reading.range,
        filled: reading.filled,
        scan_fields: slots.scan_fields,
        condition,
        dimensions: expanded.dimensions,
        windows,
        calls: slots.calls.into_iter().map(|(_, call)| call).collect(),
        branches: Vec::new(),
        branch_types: Vec::new(),
        refusal,
        references: slots.references.into_iter().map(|(_, reference)| reference).collect(),
        fields,
        types: expanded.types,
        fill: reading.fill,
        ascending: select.ascending(),
        limit: reading.limit,
        offset: reading.offset,
        series_limit: select.slimit,
        series_offset: select.soffset,
        zone,
        keeps_nan: false,
    }))
}

pub(super) fn reads_subquery(select: &Select) -> bool {
    select.from.iter().any(|source| matches!(source, Source::Subquery(_)))
}

/// Functions refuse argument types they cannot work on, by the name of InfluxDB's iterator.
fn refused_argument(call: &CallPlan) -> Option<String> {
    let (_, argument) = call.argument?;
    (call.function.output)(argument).is_none().then(|| {
        let (function, argument) = (call.function.name, argument.name());
        format!("unsupported {function} iterator type: *query.{argument}InterruptIterator")
    })
}

/// Refuses more windows than may be asked for.
pub(super) fn check_buckets(plan: &SelectPlan, max_buckets: u64) -> Result<(), QueryError> {
    let Some(windows) = &plan.windows else { return Ok(()) };
    if max_buckets == 0 || plan.range.start == skywatch_model::MIN_TIME {
        return Ok(());
    }
    let first = windows.of(plan.range.start).0;
    let last = windows.of(plan.range.end.saturating_sub(1)).0;
    let span = i128::from(last) - i128::from(first) + i128::from(windows.interval());
    let buckets = span / i128::from(windows.interval());
    if buckets > i128::from(max_buckets) {
        return Err(QueryError::LimitExceeded(format!(
            "max-select-buckets limit exceeded: ({buckets}/{max_buckets})"
        )));
    }
    Ok(())
}

/// Slots handed out so far.
#[derive(Debug, Default)]
struct Slots {
    calls: Vec<(Call, CallPlan)>,
    references: Vec<(VarRef, Reference)>,
    scan_fields: Vec<ScanField>,
}

impl Slots {
    /// Gives every call and reference of an expression its place.
    fn collect(&mut self, expr: &Ast) {
        visit_leaves(expr, &mut |leaf| match leaf {
            Ast::Call(call) => self.call(call),
            Ast::VarRef(name) => {
                self.reference(name);
            }
            _ => {}
        });
    }

    fn call(&mut self, call: &Call) {
        if self.calls.iter().any(|(known, _)| known == call) {
            return;
        }
        let (function, argument) = match call.args.first() {
            Some(Ast::Call(distinct)) => (Some(&function::COUNT_DISTINCT), distinct.args.first()),
            argument => (function::find(&call.name), argument),
        };
        let (Some(function), Some(Ast::VarRef(name))) = (function, argument) else {
            debug_assert!(false, "{call:?} passed the checks");
            return;
        };
        let argument = name
            .cast
            .and_then(field_type)
            .and_then(|wanted| self.scan(&name.name, wanted).map(|index| (index, wanted)));
        let config = CallConfig {
            selector: SelectorConfig { time: PointTime::Window, with_aux: false },
            number: parameters::number(function, call),
            keys: self.keys(parameters::ranked_tags(function, call)),
            descending: false,
            seed: 0,
            origin: 0,
            windows: None,
        };
        let plan = CallPlan {
            function,
            config,
            argument,
            output: argument.and_then(|(_, argument)| (function.output)(argument)),
        };
        self.calls.push((call.clone(), plan));
    }

    /// Positions, among the references, of what is a tag; `None` if there is nothing.
    fn keys(&mut self, names: &[Ast]) -> Option<Arc<[usize]>> {
        let mut keys = Vec::new();
        for name in names {
            let Ast::VarRef(name) = name else { continue };
            let position = self.reference(name);
            keys.extend(matches!(self.references[position].1, Reference::Tag(_)).then_some(position));
        }
        (!names.is_empty()).then(|| keys.into())
    }

    /// Position among the references.
    fn reference(&mut self, name: &VarRef) -> usize {
        if let Some(position) = self.references.iter().position(|(known, _)| known == name) {
            return position;
        }
        let reference = match name.cast {
            Some(DataType::Tag) => Reference::Tag(name.name.as_str().into()),
            Some(cast) => match field_type(cast).and_then(|wanted| self.scan(&name.name, wanted)) {
                Some(index) => Reference::Field(index),
                None => Reference::Unknown,
            },
            None => Reference::Unknown,
        };
        self.references.push((name.clone(), reference));
        self.references.len() - 1
    }

    #[expect(clippy::unnecessary_wraps, reason = "the shape that callers chain")]
    fn scan(&mut self, name: &str, wanted: FieldType) -> Option<usize> {
        let known = self.scan_fields.iter().position(|field| &*field.name == name && field.wanted == wanted);
        Some(known.unwrap_or_else(|| {
            self.scan_fields.push(ScanField { name: name.into(), wanted });
            self.scan_fields.len() - 1
        }))
    }

    /// Whether there is a field to read: tags alone have no rows.
    fn reads_anything(&self) -> bool {
        if self.calls.is_empty() {
            self.references.iter().any(|(_, reference)| matches!(reference, Reference::Field(_)))
        } else {
            self.calls.iter().any(|(_, call)| call.argument.is_some())
        }
    }

    /// The expression over the slots.
    fn expr(&self, expr: &Ast) -> Expr {
        over_slots(expr, &|leaf| match leaf {
            Ast::VarRef(name) => {
                let reference = self.references.iter().position(|(known, _)| known == name);
                reference.map(|index| self.calls.len() + index)
            }
            Ast::Call(call) => self.calls.iter().position(|(known, _)| known == call),
            _ => None,
        })
    }
}

/// Calls `visit` with everything in an expression that is read: references, and calls that are not computed row by row.
pub(super) fn visit_leaves<'a>(expr: &'a Ast, visit: &mut dyn FnMut(&'a Ast)) {
    match expr {
        Ast::Call(call) if MathFunction::find(&call.name).is_some() => {
            call.args.iter().for_each(|arg| visit_leaves(arg, visit));
        }
        Ast::Call(_) | Ast::VarRef(_) => visit(expr),
        Ast::Binary(binary) => {
            visit_leaves(&binary.lhs, visit);
            visit_leaves(&binary.rhs, visit);
        }
        Ast::Paren(inner) => visit_leaves(inner, visit),
        _ => {}
    }
}

/// The expression over slots, which `slot_of` tells of what is read.
pub(super) fn over_slots(expr: &Ast, slot_of: &dyn Fn(&Ast) -> Option<usize>) -> Expr {
    let over = |expr: &Ast| over_slots(expr, slot_of);
    match expr {
        Ast::Paren(inner) => over(inner),
        Ast::Binary(binary) => {
            Expr::Binary(binary.op, Box::new(over(&binary.lhs)), Box::new(over(&binary.rhs)))
        }
        Ast::Call(call) => match MathFunction::find(&call.name) {
            Some(function) => Expr::Math(function, call.args.iter().map(over).collect()),
            None => slot_of(expr).map_or(Expr::Null, Expr::Slot),
        },
        Ast::VarRef(_) => slot_of(expr).map_or(Expr::Null, Expr::Slot),
        other => literal(other).unwrap_or(Expr::Null),
    }
}
