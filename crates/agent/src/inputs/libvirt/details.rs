//! What a domain is, rather than what it does: its title and what OpenStack's nova noted about it.
//!
//! Each takes a call per domain and hardly ever changes, so a worker remembers it for a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Until it is read again.
const AGE_MAX: Duration = Duration::from_secs(300);
/// Domains read again in one gather, at most; new ones are read at once.
const REFRESHED_MAX: usize = 32;

/// Of one domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) title: Option<String>,
    pub(super) nova: Option<Nova>,
}

/// The instance as OpenStack knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Nova {
    pub(super) name: Option<String>,
    pub(super) flavor: Option<String>,
    pub(super) project: Option<String>,
    pub(super) project_id: Option<String>,
}

impl Nova {
    /// Reads `<instance>`, of which libvirt has removed the namespace. `None` unless it is XML.
    pub(super) fn parse(xml: &str) -> Option<Self> {
        let document = roxmltree::Document::parse(xml).ok()?;
        let root = document.root_element();
        let child = |node: roxmltree::Node<'_, '_>, name: &str| {
            node.children().find(|child| child.tag_name().name() == name).map(|child| child.id())
        };
        let get = |id: Option<roxmltree::NodeId>| id.and_then(|id| document.get_node(id));
        let text = |node: Option<roxmltree::Node<'_, '_>>| {
            node?.text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let attribute =
            |node: Option<roxmltree::Node<'_, '_>>, name: &str| Some(node?.attribute(name)?.to_owned());
        let owner = get(child(root, "owner"));
        let project = owner.and_then(|owner| get(child(owner, "project")));
        Some(Self {
            name: text(get(child(root, "name"))),
            flavor: attribute(get(child(root, "flavor")), "name"),
            project: text(project),
            project_id: attribute(project, "uuid"),
        })
    }
}

/// What is remembered, by UUID.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    domains: HashMap<String, (Arc<Details>, Instant)>,
    refreshed: usize,
}

impl Remembered {
    /// A new gather begins.
    pub(super) fn begin(&mut self) {
        self.refreshed = 0;
    }

    /// A domain's details, read by `read` if they are not known or old.
    pub(super) fn get<E>(
        &mut self,
        uuid: &str,
        now: Instant,
        read: impl FnOnce() -> Result<Details, E>,
    ) -> Result<Arc<Details>, E> {
        if let Some((details, read_at)) = self.domains.get(uuid) {
            let fresh = now.saturating_duration_since(*read_at) < AGE_MAX;
            if fresh || self.refreshed >= REFRESHED_MAX {
                return Ok(Arc::clone(details));
            }
            self.refreshed += 1;
        }
        let details = Arc::new(read()?);
        self.domains.insert(uuid.to_owned(), (Arc::clone(&details), now));
        Ok(details)
    }

    /// Forgets domains that exist no more.
    pub(super) fn retain(&mut self, present: impl Fn(&str) -> bool) {
        self.domains.retain(|uuid, _| present(uuid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nova_as_libvirt_returns_it() {
        // `virsh metadata` of a domain that nova made, shortened.
        let xml = "<instance>\n  <package version=\"25.1.0\"/>\n  <name>shop &amp; co</name>\n  \
                   <flavor name=\"m1.small\">\n    <memory>64</memory>\n  </flavor>\n  <owner>\n    \
                   <user uuid=\"6d1b\">alice</user>\n    <project uuid=\"0a1b\">demo</project>\n  </owner>\n</instance>";
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            Nova::parse(xml),
            Some(Nova {
                name: text("shop & co"),
                flavor: text("m1.small"),
                project: text("demo"),
                project_id: text("0a1b"),
            })
        );
        assert_eq!(Nova::parse("<instance/>"), Some(Nova::default()));
        assert_eq!(Nova::parse("<instance><name> </name></instance>"), Some(Nova::default()));
        for bad in ["", "nova", "<instance>", "<a/><b/>"] {
            assert_eq!(Nova::parse(bad), None, "{bad:?}");
        }
    }

    fn titled(title: &str) -> Result<Details, ()> {
        Ok(Details { title: Some(title.to_owned()), nova: None })
    }

    #[test]
    fn details_are_read_once_in_a_while() {
        let start = Instant::now();
        let mut remembered = Remembered::default();
        let title = |details: Arc<Details>| details.title.clone().unwrap_or_default();
        assert_eq!(remembered.get("u", start, || titled("a")).map(title), Ok("a".to_owned()));
        let never = || -> Result<Details, ()> { panic!("known") };
        assert_eq!(remembered.get("u", start, never).map(title), Ok("a".to_owned()));
        let later = start + AGE_MAX;
        assert_eq!(remembered.get("u", later, || titled("b")).map(title), Ok("b".to_owned()));
        assert_eq!(remembered.get("v", later, || Err(())), Err(()), "a failure is not remembered");
        assert_eq!(remembered.get("v", later, || titled("c")).map(title), Ok("c".to_owned()));
        remembered.retain(|uuid| uuid == "v");
        assert_eq!(remembered.get("u", later, || titled("d")).map(title), Ok("d".to_owned()));
    }

    #[test]
    fn few_are_read_again_at_a_time() {
        let start = Instant::now();
        let mut remembered = Remembered::default();
        for n in 0..100 {
            remembered.get(&n.to_string(), start, || titled("old")).expect("read");
        }
        let mut left: usize = 100;
        while left > 0 {
            remembered.begin();
            let mut read = 0;
            for n in 0..100 {
                let again = || {
                    read += 1;
                    titled("new")
                };
                remembered.get(&n.to_string(), start + AGE_MAX, again).expect("read");
            }
            assert_eq!(read, left.min(REFRESHED_MAX));
            left -= read;
        }
    }
}
