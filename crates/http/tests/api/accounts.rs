//! Users of the fake engine: `root`, `reader` and `writer`, each with the password `pw`.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use skywatch_cluster::Accounts;
use skywatch_query::{Privilege, UserRights};

#[derive(Debug, Default)]
pub(crate) struct FakeAccounts {
    has_admin: AtomicBool,
    verified: AtomicU64,
    known: Mutex<BTreeSet<String>>,
}

impl FakeAccounts {
    pub(crate) fn set_has_admin(&self, has_admin: bool) {
        self.has_admin.store(has_admin, Ordering::SeqCst);
    }

    /// Passwords checked so far.
    pub(crate) fn verified(&self) -> u64 {
        self.verified.load(Ordering::SeqCst)
    }
}

impl Accounts for FakeAccounts {
    fn has_admin(&self) -> bool {
        self.has_admin.load(Ordering::SeqCst)
    }

    fn user(&self, name: &str) -> Option<Arc<UserRights>> {
        let privilege = match name {
            "root" => None,
            "reader" => Some(Privilege::Read),
            "writer" => Some(Privilege::Write),
            _ => return None,
        };
        let privileges = privilege.map(|held| ("db0".to_owned(), held)).into_iter().collect();
        Some(Arc::new(UserRights { name: name.to_owned(), admin: name == "root", privileges }))
    }

    fn recall(&self, name: &str, password: &str) -> Option<Arc<UserRights>> {
        let is_known = password == "pw" && self.known.lock().unwrap().contains(name);
        self.user(name).filter(|_| is_known)
    }

    fn verify(&self, name: &str, password: &str) -> Option<Arc<UserRights>> {
        self.verified.fetch_add(1, Ordering::SeqCst);
        let user = self.user(name).filter(|_| password == "pw")?;
        self.known.lock().unwrap().insert(name.to_owned());
        Some(user)
    }

    fn has_database(&self, name: &str) -> bool {
        name != "nope"
    }
}
