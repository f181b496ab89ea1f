//! `kafka`: the state of a Kafka cluster and how far its consumers are behind, asked of the brokers themselves.
//!
//! The original has nothing of the kind. It speaks Kafka's protocol by a few requests of its own ([`requests`]): one
//! connection to each broker and one answer of each kind, however many topics and groups there are, and a broker that
//! is dead costs nothing but what it alone knows.

mod cluster;
mod connection;
mod options;
mod points;
mod requests;
mod scram;
mod wire;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::net::parallel::{Asked, Parallel};
use crate::net::stream::Connector;
use options::Options;

/// The input.
#[derive(Debug)]
struct Kafka {
    options: Options,
    parallel: Parallel,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(Kafka { options: Options::from_section(section)?, parallel: Parallel::default() }))
}

impl Input for Kafka {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let Self { options, parallel } = self;
        let name = options.client.brokers.join(", ");
        let failed = |reason| GatherError::Service { service: name.clone(), reason };
        // Certificates are read each time, so that a renewed one is used.
        let tls = Connector::new(&options.client.tls).map_err(failed)?;
        let now_ns = acc.now_ns();
        let asking = async {
            match cluster::view(options, tls.as_ref()).await {
                Err(problem) => Asked { metrics: Vec::new(), problem: Some(problem) },
                Ok(view) => Asked {
                    metrics: points::points(&view, options.detail, now_ns),
                    problem: (!view.problems.is_empty()).then(|| view.problems.join("; ")),
                },
            }
        };
        // Twice the time of a broker, since the metadata come before the rest; each has its own deadline within.
        let whole = options.timeout.saturating_mul(2).saturating_add(std::time::Duration::from_secs(1));
        parallel.ask(acc, whole, [(name.clone(), asking)])
    }
}

#[cfg(test)]
mod tests;
