//! From one inventory of a cloud to everything that is copied to its hosts.
//!
//! [`inventory::read`] checks the inventory and makes a [`cloud::Cloud`] of it; with [`Secrets`] and certificates that is a
//! [`Plan`]; [`render`] makes files of the plan, without looking at anything else; [`output::write`] is the only one that
//! touches the disk.

mod agents;
pub mod certificates;
mod check;
pub mod cloud;
mod diff;
mod file;
mod formation;
mod grafana;
mod haproxy;
pub mod inventory;
mod kafka;
mod keepalived;
pub mod output;
pub mod place;
mod plan;
mod problem;
mod renderers;
mod runbook;
mod secrets;
mod services;
mod skywatch;
mod system;
mod units;
pub mod verify;
mod zookeeper;

pub use diff::diff;
pub use file::RenderedFile;
pub use plan::{Certificates, Identity, Plan, paths};
pub use problem::{Problem, Problems, Severity};
pub use renderers::render;
pub use secrets::{Secrets, SecretsError};
