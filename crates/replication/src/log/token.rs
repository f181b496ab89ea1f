//! Where a write landed, as clients are told and give it back: `3:120,7:45` is the record with offset 120 of partition 3, and so
//! on. Whoever has applied all of them shows what was written.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::Position;

/// More partitions than that are named by no write.
const PARTITIONS_MAX: usize = skywatch_meta::LOG_PARTITIONS_MAX;

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PositionToken(BTreeMap<u32, u64>);

/// Text that no write was answered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid position {0:?}: give back what X-Skywatch-Position of a write says, as \"3:120,7:45\" (partition:offset)"
)]
pub struct InvalidToken(String);

impl PositionToken {
    /// Of the last record of each partition.
    pub fn of(positions: &[Position]) -> Self {
        let mut token = Self::default();
        positions.iter().for_each(|position| token.add(*position));
        token
    }

    fn add(&mut self, Position { partition, offset }: Position) {
        let known = self.0.entry(partition).or_default();
        *known = offset.max(*known);
    }

    /// The last record of each partition.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.0.iter().map(|(&partition, &offset)| Position { partition, offset })
    }

    /// The last record of a partition.
    pub fn of_partition(&self, partition: u32) -> Option<u64> {
        self.0.get(&partition).copied()
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for PositionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (partition, offset)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{partition}:{offset}")?;
        }
        Ok(())
    }
}

impl FromStr for PositionToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let invalid = || InvalidToken(text.chars().take(80).collect());
        let mut token = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (partition, offset) = part.split_once(':').ok_or_else(invalid)?;
            let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
            if !number(partition) || !number(offset) {
                return Err(invalid());
            }
            let (partition, offset) = (partition.parse(), offset.parse());
            let (Ok(partition), Ok(offset)) = (partition, offset) else { return Err(invalid()) };
            token.add(Position { partition, offset });
            if token.0.len() > PARTITIONS_MAX {
                return Err(invalid());
            }
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_given() {
        let at = |partition, offset| Position { partition, offset };
        let token = PositionToken::of(&[at(7, 45), at(3, 119), at(3, 120), at(7, 40)]);
        assert_eq!(token.to_string(), "3:120,7:45");
        assert_eq!("3:120,7:45".parse(), Ok(token.clone()));
        assert_eq!("7:45,3:1,3:120,".parse(), Ok(token));
        assert_eq!("".parse(), Ok(PositionToken::default()));
        for wrong in ["3", "3:", ":", "3:-1", "+3:1", "3:120;7:45", "3:99999999999999999999", "4294967296:1"]
        {
            assert!(wrong.parse::<PositionToken>().is_err(), "{wrong}");
        }
    }
}
