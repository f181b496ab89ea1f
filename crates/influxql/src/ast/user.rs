//! Users and what they may do.

use std::fmt;

/// `CREATE USER name WITH PASSWORD '...' [WITH ALL PRIVILEGES]`. Its `Debug` and `Display` hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateUser {
    /// Name of the user.
    pub name: String,
    /// In clear.
    pub password: String,
    /// May do everything.
    pub admin: bool,
}

impl fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateUser")
            .field("name", &self.name)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// `DROP USER name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropUser {
    /// Name of the user.
    pub name: String,
}

/// `SET PASSWORD FOR name = '...'`. Its `Debug` and `Display` hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct SetPassword {
    /// Name of the user.
    pub name: String,
    /// In clear.
    pub password: String,
}

impl fmt::Debug for SetPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPassword").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What may be granted on a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// `READ`
    Read,
    /// `WRITE`
    Write,
    /// `ALL [PRIVILEGES]`
    All,
}

/// `GRANT privilege ON database TO user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What is granted.
    pub privilege: Privilege,
    /// On which database.
    pub database: String,
    /// To whom.
    pub user: String,
}

/// `GRANT ALL [PRIVILEGES] TO user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantAdmin {
    /// To whom.
    pub user: String,
}

/// `REVOKE privilege ON database FROM user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    /// What is revoked.
    pub privilege: Privilege,
    /// On which database.
    pub database: String,
    /// From whom.
    pub user: String,
}

/// `REVOKE ALL [PRIVILEGES] FROM user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeAdmin {
    /// From whom.
    pub user: String,
}
