//! Users and their privileges.

use std::collections::BTreeMap;

use super::Catalogue;
use crate::{
    command::Applied,
    error::CatalogueError,
    user::{PasswordHash, Privilege, User},
};

impl Catalogue {
    /// Users in the order they were created.
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// The user called `name`.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Whether there is an administrator. Until there is, nobody can log in to make one.
    pub fn has_admin(&self) -> bool {
        self.users.iter().any(|user| user.admin)
    }

    pub(super) fn create_user(
        &mut self,
        name: &str,
        password: &PasswordHash,
        admin: bool,
    ) -> Result<Applied, CatalogueError> {
        if name.is_empty() {
            return Err(CatalogueError::UsernameRequired);
        }
        if self.user(name).is_some() {
            return Err(CatalogueError::UserExists);
        }
        let (name, password) = (name.to_owned(), password.clone());
        self.users.push(User { name, password, admin, privileges: BTreeMap::new() });
        Ok(Applied::CHANGED)
    }

    pub(super) fn drop_user(&mut self, name: &str) -> Result<Applied, CatalogueError> {
        let index = self.users.iter().position(|user| user.name == name);
        self.users.remove(index.ok_or(CatalogueError::UserNotFound)?);
        Ok(Applied::CHANGED)
    }

    pub(super) fn set_password(
        &mut self,
        name: &str,
        password: &PasswordHash,
    ) -> Result<Applied, CatalogueError> {
        let user = self.user_mut(name)?;
        let changed = user.password != *password;
        user.password.clone_from(password);
        Ok(Applied { changed, ..Applied::default() })
    }

    pub(super) fn set_admin(&mut self, name: &str, admin: bool) -> Result<Applied, CatalogueError> {
        let user = self.user_mut(name)?;
        let changed = user.admin != admin;
        user.admin = admin;
        Ok(Applied { changed, ..Applied::default() })
    }

    pub(super) fn grant(
        &mut self,
        user: &str,
        database: &str,
        privilege: Privilege,
    ) -> Result<Applied, CatalogueError> {
        self.change_privilege(user, database, |_| Some(privilege))
    }

    pub(super) fn revoke(
        &mut self,
        user: &str,
        database: &str,
        privilege: Privilege,
    ) -> Result<Applied, CatalogueError> {
        self.change_privilege(user, database, |held| held.and_then(|held| held.without(privilege)))
    }

    /// As in InfluxDB an unknown user is told before an unknown database.
    fn change_privilege(
        &mut self,
        user: &str,
        database: &str,
        change: impl FnOnce(Option<Privilege>) -> Option<Privilege>,
    ) -> Result<Applied, CatalogueError> {
        let is_known = self.database(database).is_some();
        let user = self.user_mut(user)?;
        if !is_known {
            return Err(CatalogueError::DatabaseNotFound(database.to_owned()));
        }
        let held = user.privileges.get(database).copied();
        let wanted = change(held.flatten());
        user.privileges.insert(database.to_owned(), wanted);
        Ok(Applied { changed: held != Some(wanted), ..Applied::default() })
    }

    /// A database that is made again under the same name belongs to nobody.
    pub(super) fn forget_privileges(&mut self, database: &str) {
        for user in &mut self.users {
            user.privileges.remove(database);
        }
    }

    fn user_mut(&mut self, name: &str) -> Result<&mut User, CatalogueError> {
        self.users.iter_mut().find(|user| user.name == name).ok_or(CatalogueError::UserNotFound)
    }
}
