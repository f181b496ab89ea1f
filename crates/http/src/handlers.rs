//! One file per family of endpoints.

pub(crate) mod backup;
pub(crate) mod debug;
pub(crate) mod introspection;
pub(crate) mod ping;
pub(crate) mod query;
pub(crate) mod write;
