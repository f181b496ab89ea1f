//! How refusals travel: their kind for programs, their words for people and for older releases.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::Value;

use super::CatalogueError;

/// The derived encoding, without the words.
struct Kind<'a>(&'a CatalogueError);

impl Serialize for Kind<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        CatalogueError::serialize(self.0, serializer)
    }
}

impl Serialize for CatalogueError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut told = serde_json::to_value(Kind(self)).map_err(ser::Error::custom)?;
        told["text"] = self.to_string().into();
        told.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CatalogueError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let told = Value::deserialize(deserializer)?;
        Self::deserialize(&told).or_else(|unknown| match told.get("text") {
            Some(Value::String(text)) => Ok(Self::Later(text.clone())),
            _ => Err(de::Error::custom(unknown)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(error: &CatalogueError) -> String {
        serde_json::to_string(error).unwrap()
    }

    fn read(json: &str) -> Result<CatalogueError, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_refusal_arrives_as_it_was_sent() {
        for error in [
            CatalogueError::InvalidName,
            CatalogueError::DatabaseNotFound("\"a\" b".into()),
            CatalogueError::ShardGroupNotFound(u64::MAX),
            CatalogueError::AddressTaken { from: "a:1".into(), to: "b:1".into() },
            CatalogueError::NotAnOwner { shard: 7, node: 4 },
            CatalogueError::LevelTooLow { needed: 3, level: 2 },
            CatalogueError::Later("something new".into()),
        ] {
            assert_eq!(read(&json(&error)).unwrap(), error);
        }
    }

    #[test]
    fn the_encoding_is_stable() {
        assert_eq!(
            json(&CatalogueError::InvalidName),
            r#"{"refusal":"invalid_name","text":"invalid name"}"#,
            "nodes of other releases know refusals by these names"
        );
        assert_eq!(
            json(&CatalogueError::NotAnOwner { shard: 7, node: 4 }),
            r#"{"refusal":"not_an_owner","about":{"shard":7,"node":4},"text":"node 4 is not an owner of shard 7"}"#
        );
    }

    #[test]
    fn what_a_later_release_refuses_is_told_in_its_words() {
        let unknown_kind = r#"{"refusal":"wrong_moon","about":{"moon":3},"text":"the moon is wrong"}"#;
        let unknown_details = r#"{"refusal":"invalid_name","about":["x"],"text":"invalid name: x"}"#;
        let more_details =
            r#"{"refusal":"not_an_owner","about":{"shard":7,"node":4,"rack":"r"},"text":"no","since":1}"#;
        assert_eq!(read(unknown_kind).unwrap(), CatalogueError::Later("the moon is wrong".into()));
        assert_eq!(read(unknown_details).unwrap().to_string(), "invalid name: x");
        assert_eq!(read(more_details).unwrap(), CatalogueError::NotAnOwner { shard: 7, node: 4 });
        for nothing in ["{}", "null", r#"{"refusal":"wrong_moon"}"#] {
            assert!(read(nothing).is_err(), "{nothing}");
        }
    }
}
