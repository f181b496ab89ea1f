//! Names of users, from `/etc/passwd`.

use std::collections::BTreeMap;

use crate::input::read_text;
use crate::paths::HostPaths;

/// Names by number.
#[derive(Debug, Default)]
pub(super) struct Users(BTreeMap<u32, String>);

/// The name of the user who runs this.
pub(super) fn own_name(paths: &HostPaths) -> String {
    Users::read(paths).name(rustix::process::geteuid().as_raw())
}

impl Users {
    /// The host's users; none where the file cannot be read.
    pub(super) fn read(paths: &HostPaths) -> Self {
        Self::parse(&read_text(&paths.etc("passwd")).unwrap_or_default())
    }

    /// Lines such as `root:x:0:0:root:/root:/bin/bash`; the first of a number counts.
    fn parse(passwd: &str) -> Self {
        let mut names = BTreeMap::new();
        for line in passwd.lines() {
            let mut parts = line.split(':');
            if let (Some(name), Some(Ok(uid))) = (parts.next(), parts.nth(1).map(str::parse)) {
                names.entry(uid).or_insert_with(|| name.to_owned());
            }
        }
        Self(names)
    }

    /// The name, or the number of a user without one here.
    pub(super) fn name(&self, uid: u32) -> String {
        self.0.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let users =
            Users::parse("root:x:0:0::/:\ntoor:x:0:0::/:\ngarbage\nann:x:1000:1000::/home/ann:/bin/sh\n");
        assert_eq!(users.name(0), "root");
        assert_eq!(users.name(1000), "ann");
        assert_eq!(users.name(64055), "64055");
    }
}
