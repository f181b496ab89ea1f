//! `procstat`: what chosen processes use, and whether there are any.
//!
//! Processes are chosen in one of two styles: by one selector of the table itself, or by any number of
//! `[[inputs.procstat.filter]]`. Each gather looks for them anew, so that restarts are followed.

mod find;
mod options;
mod points;
mod process;
mod sockets;
mod supervisor;

use std::collections::BTreeMap;

use self::find::{Finder, Group};
use self::options::{Choice, Options};
use self::points::{Host, Last, Points};
use self::sockets::SocketTable;
use super::proc_dir::ProcDir;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::paths::HostPaths;

/// The input.
#[derive(Debug)]
struct Procstat {
    options: Options,
    paths: HostPaths,
    /// The CPU time each process had used at the last gather.
    last: BTreeMap<i32, Last>,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let options = Options::from_section(section)?;
    Ok(Box::new(Procstat { options, paths: context.paths.clone(), last: BTreeMap::new() }))
}

impl Input for Procstat {
    fn is_delta(&self) -> bool {
        true
    }

    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let proc = ProcDir::open(&self.paths)?;
        let host = Host::read(&self.paths)?;
        let sockets = if self.options.properties.sockets {
            SocketTable::read(&self.paths, &self.options.socket_protocols, acc)
        } else {
            SocketTable::default()
        };
        let mut finder = Finder::new(&proc, &self.paths, self.options.finder);
        let mut points = Points::new(&proc, &host, &self.options, &sockets, &self.last);
        match &self.options.choice {
            Choice::Selector(selector) => {
                let found = finder.select(selector);
                let tags = vec![("pid_finder", self.options.finder.name().to_owned()), selector.lookup_tag()];
                add(acc, &mut points, found, &tags);
            }
            Choice::Filters(filters) => {
                for filter in filters {
                    let found = finder.filter(filter);
                    add(acc, &mut points, found, &[("filter", filter.name.clone())]);
                }
            }
        }
        self.last = points.into_last();
        Ok(())
    }
}

/// Adds the points of the processes found, and the one that says how many there are.
fn add(
    acc: &mut Accumulator,
    points: &mut Points<'_>,
    found: Result<Vec<Group>, GatherError>,
    tags: &[(&'static str, String)],
) {
    let lookup =
        tags.iter().fold(acc.metric("procstat_lookup"), |m, (key, value)| m.tag(*key, value.as_str()));
    match found {
        Ok(groups) => {
            let (mut count, mut running) = (0_i64, 0_i64);
            for group in &groups {
                for pid in &group.pids {
                    count += 1;
                    running += i64::from(points.add(acc, *pid, &group.tags));
                }
            }
            let lookup = lookup.tag("result", "success").field("pid_count", count);
            acc.add(lookup.field("running", running).field("result_code", 0_i64));
        }
        Err(error) => {
            acc.report(error);
            let lookup = lookup.tag("result", "lookup_error").field("pid_count", 0_i64);
            acc.add(lookup.field("running", 0_i64).field("result_code", 1_i64));
        }
    }
}

#[cfg(test)]
mod tests;
