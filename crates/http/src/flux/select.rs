//! A read of Flux as SELECTs of InfluxQL, for one measurement whose fields are known.

use std::sync::Arc;

use skywatch_flux_runtime::{Kind, ReadRequest, ReductionFunction};
use skywatch_influxql::Params;
use skywatch_model::{MAX_TIME, MIN_TIME};

use super::condition::{Of, Residual, quoted, residual};
use crate::bucket::Bucket;

/// A field of a measurement, and the types it has had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    pub(super) kinds: Vec<Kind>,
}

/// Types that InfluxQL answers as one; of a field that has had others it answers the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Numbers,
    Strings,
    Booleans,
}

impl Class {
    const ALL: [Self; 3] = [Self::Numbers, Self::Strings, Self::Booleans];

    const fn has(self, kind: Kind) -> bool {
        match self {
            Self::Numbers => matches!(kind, Kind::Float | Kind::Int | Kind::Uint),
            Self::Strings => matches!(kind, Kind::String),
            Self::Booleans => matches!(kind, Kind::Bool),
        }
    }

    /// As a field's name is cast to be of it.
    const fn cast(self) -> &'static str {
        match self {
            Self::Numbers => "field",
            Self::Strings => "string",
            Self::Booleans => "boolean",
        }
    }
}

/// A SELECT whose columns, after the time, are of the fields.
#[derive(Debug, PartialEq)]
pub(super) struct Select {
    pub(super) text: String,
    pub(super) params: Params,
    pub(super) fields: Vec<Arc<str>>,
    /// If it has any points, they are of a type that cannot be answered.
    pub(super) refused: Option<WrongKind>,
}

/// Why a measurement cannot be read as asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unsupported input type for {function} aggregate: {kind} (field {field:?} of measurement {measurement:?})"
)]
pub(super) struct WrongKind {
    function: &'static str,
    kind: &'static str,
    field: Arc<str>,
    measurement: Arc<str>,
}

/// The SELECTs; fields that are asked for alike share one.
pub(super) fn selects(
    request: &ReadRequest,
    bucket: &Bucket,
    measurement: &Arc<str>,
    fields: &[Field],
) -> Vec<Select> {
    let mut params = Params::new();
    let mut alike: Vec<Alike> = Vec::new();
    // InfluxQL tells the time of a point that it chose only of one field at a time.
    let chooses = request.reduction.is_some_and(|reduction| {
        reduction.windows.is_none()
            && !matches!(
                reduction.function,
                ReductionFunction::Count | ReductionFunction::Sum | ReductionFunction::Mean
            )
    });
    for field in fields {
        let classes = Class::ALL.into_iter().filter(|class| field.kinds.iter().any(|kind| class.has(*kind)));
        for (position, class) in classes.enumerate() {
            let kinds: Vec<Kind> = field.kinds.iter().copied().filter(|kind| class.has(*kind)).collect();
            let cast = if position == 0 { "field" } else { class.cast() };
            let of = Of { measurement, field: &field.name, cast, kinds: &kinds };
            let condition = residual(&request.predicate, of, &mut params);
            if condition == Residual::Never {
                continue;
            }
            let refused = request.reduction.map(|reduction| reduction.function);
            let refused = refused.filter(|function| !kinds.iter().any(|kind| function.takes(*kind)));
            let refused = refused.map(|function| WrongKind {
                function: function.name(),
                kind: kinds.first().map_or("unknown", |kind| kind.name()),
                field: Arc::clone(&field.name),
                measurement: Arc::clone(measurement),
            });
            let own = chooses || refused.is_some();
            match alike.iter_mut().find(|known| known.condition == condition && known.cast == cast && !own) {
                Some(known) if known.refused.is_none() => known.fields.push(Arc::clone(&field.name)),
                _ => alike.push(Alike { condition, cast, fields: vec![Arc::clone(&field.name)], refused }),
            }
        }
    }
    let source = source(bucket, measurement);
    let select = |alike: Alike| Select {
        text: alike.text(request, &source),
        params: params.clone(),
        fields: alike.fields,
        refused: alike.refused,
    };
    alike.into_iter().map(select).collect()
}

/// A measurement of a bucket as FROM names it.
pub(super) fn source(bucket: &Bucket, measurement: &str) -> String {
    match bucket.retention_policy.as_str() {
        "" => quoted(measurement),
        policy => format!("{}.{}", quoted(policy), quoted(measurement)),
    }
}

/// Fields that are asked for in one SELECT.
struct Alike {
    condition: Residual,
    cast: &'static str,
    fields: Vec<Arc<str>>,
    refused: Option<WrongKind>,
}

impl Alike {
    fn text(&self, request: &ReadRequest, source: &str) -> String {
        let reduction = request.reduction.filter(|_| self.refused.is_none());
        let column = |field: &Arc<str>| {
            let column = format!("{}::{}", quoted(field), self.cast);
            match reduction {
                None => column,
                Some(reduction) => format!("{}({column})", reduction.function.name()),
            }
        };
        let columns: Vec<String> = self.fields.iter().map(column).collect();
        let mut text = format!("SELECT {} FROM {source}", columns.join(", "));
        let (start, stop) = (request.start_ns.max(MIN_TIME), request.stop_ns.min(MAX_TIME));
        text.push_str(&format!(" WHERE time >= {start} AND time < {stop}"));
        if let Residual::When(condition) = &self.condition {
            text.push_str(&format!(" AND ({condition})"));
        }
        text.push_str(" GROUP BY *");
        if let Some(windows) = reduction.and_then(|reduction| reduction.windows) {
            let (every, offset) = (windows.every_ns, windows.offset_ns);
            text.push_str(&format!(", time({every}ns, {offset}ns) fill(none)"));
        }
        if self.refused.is_some() {
            text.push_str(" LIMIT 1 SLIMIT 1");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use skywatch_flux_runtime::{Comparison, Predicate, Reduction, Subject, Value, Windows};

    use super::*;

    fn request(reduction: Option<Reduction>) -> ReadRequest {
        let tag = Predicate::Compare(Subject::Tag("host".into()), Comparison::Equal(Value::text("a")));
        ReadRequest { bucket: "db/rp".into(), start_ns: 5, stop_ns: 9, predicate: tag, reduction }
    }

    fn texts(reduction: Option<Reduction>) -> Vec<String> {
        let field = |name: &str, kind| Field { name: name.into(), kinds: vec![kind] };
        let fields = [field("load", Kind::Float), field("is up", Kind::Bool)];
        let bucket = Bucket::parse("db/rp").unwrap();
        let selects = selects(&request(reduction), &bucket, &"cpu".into(), &fields);
        selects.into_iter().map(|select| select.text).collect()
    }

    #[test]
    fn fields_that_are_asked_for_alike_share_a_select() {
        let end = "FROM \"rp\".\"cpu\" WHERE time >= 5 AND time < 9 AND (\"host\"::tag = $p0) GROUP BY *";
        assert_eq!(texts(None), [format!("SELECT \"load\"::field, \"is up\"::field {end}")]);
        let last = Reduction { function: ReductionFunction::Last, windows: None };
        assert_eq!(
            texts(Some(last)),
            [format!("SELECT last(\"load\"::field) {end}"), format!("SELECT last(\"is up\"::field) {end}")]
        );
        let windows = Some(Windows { every_ns: 60, offset_ns: 7 });
        let counts = Reduction { function: ReductionFunction::Count, windows };
        assert_eq!(
            texts(Some(counts)),
            [format!(
                "SELECT count(\"load\"::field), count(\"is up\"::field) {end}, time(60ns, 7ns) fill(none)"
            )]
        );
    }

    #[test]
    fn a_mean_of_what_is_no_number_is_refused_if_there_is_any() {
        let mean = Reduction { function: ReductionFunction::Mean, windows: None };
        let bucket = Bucket::parse("db").unwrap();
        let fields = [Field { name: "v".into(), kinds: vec![Kind::Float, Kind::String] }];
        let selects = selects(&request(Some(mean)), &bucket, &"cpu".into(), &fields);
        let end = "FROM \"cpu\" WHERE time >= 5 AND time < 9 AND (\"host\"::tag = $p0) GROUP BY *";
        let [numbers, strings] = selects.as_slice() else { panic!("{selects:?}") };
        assert_eq!(
            (numbers.text.as_str(), &numbers.refused),
            (format!("SELECT mean(\"v\"::field) {end}").as_str(), &None)
        );
        assert_eq!(strings.text, format!("SELECT \"v\"::string {end} LIMIT 1 SLIMIT 1"));
        let text = "unsupported input type for mean aggregate: string (field \"v\" of measurement \"cpu\")";
        assert_eq!(strings.refused.as_ref().map(ToString::to_string).as_deref(), Some(text));
    }
}
