//! The nodes of the cluster, who is behind, and leases.

use std::collections::BTreeMap;

use skywatch_model::Clock;

use super::Catalogue;
use crate::{Behind, DataNode, Lease, MetaNode, NodeId, command::Applied, error::CatalogueError};

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

    /// Who may lack writes, and who keeps them; sorted.
    pub fn behind(&self) -> &[Behind] {
        &self.behind
    }

    /// Whether a node may lack writes that were acknowledged.
    pub fn is_behind(&self, node: NodeId) -> bool {
        self.behind.iter().any(|behind| behind.node == node)
    }

    /// The lease of that name, whoever holds it.
    pub fn lease(&self, name: &str) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.name == name)
    }

    pub(super) fn name_cluster(&mut self, id: u64) -> Applied {
        if self.cluster_id != 0 || id == 0 {
            return Applied::default();
        }
        self.cluster_id = id;
        Applied::CHANGED
    }

    /// A number for a node at these addresses: as in InfluxDB that of the node of the other kind that shares one.
    fn next_node_id(&self) -> Result<u64, CatalogueError> {
        let id = self.node_id_last + 1;
        if id > u64::from(Clock::MAX_NODE) { Err(CatalogueError::TooManyNodes(id)) } else { Ok(id) }
    }

    pub(super) fn create_meta_node(
        &mut self,
        http_addr: &str,
        raft_addr: &str,
    ) -> Result<Applied, CatalogueError> {
        let known = self.meta_nodes.iter_mut().find(|node| node.raft_addr == raft_addr);
        if let Some(known) = known {
            let differs = known.http_addr != http_addr;
            http_addr.clone_into(&mut known.http_addr);
            return Ok(Applied { node: Some(known.id), changed: differs, ..Applied::default() });
        }
        let id = self.next_node_id()?;
        self.node_id_last = id;
        let id = NodeId(id);
        self.meta_nodes.push(MetaNode { id, http_addr: http_addr.into(), raft_addr: raft_addr.into() });
        Ok(Applied { node: Some(id), ..Applied::CHANGED })
    }

    pub(super) fn delete_meta_node(&mut self, id: NodeId) -> Result<Applied, CatalogueError> {
        let before = self.meta_nodes.len();
        self.meta_nodes.retain(|node| node.id != id);
        if self.meta_nodes.len() == before {
            Err(CatalogueError::NodeNotFound(id.0))
        } else {
            Ok(Applied::CHANGED)
        }
    }

    pub(super) fn create_data_node(
        &mut self,
        tcp_addr: &str,
        http_addr: &str,
        https: bool,
        labels: &BTreeMap<String, String>,
    ) -> Result<Applied, CatalogueError> {
        if let Some(known) = self.data_nodes.iter_mut().find(|node| node.tcp_addr == tcp_addr) {
            let mut next = known.clone();
            http_addr.clone_into(&mut next.http_addr);
            next.https = https;
            if !labels.is_empty() {
                next.labels.clone_from(labels);
            }
            let applied = Applied { node: Some(known.id), changed: *known != next, ..Applied::default() };
            *known = next;
            return Ok(applied);
        }
        let id = self.next_node_id()?;
        self.node_id_last = id;
        let id = NodeId(id);
        let (tcp_addr, http_addr) = (tcp_addr.to_owned(), http_addr.to_owned());
        self.data_nodes.push(DataNode { id, tcp_addr, http_addr, https, labels: labels.clone() });
        Ok(Applied { node: Some(id), ..Applied::CHANGED })
    }

    pub(super) fn delete_data_node(&mut self, id: NodeId, at_ns: i64) -> Result<Applied, CatalogueError> {
        if self.data_node(id).is_none() {
            return Err(CatalogueError::NodeNotFound(id.0));
        }
        let owned: Vec<u64> =
            self.live_shards().filter(|shard| shard.is_owned_by(id)).map(|shard| shard.id).collect();
        let mut applied = Applied { node: Some(id), ..Applied::CHANGED };
        for shard in owned {
            applied.dropped_shards.extend(self.remove_shard_owner(shard, id, at_ns)?.dropped_shards);
        }
        self.data_nodes.retain(|node| node.id != id);
        self.behind.retain(|behind| behind.node != id && behind.holder != id);
        self.leases.retain(|lease| lease.owner != id);
        Ok(applied)
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
        let node = self.data_node_mut(id)?;
        tcp_addr.clone_into(&mut node.tcp_addr);
        http_addr.clone_into(&mut node.http_addr);
        node.https = https;
        Ok(Applied { node: Some(id), ..Applied::CHANGED })
    }

    pub(super) fn label_data_node(
        &mut self,
        id: NodeId,
        labels: &BTreeMap<String, String>,
    ) -> Result<Applied, CatalogueError> {
        let node = self.data_node_mut(id)?;
        for (name, value) in labels {
            if value.is_empty() {
                node.labels.remove(name);
            } else {
                node.labels.insert(name.clone(), value.clone());
            }
        }
        Ok(Applied { node: Some(id), ..Applied::CHANGED })
    }

    fn data_node_mut(&mut self, id: NodeId) -> Result<&mut DataNode, CatalogueError> {
        self.data_nodes.iter_mut().find(|node| node.id == id).ok_or(CatalogueError::NodeNotFound(id.0))
    }

    pub(super) fn mark_behind(&mut self, node: NodeId, holder: NodeId) -> Result<Applied, CatalogueError> {
        for id in [node, holder] {
            self.data_node(id).ok_or(CatalogueError::NodeNotFound(id.0))?;
        }
        let mark = Behind { node, holder };
        match self.behind.binary_search(&mark) {
            Ok(_) => Ok(Applied::default()),
            Err(place) => {
                self.behind.insert(place, mark);
                Ok(Applied::CHANGED)
            }
        }
    }

    pub(super) fn clear_behind(&mut self, node: NodeId, holder: NodeId) -> Applied {
        match self.behind.binary_search(&Behind { node, holder }) {
            Ok(place) => {
                self.behind.remove(place);
                Applied::CHANGED
            }
            Err(_) => Applied::default(),
        }
    }

    pub(super) fn acquire_lease(
        &mut self,
        name: &str,
        owner: NodeId,
        duration_ms: u64,
        unrenewed: Option<u64>,
    ) -> Applied {
        let Some(lease) = self.leases.iter_mut().find(|lease| lease.name == name) else {
            let lease = Lease { name: name.to_owned(), owner, renewals: 1, duration_ms };
            self.leases.push(lease.clone());
            return Applied { lease: Some(lease), ..Applied::CHANGED };
        };
        if lease.owner != owner && unrenewed != Some(lease.renewals) {
            return Applied { lease: Some(lease.clone()), ..Applied::default() };
        }
        lease.owner = owner;
        lease.renewals += 1;
        lease.duration_ms = duration_ms;
        Applied { lease: Some(lease.clone()), ..Applied::CHANGED }
    }

    /// The count of renewals goes on, so that who looked at it before is not misled.
    pub(super) fn release_lease(&mut self, name: &str, owner: NodeId) -> Applied {
        match self.leases.iter_mut().find(|lease| lease.name == name && lease.owner == owner) {
            Some(lease) => {
                lease.owner = NodeId(0);
                lease.renewals += 1;
                Applied::CHANGED
            }
            None => Applied::default(),
        }
    }
}
