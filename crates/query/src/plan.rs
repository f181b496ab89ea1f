//! From a SELECT statement to a plan: every name resolved, every check done, nothing read yet but the schema.
//!
//! The plan is the design's pipeline, one field per stage:
//!
//! ```text
//! scan (sources, series predicate, range, scan fields) -> filter (condition)
//!   -> group (dimensions) and window (windows, calls) or merge by time
//!   -> fill -> limit -> compute (fields) -> output (columns)
//! ```
//!
//! A query with transformations reads in branches, each a plan of its own; see [`Branch`].

mod branch;
mod compile;
mod condition;
mod expand;
mod names;
mod parameters;
mod resolve;
mod source;
mod types;

use std::sync::Arc;

use jiff::tz::TimeZone;
use skywatch_influxql::{Fill, Select};
use skywatch_model::{FieldType, TimeRange};

pub use condition::matches as tags_match;
pub(crate) use condition::{Bound, Condition, tags_only};
pub(crate) use expand::ranked_tags;
use source::Schema;
pub(crate) use source::{
    Answer, NamedSource, Outer, RowOrder, SHARDS_AHEAD, SourceContext, Subqueries, expand_measurements,
    policy_of,
};

use crate::{
    QueryError,
    expr::Expr,
    kernel::function::{CallConfig, Function},
    transform::function::{Settings, TransformFunction},
    window::Windows,
};

/// A SELECT, ready to run.
#[derive(Debug)]
pub(crate) struct SelectPlan {
    /// Measurements, sorted by name.
    pub(crate) sources: Vec<NamedSource>,
    /// Whether one of them is the answer of a subquery.
    pub(crate) reads_subquery: bool,
    /// Which rows are read. Its start is where windows begin.
    pub(crate) range: TimeRange,
    /// Fields to read, each in the type wanted.
    pub(crate) scan_fields: Vec<ScanField>,
    /// WHERE without its times.
    pub(crate) condition: Option<Condition>,
    /// Tags to group by, sorted, distinct.
    pub(crate) dimensions: Vec<Arc<str>>,
    /// `GROUP BY time()`.
    pub(crate) windows: Option<Windows>,
    /// Where empty windows are filled: the range, or more where a branch looks further back than it may read.
    pub(crate) filled: TimeRange,
    /// Function calls; call `i` fills slot `i`.
    pub(crate) calls: Vec<CallPlan>,
    /// Of a query with transformations: what is read, in place of calls.
    pub(crate) branches: Vec<Branch>,
    /// What the slots that branches fill hold; `None` where that is unknown, and nothing.
    pub(crate) branch_types: Vec<Option<FieldType>>,
    /// References outside of calls; reference `j` fills slot `calls.len() + j`.
    pub(crate) references: Vec<Reference>,
    /// Selected expressions over the slots.
    pub(crate) fields: Vec<Expr>,
    /// Type of each of them, where it is known and no tag's.
    pub(crate) types: Vec<Option<FieldType>>,
    /// Names of the result's columns: time, then one per field.
    pub(crate) columns: Arc<[Arc<str>]>,
    /// Why a function cannot work on its argument. As in InfluxDB an error only once there is a series to work on.
    pub(crate) refusal: Option<String>,
    /// What empty windows hold.
    pub(crate) fill: Fill,
    /// Order of rows in time, and of series.
    pub(crate) ascending: bool,
    /// Rows per series; 0 is no limit.
    pub(crate) limit: u64,
    /// Rows skipped per series.
    pub(crate) offset: u64,
    /// Series per measurement; 0 is no limit.
    pub(crate) series_limit: u64,
    /// Series skipped per measurement.
    pub(crate) series_offset: u64,
    /// `tz()`.
    pub(crate) zone: Option<TimeZone>,
    /// Whether a float that is no number stays one, for the query around this one; shown, it is null.
    pub(crate) keeps_nan: bool,
}

/// A field to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanField {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// The type to read it in; values that cannot be had in this type are absent.
    pub(crate) wanted: FieldType,
}

/// A function call.
#[derive(Debug, Clone)]
pub(crate) struct CallPlan {
    /// Which function.
    pub(crate) function: &'static Function,
    /// Its parameters.
    pub(crate) config: CallConfig,
    /// Its argument: index into the scan fields and type. `None` when no such field exists: always null.
    pub(crate) argument: Option<(usize, FieldType)>,
    /// Type of its answers.
    pub(crate) output: Option<FieldType>,
}

/// Part of a query with transformations: what is read in one go, and what becomes of it.
///
/// ```text
///   SELECT mean(a), derivative(mean(b)), derivative(mean(c)), difference(d)   (the last only without GROUP BY time)
///
///   branch   mean(a)            over the range                -> slot 0
///   branch   mean(b), mean(c)   from a window before it on    -> derivative -> slots 1, 2
///   branch   d                  as it is stored               -> difference -> slot 3
/// ```
///
/// Slots are joined by time.
#[derive(Debug)]
pub(crate) struct Branch {
    /// What is read: calls, or one field as it is stored. Has no limit.
    pub(crate) plan: SelectPlan,
    /// For each of its calls, or its field, what becomes of the points.
    pub(crate) outputs: Vec<BranchOutput>,
}

/// The way of points through transformations to a slot.
#[derive(Debug)]
pub(crate) struct BranchOutput {
    /// Index into the calls of the branch; 0 for its field.
    pub(crate) call: usize,
    /// Type of its points; `None` where they do not exist.
    pub(crate) points: Option<FieldType>,
    /// Transformations, innermost first.
    pub(crate) transforms: Vec<TransformCall>,
    /// Which slot they fill.
    pub(crate) slot: usize,
}

/// A transformation and its parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransformCall {
    /// Which one.
    pub(crate) function: &'static TransformFunction,
    /// How it is parametrised.
    pub(crate) settings: Settings,
}

/// A field or tag selected outside of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// Index into the scan fields.
    Field(usize),
    /// A tag, by name.
    Tag(Arc<str>),
    /// Neither: null.
    Unknown,
}

impl CallPlan {
    /// Type of its answers, also where the argument is unknown but the function answers the same type to all.
    pub(crate) fn default_type(&self) -> Option<FieldType> {
        if self.argument.is_none() && !self.function.fixed_output {
            return None;
        }
        self.output.or_else(|| (self.function.output)(FieldType::Float))
    }
}

impl SelectPlan {
    /// Whether rows are shown as they are stored.
    pub(crate) fn is_raw(&self) -> bool {
        self.calls.is_empty()
    }

    /// Type of a slot in which a number may stand for null; `None` if nothing is known of it, so that it stays null.
    #[expect(clippy::option_option, reason = "the inner option is whether the slot holds values of one type")]
    pub(crate) fn slot_type(&self, slot: usize) -> Option<Option<FieldType>> {
        if !self.branches.is_empty() {
            return self.branch_types.get(slot).copied().flatten().map(Some);
        }
        match slot.checked_sub(self.calls.len()) {
            None => self.calls[slot].default_type().map(Some),
            Some(reference) => match self.references.get(reference)? {
                Reference::Field(field) => Some(Some(self.scan_fields[*field].wanted)),
                Reference::Tag(_) | Reference::Unknown => Some(None),
            },
        }
    }

    /// Time shown for aggregates over everything: the start of the range, or 0 when it is unbounded.
    pub(crate) const fn origin(&self) -> i64 {
        if self.range.start == skywatch_model::MIN_TIME { 0 } else { self.range.start }
    }
}

/// Plans a SELECT. `None` means that it has nothing to read: no such measurement, no such field, no time.
pub(crate) fn plan_select(
    select: &Select,
    context: &SourceContext<'_>,
) -> Result<Option<SelectPlan>, QueryError> {
    let compiled = compile::compile(select, context.now_ns, context.inherits_interval)?;
    let readable = branch::readable(&compiled, select, context);
    let range = branch::widest(&compiled, select).intersect(readable);
    let sources = source::resolve(&Outer { select, range, readable }, context)?;
    let schema = Schema::of(&sources, compiled.condition.is_none())?;
    let expanded = expand::expand(&compiled, select, &schema, context.readable.is_some())?;
    let plan = if branch::applies(&expanded.fields) {
        branch::resolve(&compiled, &expanded, sources, &schema, select, context)?
    } else {
        let reading = resolve::Reading::whole(&compiled, select, context.now_ns);
        resolve::resolve(&compiled, expanded, sources, &schema, select, &reading)?
    };
    if let Some(plan) = &plan {
        resolve::check_buckets(plan, context.max_buckets)?;
    }
    Ok(plan)
}
