//! Users, and what each may do.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Somebody who can log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Unique in the catalogue, never empty.
    pub name: String,
    /// What the password is checked against.
    pub password: PasswordHash,
    /// May do everything.
    pub admin: bool,
    /// By database. A database of which everything was revoked stays listed with `None`, as in InfluxDB.
    pub privileges: BTreeMap<String, Option<Privilege>>,
}

impl User {
    /// Whether the user may read points of a database.
    pub fn may_read(&self, database: &str) -> bool {
        self.admin || matches!(self.privilege(database), Some(Privilege::Read | Privilege::All))
    }

    /// Whether the user may write points to a database.
    pub fn may_write(&self, database: &str) -> bool {
        self.admin || matches!(self.privilege(database), Some(Privilege::Write | Privilege::All))
    }

    fn privilege(&self, database: &str) -> Option<Privilege> {
        self.privileges.get(database).copied().flatten()
    }
}

/// What a user may do with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    /// Read points.
    Read,
    /// Write points.
    Write,
    /// Both.
    All,
}

impl Privilege {
    /// What is left once `revoked` is taken away.
    pub const fn without(self, revoked: Self) -> Option<Self> {
        match (self, revoked) {
            (_, Self::All) | (Self::Read, Self::Read) | (Self::Write, Self::Write) => None,
            (Self::Read | Self::All, Self::Write) => Some(Self::Read),
            (Self::Write | Self::All, Self::Read) => Some(Self::Write),
        }
    }
}

/// A salted hash of a password, as text that names its algorithm (`$2b$10$...`). The catalogue only keeps it. Its `Debug`
/// hides it: a hash in a log is a password for whoever has the time.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes the text of a hash.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text of the hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}
