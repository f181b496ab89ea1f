//! One series of statistics at one moment.

/// Counters and levels that belong together: a measurement of `_internal`, an entry of `/debug/vars`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistic {
    name: &'static str,
    tags: Vec<(&'static str, String)>,
    values: Vec<(&'static str, i64)>,
}

impl Statistic {
    /// Without tags or values yet.
    pub const fn new(name: &'static str) -> Self {
        Self { name, tags: Vec::new(), values: Vec::new() }
    }

    /// With one more tag; a key is given once.
    #[must_use]
    pub fn tag(mut self, key: &'static str, value: impl Into<String>) -> Self {
        let position = self.tags.partition_point(|(other, _)| *other < key);
        self.tags.insert(position, (key, value.into()));
        self
    }

    /// With more values; a name is given once.
    #[must_use]
    pub fn values<const N: usize>(mut self, values: [(&'static str, u64); N]) -> Self {
        let capped = |(name, value)| (name, i64::try_from(value).unwrap_or(i64::MAX));
        self.values.extend(values.map(capped));
        self.values.sort_unstable_by_key(|(name, _)| *name);
        self
    }

    /// The measurement.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Sorted by key.
    pub fn tags(&self) -> &[(&'static str, String)] {
        &self.tags
    }

    /// The value of a tag.
    pub fn tag_value(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(other, _)| *other == key).map(|(_, value)| value.as_str())
    }

    /// Sorted by name. Every one is an integer in InfluxDB too.
    pub fn fields(&self) -> &[(&'static str, i64)] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_values_come_sorted() {
        let shard = Statistic::new("shard").tag("id", "7").tag("database", "db");
        let shard = shard.values([("writeReq", 2), ("diskBytes", u64::MAX)]).values([("seriesCreate", 1)]);
        assert_eq!(shard.tags(), [("database", "db".to_owned()), ("id", "7".to_owned())]);
        assert_eq!(shard.fields(), [("diskBytes", i64::MAX), ("seriesCreate", 1), ("writeReq", 2)]);
        assert_eq!((shard.tag_value("id"), shard.tag_value("path")), (Some("7"), None));
    }
}
