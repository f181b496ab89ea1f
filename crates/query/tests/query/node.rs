//! A node in memory: databases, retention policies, and shards cut as a test wants them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use skywatch_model::{
    Bitmap, Column, FieldType, FieldValue, TimeRange, Values,
    line::{self, PointBatch, Precision},
    series,
};
use skywatch_query::{
    Administration, Backend, BackendError, DeleteRequest, MemoryShard, MemoryStatistics, NewRetentionPolicy,
    Reading, RetentionPolicyInfo, RetentionPolicyUpdate,
};
use skywatch_storage::ShardRead;

/// How points are cut into shards and blocks. Answers may not depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// For messages.
    pub(crate) name: &'static str,
    /// Range of time of one shard, in nanoseconds.
    pub(crate) shard_ns: i64,
    /// Shards per range; a series lies in the one its hash says.
    pub(crate) partitions: u64,
    /// Rows of one block.
    pub(crate) block_rows: usize,
    /// What blocks tell without being decoded.
    pub(crate) statistics: MemoryStatistics,
    /// Whether every shard knows every field and tag key of the policy. Which ones a shard knows shows in answers:
    /// in what `*` stands for, and in whether a name is a field or a tag.
    pub(crate) shared_schema: bool,
}

/// As a single server lays them out.
pub(crate) const PLAIN: Layout = Layout {
    name: "one shard",
    shard_ns: 7 * 86_400_000_000_000,
    partitions: 1,
    block_rows: 1000,
    statistics: MemoryStatistics { blocks: false, span_ns: 0, end_rows: false },
    shared_schema: false,
};

type Fields = BTreeMap<String, FieldValue>;
/// Rows by series key and time.
type Points = BTreeMap<String, BTreeMap<i64, Fields>>;

#[derive(Debug)]
struct Database {
    name: String,
    policies: Vec<(RetentionPolicyInfo, Points)>,
}

/// The node.
#[derive(Debug)]
pub(crate) struct MemoryNode {
    layout: Layout,
    databases: Mutex<Vec<Database>>,
}

impl MemoryNode {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, databases: Mutex::new(Vec::new()) }
    }

    /// Writes line protocol (times in nanoseconds) into a database's default policy, or another; both are
    /// created if need be.
    pub(crate) fn load(&self, database: &str, policy: Option<&str>, body: &str) {
        self.create_database(database, None).expect("can be created");
        if let Some(policy) = policy {
            let new = NewRetentionPolicy { name: Some(policy.to_owned()), ..NewRetentionPolicy::default() };
            self.create_retention_policy(database, &new).expect("can be created");
        }
        let mut batch = PointBatch::new();
        let options = line::ParseOptions { precision: Precision::Nanosecond, default_time_ns: 0 };
        let errors = line::parse(body.as_bytes(), options, &mut batch);
        assert!(errors.is_empty(), "{errors:?}");
        self.store(database, policy.unwrap_or(""), &batch).expect("was created");
    }

    /// Keeps points; an empty `policy` is the default one.
    fn store(&self, database: &str, policy: &str, batch: &PointBatch<'_>) -> Result<(), BackendError> {
        self.change(database, |database| {
            let wanted =
                |info: &RetentionPolicyInfo| info.name == policy || policy.is_empty() && info.is_default;
            let found = database.policies.iter_mut().find(|(info, _)| wanted(info));
            let (_, points) =
                found.ok_or_else(|| BackendError::RetentionPolicyNotFound(policy.to_owned()))?;
            for point in batch.points() {
                let row =
                    points.entry(point.series_key().to_owned()).or_default().entry(point.time()).or_default();
                row.extend(point.fields().map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            Ok(())
        })
    }

    fn change<T>(
        &self,
        database: &str,
        change: impl FnOnce(&mut Database) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let mut databases = self.databases.lock().expect("no panic");
        match databases.iter_mut().find(|known| known.name == database) {
            Some(database) => change(database),
            None => Err(BackendError::DatabaseNotFound(database.to_owned())),
        }
    }
}

fn info(policy: &NewRetentionPolicy, is_default: bool) -> RetentionPolicyInfo {
    const DAY: i64 = 86_400_000_000_000;
    let duration_ns = policy.duration_ns.unwrap_or(0);
    let derived = match duration_ns {
        0 => 7 * DAY,
        duration if duration < 2 * DAY => DAY / 24,
        duration if duration <= 180 * DAY => DAY,
        _ => 7 * DAY,
    };
    RetentionPolicyInfo {
        name: policy.name.clone().unwrap_or_else(|| "autogen".to_owned()),
        duration_ns,
        shard_group_duration_ns: policy.shard_group_duration_ns.filter(|&ns| ns > 0).unwrap_or(derived),
        replica_n: policy.replica_n.unwrap_or(1),
        is_default,
    }
}

impl Administration for MemoryNode {}

impl Backend for MemoryNode {
    fn databases(&self) -> Result<Vec<String>, BackendError> {
        Ok(self.databases.lock().expect("no panic").iter().map(|database| database.name.clone()).collect())
    }

    fn retention_policies(&self, database: &str) -> Result<Vec<RetentionPolicyInfo>, BackendError> {
        self.change(database, |database| Ok(database.policies.iter().map(|(info, _)| info.clone()).collect()))
    }

    fn shards(
        &self,
        database: &str,
        policy: &str,
        range: TimeRange,
        _: &Reading,
    ) -> Result<Vec<Arc<dyn ShardRead>>, BackendError> {
        self.change(database, |database| {
            let points = database.policies.iter().find(|(info, _)| info.name == policy);
            let (_, points) =
                points.ok_or_else(|| BackendError::RetentionPolicyNotFound(policy.to_owned()))?;
            Ok(cut(points, self.layout, range))
        })
    }

    fn create_database(&self, name: &str, policy: Option<&NewRetentionPolicy>) -> Result<(), BackendError> {
        let wanted = info(policy.unwrap_or(&NewRetentionPolicy::default()), true);
        let mut databases = self.databases.lock().expect("no panic");
        match databases.iter().find(|known| known.name == name) {
            Some(known) if policy.is_some() && known.policies.iter().all(|(info, _)| *info != wanted) => {
                Err(BackendError::RetentionPolicyConflict)
            }
            Some(_) => Ok(()),
            None => {
                databases.push(Database { name: name.to_owned(), policies: vec![(wanted, Points::new())] });
                Ok(())
            }
        }
    }

    fn drop_database(&self, name: &str) -> Result<(), BackendError> {
        self.databases.lock().expect("no panic").retain(|database| database.name != name);
        Ok(())
    }

    fn create_retention_policy(
        &self,
        database: &str,
        policy: &NewRetentionPolicy,
    ) -> Result<(), BackendError> {
        self.change(database, |database| {
            let new = info(policy, policy.make_default);
            match database.policies.iter().find(|(info, _)| info.name == new.name) {
                Some((known, _))
                    if RetentionPolicyInfo { is_default: new.is_default, ..known.clone() } != new =>
                {
                    Err(BackendError::RetentionPolicyExists)
                }
                Some(_) => Ok(()),
                None => {
                    if new.is_default {
                        database.policies.iter_mut().for_each(|(info, _)| info.is_default = false);
                    }
                    database.policies.push((new, Points::new()));
                    Ok(())
                }
            }
        })
    }

    fn alter_retention_policy(
        &self,
        database: &str,
        name: &str,
        update: &RetentionPolicyUpdate,
    ) -> Result<(), BackendError> {
        self.change(database, |database| {
            if database.policies.iter().all(|(info, _)| info.name != name) {
                return Err(BackendError::RetentionPolicyNotFound(name.to_owned()));
            }
            for (info, _) in &mut database.policies {
                if info.name == name {
                    info.duration_ns = update.duration_ns.unwrap_or(info.duration_ns);
                    info.shard_group_duration_ns =
                        update.shard_group_duration_ns.unwrap_or(info.shard_group_duration_ns);
                    info.replica_n = update.replica_n.unwrap_or(info.replica_n);
                }
                if update.make_default {
                    info.is_default = info.name == name;
                }
            }
            Ok(())
        })
    }

    fn drop_retention_policy(&self, database: &str, name: &str) -> Result<(), BackendError> {
        let dropped = self.change(database, |database| {
            database.policies.retain(|(info, _)| info.name != name);
            Ok(())
        });
        match dropped {
            Err(BackendError::DatabaseNotFound(_)) => Ok(()),
            other => other,
        }
    }

    fn drop_measurement(&self, database: &str, measurement: &str) -> Result<(), BackendError> {
        self.change(database, |database| {
            for (_, points) in &mut database.policies {
                points.retain(|key, _| series::parse_measurement(key) != measurement);
            }
            Ok(())
        })
    }

    fn write(&self, database: &str, policy: &str, points: &PointBatch<'_>) -> Result<(), BackendError> {
        self.store(database, policy, points)
    }

    fn drop_shard(&self, _: u64) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("DROP SHARD"))
    }

    fn delete(&self, _: &str, _: &DeleteRequest) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("DELETE"))
    }
}

/// The points of the shards that overlap `range`.
fn cut(points: &Points, layout: Layout, range: TimeRange) -> Vec<Arc<dyn ShardRead>> {
    let mut shards: BTreeMap<(i64, u64), MemoryShard> = BTreeMap::new();
    for (key, rows) in points {
        let partition = series::fnv1a64(key.as_bytes()) % layout.partitions;
        let mut by_shard: BTreeMap<i64, Vec<(i64, &Fields)>> = BTreeMap::new();
        for (time, fields) in rows {
            by_shard.entry(time.div_euclid(layout.shard_ns)).or_default().push((*time, fields));
        }
        for (number, rows) in by_shard {
            let start = number.saturating_mul(layout.shard_ns);
            let shard_range = TimeRange::new(start, start.saturating_add(layout.shard_ns - 1));
            if !shard_range.overlaps(range) {
                continue;
            }
            let shard = shards
                .entry((number, partition))
                .or_insert_with(|| MemoryShard::new(shard_range, layout.block_rows, layout.statistics));
            add(shard, key, &rows);
        }
    }
    if layout.shared_schema {
        shards.values_mut().for_each(|shard| add_schema(shard, points));
    }
    shards.into_values().map(|shard| Arc::new(shard) as Arc<dyn ShardRead>).collect()
}

/// Adds a series without rows that has every field and every tag key.
fn add_schema(shard: &mut MemoryShard, points: &Points) {
    let mut keys: BTreeMap<String, (BTreeSet<String>, BTreeMap<String, FieldType>)> = BTreeMap::new();
    for (key, rows) in points {
        let (measurement, tags) = series::parse_key(key);
        let (tag_keys, fields) = keys.entry(measurement.into_owned()).or_default();
        tag_keys.extend(tags.iter().map(|(key, _)| key.to_string()));
        let all = rows.values().flatten();
        fields.extend(all.map(|(name, value)| (name.clone(), value.field_type())));
    }
    for (measurement, (tag_keys, fields)) in keys {
        let tags = tag_keys.iter().map(|key| (Arc::from(&**key), Arc::from("no such"))).collect();
        let column = |field_type: &FieldType| Column { values: Values::empty(*field_type), valid: None };
        let columns = fields.iter().map(|(name, field_type)| (Arc::from(&**name), column(field_type)));
        shard.add_series(&Arc::from(&*measurement), tags, Vec::new(), columns.collect());
    }
}

fn add(shard: &mut MemoryShard, key: &str, rows: &[(i64, &Fields)]) {
    let (measurement, tags) = series::parse_key(key);
    let tags = tags.iter().map(|(key, value)| (Arc::from(&**key), Arc::from(&**value))).collect();
    let mut types: BTreeMap<&str, FieldType> = BTreeMap::new();
    for (name, value) in rows.iter().flat_map(|(_, fields)| fields.iter()) {
        types.entry(name).or_insert(value.field_type());
    }
    let column = |name: &str, field_type: FieldType| {
        let values: Vec<Option<&FieldValue>> = rows
            .iter()
            .map(|(_, fields)| fields.get(name).filter(|value| value.field_type() == field_type))
            .collect();
        column(field_type, &values)
    };
    let columns =
        types.iter().map(|(name, field_type)| (Arc::from(*name), column(name, *field_type))).collect();
    shard.add_series(&Arc::from(&*measurement), tags, rows.iter().map(|(time, _)| *time).collect(), columns);
}

fn column(field_type: FieldType, rows: &[Option<&FieldValue>]) -> Column {
    let mut values = Values::empty(field_type);
    let mut valid = Bitmap::default();
    for row in rows {
        valid.push(row.is_some());
        match (&mut values, row) {
            (Values::Float(values), Some(FieldValue::Float(value))) => values.push(*value),
            (Values::Float(values), _) => values.push(0.0),
            (Values::Integer(values), Some(FieldValue::Integer(value))) => values.push(*value),
            (Values::Integer(values), _) => values.push(0),
            (Values::Unsigned(values), Some(FieldValue::Unsigned(value))) => values.push(*value),
            (Values::Unsigned(values), _) => values.push(0),
            (Values::String(values), Some(FieldValue::String(value))) => values.push(Arc::clone(value)),
            (Values::String(values), _) => values.push("".into()),
            (Values::Boolean(values), Some(FieldValue::Boolean(value))) => values.push(*value),
            (Values::Boolean(values), _) => values.push(false),
        }
    }
    Column { values, valid: Some(valid) }
}
