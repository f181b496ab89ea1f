//! Feature levels: how a cluster is upgraded node by node although its log and its catalogue are read by every release in it.
//!
//! Each release knows the levels up to [`FEATURE_LEVEL`]. The catalogue has one level, which only rises, and it rises by a
//! command like all others, so that every node changes over at the same place of the log:
//!
//! 1. A node that starts says what it knows ([`Command::AnnounceFeatureLevel`]), unless the catalogue says the same of it. Of
//!    one that has said nothing it is assumed that it knows the first level.
//! 2. The leader asks [`Catalogue::raisable_level`] now and then, and proposes [`Command::RaiseFeatureLevel`] once every
//!    node, meta and data, has announced that level.
//! 3. Before it proposes anything else it asks [`Catalogue::admit`]: what needs more than the catalogue's level is refused.
//!    The level never falls, so what was admitted can be carried out wherever it lands in the log.
//!
//! A command, or a field of one, that a release adds gets the next level in [`Command::min_level`]. A record that a command
//! of that level adds to the catalogue is left out of the encoding while it has its default value: at an equal level all
//! releases write equal bytes. What an old release would have to change in the way it carries out an *existing* command asks
//! for a level of its own too, looked up in the catalogue when the command is carried out.
//!
//! A node that is behind all of this (an old release started again after the level had risen) does not read the catalogue
//! ([`DecodeError::Level`](crate::DecodeError)) or meets [`CatalogueError::LaterRelease`], and must stop.

use crate::Command;
#[cfg(doc)]
use crate::{Catalogue, CatalogueError};

/// The highest level this release knows.
pub const FEATURE_LEVEL: u32 = BARE_DATABASE_LEVEL;

/// The level of commands about a log that writes go through.
pub(crate) const WRITE_LOG_LEVEL: u32 = 2;

/// The level of [`Command::CreateBareDatabase`].
pub(crate) const BARE_DATABASE_LEVEL: u32 = 3;

/// The level of a catalogue whose cluster has never risen, and what a node knows that has announced nothing.
pub(crate) const FIRST_LEVEL: u32 = 1;

impl Command {
    /// The lowest level of the catalogue at which the command may be proposed, see [`level`](crate::FEATURE_LEVEL). A
    /// command that is added has to be entered here; so has one that gets another field, for the values that need it.
    pub const fn min_level(&self) -> u32 {
        match self {
            Self::CreateDatabase { .. }
            | Self::DropDatabase { .. }
            | Self::CreateRetentionPolicy { .. }
            | Self::AlterRetentionPolicy { .. }
            | Self::DropRetentionPolicy { .. }
            | Self::CreateShardGroup { .. }
            | Self::DeleteShardGroup { .. }
            | Self::DropShard { .. }
            | Self::ReserveShards { .. }
            | Self::AdoptDatabase { .. }
            | Self::CreateContinuousQuery { .. }
            | Self::DropContinuousQuery { .. }
            | Self::CreateSubscription { .. }
            | Self::DropSubscription { .. }
            | Self::CreateUser { .. }
            | Self::DropUser { .. }
            | Self::SetPassword { .. }
            | Self::SetAdmin { .. }
            | Self::Grant { .. }
            | Self::Revoke { .. }
            | Self::NameCluster { .. }
            | Self::CreateMetaNode { .. }
            | Self::DeleteMetaNode { .. }
            | Self::CreateDataNode { .. }
            | Self::DeleteDataNode { .. }
            | Self::UpdateDataNode { .. }
            | Self::LabelDataNode { .. }
            | Self::TruncateShardGroups { .. }
            | Self::AddShardOwner { .. }
            | Self::ConfirmShardOwner { .. }
            | Self::RemoveShardOwner { .. }
            | Self::MarkBehind { .. }
            | Self::ClearBehind { .. }
            | Self::AcquireLease { .. }
            | Self::ReleaseLease { .. }
            | Self::AnnounceFeatureLevel { .. }
            | Self::RaiseFeatureLevel { .. }
            | Self::PruneShardGroups { .. } => FIRST_LEVEL,
            Self::AnnounceWriteLog { .. } | Self::CreateLoggedShardGroup { .. } => WRITE_LOG_LEVEL,
            Self::CreateBareDatabase { .. } => BARE_DATABASE_LEVEL,
        }
    }
}
