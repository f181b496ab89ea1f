//! What a database does on its own: continuous queries, and subscriptions of its retention policies.

use super::{Catalogue, destination::is_destination};
use crate::{
    command::Applied,
    error::CatalogueError,
    records::{ContinuousQuery, Subscription},
};

impl Catalogue {
    pub(super) fn create_continuous_query(
        &mut self,
        database: &str,
        name: &str,
        text: &str,
    ) -> Result<Applied, CatalogueError> {
        let queries = &mut self.database_mut(database)?.continuous_queries;
        if let Some(known) = queries.iter().find(|query| query.name == name) {
            return if known.text.to_lowercase() == text.to_lowercase() {
                Ok(Applied::default())
            } else {
                Err(CatalogueError::ContinuousQueryExists)
            };
        }
        queries.push(ContinuousQuery { name: name.to_owned(), text: text.to_owned() });
        Ok(Applied::CHANGED)
    }

    pub(super) fn drop_continuous_query(&mut self, database: &str, name: &str) -> Applied {
        let Ok(database) = self.database_mut(database) else { return Applied::default() };
        let before = database.continuous_queries.len();
        database.continuous_queries.retain(|query| query.name != name);
        Applied { changed: database.continuous_queries.len() != before, ..Applied::default() }
    }

    /// As in InfluxDB the destinations are looked at first.
    pub(super) fn create_subscription(
        &mut self,
        database: &str,
        retention_policy: &str,
        subscription: &Subscription,
    ) -> Result<Applied, CatalogueError> {
        if let Some(url) = subscription.destinations.iter().find(|url| !is_destination(url)) {
            return Err(CatalogueError::InvalidSubscriptionUrl(url.clone()));
        }
        let subscriptions = self.subscriptions_mut(database, retention_policy)?;
        if subscriptions.iter().any(|known| known.name == subscription.name) {
            return Err(CatalogueError::SubscriptionExists);
        }
        subscriptions.push(subscription.clone());
        Ok(Applied::CHANGED)
    }

    pub(super) fn drop_subscription(
        &mut self,
        database: &str,
        retention_policy: &str,
        name: &str,
    ) -> Result<Applied, CatalogueError> {
        let subscriptions = self.subscriptions_mut(database, retention_policy)?;
        let index = subscriptions.iter().position(|subscription| subscription.name == name);
        subscriptions.remove(index.ok_or(CatalogueError::SubscriptionNotFound)?);
        Ok(Applied::CHANGED)
    }

    /// An empty name is no policy here: not the default one.
    fn subscriptions_mut(
        &mut self,
        database: &str,
        retention_policy: &str,
    ) -> Result<&mut Vec<Subscription>, CatalogueError> {
        Ok(&mut self.policy_mut(database, retention_policy)?.subscriptions)
    }
}
