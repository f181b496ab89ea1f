//! The server as a query of Flux sees it: everything is asked of the query engine, in InfluxQL, as the one who asks.
//!
//! So who may read what, which node of a cluster is asked, limits, and `SHOW QUERIES` are as for any other query.

use std::{collections::BTreeSet, sync::Arc};

use skywatch_flux_runtime::{
    Bucket as BucketInfo, ErrorClass, Kind, Names, NamesRequest, ReadRequest, Series, Storage, StorageError,
};
use skywatch_influxql::Params;
use skywatch_model::FieldValue;
use skywatch_query::{
    CancelToken, Identity, QueryError, QueryErrorClass, QueryRequest, ResultSeries, SinkClosed,
    StatementResult,
};
use skywatch_storage::Consumer;

use super::{
    condition::{Of, Residual, quoted, residual},
    gather::Gathered,
    select::{Field, Select, selects, source},
};
use crate::{app::App, bucket::Bucket};

/// Who asks, and of which nodes.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) identity: Identity,
    pub(crate) now_ns: i64,
    pub(crate) node_id: Option<u64>,
    pub(crate) allows_partial: bool,
    pub(crate) position: Option<String>,
}

/// The buckets of this server.
pub(crate) struct Buckets<'a> {
    pub(crate) app: &'a App,
    pub(crate) asker: Asker,
    pub(crate) cancel: CancelToken,
}

/// Its name and fields.
type Measurement = (Arc<str>, Vec<Field>);

/// Most names in one answer.
const NAMES_MAX: usize = 1_000_000;

impl Buckets<'_> {
    /// Runs InfluxQL, and hands over every piece of its series.
    fn ask(
        &self,
        bucket: &Bucket,
        text: String,
        params: Params,
        mut take: impl FnMut(u32, &ResultSeries) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let request = QueryRequest {
            params,
            retention_policy: bucket.retention_policy.clone(),
            read_only: true,
            tags_by_policy: true,
            identity: self.asker.identity.clone(),
            node_id: self.asker.node_id,
            allows_partial: self.asker.allows_partial,
            position: self.asker.position.clone(),
            ..QueryRequest::new(text, bucket.database.as_str(), self.asker.now_ns)
        };
        let mut refused: Option<StorageError> = None;
        let mut sink = |result: StatementResult| {
            let taken = match &result.error {
                Some(error) => Err(storage_error(error)),
                None => result.series.iter().try_for_each(|series| take(result.statement_id, series)),
            };
            taken.map_err(|error| {
                refused.get_or_insert(error);
                SinkClosed
            })
        };
        let outcome = self.app.engine.query(&request, &self.cancel, &mut sink);
        match (refused, outcome) {
            (Some(refused), _) => Err(refused),
            (None, Err(error)) => Err(storage_error(&error)),
            (None, Ok(())) => Ok(()),
        }
    }

    /// The texts of the column at `at`, of every series.
    fn texts(
        &self,
        bucket: &Bucket,
        text: String,
        params: Params,
        at: usize,
    ) -> Result<Vec<Arc<str>>, StorageError> {
        let mut texts = Vec::new();
        self.ask(bucket, text, params, |_, series| {
            let Some(column) = series.values.get(at) else { return Ok(()) };
            for row in 0..column.len() {
                if let Some(FieldValue::String(text)) = column.get(row) {
                    texts.push(text);
                }
            }
            if texts.len() > NAMES_MAX {
                return Err(invalid(format!("there are more than {NAMES_MAX} names: ask for fewer")));
            }
            Ok(())
        })?;
        Ok(texts)
    }

    /// The fields of every measurement, or of one.
    fn fields(&self, bucket: &Bucket, only: Option<&str>) -> Result<Vec<Measurement>, StorageError> {
        let from = only.map(|name| format!(" FROM {}", source(bucket, name))).unwrap_or_default();
        let mut measurements: Vec<Measurement> = Vec::new();
        self.ask(bucket, format!("SHOW FIELD KEYS{from}"), Params::new(), |_, series| {
            let [names, kinds, ..] = series.values.as_slice() else { return Ok(()) };
            if measurements.last().is_none_or(|(name, _)| *name != series.name) {
                measurements.push((Arc::clone(&series.name), Vec::new()));
            }
            let Some((_, fields)) = measurements.last_mut() else { return Ok(()) };
            for row in 0..names.len() {
                let (Some(FieldValue::String(name)), Some(FieldValue::String(kind))) =
                    (names.get(row), kinds.get(row))
                else {
                    continue;
                };
                let kind = kind_of(&kind);
                match fields.last_mut().filter(|field| field.name == name) {
                    Some(field) => field.kinds.push(kind),
                    None => fields.push(Field { name, kinds: vec![kind] }),
                }
            }
            Ok(())
        })?;
        Ok(measurements)
    }

    fn select(
        &self,
        bucket: &Bucket,
        measurement: &Arc<str>,
        select: Select,
        gathered: &mut Gathered,
    ) -> Result<(), StorageError> {
        let Select { text, params, fields, refused } = select;
        let outcome = self.ask(bucket, text, params, |_, series| {
            if let Some(refused) = refused.as_ref().filter(|_| !series.is_empty()) {
                return Err(invalid(refused.to_string()));
            }
            gathered.take(measurement, &fields, series).map_err(|full| StorageError {
                class: if full.is_hopeless() { ErrorClass::Invalid } else { ErrorClass::Unavailable },
                message: format!("{full}; ask for fewer series, a shorter time, or an aggregate of windows"),
            })
        });
        gathered.close();
        outcome
    }

    /// Which measurements a request for names is about, and its condition for each.
    fn measurements(
        &self,
        bucket: &Bucket,
        request: &NamesRequest,
        params: &mut Params,
    ) -> Result<Vec<(Measurement, Residual)>, StorageError> {
        let mut found = Vec::new();
        for (measurement, mut fields) in self.fields(bucket, request.predicate.only_measurement())? {
            let mut whole = Residual::Never;
            fields.retain(|field| {
                let of = Of { measurement: &measurement, field: &field.name, cast: "field", kinds: &[] };
                let condition = residual(&request.predicate, of, params);
                let holds = condition != Residual::Never;
                whole = either(std::mem::replace(&mut whole, Residual::Never), condition);
                holds
            });
            if whole != Residual::Never {
                found.push(((measurement, fields), whole));
            }
        }
        Ok(found)
    }
}

impl Storage for Buckets<'_> {
    fn read(&self, request: &ReadRequest) -> Result<Vec<Series>, StorageError> {
        let bucket = parsed(&request.bucket)?;
        let mut gathered = Gathered::new(self.app.config.memory.empty(Consumer::Queries));
        for (measurement, fields) in self.fields(&bucket, request.predicate.only_measurement())? {
            for select in selects(request, &bucket, &measurement, &fields) {
                self.select(&bucket, &measurement, select, &mut gathered)?;
            }
        }
        let series = gathered.into_series();
        match collision(&series) {
            Some(text) => Err(invalid(text)),
            None => Ok(series),
        }
    }

    fn check(&self) -> Result<(), String> {
        self.cancel.check().map_err(|interrupt| interrupt.to_string())
    }

    fn buckets(&self) -> Result<Vec<BucketInfo>, StorageError> {
        let nowhere = Bucket { database: String::new(), retention_policy: String::new() };
        let mut found = Vec::new();
        for database in self.texts(&nowhere, "SHOW DATABASES".to_owned(), Params::new(), 0)? {
            if !self.asker.identity.may_read(&database) {
                continue;
            }
            let text = format!("SHOW RETENTION POLICIES ON {}", quoted(&database));
            let mut policies = Vec::new();
            self.ask(&nowhere, text, Params::new(), |_, series| {
                // The last column says which policy is the default.
                let [names, durations, .., defaults] = series.values.as_slice() else { return Ok(()) };
                for row in 0..names.len() {
                    if let (Some(FieldValue::String(name)), Some(FieldValue::String(duration))) =
                        (names.get(row), durations.get(row))
                    {
                        let is_default = defaults.get(row) == Some(FieldValue::Boolean(true));
                        let retention_ns = skywatch_influxql::parse_duration(&duration).unwrap_or(0);
                        policies.push(BucketInfo {
                            name: format!("{database}/{name}").into(),
                            retention_ns,
                            is_default,
                        });
                    }
                }
                Ok(())
            })?;
            found.append(&mut policies);
        }
        Ok(found)
    }

    fn names(&self, request: &NamesRequest) -> Result<Vec<Arc<str>>, StorageError> {
        let bucket = parsed(&request.bucket)?;
        let mut params = Params::new();
        let measurements = self.measurements(&bucket, request, &mut params)?;
        let mut names = BTreeSet::new();
        // So many statements at a time.
        for some in measurements.chunks(100) {
            let texts: Vec<String> = some
                .iter()
                .map(|((measurement, _), condition)| {
                    let (what, with, end) = match &request.names {
                        Names::Measurements | Names::FieldKeys => ("SERIES", String::new(), " LIMIT 1"),
                        Names::TagKeys => ("TAG KEYS", String::new(), ""),
                        Names::TagValues(key) => ("TAG VALUES", format!(" WITH KEY = {}", quoted(key)), ""),
                    };
                    let from = source(&bucket, measurement);
                    let bounds = bounds(request, condition);
                    format!("SHOW {what} FROM {from}{with} WHERE {bounds}{end}")
                })
                .collect();
            let column = if matches!(request.names, Names::TagValues(_)) { 1 } else { 0 };
            let by_name = matches!(request.names, Names::Measurements | Names::FieldKeys);
            self.ask(&bucket, texts.join("; "), params.clone(), |statement, series| {
                let Some(((measurement, fields), _)) = some.get(statement as usize) else { return Ok(()) };
                match &request.names {
                    Names::Measurements if !series.is_empty() => {
                        names.insert(Arc::clone(measurement));
                    }
                    Names::FieldKeys if !series.is_empty() => {
                        names.extend(fields.iter().map(|field| Arc::clone(&field.name)));
                    }
                    _ if by_name => {}
                    _ => {
                        let Some(texts) = series.values.get(column) else { return Ok(()) };
                        for row in 0..texts.len() {
                            if let Some(FieldValue::String(text)) = texts.get(row) {
                                names.insert(text);
                            }
                        }
                    }
                }
                if names.len() > NAMES_MAX {
                    return Err(invalid(format!("there are more than {NAMES_MAX} names: ask for fewer")));
                }
                Ok(())
            })?;
        }
        Ok(names.into_iter().collect())
    }
}

fn bounds(request: &NamesRequest, condition: &Residual) -> String {
    let (start, stop) =
        (request.start_ns.max(skywatch_model::MIN_TIME), request.stop_ns.min(skywatch_model::MAX_TIME));
    let time = format!("time >= {start} AND time < {stop}");
    match condition {
        Residual::When(condition) => format!("{time} AND ({condition})"),
        Residual::Always | Residual::Never => time,
    }
}

/// Why series cannot be told apart: of a field that has changed its type there is one for each.
fn collision(series: &[Series]) -> Option<String> {
    let key =
        |series: &Series| (Arc::clone(&series.measurement), Arc::clone(&series.field), series.tags.clone());
    let mut sorted: Vec<&Series> = series.iter().collect();
    sorted.sort_by_cached_key(|series| key(series));
    let same = sorted.windows(2).find_map(|pair| match pair {
        [one, other] if key(one) == key(other) => Some((one, other)),
        _ => None,
    })?;
    let (one, other) = same;
    Some(format!(
        "schema collision: field {:?} of measurement {:?} has values of type {} and of type {} in this time; ask for a \
         time that has one, or for r._value of one",
        &*one.field,
        &*one.measurement,
        one.values.kind().name(),
        other.values.kind().name(),
    ))
}

/// One of both holds.
fn either(one: Residual, other: Residual) -> Residual {
    match (one, other) {
        (Residual::Always, _) | (_, Residual::Always) => Residual::Always,
        (Residual::Never, other) => other,
        (one, Residual::Never) => one,
        (one, other) if one == other => one,
        (Residual::When(one), Residual::When(other)) => Residual::When(format!("{one} OR {other}")),
    }
}

fn parsed(bucket: &str) -> Result<Bucket, StorageError> {
    Bucket::parse(bucket).map_err(|error| invalid(error.to_string()))
}

/// The type of a field, as SHOW FIELD KEYS names it.
fn kind_of(name: &str) -> Kind {
    match name {
        "float" => Kind::Float,
        "integer" => Kind::Int,
        "unsigned" => Kind::Uint,
        "boolean" => Kind::Bool,
        _ => Kind::String,
    }
}

fn invalid(message: String) -> StorageError {
    StorageError { class: ErrorClass::Invalid, message }
}

fn storage_error(error: &QueryError) -> StorageError {
    let message = crate::handlers::write::with_causes(error);
    let is_missing =
        ["database not found", "retention policy not found"].iter().any(|text| message.starts_with(text));
    let class = match error.class() {
        _ if is_missing => ErrorClass::NotFound,
        // Of a request that asks for what one node holds.
        _ if message.starts_with("node not found") => ErrorClass::Invalid,
        QueryErrorClass::Caller => ErrorClass::Invalid,
        QueryErrorClass::Forbidden => ErrorClass::Forbidden,
        QueryErrorClass::Retry => ErrorClass::Unavailable,
        QueryErrorClass::Fatal => ErrorClass::Internal,
    };
    StorageError { class, message }
}
