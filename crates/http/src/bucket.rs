//! Buckets of the 2.x API: `database` or `database/policy`.

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub database: String,
    /// Empty for the database's default one.
    pub retention_policy: String,
}

/// Why a text names no bucket; worded as InfluxDB does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadBucket {
    /// Nothing at all.
    #[error("bucket name {0:?} is missing a slash; not in \"database/retention-policy\" format")]
    Empty(String),
    /// Nothing before the slash.
    #[error("bucket name {0:?} is in db/rp form but has an empty database")]
    NoDatabase(String),
}

impl Bucket {
    /// Reads the name of a bucket.
    pub(crate) fn parse(bucket: &str) -> Result<Self, BadBucket> {
        let (database, retention_policy) = match bucket.split_once('/') {
            None if bucket.is_empty() => return Err(BadBucket::Empty(bucket.to_owned())),
            Some(("", _)) => return Err(BadBucket::NoDatabase(bucket.to_owned())),
            None => (bucket, ""),
            Some(parts) => parts,
        };
        Ok(Self { database: database.to_owned(), retention_policy: retention_policy.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_name_a_database_and_a_policy() {
        let split = |bucket| Bucket::parse(bucket).ok().map(|found| (found.database, found.retention_policy));
        let pair = |database: &str, policy: &str| Some((database.to_owned(), policy.to_owned()));
        assert_eq!(split("telegraf/week"), pair("telegraf", "week"));
        assert_eq!(split("telegraf/"), pair("telegraf", ""));
        assert_eq!(split("telegraf"), pair("telegraf", ""));
        assert_eq!(split("a/b/c"), pair("a", "b/c"));
        assert_eq!((split(""), split("/week")), (None, None));
    }
}
