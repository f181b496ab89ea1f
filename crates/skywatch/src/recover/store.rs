//! Puts the new store in the place of the old one, which is kept beside it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rand::Rng;
use skywatch_meta_node::{Directory, Member, NUMBER_MAX, Remains, begin_anew};

/// Where the new store is made, below the meta node's directory.
const MAKING: &str = "recovering";

/// What was done.
#[derive(Debug)]
pub(super) struct Written {
    /// Where the old store is now, if there was one.
    pub(super) aside: Option<PathBuf>,
}

/// Makes the store in `dir`. Until the last step the old one is in its place; then the new one is.
pub(super) fn write(dir: &Path, remains: &Remains, member: Member) -> Result<Written> {
    let (old, making) = (Directory::new(dir).file(), dir.join(MAKING));
    match fs::remove_dir_all(&making) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", making.display()));
        }
        _ => {}
    }
    let new = Directory::new(&making);
    begin_anew(&new, remains, member, rand::rng().random_range(1..=NUMBER_MAX))?;
    let new = new.file();
    give_to_owner_of(dir, &new)?;
    let aside = old.exists().then(|| old.with_extension(format!("redb.before-{}", now())));
    if let Some(aside) = &aside {
        fs::hard_link(&old, aside)
            .with_context(|| format!("cannot keep {} as {}", old.display(), aside.display()))?;
    }
    fs::rename(&new, &old)
        .and_then(|()| fs::remove_dir(&making))
        .and_then(|()| File::open(dir)?.sync_all())
        .with_context(|| format!("cannot put the new store in place as {}", old.display()))?;
    Ok(Written { aside })
}

/// A service often runs as another user than whoever recovers it.
fn give_to_owner_of(dir: &Path, file: &Path) -> Result<()> {
    let owner = fs::metadata(dir).with_context(|| dir.display().to_string())?;
    let own = fs::metadata(file).with_context(|| file.display().to_string())?;
    if (owner.uid(), owner.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    chown(file, Some(owner.uid()), Some(owner.gid()))
        .with_context(|| format!("cannot give {} to the owner of {}", file.display(), dir.display()))
}

/// For names of files.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skywatch_meta::{Catalogue, Command};

    use super::*;

    fn member(name: &str) -> Member {
        Member { http_addr: format!("{name}:8091"), raft_addr: format!("{name}:8089") }
    }

    #[test]
    fn the_old_store_is_kept_and_what_was_left_half_done_is_done_again() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().join("meta");
        let mut catalogue = Catalogue::default();
        catalogue.apply(&Command::NameCluster { id: 7 }).unwrap();
        catalogue.apply(&Command::CreateDatabase { name: "db".to_owned(), policy: None }).unwrap();
        let remains = Remains { index: 5, catalogue: Arc::new(catalogue) };
        assert_eq!(write(&dir, &remains, member("m1")).unwrap().aside, None);
        let first = skywatch_meta_node::remains(&Directory::new(&dir)).unwrap().unwrap();
        assert_eq!(first.catalogue.meta_nodes().len(), 1);
        assert!(first.index > 5 && first.catalogue.database("db").is_some());

        fs::create_dir_all(dir.join(MAKING)).unwrap();
        fs::write(dir.join(MAKING).join("raft.redb"), "half").unwrap();
        let aside = write(&dir, &first, member("m2")).unwrap().aside.expect("there was one");
        let second = skywatch_meta_node::remains(&Directory::new(&dir)).unwrap().unwrap();
        assert_eq!(second.catalogue.meta_nodes()[0].http_addr, "m2:8091");
        assert!(second.index > first.index && aside.is_file() && !dir.join(MAKING).exists());
    }
}
