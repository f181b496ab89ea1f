//! What has to hold of a cluster: one file for each invariant, each a function of values alone.

pub mod durability;
pub mod history;
pub mod leases;
pub mod replicas;
