//! `keepalived`: VRRP instances, what they track, and virtual servers, as keepalived itself tells of them.
//!
//! keepalived has no interface for readings but signals: for each there is a file that it writes then.
//!
//! ```text
//! SIGRTMIN+2 --> keepalived.json         instances with their counters; where it was built with JSON
//! SIGUSR1    --> keepalived.data         instances, sync groups, what they track
//!            --> keepalived_check.data   virtual servers
//! SIGUSR2    --> keepalived.stats        the instances' counters
//! ```
//!
//! [`process`] finds the process and signals it, and never with a signal that it does not handle; [`dump`] waits for the
//! files; [`json`], [`text`] and [`checkers`] read them into [`model`]; [`addresses`] looks which virtual addresses this
//! host has; [`points`] makes metrics of it all.

mod addresses;
mod checkers;
mod dump;
mod json;
mod model;
mod points;
mod process;
mod text;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::paths::HostPaths;
use dump::{Dump, Watch};
use model::Readings;
use process::{Keepalived, Request};

/// The input.
#[derive(Debug)]
struct KeepalivedInput {
    options: Options,
    paths: HostPaths,
}

/// What `[[inputs.keepalived]]` sets.
#[derive(Debug)]
struct Options {
    pid_file: PathBuf,
    format: Format,
    virtual_servers: bool,
    tracks: bool,
    addresses: bool,
    /// The files, as keepalived sees them.
    json_file: PathBuf,
    data_file: PathBuf,
    stats_file: PathBuf,
    check_data_file: PathBuf,
    timeout: Duration,
}

/// Of what the instances are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// JSON where keepalived knows it, or else text.
    Auto,
    Json,
    Text,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let options = Options::from_section(section)?;
    Ok(Box::new(KeepalivedInput { options, paths: context.paths.clone() }))
}

impl Options {
    fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let mut path = |key, default: &str| {
            let text = section.string(key)?.filter(|text| !text.is_empty());
            let path = PathBuf::from(text.unwrap_or_else(|| default.to_owned()));
            match path.is_absolute() {
                true => Ok(path),
                false => Err(section.bad(key, format!("{} does not begin with /", path.display()))),
            }
        };
        let pid_file = path("pid_file", "/run/keepalived.pid")?;
        let json_file = path("json_file", "/tmp/keepalived.json")?;
        let data_file = path("data_file", "/tmp/keepalived.data")?;
        let stats_file = path("stats_file", "/tmp/keepalived.stats")?;
        let check_data_file = path("check_data_file", "/tmp/keepalived_check.data")?;
        let format = match section.string("format")?.as_deref() {
            None | Some("" | "auto") => Format::Auto,
            Some("json") => Format::Json,
            Some("text") => Format::Text,
            Some(other) => {
                let reason = format!("{other:?} is none of \"auto\", \"json\" and \"text\"");
                return Err(section.bad("format", reason));
            }
        };
        let timeout = section.duration("timeout")?.filter(|&timeout| timeout > 0).unwrap_or(5_000_000_000);
        Ok(Self {
            pid_file,
            format,
            virtual_servers: section.boolean("virtual_servers")?.unwrap_or(true),
            tracks: section.boolean("tracks")?.unwrap_or(true),
            addresses: section.boolean("addresses")?.unwrap_or(true),
            json_file,
            data_file,
            stats_file,
            check_data_file,
            timeout: Duration::from_nanos(timeout.unsigned_abs()),
        })
    }
}

impl Input for KeepalivedInput {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let keepalived = Keepalived::find(&self.options.pid_file, &self.paths).map_err(|reason| {
            points::add_stopped(acc);
            error(reason)
        })?;
        let readings = self.read(&keepalived, acc).map_err(error)?;
        points::add(acc, &readings, self.options.addresses);
        Ok(())
    }
}

fn error(reason: String) -> GatherError {
    GatherError::Service { service: "keepalived".to_owned(), reason }
}

/// What a file is read for.
type Read = fn(&[u8], &mut Readings) -> Result<(), String>;

impl KeepalivedInput {
    /// Has it tell. An error is one of the process as a whole; of single files it is reported.
    fn read(&self, keepalived: &Keepalived, acc: &mut Accumulator) -> Result<Readings, String> {
        let options = &self.options;
        let json = match (options.format, keepalived.json_signal()) {
            (Format::Text, _) | (Format::Auto, None) => None,
            (Format::Auto | Format::Json, Some(signal)) => Some(signal),
            (Format::Json, None) => {
                return Err("it was built without JSON; set format = \"text\"".to_owned());
            }
        };
        let roles = keepalived.roles();
        let mut wanted: Vec<(Watch, Read)> = Vec::new();
        let mut requests = Vec::new();
        let mut want = |path: &Path, expected: Option<bool>, read: Read| {
            if expected != Some(false) {
                wanted.push((Watch::new(keepalived.path(path), expected.is_some()), read));
            }
        };
        match json {
            Some(signal) => {
                requests.push(Request::Json(signal));
                want(&options.json_file, roles.vrrp, json::read);
            }
            None => {
                requests.push(Request::Stats);
                want(&options.stats_file, roles.vrrp, text::read_stats);
            }
        }
        if json.is_none() || options.tracks {
            want(
                &options.data_file,
                roles.vrrp,
                if json.is_none() { text::read_all } else { text::read_tracks },
            );
        }
        if options.virtual_servers {
            want(&options.check_data_file, roles.checker, checkers::read);
        }
        if json.is_none() || options.tracks || options.virtual_servers {
            requests.push(Request::Data);
        }
        let (mut watches, reads): (Vec<Watch>, Vec<Read>) = wanted.into_iter().unzip();
        for request in requests {
            keepalived.send(request)?;
        }
        let deadline = Instant::now() + options.timeout;
        // Files are read in the order above: instances come first, and then what else is known about them.
        let dumps = dump::wait(&mut watches, keepalived.owner(), deadline, json.is_some());
        let mut readings = Readings::default();
        for (dump, read) in dumps.into_iter().zip(reads) {
            let result = match dump {
                Dump::Text(text) => read(&text, &mut readings),
                Dump::Absent => Ok(()),
                Dump::Failed(reason) => Err(reason),
            };
            if let Err(reason) = result {
                acc.report(error(reason));
            }
        }
        if options.addresses {
            match addresses::read(&keepalived.network()) {
                Ok(present) => readings.present = Some(present),
                Err(reason) => acc.report(error(reason)),
            }
        }
        Ok(readings)
    }
}

#[cfg(test)]
mod tests;
