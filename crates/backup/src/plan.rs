//! What to reuse, what to send, what to remove. Pure.

use std::collections::{BTreeMap, BTreeSet};

use skywatch_cluster::backup::{Checksum, FileCopy, RestorePlan};
use skywatch_meta::Database;

use crate::{Error, format::Record, part::keep_shards};

/// A file of the directory: shard, name, length and checksum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoredFile {
    pub(crate) shard: u64,
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) checksum: Checksum,
}

impl StoredFile {
    pub(crate) fn new(shard: u64, file: &FileCopy) -> Self {
        Self { shard, name: file.name.clone(), size_bytes: file.size_bytes, checksum: file.checksum }
    }
}

/// What the directory has, by shard, name and length: all that is known of a file before its checksum is.
#[derive(Debug, Default)]
pub(crate) struct Stock(BTreeMap<(u64, String, u64), BTreeSet<Checksum>>);

impl Stock {
    pub(crate) fn of(files: &[StoredFile]) -> Self {
        let mut stock = Self::default();
        for file in files {
            let key = (file.shard, file.name.clone(), file.size_bytes);
            stock.0.entry(key).or_default().insert(file.checksum);
        }
        stock
    }

    /// Whether a file that looks so may be here; only its checksum tells.
    pub(crate) fn may_have(&self, shard: u64, name: &str, size_bytes: u64) -> bool {
        self.0.contains_key(&(shard, name.to_owned(), size_bytes))
    }

    /// Whether this very file is here.
    pub(crate) fn has(&self, shard: u64, file: &FileCopy) -> bool {
        let key = (shard, file.name.clone(), file.size_bytes);
        self.0.get(&key).is_some_and(|checksums| checksums.contains(&file.checksum))
    }
}

/// Numbers of the backups to forget: those of which every database has `keep` later backups (at least one). A backup of
/// some databases therefore never takes the place of one of others, nor of one of all. `backups` are in the order of
/// their numbers; a record that cannot be read may be of anything, and only backups of all databases make up for it.
pub(crate) fn surplus(backups: &[(u64, Option<Record>)], keep: usize) -> Vec<u64> {
    let covers = |later: &Option<Record>, earlier: &Option<Record>| match (later, earlier) {
        (Some(later), Some(earlier)) => later.covers(earlier),
        (Some(later), None) => later.selected.is_empty() && later.part.is_whole(),
        (None, _) => false,
    };
    let count =
        |index: usize, earlier| backups[index + 1..].iter().filter(|(_, it)| covers(it, earlier)).count();
    let numbered = backups.iter().enumerate();
    numbered
        .filter(|(index, (_, record))| count(*index, record) >= keep.max(1))
        .map(|(_, (number, _))| *number)
        .collect()
}

/// Files that no backup refers to.
pub(crate) fn unreferenced(files: Vec<StoredFile>, records: &[Record]) -> Vec<StoredFile> {
    let needed: BTreeSet<StoredFile> =
        records.iter().flat_map(Record::files).map(|(shard, file)| StoredFile::new(shard, file)).collect();
    files.into_iter().filter(|file| !needed.contains(file)).collect()
}

/// What of a backup to restore, and under which name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// One database; all, if `None`.
    pub database: Option<String>,
    /// Its new name. Needs `database`.
    pub new_name: Option<String>,
    /// Only these retention policies; all, if empty.
    pub policies: Vec<String>,
    /// Only what is in these shards; all, if empty.
    pub shards: Vec<u64>,
    /// Which backup of the directory; the latest, if `None`.
    pub number: Option<u64>,
    /// What is to be other than it was.
    pub changes: Changes,
}

/// What is to be other in the databases that are made than in those that were backed up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// A new name for the only retention policy that is restored.
    pub policy: Option<String>,
    /// How many copies its shards are to have, in a cluster.
    pub replicas: Option<u32>,
    /// How long it keeps points, in nanoseconds; 0 for ever.
    pub duration_ns: Option<i64>,
}

impl Changes {
    fn apply(&self, database: &mut Database) -> Result<(), Error> {
        for policy in &mut database.retention_policies {
            if let Some(replicas) = self.replicas {
                policy.replica_n = replicas;
            }
            if let Some(duration_ns) = self.duration_ns {
                policy.duration_ns = duration_ns;
            }
        }
        let Some(name) = &self.policy else { return Ok(()) };
        let [policy] = database.retention_policies.as_mut_slice() else {
            let text = format!(
                "a new name can be given to one retention policy only, and {} are restored; choose one with --rp",
                database.retention_policies.len()
            );
            return Err(Error::Changes(text));
        };
        // The texts of its queries name the old one.
        database.continuous_queries.clear();
        policy.name.clone_from(name);
        database.default_retention_policy.clone_from(name);
        Ok(())
    }
}

/// The databases to make.
pub(crate) fn plans(record: &Record, selection: &Selection) -> Result<Vec<RestorePlan>, Error> {
    let names = || record.databases.iter().map(|database| database.name.clone()).collect();
    let chosen: Vec<&Database> = match &selection.database {
        None => record.databases.iter().collect(),
        Some(name) => {
            let found = record.databases.iter().find(|database| database.name == *name);
            vec![found.ok_or_else(|| Error::NotThere {
                what: "database",
                name: name.clone(),
                there: names(),
            })?]
        }
    };
    let mut chosen: Vec<Database> = chosen.into_iter().cloned().collect();
    if !selection.shards.is_empty() {
        keep_shards(&mut chosen, &selection.shards)?;
    }
    chosen.into_iter().map(|database| plan(record, database, selection)).collect()
}

fn plan(record: &Record, mut database: Database, selection: &Selection) -> Result<RestorePlan, Error> {
    if !selection.policies.is_empty() {
        keep_policies(&mut database, &selection.policies)?;
    }
    if let Some(name) = &selection.new_name {
        // The texts of its queries name the old one, and would go on writing there.
        if *name != database.name {
            database.continuous_queries.clear();
        }
        database.name.clone_from(name);
    }
    selection.changes.apply(&mut database)?;
    let groups = database.retention_policies.iter().flat_map(|policy| &policy.shard_groups);
    let ids: BTreeSet<u64> = groups.flat_map(|group| &group.shards).map(|shard| shard.id).collect();
    let is_wanted =
        |id: u64| ids.contains(&id) && (selection.shards.is_empty() || selection.shards.contains(&id));
    let shards = record.shards.iter().filter(|shard| is_wanted(shard.id)).cloned().collect();
    Ok(RestorePlan { database, shards, times: record.part.times })
}

pub(crate) fn keep_policies(database: &mut Database, wanted: &[String]) -> Result<(), Error> {
    let there: Vec<String> = database.retention_policies.iter().map(|policy| policy.name.clone()).collect();
    if let Some(name) = wanted.iter().find(|name| !there.contains(name)) {
        return Err(Error::NotThere { what: "retention policy", name: name.clone(), there });
    }
    database.retention_policies.retain(|policy| wanted.contains(&policy.name));
    let has_default = wanted.contains(&database.default_retention_policy);
    if let Some(first) = database.retention_policies.first().filter(|_| !has_default) {
        database.default_retention_policy.clone_from(&first.name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Part, format::tests::sample};

    #[test]
    fn a_file_is_reused_only_if_its_checksum_is_the_same() {
        let record = sample();
        let files: Vec<StoredFile> =
            record.files().map(|(shard, file)| StoredFile::new(shard, file)).collect();
        let stock = Stock::of(&files);
        let (shard, file) = record.files().next().unwrap();
        assert!(stock.may_have(shard, &file.name, file.size_bytes) && stock.has(shard, file));
        let other = FileCopy { checksum: Checksum::of(b"x"), ..file.clone() };
        assert!(stock.may_have(shard, &other.name, other.size_bytes) && !stock.has(shard, &other));
        assert!(!stock.may_have(shard, &file.name, file.size_bytes + 1));
        assert!(!stock.may_have(shard + 1, &file.name, file.size_bytes));
    }

    #[test]
    fn the_latest_backups_and_their_files_stay() {
        let all = |numbers: &[u64]| numbers.iter().map(|n| (*n, Some(sample()))).collect::<Vec<_>>();
        assert_eq!(surplus(&all(&[1, 2, 3]), 2), [1]);
        assert_eq!(surplus(&all(&[1, 2, 3]), 0), [1, 2], "one always stays");
        assert_eq!(surplus(&all(&[3]), 9), Vec::<u64>::new());
        let record = sample();
        let mut files: Vec<StoredFile> =
            record.files().map(|(shard, file)| StoredFile::new(shard, file)).collect();
        assert_eq!(unreferenced(files.clone(), std::slice::from_ref(&record)), []);
        let old = StoredFile { checksum: Checksum::of(b"old"), ..files[0].clone() };
        files.push(old.clone());
        assert_eq!(unreferenced(files, &[record]), [old]);
    }

    #[test]
    fn a_backup_of_one_database_takes_the_place_of_no_other() {
        let of = |names: &[&str]| {
            let mut record = sample();
            record.databases.retain(|it| names.is_empty() || names.contains(&it.name.as_str()));
            record.selected = names.iter().map(|name| (*name).to_owned()).collect();
            Some(record)
        };
        let forgotten = |records: Vec<Option<Record>>| surplus(&(1..).zip(records).collect::<Vec<_>>(), 1);
        assert_eq!(forgotten(vec![of(&["a"]), of(&["b"])]), Vec::<u64>::new());
        assert_eq!(forgotten(vec![of(&["a"]), of(&["b"]), of(&["a"])]), [1]);
        assert_eq!(forgotten(vec![of(&["a"]), of(&["a", "b"])]), [1]);
        assert_eq!(forgotten(vec![of(&[]), of(&["a", "b"])]), Vec::<u64>::new());
        assert_eq!(forgotten(vec![of(&["a"]), of(&[])]), [1]);
        assert_eq!(forgotten(vec![None, of(&["a"])]), Vec::<u64>::new());
        assert_eq!(forgotten(vec![None, of(&[])]), [1]);
    }

    #[test]
    fn a_part_takes_the_place_of_the_same_part_alone() {
        let bare = Part { metadata_only: true, ..Part::default() };
        let of = |part: &Part| Some(Record { part: part.clone(), ..sample() });
        let forgotten = |records: Vec<Option<Record>>| surplus(&(1..).zip(records).collect::<Vec<_>>(), 1);
        let whole = Part::default();
        assert_eq!(forgotten(vec![of(&whole), of(&bare)]), Vec::<u64>::new());
        assert_eq!(forgotten(vec![of(&bare), of(&bare)]), [1]);
        assert_eq!(forgotten(vec![of(&bare), of(&whole)]), [1]);
        assert_eq!(forgotten(vec![None, of(&bare)]), Vec::<u64>::new());
    }

    #[test]
    fn one_shard_is_restored_alone() {
        let one = Selection { shards: vec![11], ..Selection::default() };
        let plans = plans(&sample(), &one).unwrap();
        let [plan] = plans.as_slice() else { panic!("{plans:?}") };
        assert_eq!((plan.database.name.as_str(), plan.shards.len(), plan.shards[0].id), ("a", 1, 11));
        assert_eq!(plan.database.retention_policies.len(), 1);
    }

    #[test]
    fn databases_and_policies_are_chosen_and_renamed() {
        let all = plans(&sample(), &Selection::default()).unwrap();
        let ids = |plan: &RestorePlan| plan.shards.iter().map(|shard| shard.id).collect::<Vec<_>>();
        assert_eq!(all.iter().map(ids).collect::<Vec<_>>(), [vec![11], vec![13]]);
        let one = Selection {
            database: Some("a".to_owned()),
            new_name: Some("c".to_owned()),
            policies: vec!["week".to_owned()],
            ..Selection::default()
        };
        let plan = &plans(&sample(), &one).unwrap()[0];
        assert_eq!(
            (plan.database.name.as_str(), plan.database.default_retention_policy.as_str()),
            ("c", "week")
        );
        assert_eq!(
            (plan.database.retention_policies.len(), ids(plan)),
            (1, vec![]),
            "nothing was written to it"
        );
        let error =
            plans(&sample(), &Selection { database: Some("x".to_owned()), ..one.clone() }).unwrap_err();
        assert_eq!(error.to_string(), "the backup has no database \"x\"; it has a, b");
        let error = plans(&sample(), &Selection { policies: vec!["day".to_owned()], ..one }).unwrap_err();
        assert_eq!(error.to_string(), "the backup has no retention policy \"day\"; it has autogen, week");
    }

    #[test]
    fn policies_are_changed_on_the_way() {
        let changes = Changes {
            policy: Some("short".to_owned()),
            replicas: Some(2),
            duration_ns: Some(7 * 86_400_000_000_000),
        };
        let one = Selection {
            database: Some("a".to_owned()),
            policies: vec!["week".to_owned()],
            changes,
            ..Selection::default()
        };
        let database = &plans(&sample(), &one).unwrap()[0].database;
        let policy = &database.retention_policies[0];
        assert_eq!((policy.name.as_str(), policy.replica_n), ("short", 2));
        assert_eq!(policy.duration_ns, 7 * 86_400_000_000_000);
        assert_eq!(database.default_retention_policy, "short");
        let told = plans(&sample(), &Selection { policies: Vec::new(), ..one }).unwrap_err().to_string();
        assert!(told.contains("one retention policy only, and 2 are restored"), "{told}");
    }
}
