//! Logging in: passwords are checked against the catalogue, and those that were right are remembered.
//!
//! A hash is slow on purpose. It is computed once for each user and change of password; after that a salted SHA-256 in
//! memory answers, as in InfluxDB. What is remembered holds only for the very hash that the catalogue has now, so that a
//! changed password, a dropped user or one made anew under the same name counts at once.
//!
//! Nothing tells by its time whether a user exists: each way computes and compares the same for somebody unknown.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use skywatch_meta::{Catalogue, PasswordHash, Privilege as Granted, User};
use skywatch_query::{Privilege, UserRights};
use subtle::ConstantTimeEq;

use crate::{Node, password};

/// Who may log in.
pub trait Accounts: Send + Sync {
    /// Whether there is an administrator. Before there is one nobody can log in.
    fn has_admin(&self) -> bool;

    /// A user whose name is known to be right, as by a signed token.
    fn user(&self, name: &str) -> Option<Arc<UserRights>>;

    /// The user, if this password has been found right before. Quick.
    fn recall(&self, name: &str, password: &str) -> Option<Arc<UserRights>>;

    /// The user, if the password is right. Takes a processor for some 50 ms: blocking.
    fn verify(&self, name: &str, password: &str) -> Option<Arc<UserRights>>;

    /// Whether a database exists. InfluxDB says so before it asks for rights.
    fn has_database(&self, name: &str) -> bool;
}

impl Accounts for Node {
    fn has_admin(&self) -> bool {
        self.core.host.current().has_admin()
    }

    fn user(&self, name: &str) -> Option<Arc<UserRights>> {
        self.core.host.current().user(name).map(rights)
    }

    fn recall(&self, name: &str, password: &str) -> Option<Arc<UserRights>> {
        let catalogue = self.core.host.current();
        let user = catalogue.user(name);
        let is_right = self.core.verified.recall(user, password);
        user.filter(|_| is_right).map(rights)
    }

    fn verify(&self, name: &str, password: &str) -> Option<Arc<UserRights>> {
        let catalogue = self.core.host.current();
        let user = catalogue.user(name);
        let nobody = PasswordHash::new(NOBODY);
        let is_right = password::verify(password, user.map_or(&nobody, |user| &user.password));
        let user = user.filter(|_| is_right)?;
        self.core.verified.remember(&catalogue, user, password);
        Some(rights(user))
    }

    fn has_database(&self, name: &str) -> bool {
        self.core.host.current().database(name).is_some()
    }
}

/// What is hashed in place of somebody unknown: the hash of a password that was thrown away, of the cost of every other.
const NOBODY: &str = "$2b$10$yUa2Zk/xf3aaENlYQcoLhuYNnGYEsHWuu6g4V7tdQVdmSEicf6hNK";

fn rights(user: &User) -> Arc<UserRights> {
    let told = |(database, held): (&String, &Option<Granted>)| {
        let privilege = match held.as_ref()? {
            Granted::Read => Privilege::Read,
            Granted::Write => Privilege::Write,
            Granted::All => Privilege::All,
        };
        Some((database.clone(), privilege))
    };
    Arc::new(UserRights {
        name: user.name.clone(),
        admin: user.admin,
        privileges: user.privileges.iter().filter_map(told).collect(),
    })
}

/// Passwords that were found right, as salted SHA-256; at most one for each user of the catalogue.
#[derive(Debug, Default)]
pub(crate) struct VerifiedPasswords {
    by_user: Mutex<HashMap<String, Verified>>,
}

#[derive(Clone)]
struct Verified {
    /// What it was found right against.
    hash: PasswordHash,
    salt: [u8; 16],
    digest: [u8; 32],
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verified(..)")
    }
}

impl VerifiedPasswords {
    fn recall(&self, user: Option<&User>, password: &str) -> bool {
        let known = user.and_then(|user| {
            let by_user = self.by_user.lock();
            by_user.get(&user.name).filter(|known| known.hash == user.password).cloned()
        });
        let (salt, digest) = known.as_ref().map_or(([0; 16], [0; 32]), |known| (known.salt, known.digest));
        let is_same: bool = digest_of(salt, password).ct_eq(&digest).into();
        is_same && known.is_some()
    }

    fn remember(&self, catalogue: &Catalogue, user: &User, password: &str) {
        let salt = rand::random();
        let verified = Verified { hash: user.password.clone(), salt, digest: digest_of(salt, password) };
        let mut by_user = self.by_user.lock();
        by_user.insert(user.name.clone(), verified);
        // Whoever is gone, or has another password now, needs no place.
        by_user.retain(|name, known| catalogue.user(name).is_some_and(|user| user.password == known.hash));
    }
}

fn digest_of(salt: [u8; 16], password: &str) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(password).finalize().into()
}

#[cfg(test)]
mod tests {
    use skywatch_meta::Command;

    use super::*;

    fn catalogue(commands: &[Command]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        commands.iter().for_each(|command| drop(catalogue.apply(command).unwrap()));
        catalogue
    }

    fn create(name: &str, hash: &str) -> Command {
        Command::CreateUser { name: name.into(), password: PasswordHash::new(hash), admin: false }
    }

    #[test]
    fn only_the_password_that_was_right_is_recalled_and_only_for_its_hash() {
        let catalogue = catalogue(&[create("a", "hash of a"), create("b", "hash of b")]);
        let (a, b) = (catalogue.user("a").unwrap(), catalogue.user("b").unwrap());
        let verified = VerifiedPasswords::default();
        assert!(!verified.recall(Some(a), "secret"));
        verified.remember(&catalogue, a, "secret");
        assert!(verified.recall(Some(a), "secret"));
        assert!(!verified.recall(Some(a), "Secret") && !verified.recall(Some(a), ""));
        assert!(!verified.recall(Some(b), "secret") && !verified.recall(None, "secret"));
        let changed = User { password: PasswordHash::new("another hash"), ..a.clone() };
        assert!(!verified.recall(Some(&changed), "secret"));
    }

    #[test]
    fn there_is_one_place_for_each_user_there_is() {
        let verified = VerifiedPasswords::default();
        let mut catalogue = catalogue(&[create("a", "1"), create("b", "2"), create("c", "3")]);
        for user in catalogue.users() {
            verified.remember(&catalogue, user, "x");
            verified.remember(&catalogue, user, "y");
        }
        assert_eq!(verified.by_user.lock().len(), 3);
        catalogue.apply(&Command::DropUser { name: "a".into() }).unwrap();
        let set = Command::SetPassword { name: "b".into(), password: PasswordHash::new("4") };
        catalogue.apply(&set).unwrap();
        verified.remember(&catalogue, catalogue.user("c").unwrap(), "z");
        assert_eq!(verified.by_user.lock().keys().collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn somebody_unknown_costs_what_a_wrong_password_costs() {
        let cost = |hash: &PasswordHash| hash.as_str().parse::<bcrypt::HashParts>().unwrap().get_cost();
        assert_eq!(cost(&PasswordHash::new(NOBODY)), cost(&password::hash("x").unwrap()));
    }

    #[test]
    fn nothing_of_a_password_is_told_by_debug() {
        let verified = VerifiedPasswords::default();
        let catalogue = catalogue(&[create("a", "h4sh")]);
        verified.remember(&catalogue, catalogue.user("a").unwrap(), "secret");
        assert_eq!(format!("{verified:?}").matches("Verified(..)").count(), 1);
    }
}
