//! Users, continuous queries and subscriptions of the catalogue, as the query engine lists and changes them.

use skywatch_meta::{Command, Subscription};
use skywatch_query::{
    Administration, BackendError, ContinuousQueryInfo, GrantInfo, Privilege, SubscriptionInfo,
    SubscriptionMode, UserInfo,
};

use crate::{node::NodeCore, password};

impl Administration for NodeCore {
    fn users(&self) -> Result<Vec<UserInfo>, BackendError> {
        let catalogue = self.host.current();
        let info = |user: &skywatch_meta::User| UserInfo { name: user.name.clone(), admin: user.admin };
        Ok(catalogue.users().iter().map(info).collect())
    }

    fn grants(&self, user: &str) -> Result<Vec<GrantInfo>, BackendError> {
        let catalogue = self.host.current();
        let user = catalogue.user(user).ok_or(BackendError::UserNotFound)?;
        let info = |(database, privilege): (&String, &Option<skywatch_meta::Privilege>)| GrantInfo {
            database: database.clone(),
            privilege: privilege.map(told),
        };
        Ok(user.privileges.iter().map(info).collect())
    }

    fn create_user(&self, name: &str, password: &str, admin: bool) -> Result<(), BackendError> {
        let command = Command::CreateUser { name: name.into(), password: hash(password)?, admin };
        let outcome = self.execute(&command);
        let is_same = || {
            let catalogue = self.host.current();
            let user = catalogue.user(name).filter(|user| user.admin == admin);
            user.is_some_and(|user| password::verify(password, &user.password))
        };
        match outcome {
            Err(BackendError::UserExists) if is_same() => Ok(()),
            outcome => outcome,
        }
    }

    fn drop_user(&self, name: &str) -> Result<(), BackendError> {
        self.execute(&Command::DropUser { name: name.into() })
    }

    fn set_password(&self, name: &str, password: &str) -> Result<(), BackendError> {
        self.execute(&Command::SetPassword { name: name.into(), password: hash(password)? })
    }

    fn set_admin(&self, name: &str, admin: bool) -> Result<(), BackendError> {
        self.execute(&Command::SetAdmin { name: name.into(), admin })
    }

    fn grant(&self, user: &str, database: &str, privilege: Privilege) -> Result<(), BackendError> {
        let (user, database) = (user.into(), database.into());
        self.execute(&Command::Grant { user, database, privilege: kept(privilege) })
    }

    fn revoke(&self, user: &str, database: &str, privilege: Privilege) -> Result<(), BackendError> {
        let (user, database) = (user.into(), database.into());
        self.execute(&Command::Revoke { user, database, privilege: kept(privilege) })
    }

    fn continuous_queries(&self, database: &str) -> Result<Vec<ContinuousQueryInfo>, BackendError> {
        let queries = self.database(database)?.continuous_queries;
        Ok(queries.into_iter().map(|it| ContinuousQueryInfo { name: it.name, text: it.text }).collect())
    }

    fn create_continuous_query(&self, database: &str, name: &str, text: &str) -> Result<(), BackendError> {
        let (database, name, text) = (database.into(), name.into(), text.into());
        self.execute(&Command::CreateContinuousQuery { database, name, text })
    }

    fn drop_continuous_query(&self, database: &str, name: &str) -> Result<(), BackendError> {
        self.execute(&Command::DropContinuousQuery { database: database.into(), name: name.into() })
    }

    fn subscriptions(&self, database: &str) -> Result<Vec<SubscriptionInfo>, BackendError> {
        let mut found = Vec::new();
        for policy in self.database(database)?.retention_policies {
            found.extend(policy.subscriptions.into_iter().map(|subscription| SubscriptionInfo {
                retention_policy: policy.name.clone(),
                name: subscription.name,
                mode: match subscription.mode {
                    skywatch_meta::SubscriptionMode::All => SubscriptionMode::All,
                    skywatch_meta::SubscriptionMode::Any => SubscriptionMode::Any,
                },
                destinations: subscription.destinations,
            }));
        }
        Ok(found)
    }

    fn create_subscription(
        &self,
        database: &str,
        subscription: &SubscriptionInfo,
    ) -> Result<(), BackendError> {
        self.execute(&Command::CreateSubscription {
            database: database.into(),
            retention_policy: subscription.retention_policy.clone(),
            subscription: Subscription {
                name: subscription.name.clone(),
                mode: match subscription.mode {
                    SubscriptionMode::All => skywatch_meta::SubscriptionMode::All,
                    SubscriptionMode::Any => skywatch_meta::SubscriptionMode::Any,
                },
                destinations: subscription.destinations.clone(),
            },
        })
    }

    fn drop_subscription(
        &self,
        database: &str,
        retention_policy: &str,
        name: &str,
    ) -> Result<(), BackendError> {
        let (database, name) = (database.into(), name.into());
        let retention_policy = retention_policy.into();
        self.execute(&Command::DropSubscription { database, retention_policy, name })
    }
}

fn hash(password: &str) -> Result<skywatch_meta::PasswordHash, BackendError> {
    password::hash(password).map_err(|error| BackendError::Password(error.to_string()))
}

const fn kept(privilege: Privilege) -> skywatch_meta::Privilege {
    match privilege {
        Privilege::Read => skywatch_meta::Privilege::Read,
        Privilege::Write => skywatch_meta::Privilege::Write,
        Privilege::All => skywatch_meta::Privilege::All,
    }
}

const fn told(privilege: skywatch_meta::Privilege) -> Privilege {
    match privilege {
        skywatch_meta::Privilege::Read => Privilege::Read,
        skywatch_meta::Privilege::Write => Privilege::Write,
        skywatch_meta::Privilege::All => Privilege::All,
    }
}
