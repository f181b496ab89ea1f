//! EXPLAIN and EXPLAIN ANALYZE: what a SELECT reads, and how long it takes.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use skywatch_influxql::{Explain, Select};
use skywatch_model::FieldType;

use super::{
    Context, qualify,
    select::{self, sources},
    show::go_duration,
    strings,
    subquery::Descent,
    table,
};
use crate::{
    QueryError, RemotePart,
    exec::{self, SourceCost, Usage},
    executor::Sender,
    kernel::function,
    memory::MemoryShard,
    plan::{
        self, Answer, CallPlan, NamedSource, Outer, Reference, RowOrder, SelectPlan, SourceContext,
        Subqueries,
    },
};

/// Functions that InfluxDB computes where it reads; the others read plain fields.
const COMPUTED_WHERE_READ: [&str; 7] = ["count", "min", "max", "sum", "mean", "first", "last"];

pub(super) fn run(
    context: &Context<'_>,
    explain: &Explain,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let full = qualify::select(context, &explain.select)?;
    let usage = context.usage();
    let began = Instant::now();
    let nodes = Explainer::explain(context, &usage, &full)?;
    let (caption, lines) = if explain.analyze {
        let planned = began.elapsed();
        let mut run = Measured::run(context, &full)?;
        run.remote = remote_requests(context);
        ("EXPLAIN ANALYZE", analysis(&full, &nodes, planned, run))
    } else {
        ("QUERY PLAN", query_plan(&nodes))
    };
    let lines = lines.iter().map(|line| Arc::from(line.as_str()));
    sender.series(table("", &[caption], vec![strings(lines)]))
}

/// Something that is read: by one function, or for rows as they are stored.
#[derive(Debug)]
struct Node {
    /// `None` for rows.
    expression: Option<String>,
    /// Fields and tags that are shown beside it.
    auxiliary: Vec<String>,
    /// One per measurement.
    sources: Vec<SourceCost>,
}

/// Plans a statement and its subqueries, reading nothing but the schema.
struct Explainer<'a> {
    context: &'a Context<'a>,
    usage: &'a Usage<'a>,
    nodes: RefCell<Vec<Node>>,
    descent: Descent,
}

impl<'a> Explainer<'a> {
    fn explain(
        context: &'a Context<'a>,
        usage: &'a Usage<'a>,
        select: &Select,
    ) -> Result<Vec<Node>, QueryError> {
        let explainer = Self { context, usage, nodes: RefCell::default(), descent: Descent::new() };
        explainer.add(select)?;
        Ok(explainer.nodes.into_inner())
    }

    fn add(&self, select: &Select) -> Result<(), QueryError> {
        self.add_planned(select, &sources(self.context, self))
    }

    fn add_inner(
        &self,
        select: &Select,
        outer: &Outer<'_>,
        inherits_interval: bool,
    ) -> Result<(), QueryError> {
        let context = SourceContext {
            readable: Some(outer.readable),
            inherits_interval,
            ..sources(self.context, self)
        };
        self.add_planned(select, &context)
    }

    fn add_planned(&self, select: &Select, context: &SourceContext<'_>) -> Result<(), QueryError> {
        let Some(plan) = plan::plan_select(select, context)? else { return Ok(()) };
        // What is read of a subquery is what the subquery reads.
        if plan.reads_subquery {
            return Ok(());
        }
        let nodes = nodes(&plan, &plan.sources, self.usage)?;
        self.nodes.borrow_mut().extend(nodes);
        Ok(())
    }
}

impl Subqueries for Explainer<'_> {
    /// An empty answer: the subquery is planned, not run.
    fn run(&self, select: &Select, outer: &Outer<'_>) -> Result<Answer, QueryError> {
        self.descent.enter(select, outer, |select, inherits| self.add_inner(select, outer, inherits))?;
        Ok(Answer { shard: Arc::new(MemoryShard::for_answer(1)), order: RowOrder::Heap })
    }
}

/// What a plan reads, function by function.
fn nodes(plan: &SelectPlan, sources: &[NamedSource], usage: &Usage<'_>) -> Result<Vec<Node>, QueryError> {
    if !plan.branches.is_empty() {
        let branches = plan.branches.iter().map(|branch| nodes(&branch.plan, sources, usage));
        return Ok(branches.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect());
    }
    let name = |field: usize| Arc::clone(&plan.scan_fields[field].name);
    let typed = |field: usize| {
        let field = &plan.scan_fields[field];
        format!("{}::{}", field.name, type_name(field.wanted))
    };
    let mut shown: Vec<usize> = Vec::new();
    let mut auxiliary: Vec<String> = Vec::new();
    for reference in &plan.references {
        match reference {
            Reference::Field(field) => {
                shown.push(*field);
                auxiliary.push(typed(*field));
            }
            Reference::Tag(tag) => auxiliary.push(format!("{tag}::tag")),
            Reference::Unknown => {}
        }
    }
    auxiliary.sort();
    auxiliary.dedup();
    let arguments: Vec<usize> =
        plan.calls.iter().filter_map(|call| call.argument.map(|(field, _)| field)).collect();
    let in_condition =
        (0..plan.scan_fields.len()).filter(|field| !shown.contains(field) && !arguments.contains(field));
    let shared: Vec<usize> = shown.iter().copied().chain(in_condition).collect();
    let node = |call: Option<&CallPlan>| {
        let argument = call.and_then(|call| call.argument).map(|(field, _)| field);
        let mut fields: Vec<Arc<str>> = argument.iter().chain(&shared).map(|field| name(*field)).collect();
        fields.sort();
        fields.dedup();
        let expression = call.zip(argument).map(|(call, field)| {
            let function_name = call.function.name;
            // Of distinct values a count is made later.
            let is_plain =
                function::find(function_name).is_some_and(|known| std::ptr::eq(known, call.function));
            if is_plain && COMPUTED_WHERE_READ.contains(&function_name) {
                format!("{function_name}({})", typed(field))
            } else {
                typed(field)
            }
        });
        Ok(Node {
            expression,
            auxiliary: auxiliary.clone(),
            sources: exec::cost(plan, sources, &fields, usage)?,
        })
    };
    if plan.calls.is_empty() {
        return Ok(vec![node(None)?]);
    }
    // A function of a field that no measurement has reads nothing.
    plan.calls.iter().filter(|call| call.argument.is_some()).map(|call| node(Some(call))).collect()
}

const fn type_name(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Float => "float",
        FieldType::Integer => "integer",
        FieldType::Unsigned => "unsigned",
        FieldType::String => "string",
        FieldType::Boolean => "boolean",
    }
}

/// InfluxDB's lines, an empty one between two nodes, and one of nothing.
fn query_plan(nodes: &[Node]) -> Vec<String> {
    let mut lines = Vec::new();
    for node in nodes {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("EXPRESSION: {}", node.expression.as_deref().unwrap_or("<nil>")));
        if !node.auxiliary.is_empty() {
            lines.push(format!("AUXILIARY FIELDS: {}", node.auxiliary.join(", ")));
        }
        let total = |of: fn(&SourceCost) -> u64| node.sources.iter().map(of).sum::<u64>();
        lines.push(format!("NUMBER OF SHARDS: {}", total(|cost| cost.shards)));
        lines.push(format!("NUMBER OF SERIES: {}", total(|cost| cost.series)));
        lines.push(format!("CACHED VALUES: {}", total(|cost| cost.cached_values)));
        lines.push(format!("NUMBER OF FILES: {}", total(|cost| cost.files)));
        lines.push(format!("NUMBER OF BLOCKS: {}", total(|cost| cost.blocks)));
        lines.push(format!("SIZE OF BLOCKS: {}", total(|cost| cost.block_bytes)));
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// A run whose rows nobody sees; nothing is written.
struct Measured {
    took: Duration,
    rows: usize,
    series: usize,
    points_read: u64,
    /// What was asked of other nodes, planning included.
    remote: Vec<Branch>,
}

/// One span for each shard and each node that was asked for it.
fn remote_requests(context: &Context<'_>) -> Vec<Branch> {
    let nodes = context.backend.cluster().map(crate::ClusterView::data_nodes).unwrap_or_default();
    let request = |((shard, id), part): ((u64, u64), RemotePart)| {
        let mut request = Branch::new("remote_iterator_request");
        let known = nodes.iter().find(|node| node.id == id);
        let host = known.map(|node| format!("tcp_host: {}", node.tcp_addr));
        request.labels([format!("node_id: {id}"), format!("shard_id: {shard}")].into_iter().chain(host));
        request.leaf(format!("requests: {}", part.calls));
        request.leaf(format!("failed: {}", part.failed));
        request.leaf(format!("bytes: {}", part.bytes));
        request.leaf(format!("duration: {}", told(part.took)));
        request
    };
    context.reading.remote.take().into_iter().map(request).collect()
}

fn told(span: Duration) -> String {
    go_duration(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}

impl Measured {
    fn run(context: &Context<'_>, select: &Select) -> Result<Self, QueryError> {
        const PIECE_ROWS: usize = 8192;
        let usage = context.usage();
        let began = Instant::now();
        let (mut rows, mut series) = (0, 0);
        select::each_series(context, select, PIECE_ROWS, &usage, &mut |piece| {
            rows += piece.len();
            series += usize::from(!piece.partial);
            Ok(())
        })?;
        Ok(Self { took: began.elapsed(), rows, series, points_read: usage.points_read(), remote: Vec::new() })
    }
}

/// A tree drawn with lines, as InfluxDB draws it.
fn analysis(select: &Select, nodes: &[Node], planned: Duration, run: Measured) -> Vec<String> {
    let mut cursor = Branch::new("build_cursor");
    cursor.labels([format!("statement: {select}")]);
    for node in nodes {
        let mut scanner = Branch::new("iterator_scanner");
        let expression = node.expression.iter().map(|expression| format!("expr: {expression}"));
        let auxiliary =
            (!node.auxiliary.is_empty()).then(|| format!("auxiliary_fields: {}", node.auxiliary.join(", ")));
        scanner.labels(expression.chain(auxiliary));
        for cost in &node.sources {
            let mut iterator = Branch::new("create_iterator");
            iterator.labels([format!("measurement: {}", cost.name)]);
            iterator.leaf(format!("shards: {}", cost.shards));
            iterator.leaf(format!("series: {}", cost.series));
            iterator.leaf(format!("cached_values: {}", cost.cached_values));
            iterator.leaf(format!("files: {}", cost.files));
            iterator.leaf(format!("blocks: {}", cost.blocks));
            iterator.leaf(format!("blocks_size_bytes: {}", cost.block_bytes));
            scanner.branches.push(iterator);
        }
        cursor.branches.push(scanner);
    }
    let mut root = Branch::new("select");
    root.leaf(format!("execution_time: {}", told(run.took)));
    root.leaf(format!("planning_time: {}", told(planned)));
    root.leaf(format!("total_time: {}", told(planned + run.took)));
    root.leaf(format!("points_read: {}", run.points_read));
    root.leaf(format!("rows: {}", run.rows));
    root.leaf(format!("series: {}", run.series));
    cursor.branches.extend(run.remote);
    root.branches.push(cursor);
    let mut text = ".\n".to_owned();
    root.draw("", true, &mut text);
    text.split('\n').map(str::to_owned).collect()
}

/// A node of the tree.
struct Branch {
    text: String,
    branches: Vec<Branch>,
}

impl Branch {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), branches: Vec::new() }
    }

    fn leaf(&mut self, text: String) {
        self.branches.push(Self::new(text));
    }

    fn labels(&mut self, labels: impl IntoIterator<Item = String>) {
        let branches = labels.into_iter().map(Self::new).collect();
        self.branches.push(Self { text: "labels".into(), branches });
    }

    fn draw(&self, indent: &str, is_last: bool, out: &mut String) {
        let (edge, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│\u{a0}\u{a0} ") };
        out.push_str(&format!("{indent}{edge}{}\n", self.text));
        let indent = format!("{indent}{below}");
        for (index, branch) in self.branches.iter().enumerate() {
            branch.draw(&indent, index + 1 == self.branches.len(), out);
        }
    }
}
