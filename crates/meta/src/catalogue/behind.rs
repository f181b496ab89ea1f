//! Which data nodes may lack writes that were acknowledged. Every mark has a number, and is taken away by its number: a
//! request that comes late, when the node has fallen behind anew, must not make it look whole.

use super::Catalogue;
use crate::{Behind, NodeId, command::Applied, error::CatalogueError};

impl Catalogue {
    /// Who may lack writes, and who keeps them; sorted.
    pub fn behind(&self) -> &[Behind] {
        &self.behind
    }

    /// Whether a node may lack writes that were acknowledged.
    pub fn is_behind(&self, node: NodeId) -> bool {
        self.behind.iter().any(|behind| behind.node == node)
    }

    /// The number of the mark that says so, for [`Command::ClearBehind`](crate::Command::ClearBehind).
    pub fn behind_mark(&self, node: NodeId, holder: NodeId) -> Option<u64> {
        let place = self.behind.binary_search(&Behind { node, holder }).ok()?;
        self.behind_marks.get(place).copied()
    }

    /// A mark that is there gets another number: who asks for it does not count on the old one.
    pub(super) fn mark_behind(&mut self, node: NodeId, holder: NodeId) -> Result<Applied, CatalogueError> {
        for id in [node, holder] {
            self.data_node(id).ok_or(CatalogueError::NodeNotFound(id.0))?;
        }
        self.mark_last += 1;
        let (behind, mark) = (Behind { node, holder }, self.mark_last);
        match self.behind.binary_search(&behind) {
            Ok(place) => self.behind_marks[place] = mark,
            Err(place) => {
                self.behind.insert(place, behind);
                self.behind_marks.insert(place, mark);
            }
        }
        Ok(Applied::CHANGED)
    }

    pub(super) fn clear_behind(&mut self, node: NodeId, holder: NodeId, mark: Option<u64>) -> Applied {
        let is_meant = |&place: &usize| mark.is_none_or(|mark| self.behind_marks[place] == mark);
        match self.behind.binary_search(&Behind { node, holder }).ok().filter(is_meant) {
            Some(place) => {
                self.behind.remove(place);
                self.behind_marks.remove(place);
                Applied::CHANGED
            }
            None => Applied::default(),
        }
    }

    /// Of a node that is no more. What it kept for others is lost with it, and they do not have it for that: those marks stay
    /// until the others are whole by other means.
    pub(super) fn forget_behind(&mut self, node: NodeId) {
        let stays = |behind: &Behind| behind.node != node;
        let mut places = self.behind.iter().map(stays);
        self.behind_marks.retain(|_| places.next().unwrap_or(true));
        self.behind.retain(stays);
    }
}

#[cfg(test)]
mod tests;
