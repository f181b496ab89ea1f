//! Users, continuous queries and subscriptions, as the query engine lists and changes them.

use skywatch_influxql::{Privilege, SubscriptionMode};

use super::BackendError;

/// A user as `SHOW USERS` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// Unique.
    pub name: String,
    /// May do everything.
    pub admin: bool,
}

/// What a user may do with one database, as `SHOW GRANTS` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantInfo {
    /// The database.
    pub database: String,
    /// `None` once everything has been revoked.
    pub privilege: Option<Privilege>,
}

/// A continuous query as `SHOW CONTINUOUS QUERIES` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContinuousQueryInfo {
    /// Unique within its database.
    pub name: String,
    /// The statement, every source and the target with database and policy.
    pub text: String,
}

/// A subscription as `SHOW SUBSCRIPTIONS` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionInfo {
    /// Whose writes are forwarded.
    pub retention_policy: String,
    /// Unique within its policy.
    pub name: String,
    /// To every destination, or to one.
    pub mode: SubscriptionMode,
    /// URLs.
    pub destinations: Vec<String>,
}

/// The part of a node that keeps users, continuous queries and subscriptions. A node without them takes the defaults:
/// it lists none and says that it has none to change.
pub trait Administration {
    /// Users in the order they were created.
    fn users(&self) -> Result<Vec<UserInfo>, BackendError> {
        Ok(Vec::new())
    }

    /// What a user may do with which database.
    fn grants(&self, _user: &str) -> Result<Vec<GrantInfo>, BackendError> {
        Err(BackendError::UserNotFound)
    }

    /// Adds a user. Adding it again with the same password and rights is no error, as in InfluxDB.
    fn create_user(&self, _name: &str, _password: &str, _admin: bool) -> Result<(), BackendError> {
        Err(NO_USERS)
    }

    /// Removes a user.
    fn drop_user(&self, _name: &str) -> Result<(), BackendError> {
        Err(NO_USERS)
    }

    /// Changes a user's password.
    fn set_password(&self, _name: &str, _password: &str) -> Result<(), BackendError> {
        Err(NO_USERS)
    }

    /// Makes a user an administrator, or no longer one.
    fn set_admin(&self, _name: &str, _admin: bool) -> Result<(), BackendError> {
        Err(NO_USERS)
    }

    /// Gives a user a privilege on a database, in place of what it had there.
    fn grant(&self, _user: &str, _database: &str, _privilege: Privilege) -> Result<(), BackendError> {
        Err(NO_USERS)
    }

    /// Takes a privilege on a database from a user.
    fn revoke(&self, _user: &str, _database: &str, _privilege: Privilege) -> Result<(), BackendError> {
        Err(NO_USERS)
    }

    /// Continuous queries of a database, in the order they were created.
    fn continuous_queries(&self, _database: &str) -> Result<Vec<ContinuousQueryInfo>, BackendError> {
        Ok(Vec::new())
    }

    /// Adds a continuous query; again with the same text is no error.
    fn create_continuous_query(&self, _database: &str, _name: &str, _text: &str) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("CONTINUOUS QUERY"))
    }

    /// Removes a continuous query; an unknown one is no error, as in InfluxDB.
    fn drop_continuous_query(&self, _database: &str, _name: &str) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("CONTINUOUS QUERY"))
    }

    /// Subscriptions of all retention policies of a database, in the order they were created.
    fn subscriptions(&self, _database: &str) -> Result<Vec<SubscriptionInfo>, BackendError> {
        Ok(Vec::new())
    }

    /// Adds a subscription.
    fn create_subscription(
        &self,
        _database: &str,
        _subscription: &SubscriptionInfo,
    ) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("SUBSCRIPTION"))
    }

    /// Removes a subscription.
    fn drop_subscription(
        &self,
        _database: &str,
        _retention_policy: &str,
        _name: &str,
    ) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("SUBSCRIPTION"))
    }
}

const NO_USERS: BackendError = BackendError::Unsupported("user management");
