//! The nodes of the cluster.

use std::collections::BTreeMap;

use skywatch_model::Clock;

use super::Catalogue;
use crate::{
    DataNode, MetaNode, NodeId,
    command::Applied,
    error::CatalogueError,
    placement::{Site, sites},
};

impl Catalogue {
    /// What the cluster is told apart by; 0 before it has a name.
    pub const fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// In order of their ids.
    pub fn meta_nodes(&self) -> &[MetaNode] {
        &self.meta_nodes
    }

    /// In order of their ids.
    pub fn data_nodes(&self) -> &[DataNode] {
        &self.data_nodes
    }

    /// The data node with this id.
    pub fn data_node(&self, id: NodeId) -> Option<&DataNode> {
        self.data_nodes.iter().find(|node| node.id == id)
    }

    /// The data node that other nodes reach at this address.
    pub fn data_node_at(&self, tcp_addr: &str) -> Option<&DataNode> {
        self.data_nodes.iter().find(|node| node.tcp_addr == tcp_addr)
    }

    pub(super) fn name_cluster(&mut self, id: u64) -> Applied {
        if self.cluster_id != 0 || id == 0 {
            return Applied::default();
        }
        self.cluster_id = id;
        Applied::CHANGED
    }

    /// Whether a node may ask for things: those of the cluster, and anybody as long as there is no cluster.
    pub(super) fn may_act(&self, id: NodeId) -> bool {
        let is_single = self.data_nodes.is_empty() && self.meta_nodes.is_empty();
        is_single || self.has_node(id)
    }

    pub(super) fn has_node(&self, id: NodeId) -> bool {
        self.data_node(id).is_some() || self.meta_nodes.iter().any(|node| node.id == id)
    }

    /// Where some of the data nodes stand, or all if none are named. A single server has none in its catalogue, and names
    /// itself.
    pub(crate) fn sites(&self, among: &[NodeId]) -> Vec<Site> {
        if self.data_nodes.is_empty() {
            return sites(among.iter().map(|&node| (node, None)));
        }
        let is_meant = |node: &&DataNode| among.is_empty() || among.contains(&node.id);
        sites(self.data_nodes.iter().filter(is_meant).map(|node| (node.id, Some(&node.labels))))
    }

    /// Takes the next number for a node. Versions of points carry it, in so many bits.
    fn number_node(&mut self) -> Result<NodeId, CatalogueError> {
        let id = self.node_id_last + 1;
        if id > u64::from(Clock::MAX_NODE) {
            return Err(CatalogueError::TooManyNodes(id));
        }
        self.node_id_last = id;
        Ok(NodeId(id))
    }

    pub(super) fn create_meta_node(
        &mut self,
        http_addr: &str,
        raft_addr: &str,
    ) -> Result<Applied, CatalogueError> {
        require_addresses(&[http_addr, raft_addr])?;
        let is_same = |node: &MetaNode| node.http_addr == http_addr || node.raft_addr == raft_addr;
        let places = 0..self.meta_nodes.len();
        let same: Vec<usize> = places.filter(|&place| is_same(&self.meta_nodes[place])).collect();
        let wanted = |id| MetaNode { id, http_addr: http_addr.to_owned(), raft_addr: raft_addr.to_owned() };
        match same[..] {
            [] => {
                let id = self.number_node()?;
                self.meta_nodes.push(wanted(id));
                Ok(Applied { node: Some(id), ..Applied::CHANGED })
            }
            [place] => {
                let known = &mut self.meta_nodes[place];
                let wanted = wanted(known.id);
                let applied =
                    Applied { node: Some(known.id), changed: *known != wanted, ..Applied::default() };
                *known = wanted;
                Ok(applied)
            }
            _ => {
                let (http_addr, raft_addr) = (http_addr.to_owned(), raft_addr.to_owned());
                Err(CatalogueError::MetaAddressTaken { http_addr, raft_addr })
            }
        }
    }

    pub(super) fn delete_meta_node(&mut self, id: NodeId) -> Result<Applied, CatalogueError> {
        let before = self.meta_nodes.len();
        self.meta_nodes.retain(|node| node.id != id);
        if self.meta_nodes.len() == before {
            return Err(CatalogueError::NodeNotFound(id.0));
        }
        self.known_levels.remove(&id);
        Ok(Applied { node: Some(id), ..Applied::CHANGED })
    }

    pub(super) fn create_data_node(
        &mut self,
        tcp_addr: &str,
        http_addr: &str,
        https: bool,
        labels: &BTreeMap<String, String>,
    ) -> Result<Applied, CatalogueError> {
        require_addresses(&[tcp_addr, http_addr])?;
        let mut wanted = DataNode {
            id: NodeId(0),
            tcp_addr: tcp_addr.to_owned(),
            http_addr: http_addr.to_owned(),
            https,
            labels: BTreeMap::new(),
        };
        set_labels(&mut wanted, labels);
        if let Some(known) = self.data_nodes.iter_mut().find(|node| node.tcp_addr == tcp_addr) {
            wanted.id = known.id;
            if labels.is_empty() {
                wanted.labels.clone_from(&known.labels);
            }
            return Ok(replace(known, wanted));
        }
        wanted.id = self.number_node()?;
        let id = wanted.id;
        self.data_nodes.push(wanted);
        Ok(Applied { node: Some(id), ..Applied::CHANGED })
    }

    /// The shards it has owned are told if nobody else owns them; see `owners.rs`. Its leases end as those of any node that
    /// does not renew them, since it may believe for a while yet that it holds them.
    pub(super) fn delete_data_node(&mut self, id: NodeId, at_ns: i64) -> Result<Applied, CatalogueError> {
        if self.data_node(id).is_none() {
            return Err(CatalogueError::NodeNotFound(id.0));
        }
        self.data_nodes.retain(|node| node.id != id);
        self.known_levels.remove(&id);
        self.forget_behind(id);
        self.write_logs.remove(&id);
        self.agree_on_write_log();
        let dropped_shards = self.disown(id, at_ns);
        Ok(Applied { node: Some(id), dropped_shards, ..Applied::CHANGED })
    }

    pub(super) fn update_data_node(
        &mut self,
        id: NodeId,
        tcp_addr: &str,
        http_addr: &str,
        https: bool,
    ) -> Result<Applied, CatalogueError> {
        let from = self.data_node(id).ok_or(CatalogueError::NodeNotFound(id.0))?.tcp_addr.clone();
        if self.data_node_at(tcp_addr).is_some_and(|other| other.id != id) {
            return Err(CatalogueError::AddressTaken { from, to: tcp_addr.into() });
        }
        require_addresses(&[tcp_addr, http_addr])?;
        let node = self.data_node_mut(id)?;
        let (tcp_addr, http_addr) = (tcp_addr.to_owned(), http_addr.to_owned());
        let wanted = DataNode { tcp_addr, http_addr, https, ..node.clone() };
        Ok(replace(node, wanted))
    }

    pub(super) fn label_data_node(
        &mut self,
        id: NodeId,
        labels: &BTreeMap<String, String>,
    ) -> Result<Applied, CatalogueError> {
        let node = self.data_node_mut(id)?;
        let mut wanted = node.clone();
        set_labels(&mut wanted, labels);
        Ok(replace(node, wanted))
    }

    fn data_node_mut(&mut self, id: NodeId) -> Result<&mut DataNode, CatalogueError> {
        self.data_nodes.iter_mut().find(|node| node.id == id).ok_or(CatalogueError::NodeNotFound(id.0))
    }
}

fn require_addresses(addresses: &[&str]) -> Result<(), CatalogueError> {
    if addresses.iter().any(|address| address.is_empty()) {
        return Err(CatalogueError::AddressRequired);
    }
    Ok(())
}

/// Gives a node labels, and takes those away whose value is empty.
fn set_labels(node: &mut DataNode, labels: &BTreeMap<String, String>) {
    for (name, value) in labels {
        if value.is_empty() {
            node.labels.remove(name);
        } else {
            node.labels.insert(name.clone(), value.clone());
        }
    }
}

fn replace(node: &mut DataNode, wanted: DataNode) -> Applied {
    let applied = Applied { node: Some(wanted.id), changed: *node != wanted, ..Applied::default() };
    *node = wanted;
    applied
}

#[cfg(test)]
mod tests;
