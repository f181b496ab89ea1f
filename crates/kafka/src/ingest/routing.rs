//! Which database and retention policy a point goes to: by a header of its record, by a tag of its own, by the name of the
//! topic, or always the same; in this order. Pure.

use std::borrow::Cow;

use regex::Regex;
use skywatch_model::series;

/// A regular expression over names of topics; the groups `database` and `policy` are taken out of it.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it. Fails with what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|error| error.to_string())?;
        if !regex.capture_names().flatten().any(|name| name == "database" || name == "policy") {
            return Err(format!(
                "{text:?} has no group named database or policy, such as \"^metrics-(?<database>.+)$\""
            ));
        }
        Ok(Self(regex))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// Where what nothing else names goes. Empty: it is set aside.
    pub database: String,
    /// Empty for the database's default one.
    pub policy: String,
    /// Of the topic's name.
    pub topic_pattern: Option<Pattern>,
    /// Tags that name the database and the policy.
    pub database_tag: Option<String>,
    /// See [`Self::database_tag`].
    pub policy_tag: Option<String>,
    /// Whether these tags are stored too.
    pub keep_tags: bool,
    /// Headers that name the database and the policy.
    pub database_header: Option<String>,
    /// See [`Self::database_header`].
    pub policy_header: Option<String>,
}

/// Where a point goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Target {
    pub(super) database: String,
    pub(super) policy: String,
}

/// What a record says by itself, before its points are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RecordTarget {
    target: Target,
    database_by_header: bool,
    policy_by_header: bool,
}

impl Routing {
    /// Whether points of one record may go to different places.
    pub(super) const fn looks_at_tags(&self) -> bool {
        self.database_tag.is_some() || self.policy_tag.is_some()
    }

    /// Whether records' headers are asked for.
    pub(super) fn wants_header(&self, name: &str) -> bool {
        [&self.database_header, &self.policy_header].into_iter().any(|wanted| wanted.as_deref() == Some(name))
    }

    /// What a record of this topic with these headers says.
    pub(super) fn of_record(&self, topic: &str, headers: &[(String, String)]) -> RecordTarget {
        let mut of = RecordTarget {
            target: Target { database: self.database.clone(), policy: self.policy.clone() },
            ..RecordTarget::default()
        };
        if let Some(found) = self.topic_pattern.as_ref().and_then(|pattern| pattern.0.captures(topic)) {
            let group = |name| found.name(name).map(|found| found.as_str()).filter(|text| !text.is_empty());
            if let Some(database) = group("database") {
                database.clone_into(&mut of.target.database);
            }
            if let Some(policy) = group("policy") {
                policy.clone_into(&mut of.target.policy);
            }
        }
        let header = |wanted: &Option<String>| {
            let wanted = wanted.as_ref()?;
            let (_, value) = headers.iter().find(|(name, _)| name == wanted)?;
            (!value.is_empty()).then(|| value.clone())
        };
        if let Some(database) = header(&self.database_header) {
            (of.target.database, of.database_by_header) = (database, true);
        }
        if let Some(policy) = header(&self.policy_header) {
            (of.target.policy, of.policy_by_header) = (policy, true);
        }
        of
    }

    /// Where a point of such a record goes, and its series key there.
    pub(super) fn of_point<'k>(&self, record: &RecordTarget, series_key: &'k str) -> (Target, Cow<'k, str>) {
        if !self.looks_at_tags() {
            return (record.target.clone(), Cow::Borrowed(series_key));
        }
        let mut target = record.target.clone();
        let (measurement, tags) = series::parse_key(series_key);
        let mut dropped = false;
        for (tag, value) in &tags {
            if self.database_tag.as_deref() == Some(&**tag) {
                dropped = true;
                if !record.database_by_header {
                    value.as_ref().clone_into(&mut target.database);
                }
            }
            if self.policy_tag.as_deref() == Some(&**tag) {
                dropped = true;
                if !record.policy_by_header {
                    value.as_ref().clone_into(&mut target.policy);
                }
            }
        }
        if !dropped || self.keep_tags {
            return (target, Cow::Borrowed(series_key));
        }
        let is_routing =
            |key: &str| self.database_tag.as_deref() == Some(key) || self.policy_tag.as_deref() == Some(key);
        let mut key = String::with_capacity(series_key.len());
        series::append_measurement(&mut key, &measurement);
        for (tag, value) in tags.iter().filter(|(tag, _)| !is_routing(tag)) {
            series::append_tag(&mut key, tag, value);
        }
        (target, Cow::Owned(key))
    }
}

impl RecordTarget {
    /// Where its points go if nothing of theirs says otherwise.
    pub(super) const fn target(&self) -> &Target {
        &self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(database: &str, policy: &str) -> Target {
        Target { database: database.to_owned(), policy: policy.to_owned() }
    }

    fn routing() -> Routing {
        Routing {
            database: "fallback".to_owned(),
            topic_pattern: Some(Pattern::new("^metrics-(?<database>[a-z]+)(-(?<policy>.*))?$").unwrap()),
            database_tag: Some("db".to_owned()),
            policy_tag: Some("rp".to_owned()),
            database_header: Some("database".to_owned()),
            ..Routing::default()
        }
    }

    #[test]
    fn the_most_particular_place_counts() {
        let header = [("database".to_owned(), "by_header".to_owned())];
        let routing = routing();
        for (topic, headers, key, expected) in [
            ("other", &[][..], "m,a=b", target("fallback", "")),
            ("metrics-net", &[], "m,a=b", target("net", "")),
            ("metrics-net-week", &[], "m,a=b", target("net", "week")),
            ("metrics-net-week", &[], "m,db=tag,rp=day", target("tag", "day")),
            ("metrics-net-week", &header[..], "m,db=tag,rp=day", target("by_header", "day")),
        ] {
            let (found, _) = routing.of_point(&routing.of_record(topic, headers), key);
            assert_eq!(found, expected, "{topic} {key}");
        }
    }

    #[test]
    fn tags_that_name_the_place_are_taken_off_unless_they_are_kept() {
        let mut routing = routing();
        let record = routing.of_record("t", &[]);
        let key = |routing: &Routing, key: &str| routing.of_point(&record, key).1.into_owned();
        assert_eq!(key(&routing, "m\\ x,a=b\\,c,db=d,rp=e,z=1"), "m\\ x,a=b\\,c,z=1");
        assert_eq!(key(&routing, "m,a=b"), "m,a=b");
        routing.keep_tags = true;
        assert_eq!(key(&routing, "m,a=b,db=d"), "m,a=b,db=d");
    }

    #[test]
    fn a_pattern_has_to_say_what_is_taken_out_of_it() {
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new("^metrics-(.+)$").unwrap_err().contains("no group named database or policy"));
    }
}
