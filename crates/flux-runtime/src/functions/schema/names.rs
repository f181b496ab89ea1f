//! Which names: from the storage's index where it can tell, from the series themselves where it cannot.

use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use skywatch_flux::Span;

use super::is_always;
use crate::{
    Comparison, Context, Error, Function, GroupKey, Names, NamesRequest, Predicate, Record,
    ReductionFunction, Stream, Subject, Value,
    evaluate::holds,
    read::{Pushed, Read, Reduced, push_down},
};

/// What is asked for.
pub(super) struct Asked {
    pub(super) span: Span,
    pub(super) bucket: Arc<str>,
    pub(super) start_ns: i64,
    pub(super) stop_ns: i64,
    pub(super) measurement: Option<Arc<str>>,
    pub(super) predicate: Option<Rc<Function>>,
}

/// Columns that every series has besides its tags; in this order they come before the tags.
const ALWAYS: [&str; 4] = ["_start", "_stop", "_field", "_measurement"];

impl Asked {
    /// What the storage can look at itself, and what is left of the function.
    fn split(&self, context: &mut Context<'_>) -> (Predicate, Option<Rc<Function>>) {
        let measurement = self.measurement.as_ref().map_or(Predicate::All, |name| {
            Predicate::Compare(Subject::Measurement, Comparison::Equal(Value::String(Arc::clone(name))))
        });
        match &self.predicate {
            Some(function) if !is_always(function) => match push_down(context, function) {
                Some(Pushed { predicate, rest }) => (measurement.and(predicate), rest),
                None => (measurement, Some(Rc::clone(function))),
            },
            _ => (measurement, None),
        }
    }

    fn read(&self, predicate: Predicate, reduction: Option<Reduced>) -> Stream {
        Stream::read(Read {
            range: Some((self.start_ns, self.stop_ns)),
            predicate,
            reduction,
            ..Read::new(self.span, Arc::clone(&self.bucket))
        })
    }
}

/// Names, sorted, each once.
pub(super) fn names_of(
    context: &mut Context<'_>,
    asked: &Asked,
    names: &Names,
) -> Result<Vec<Arc<str>>, Error> {
    let (predicate, rest) = asked.split(context);
    if rest.is_some() || looks_at_values(&predicate) {
        let series = matching(context, asked, predicate, rest)?;
        return Ok(names_in(&series, names));
    }
    let ask = |names: Names| {
        context.storage().names(&NamesRequest {
            bucket: Arc::clone(&asked.bucket),
            names,
            predicate: predicate.clone(),
            start_ns: asked.start_ns,
            stop_ns: asked.stop_ns,
        })
    };
    let found: BTreeSet<Arc<str>> = ask(names.clone())?.into_iter().collect();
    let mut told: Vec<Arc<str>> = Vec::with_capacity(found.len() + ALWAYS.len());
    // Where nothing has tags, there may be series all the same.
    if *names == Names::TagKeys && (!found.is_empty() || !ask(Names::Measurements)?.is_empty()) {
        told.extend(ALWAYS.map(Arc::from));
    }
    told.extend(found);
    Ok(told)
}

/// The keys of the series.
pub(super) fn series_of(context: &mut Context<'_>, asked: &Asked) -> Result<Vec<GroupKey>, Error> {
    let (predicate, rest) = asked.split(context);
    matching(context, asked, predicate, rest)
}

fn looks_at_values(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::All => false,
        Predicate::Compare(subject, _) => *subject == Subject::Value,
        Predicate::And(all) | Predicate::Or(all) => all.iter().any(looks_at_values),
    }
}

/// The keys of the series that have points where the condition holds.
fn matching(
    context: &mut Context<'_>,
    asked: &Asked,
    predicate: Predicate,
    rest: Option<Rc<Function>>,
) -> Result<Vec<GroupKey>, Error> {
    let counted = Some(Reduced::Whole(ReductionFunction::Count));
    let series = asked.read(predicate.clone(), counted);
    let keys: Vec<GroupKey> = series.tables(context)?.iter().map(|table| table.key().clone()).collect();
    let Some(function) = rest else { return Ok(keys) };
    match by_key(context, &function, &keys, asked.span) {
        Ok(matching) => Ok(matching),
        Err(error @ (Error::Stopped(_) | Error::Memory(_))) => Err(error),
        // It looks at more than the key: at times and values.
        Err(_) => by_row(context, &function, &asked.read(predicate, None), asked.span),
    }
}

/// Looks at keys alone. Tags that another series has are null; what no series has is an error.
fn by_key(
    context: &mut Context<'_>,
    function: &Function,
    keys: &[GroupKey],
    span: Span,
) -> Result<Vec<GroupKey>, Error> {
    let labels: BTreeSet<&Arc<str>> =
        keys.iter().flat_map(GroupKey::members).map(|member| &member.label).collect();
    let mut matching = Vec::new();
    for key in keys {
        context.check()?;
        let value = |label: &str| key.get(label).cloned().unwrap_or(Value::Null);
        let row = Record::new(labels.iter().map(|label| (Arc::clone(label), value(label))));
        if holds(context, function, row, span)? {
            matching.push(key.clone());
        }
    }
    Ok(matching)
}

/// Looks at rows, until one of a series is found.
fn by_row(
    context: &mut Context<'_>,
    function: &Function,
    read: &Stream,
    span: Span,
) -> Result<Vec<GroupKey>, Error> {
    let mut matching = Vec::new();
    for table in read.tables(context)?.iter() {
        for row in table.records() {
            if holds(context, function, row, span)? {
                matching.push(table.key().clone());
                break;
            }
        }
    }
    Ok(matching)
}

/// The names that keys have.
fn names_in(keys: &[GroupKey], names: &Names) -> Vec<Arc<str>> {
    let value = |label: &str| {
        let values = keys.iter().filter_map(|key| match key.get(label) {
            Some(Value::String(value)) => Some(Arc::clone(value)),
            _ => None,
        });
        values.collect::<BTreeSet<Arc<str>>>().into_iter().collect()
    };
    match names {
        Names::Measurements => value("_measurement"),
        Names::FieldKeys => value("_field"),
        Names::TagValues(tag) => value(tag),
        Names::TagKeys if keys.is_empty() => Vec::new(),
        Names::TagKeys => {
            let labels = keys.iter().flat_map(GroupKey::members).map(|member| Arc::clone(&member.label));
            let tags: BTreeSet<Arc<str>> = labels.filter(|label| !ALWAYS.contains(&&**label)).collect();
            ALWAYS.map(Arc::from).into_iter().chain(tags).collect()
        }
    }
}
