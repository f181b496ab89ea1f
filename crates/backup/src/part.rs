//! Which part of its databases a backup holds, where it is not all of them.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skywatch_cluster::backup::{Listing, Times};
use skywatch_meta::{Database, RetentionPolicy, ShardGroup};
use skywatch_model::{MAX_TIME, MIN_TIME, TimeRange};

use crate::{Error, plan::keep_policies};

/// A part of databases. By default it is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Only these retention policies; all, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Only these shards; all, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<u64>,
    /// Databases, retention policies and continuous queries without any points.
    #[serde(default)]
    pub metadata_only: bool,
    /// Only points of these times; of all, if `None`. The files of shards at either end have others too, which a restore
    /// leaves out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

impl Part {
    /// Whether nothing is left out.
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Leaves the part of what a node lists. A policy or a shard that is not there is an error, as is a shard that nobody holds,
    /// or one that was asked for by its number and has no points of the times asked for.
    pub(crate) fn choose(&self, listing: &mut Listing) -> Result<(), Error> {
        if !self.policies.is_empty() {
            listing.databases.iter_mut().try_for_each(|database| keep_policies(database, &self.policies))?;
        }
        if !self.shards.is_empty() {
            keep_shards(&mut listing.databases, &self.shards)?;
        }
        if let Some(times) = self.times {
            self.keep_times(&mut listing.databases, times)?;
        }
        if self.metadata_only {
            let policies = listing.databases.iter_mut().flat_map(|database| &mut database.retention_policies);
            policies.for_each(|policy| policy.shard_groups.clear());
        }
        let kept = shards_of(&listing.databases);
        let is_wanted = |id: u64| kept.contains(&id) && (self.shards.is_empty() || self.shards.contains(&id));
        listing.shards.retain(|shard| is_wanted(shard.id));
        match listing.unheld.iter().find(|(id, _)| is_wanted(**id)) {
            Some((shard, reason)) => Err(Error::Unheld { shard: *shard, reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Leaves the groups that may have points of these times.
    fn keep_times(&self, databases: &mut [Database], times: Times) -> Result<(), Error> {
        let is_wanted =
            |group: &ShardGroup| TimeRange::new(group.start_ns, group.end_ns - 1).overlaps(times.range());
        for policy in databases.iter_mut().flat_map(|database| &mut database.retention_policies) {
            policy.shard_groups.retain(is_wanted);
        }
        let kept = shards_of(databases);
        match self.shards.iter().find(|id| !kept.contains(id)) {
            Some(shard) => Err(Error::OtherTimes { shard: *shard, times: in_words(times) }),
            None => Ok(()),
        }
    }
}

/// "from 2026-05-01T00:00:00Z to 2026-05-31T23:59:59Z"
fn in_words(times: Times) -> String {
    let time = |ns: i64| Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    let start = (times.start_ns > MIN_TIME).then(|| format!("from {}", time(times.start_ns)));
    let end = (times.end_ns < MAX_TIME).then(|| format!("to {}", time(times.end_ns)));
    [start, end].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// "retention policy week, shards 3 and 4, points from 2026-05-01T00:00:00Z"
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |what: &str, names: &[String]| match names {
            [] => None,
            [one] => Some(format!("{what} {one}")),
            [first @ .., last] => Some(format!("{what}s {} and {last}", first.join(", "))),
        };
        let shards: Vec<String> = self.shards.iter().map(ToString::to_string).collect();
        let words = [
            listed("retention policie", &self.policies).map(|text| text.replacen("policie ", "policy ", 1)),
            listed("shard", &shards),
            self.times.map(|times| format!("points {}", in_words(times))),
            self.metadata_only.then(|| "without points".to_owned()),
        ];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// Shards of live groups.
fn shards_of(databases: &[Database]) -> BTreeSet<u64> {
    let policies = databases.iter().flat_map(|database| &database.retention_policies);
    let groups = policies.flat_map(RetentionPolicy::live_shard_groups);
    groups.flat_map(|group| &group.shards).map(|shard| shard.id).collect()
}

/// Leaves the groups of these shards, and what these are in. A group keeps all its shards, since where a series belongs
/// depends on how many there are.
pub(crate) fn keep_shards(databases: &mut Vec<Database>, wanted: &[u64]) -> Result<(), Error> {
    let there = shards_of(databases);
    if let Some(missing) = wanted.iter().find(|id| !there.contains(id)) {
        let there = there.iter().map(ToString::to_string).collect();
        return Err(Error::NotThere { what: "shard", name: missing.to_string(), there });
    }
    let has_wanted = |group: &ShardGroup| group.shards.iter().any(|shard| wanted.contains(&shard.id));
    for database in databases.iter_mut() {
        for policy in &mut database.retention_policies {
            policy.shard_groups.retain(has_wanted);
        }
        let policies = database.retention_policies.iter().filter(|policy| !policy.shard_groups.is_empty());
        let names: Vec<String> = policies.map(|policy| policy.name.clone()).collect();
        keep_policies(database, &names)?;
    }
    databases.retain(|database| !database.retention_policies.is_empty());
    Ok(())
}

#[cfg(test)]
mod tests {
    use skywatch_cluster::backup::ShardListing;

    use super::*;
    use crate::format::tests::sample;

    fn listing() -> Listing {
        let record = sample();
        let listed = |id| ShardListing { id, files: Vec::new(), damaged: Vec::new() };
        Listing {
            databases: record.databases,
            shards: vec![listed(11), listed(12), listed(13)],
            ..Listing::default()
        }
    }

    fn chosen(part: &Part) -> (Vec<String>, Vec<u64>) {
        let mut listing = listing();
        part.choose(&mut listing).unwrap();
        let name = |database: &Database| {
            let policies: Vec<&str> =
                database.retention_policies.iter().map(|policy| policy.name.as_str()).collect();
            format!("{}: {}", database.name, policies.join(" "))
        };
        let names = listing.databases.iter().map(name).collect();
        (names, listing.shards.iter().map(|shard| shard.id).collect())
    }

    #[test]
    fn a_part_is_what_was_asked_for_and_what_it_is_in() {
        assert_eq!(chosen(&Part::default()).1, [11, 12, 13]);
        let one = Part { shards: vec![12], ..Part::default() };
        assert_eq!(chosen(&one), (vec!["a: week".to_owned()], vec![12]));
        let both = Part { shards: vec![11, 13], ..Part::default() };
        assert_eq!(chosen(&both), (vec!["a: autogen".to_owned(), "b: autogen".to_owned()], vec![11, 13]));
        let bare = Part { metadata_only: true, ..Part::default() };
        assert_eq!(chosen(&bare), (vec!["a: autogen week".to_owned(), "b: autogen".to_owned()], vec![]));
        let none = Part { shards: vec![99], ..Part::default() }.choose(&mut listing()).unwrap_err();
        assert_eq!(none.to_string(), "the backup has no shard \"99\"; it has 11, 12, 13");
        let policy = Part { policies: vec!["week".to_owned()], ..Part::default() };
        let mut of_one = listing();
        of_one.databases.truncate(1);
        policy.choose(&mut of_one).unwrap();
        assert_eq!(of_one.databases[0].default_retention_policy, "week");
        assert_eq!(of_one.shards.iter().map(|shard| shard.id).collect::<Vec<_>>(), [12]);
        let none = policy.choose(&mut listing()).unwrap_err().to_string();
        assert_eq!(none, "the backup has no retention policy \"week\"; it has autogen");
    }

    #[test]
    fn only_shards_that_may_have_points_of_the_times_are_in_it() {
        // Groups from 0 to 99 in a, from -100 to -1 in b; ends are part of a range.
        for (start_ns, end_ns, shards) in [
            (99, 200, vec![11, 12]),
            (-1, 0, vec![11, 12, 13]),
            (MIN_TIME, -100, vec![13]),
            (100, MAX_TIME, vec![]),
        ] {
            let part = Part { times: Some(Times { start_ns, end_ns }), ..Part::default() };
            let all = vec!["a: autogen week".to_owned(), "b: autogen".to_owned()];
            assert_eq!(chosen(&part), (all, shards), "{part}");
        }
        let times = Some(Times { start_ns: -50, end_ns: -1 });
        let named = Part { shards: vec![13, 11], times, ..Part::default() };
        let told = named.choose(&mut listing()).unwrap_err().to_string();
        assert_eq!(
            told,
            "shard 11 has no points from 1969-12-31T23:59:59.99999995Z to 1969-12-31T23:59:59.999999999Z"
        );
    }

    #[test]
    fn a_shard_that_nobody_holds_matters_to_those_who_want_it() {
        let mut listing = listing();
        listing.shards.retain(|shard| shard.id != 12);
        listing.unheld.insert(12, "data node 4: gone".to_owned());
        let of = |part: Part| part.choose(&mut listing.clone()).map_err(|error| error.to_string());
        let refused = "nobody who answers holds all of shard 12, and a backup without it would lack points (data node 4: gone); of the \
                       rest there can be a backup: see --db, --rp and --shard";
        assert_eq!(of(Part::default()), Err(refused.to_owned()));
        assert_eq!(of(Part { shards: vec![12], ..Part::default() }), Err(refused.to_owned()));
        assert_eq!(of(Part { shards: vec![11, 13], ..Part::default() }), Ok(()));
        assert_eq!(of(Part { metadata_only: true, ..Part::default() }), Ok(()));
    }

    #[test]
    fn it_is_told_in_words() {
        let part =
            Part { policies: vec!["week".into()], shards: vec![3, 4], metadata_only: true, times: None };
        assert_eq!(part.to_string(), "retention policy week, shards 3 and 4, without points");
        let part = Part { policies: vec!["a".into(), "b".into()], ..Part::default() };
        assert_eq!(part.to_string(), "retention policies a and b");
        let part = |start_ns, end_ns| Part { times: Some(Times { start_ns, end_ns }), ..Part::default() };
        let minute = 60_000_000_000;
        assert_eq!(part(0, MAX_TIME).to_string(), "points from 1970-01-01T00:00:00Z");
        assert_eq!(part(MIN_TIME, minute).to_string(), "points to 1970-01-01T00:01:00Z");
        let both = part(0, minute).to_string();
        assert_eq!(both, "points from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z");
    }
}
