//! Whether what an inventory says fits together: what cannot work is an error, what works badly a warning, and what can
//! be told in figures a hint.

mod copies;
mod network;
mod services;
mod sizing;

use crate::{cloud::Cloud, problem::Problems};

/// Notes all that does not fit.
pub(crate) fn check(cloud: &Cloud, problems: &mut Problems) {
    network::check(cloud, problems);
    services::check(cloud, problems);
    copies::check(cloud, problems);
    sizing::check(cloud, problems);
}

/// The path of a host's key.
fn key_of(host: &crate::cloud::Host, key: &str) -> String {
    format!("hosts.{}.{key}", host.name)
}
