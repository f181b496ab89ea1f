//! A shard on other nodes.
//!
//! What a query asks about the schema is fetched once and kept; [`scanner`] reads rows and statistics.

mod fetch;
mod scanner;
mod stream;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use skywatch_model::{FieldType, TimeRange};
use skywatch_storage::{
    Order, ReadError, ScanRequest, Scanner, SeriesRef, SeriesStamp, ShardRead, TagPredicate, wire::Reader,
};

use crate::{
    Asking,
    listing::Listing,
    predicate,
    promise::Promise,
    wire::{
        SCHEMA, SERIES, SchemaAnswer, SchemaQuestion, SeriesAnswer, SeriesQuestion, take_texts, type_of,
        unpack,
    },
};
pub(crate) use scanner::RemoteScanner;
pub(crate) use stream::join;

type Tags = Vec<(Arc<str>, Arc<str>)>;
type Fields = Vec<(Arc<str>, FieldType)>;

/// A shard that other nodes hold, for one query.
#[derive(Debug)]
pub struct RemoteShard {
    asking: Asking,
    range: TimeRange,
    measurements: OnceLock<Vec<Arc<str>>>,
    /// By measurement, asked for at once or when they are needed.
    schemas: Mutex<HashMap<String, Arc<Promise<Arc<Schema>>>>>,
    told: Mutex<HashMap<Selection, Arc<Promise<Told>>>>,
    series: Mutex<Series>,
    /// Nobody answers any more, and the query takes what there was until then.
    is_lost: AtomicBool,
}

/// A measurement, and a predicate on its series as it is asked for; nothing for all of them.
type Selection = (String, Vec<u8>);
#[derive(Debug)]
struct Schema {
    fields: Fields,
    tag_keys: Vec<Arc<str>>,
    /// What stood for the series then.
    stamp: Option<SeriesStamp>,
}

/// What an owner told of series.
#[derive(Debug, Clone)]
enum Told {
    /// They are as they were.
    Remembered(Arc<Listing>),
    /// Their keys, and what stands for them.
    Keys(Arc<[Arc<str>]>, Option<SeriesStamp>),
}

/// Series by what was asked for; a [`SeriesRef`] is a place among them all.
#[derive(Debug, Default)]
struct Series {
    /// With the place of the first of each.
    lists: Vec<(u32, Arc<Listing>)>,
    /// Which of these.
    of: HashMap<Selection, usize>,
    /// Those that were named by whoever asks.
    named: HashMap<Arc<str>, SeriesRef>,
}

impl Series {
    /// The place of the next series.
    fn end(&self) -> u32 {
        self.lists.last().map_or(0, |(first, list)| first + list.len() as u32)
    }

    /// Takes note of an answer.
    fn learn(&mut self, selection: Selection, listing: Arc<Listing>) -> usize {
        let first = self.end();
        *self.of.entry(selection).or_insert_with(|| {
            self.lists.push((first, listing));
            self.lists.len() - 1
        })
    }

    /// The list that a series is in, and where.
    fn find(&self, series: SeriesRef) -> (&(u32, Arc<Listing>), usize) {
        let list = &self.lists[self.lists.partition_point(|(first, _)| *first <= series.0) - 1];
        (list, (series.0 - list.0) as usize)
    }

    fn all_of(&self, list: usize) -> impl Iterator<Item = (SeriesRef, usize)> {
        let (first, listing) = &self.lists[list];
        (0..listing.len()).map(move |place| (SeriesRef(first + place as u32), place))
    }
}

impl RemoteShard {
    /// The shard that `asking` is about, which is for this range of time.
    pub fn new(asking: Asking, range: TimeRange) -> Self {
        Self {
            asking,
            range,
            measurements: OnceLock::new(),
            schemas: Mutex::default(),
            told: Mutex::default(),
            series: Mutex::default(),
            is_lost: AtomicBool::new(false),
        }
    }

    /// An answer; or that there is nothing, said to the client, where nobody can give one and less than everything is wanted.
    fn or_nothing<T>(
        &self,
        answer: Result<T, ReadError>,
        nothing: impl FnOnce() -> T,
    ) -> Result<T, ReadError> {
        match answer {
            Err(error @ ReadError::Unreachable { .. }) if self.asking.reading.allows_partial => {
                if !self.is_lost.swap(true, Ordering::Relaxed) {
                    self.asking.reading.lacks(error.to_string());
                }
                Ok(nothing())
            }
            answer => answer,
        }
    }

    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    fn schema(&self, measurement: &str) -> Result<Arc<Schema>, ReadError> {
        let promise = self.promised_schema(measurement);
        let nothing = || Arc::new(Schema { fields: Vec::new(), tag_keys: Vec::new(), stamp: None });
        let schema = promise.wait().inspect_err(|_| drop(self.schemas.lock().remove(measurement)));
        self.or_nothing(schema, nothing)
    }

    fn promised_schema(&self, measurement: &str) -> Arc<Promise<Arc<Schema>>> {
        let mut schemas = self.schemas.lock();
        if let Some(promise) = schemas.get(measurement) {
            return Arc::clone(promise);
        }
        let question = SchemaQuestion { shard: self.asking.shard, measurement: Some(measurement.to_owned()) };
        let promise =
            Arc::new(self.asking.begin(SCHEMA, question, Bytes::new(), |answer: SchemaAnswer, _| {
                let field = |(name, number): (String, u8)| Some((Arc::from(name), type_of(number).ok()?));
                let fields = answer.fields.into_iter().map(field).collect::<Option<Fields>>();
                let fields = fields.ok_or("a field has a type that this release does not know")?;
                Ok(Arc::new(Schema {
                    fields,
                    tag_keys: answer.tag_keys.into_iter().map(Arc::from).collect(),
                    stamp: answer.stamp.map(SeriesStamp),
                }))
            }));
        schemas.insert(measurement.to_owned(), Arc::clone(&promise));
        promise
    }

    fn promised_series(&self, selection: &Selection) -> Arc<Promise<Told>> {
        let mut all = self.told.lock();
        if let Some(promise) = all.get(selection) {
            return Arc::clone(promise);
        }
        let (asking, wanted) = (self.asking.clone(), selection.clone());
        let promise = Arc::new(Promise::new(|keeper| {
            let task = async move { keeper.keep(selected(&asking, &wanted).await) };
            self.asking.runtime.spawn(task).abort_handle()
        }));
        all.insert(selection.clone(), Arc::clone(&promise));
        promise
    }

    /// What is to be asked for so that all series that satisfy a predicate are among the answer.
    fn selection(&self, measurement: &str, predicate: &TagPredicate) -> Selection {
        let all = (measurement.to_owned(), Vec::new());
        if self.series.lock().of.contains_key(&all) {
            return all;
        }
        (all.0, predicate::encode(predicate))
    }

    /// Which of the lists a selection is, without anybody being asked: from this query, or from an earlier one if the series are
    /// as they were then, which the schema tells.
    fn known(&self, selection: &Selection) -> Option<usize> {
        if let Some(known) = self.series.lock().of.get(selection) {
            return Some(*known);
        }
        let (measurement, predicate) = selection;
        let schema = self.schemas.lock().get(measurement).and_then(|promise| promise.kept())?;
        let which = (self.asking.shard, measurement.clone(), predicate.clone());
        let (stamp, listing) = self.asking.remembered.get(&which)?;
        (schema.stamp == Some(stamp)).then(|| self.series.lock().learn(selection.clone(), listing))
    }

    /// Series of a measurement, by key: all that satisfy a predicate, and maybe others. Which of the lists.
    fn selected(&self, measurement: &str, predicate: &TagPredicate) -> Result<usize, ReadError> {
        let selection = self.selection(measurement, predicate);
        if let Some(known) = self.known(&selection) {
            return Ok(known);
        }
        let told = self.promised_series(&selection).wait();
        self.told.lock().remove(&selection);
        let listing = match self.or_nothing(told, || Told::Remembered(Arc::default()))? {
            Told::Remembered(listing) => listing,
            Told::Keys(keys, stamp) => {
                let listing = Arc::new(Listing::of(keys.to_vec()));
                if let Some(stamp) = stamp {
                    let (measurement, predicate) = selection.clone();
                    self.asking.remembered.keep((self.asking.shard, measurement, predicate), stamp, &listing);
                }
                listing
            }
        };
        Ok(self.series.lock().learn(selection, listing))
    }

    /// A series by its canonical key. Nobody is asked whether there is one: of a series that an owner lacks it has no rows.
    pub(crate) fn series_named(&self, key: &Arc<str>) -> SeriesRef {
        let mut known = self.series.lock();
        if let Some(series) = known.named.get(key) {
            return *series;
        }
        let series = SeriesRef(known.end());
        known.lists.push((series.0, Arc::new(Listing::of(vec![Arc::clone(key)]))));
        known.named.insert(Arc::clone(key), series);
        series
    }

    /// The series that were selected together with one.
    fn neighbours(&self, series: SeriesRef) -> Vec<SeriesRef> {
        let known = self.series.lock();
        let ((first, listing), _) = known.find(series);
        (0..listing.len() as u32).map(|place| SeriesRef(first + place)).collect()
    }

    fn keys_of(&self, series: &[SeriesRef]) -> Vec<Arc<str>> {
        let all = self.series.lock();
        let key = |series: &SeriesRef| {
            let ((_, listing), place) = all.find(*series);
            Arc::clone(listing.key(place))
        };
        series.iter().map(key).collect()
    }
}

/// Series of a measurement, page by page, unless they are those that are remembered.
async fn selected(asking: &Asking, (measurement, predicate): &Selection) -> Result<Told, ReadError> {
    let remembered = asking.remembered.get(&(asking.shard, measurement.clone(), predicate.clone()));
    let mut keys: Vec<Arc<str>> = Vec::new();
    let mut stamps: Vec<Option<SeriesStamp>> = Vec::new();
    loop {
        let question = SeriesQuestion {
            shard: asking.shard,
            measurement: measurement.clone(),
            after: keys.last().map(ToString::to_string),
            predicate: predicate.clone(),
            remembered: remembered.as_ref().filter(|_| keys.is_empty()).map(|(stamp, _)| stamp.0),
        };
        let read = |answer: SeriesAnswer, body: Bytes| {
            let body = unpack(&body).map_err(|error| error.0.to_owned())?;
            let keys = take_texts(&mut Reader::new(&body)).map_err(|error| error.0.to_owned())?;
            if answer.unchanged && question.remembered.is_none() {
                return Err("that nothing has changed, without having been told what".to_owned());
            }
            Ok((answer, keys.into_iter().map(Arc::from).collect::<Vec<Arc<str>>>()))
        };
        let (answer, page) = asking.answer(SERIES, &question, &Bytes::new(), &read).await?;
        if let Some((_, listing)) = remembered.as_ref().filter(|_| answer.unchanged) {
            return Ok(Told::Remembered(Arc::clone(listing)));
        }
        stamps.push(answer.stamp.map(SeriesStamp));
        // What does not go on after the last key would go on for ever.
        let has_order = page.first().is_none_or(|first| keys.last().is_none_or(|last| last < first));
        let is_done = !answer.more || page.is_empty() || !has_order;
        if has_order {
            keys.extend(page);
        }
        if is_done {
            // Pages of owners or times that differ are no list to be remembered.
            let stamp =
                stamps[0].filter(|first| has_order && stamps.iter().all(|stamp| *stamp == Some(*first)));
            return Ok(Told::Keys(keys.into(), stamp));
        }
    }
}

impl ShardRead for RemoteShard {
    fn time_range(&self) -> TimeRange {
        self.range
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn expect(&self, measurement: &str) {
        self.promised_schema(measurement);
    }

    fn expect_series(&self, measurement: &str, predicate: &TagPredicate) {
        let selection = self.selection(measurement, predicate);
        if self.known(&selection).is_none() {
            self.promised_series(&selection);
        }
    }

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        if let Some(known) = self.measurements.get() {
            return Ok(known.clone());
        }
        let question = SchemaQuestion { shard: self.asking.shard, measurement: None };
        let read = |answer: SchemaAnswer, _| Ok(answer.measurements.into_iter().map(Arc::from).collect());
        let names: Vec<Arc<str>> = self.asking.ask(SCHEMA, &question, &Bytes::new(), &read)?;
        Ok(self.measurements.get_or_init(|| names).clone())
    }

    fn fields(&self, measurement: &str) -> Result<Fields, ReadError> {
        Ok(self.schema(measurement)?.fields.clone())
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        Ok(self.schema(measurement)?.tag_keys.clone())
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        let list = self.selected(measurement, &TagPredicate::All)?;
        let series = self.series.lock();
        let key = [Arc::from(key)];
        let (_, listing) = &series.lists[list];
        let values = (0..listing.len()).flat_map(|place| listing.values_of(place, &key));
        // An empty tag is no tag.
        let values: BTreeSet<Arc<str>> = values.filter(|value| !value.is_empty()).collect();
        Ok(values.into_iter().collect())
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        let list = self.selected(measurement, predicate)?;
        let series = self.series.lock();
        let (_, listing) = &series.lists[list];
        // An owner of an earlier release tells all of them.
        let is_wanted = |(_, place): &(SeriesRef, usize)| listing.is_selected(*place, predicate);
        Ok(series.all_of(list).filter(is_wanted).map(|(series, _)| series).collect())
    }

    fn series_tags(&self, series: SeriesRef) -> Tags {
        let known = self.series.lock();
        let ((_, listing), place) = known.find(series);
        listing.tags(place)
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        let known = self.series.lock();
        let ((_, listing), place) = known.find(series);
        Arc::clone(listing.key(place))
    }

    fn tag_values_of(&self, series: SeriesRef, keys: &[Arc<str>]) -> Vec<Arc<str>> {
        let known = self.series.lock();
        let ((_, listing), place) = known.find(series);
        listing.values_of(place, keys)
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        let scanner = RemoteScanner::new(self, request);
        if let (Some(order), Some(range)) = (request.order, request.ranges.first()) {
            scanner.begin(*range, order == Order::Descending);
        }
        Ok(Box::new(scanner))
    }
}
