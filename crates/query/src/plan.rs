//! From a SELECT statement to a plan: every name resolved, every check done, nothing read yet but the schema.
//!
//! The plan is the design's pipeline, one field per stage:
//!
//! ```text
//! scan (sources, series predicate, range, scan fields) -> filter (condition)
//!   -> group (dimensions) and window (windows, calls) or merge by time
//!   -> fill -> limit -> transform (fields) -> output (columns)
//! ```

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

pub(crate) use condition::{Bound, Condition, matches as tags_match, tags_only};
use source::Schema;
pub(crate) use source::{
    Answer, NamedSource, Outer, RowOrder, SourceContext, Subqueries, expand_measurements,
};

use crate::{
    QueryError,
    expr::Expr,
    kernel::function::{CallConfig, Function},
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
    /// Function calls; call `i` fills slot `i`.
    pub(crate) calls: Vec<CallPlan>,
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

impl SelectPlan {
    /// Whether rows are shown as they are stored.
    pub(crate) fn is_raw(&self) -> bool {
        self.calls.is_empty()
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
    let compiled = compile::compile(select, context.now_ns)?;
    let sources = source::resolve(&Outer { select, range: compiled.range }, context)?;
    let schema = Schema::of(&sources);
    let expanded = expand::expand(&compiled, select, &schema)?;
    resolve::resolve(&compiled, expanded, sources, &schema, select, context)
}
