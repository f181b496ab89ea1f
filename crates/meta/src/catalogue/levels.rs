//! What every node of the cluster is known to understand; the scheme is told in `level.rs`.

use super::Catalogue;
use crate::{
    NodeId,
    command::{Applied, Command},
    error::CatalogueError,
    level::{FEATURE_LEVEL, FIRST_LEVEL},
};

impl Catalogue {
    /// Commands that need more are refused.
    pub const fn feature_level(&self) -> u32 {
        self.feature_level
    }

    /// The highest level that a node has announced.
    pub fn known_level(&self, node: NodeId) -> u32 {
        self.known_levels.get(&node).copied().unwrap_or(FIRST_LEVEL)
    }

    /// Whether a command may be proposed: asked by the leader about its own catalogue before it puts the command into the
    /// log. What is admitted is understood by every node, wherever in the log it lands.
    pub fn admit(&self, command: &Command) -> Result<(), CatalogueError> {
        self.admit_knowing(command, FEATURE_LEVEL)
    }

    fn admit_knowing(&self, command: &Command, known: u32) -> Result<(), CatalogueError> {
        let (needed, level) = (command.min_level(), self.feature_level);
        if needed > level {
            return Err(CatalogueError::LevelTooLow { needed, level });
        }
        match command {
            Command::RaiseFeatureLevel { level } if *level > known => {
                Err(CatalogueError::LaterRelease { level: *level, known })
            }
            _ => Ok(()),
        }
    }

    /// The level to which the catalogue can rise now, if it can.
    pub fn raisable_level(&self) -> Option<u32> {
        self.raisable_knowing(FEATURE_LEVEL)
    }

    fn raisable_knowing(&self, known: u32) -> Option<u32> {
        let common = self.node_ids().map(|node| self.known_level(node)).min()?.min(known);
        (common > self.feature_level).then_some(common)
    }

    fn node_ids(&self) -> impl Iterator<Item = NodeId> {
        let meta_nodes = self.meta_nodes.iter().map(|node| node.id);
        meta_nodes.chain(self.data_nodes.iter().map(|node| node.id))
    }

    /// A node that has gone back to an older release announces less than before.
    pub(super) fn announce_feature_level(
        &mut self,
        node: NodeId,
        level: u32,
    ) -> Result<Applied, CatalogueError> {
        if !self.has_node(node) {
            return Err(CatalogueError::NodeNotFound(node.0));
        }
        let changed = self.known_level(node) != level.max(FIRST_LEVEL);
        if level > FIRST_LEVEL {
            self.known_levels.insert(node, level);
        } else {
            self.known_levels.remove(&node);
        }
        Ok(Applied { node: Some(node), changed, ..Applied::default() })
    }

    pub(super) fn raise_feature_level(&mut self, level: u32) -> Result<Applied, CatalogueError> {
        self.raise_knowing(level, FEATURE_LEVEL)
    }

    /// What nodes have announced is looked at first: that refusal is the same on every node, whatever it knows itself.
    fn raise_knowing(&mut self, level: u32, known: u32) -> Result<Applied, CatalogueError> {
        if level <= self.feature_level {
            return Ok(Applied::default());
        }
        if let Some(node) = self.node_ids().find(|&node| self.known_level(node) < level) {
            let known = self.known_level(node);
            return Err(CatalogueError::LevelNotKnown { node: node.0, known, wanted: level });
        }
        if level > known {
            return Err(CatalogueError::LaterRelease { level, known });
        }
        self.feature_level = level;
        Ok(Applied::CHANGED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A meta node, number 1, and two data nodes.
    fn cluster() -> Catalogue {
        let mut catalogue = Catalogue::default();
        let (http_addr, raft_addr) = ("m:8091".to_owned(), "m:8089".to_owned());
        catalogue.apply(&Command::CreateMetaNode { http_addr, raft_addr }).unwrap();
        for tcp_addr in ["d1:8088", "d2:8088"] {
            let (tcp_addr, http_addr) = (tcp_addr.to_owned(), "d:8086".to_owned());
            let labels = Default::default();
            catalogue.apply(&Command::CreateDataNode { tcp_addr, http_addr, https: false, labels }).unwrap();
        }
        catalogue
    }

    fn announce(catalogue: &mut Catalogue, node: u64, level: u32) -> bool {
        let announcement = Command::AnnounceFeatureLevel { node: NodeId(node), level };
        catalogue.apply(&announcement).unwrap().changed
    }

    #[test]
    fn a_level_is_reached_once_every_node_knows_it() {
        let mut catalogue = cluster();
        assert_eq!((catalogue.feature_level(), catalogue.raisable_knowing(9)), (1, None));
        for node in [1, 3] {
            assert!(announce(&mut catalogue, node, 4));
            assert!(!announce(&mut catalogue, node, 4), "again");
        }
        assert_eq!(catalogue.raisable_knowing(9), None);
        let refusal = CatalogueError::LevelNotKnown { node: 2, known: 1, wanted: 3 };
        assert_eq!(catalogue.raise_knowing(3, 9), Err(refusal.clone()));
        assert_eq!(catalogue.raise_knowing(3, 1), Err(refusal), "the same from a node that does not know it");
        announce(&mut catalogue, 2, 3);
        assert_eq!(catalogue.raisable_knowing(9), Some(3));
        assert_eq!(catalogue.raisable_knowing(2), Some(2), "the leader knows less than the others");
        assert!(catalogue.raise_knowing(3, 9).unwrap().changed);
        assert!(!catalogue.raise_knowing(2, 9).unwrap().changed, "it never falls");
        assert_eq!((catalogue.feature_level(), catalogue.raisable_knowing(9)), (3, None));
    }

    #[test]
    fn an_older_release_neither_proposes_nor_carries_out_what_it_does_not_know() {
        let mut catalogue = cluster();
        for node in 1..=3 {
            announce(&mut catalogue, node, FEATURE_LEVEL + 1);
        }
        let raise = Command::RaiseFeatureLevel { level: FEATURE_LEVEL + 1 };
        let refusal = CatalogueError::LaterRelease { level: FEATURE_LEVEL + 1, known: FEATURE_LEVEL };
        let before = catalogue.clone();
        assert_eq!(catalogue.admit(&raise), Err(refusal.clone()));
        assert_eq!(catalogue.apply(&raise), Err(refusal));
        assert_eq!(catalogue, before);
        assert_eq!(catalogue.admit_knowing(&raise, FEATURE_LEVEL + 1), Ok(()));
    }

    #[test]
    fn what_a_node_knew_goes_with_it() {
        let mut catalogue = cluster();
        announce(&mut catalogue, 2, 5);
        catalogue.apply(&Command::DeleteDataNode { id: NodeId(2), at_ns: 1 }).unwrap();
        assert_eq!(catalogue.known_levels.len(), 0);
        let unknown = Command::AnnounceFeatureLevel { node: NodeId(2), level: 5 };
        assert_eq!(catalogue.apply(&unknown), Err(CatalogueError::NodeNotFound(2)));
        assert!(announce(&mut catalogue, 3, 5) && announce(&mut catalogue, 3, 1), "an older release again");
        assert_eq!(catalogue.known_levels.len(), 0);
    }
}
