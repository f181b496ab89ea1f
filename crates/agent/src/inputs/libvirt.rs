//! `libvirt`: the virtual machines of a libvirt connection.
//!
//! libvirt's calls have no time limit: one that waits for a stopped QEMU process never returns. So
//! all calls are made on worker threads ([`worker`]) that this input asks with a deadline, and a
//! worker that does not answer is left behind (it ends if its call ever does) and replaced, up to
//! [`STUCK_MAX`] of them. One domain must never cost the others:
//!
//! ```text
//! bulk: one call for all domains ----------------> points
//!   |  refused   |  no answer within half the time
//!   |            v
//!   |          bulk again: libvirt passes by domains that another call waits for --> points
//!   |            |  no answer in half of what is left
//!   v            v
//! one by one: each domain by itself; one that fails is reported, one that does not
//! answer is left alone for a while (quarantine), and the rest goes on with a new worker
//! ```

mod connection;
mod credentials;
mod details;
mod keys;
mod options;
mod points;
mod quarantine;
mod uri;
mod worker;

use std::collections::BTreeSet;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use options::Options;
use points::{Domain, add_points};
use quarantine::Quarantine;
use worker::{Failure, Job, Outcome, Worker};

/// Workers left behind in calls that do not return, at most. Each also holds one of the daemon's
/// own workers, of which it has 20 by default.
const STUCK_MAX: usize = 8;
/// Left for domains that do answer: what may cost a worker is not tried when so few are left.
const SPARE: usize = 3;
/// How long domains are asked one by one after a bulk call did not answer.
const BULK_PAUSE: Duration = Duration::from_secs(300);

/// The input.
#[derive(Debug)]
struct Libvirt {
    options: Options,
    /// How a worker is started; tests have their own.
    start: fn(&Options) -> std::io::Result<Worker>,
    worker: Option<Worker>,
    stuck: Vec<JoinHandle<()>>,
    quarantine: Quarantine,
    bulk_paused_until: Option<Instant>,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(Libvirt::new(Options::from_section(section)?)))
}

impl Input for Libvirt {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let start = Instant::now();
        let deadline = start + self.options.timeout;
        self.stuck.retain(|thread| !thread.is_finished());
        let spare = self.stuck.len() + SPARE <= STUCK_MAX;
        if spare {
            self.quarantine.release(start);
        }
        let paused = self.bulk_paused_until.is_some_and(|until| until > start);
        if spare && !paused && self.quarantine.is_empty() && self.bulk(acc, start)? {
            return Ok(());
        }
        self.one_by_one(acc, deadline)
    }
}

/// What became of a job.
enum Asked {
    /// Domains that came with the last answer.
    Done(Vec<Domain>),
    /// libvirt's words.
    Refused(String),
    /// No answer in time; the worker is left behind. The domain it was busy with, if any.
    Silent(Option<String>),
}

impl Libvirt {
    fn new(options: Options) -> Self {
        Self {
            options,
            start: Worker::start,
            worker: None,
            stuck: Vec::new(),
            quarantine: Quarantine::default(),
            bulk_paused_until: None,
        }
    }

    /// All domains at once; whether that was answered.
    fn bulk(&mut self, acc: &mut Accumulator, start: Instant) -> Result<bool, GatherError> {
        let timeout = self.options.timeout;
        for deadline in [start + timeout / 2, start + timeout / 4 * 3] {
            match self.ask(Job::Bulk, deadline, |_| {})? {
                Asked::Done(domains) => {
                    domains.iter().for_each(|domain| self.add(acc, domain));
                    return Ok(true);
                }
                // The daemon is there and refuses: one of the domains has a problem.
                Asked::Refused(_) => return Ok(false),
                Asked::Silent(_) => {}
            }
        }
        self.bulk_paused_until = Some(start + BULK_PAUSE);
        Ok(false)
    }

    /// Adds a domain's points, and reports what is missing.
    fn add(&self, acc: &mut Accumulator, domain: &Domain) {
        add_points(acc, domain, &self.options.points);
        if let Some(problem) = &domain.problem {
            acc.report(self.error(format!("domain {}: {problem}", domain.name)));
        }
    }

    fn one_by_one(&mut self, acc: &mut Accumulator, deadline: Instant) -> Result<(), GatherError> {
        let mut done = BTreeSet::new();
        loop {
            let skip = done.iter().cloned().chain(self.quarantine.names()).collect();
            let mut domains = Vec::new();
            let mut failed = Vec::new();
            let asked = self.ask(Job::OneByOne { skip }, deadline, |outcome| match outcome {
                Ok(domain) => domains.push(domain),
                Err((name, reason)) => failed.push((name, reason)),
            })?;
            for domain in domains {
                self.add(acc, &domain);
                self.quarantine.forgive(&domain.name);
                done.insert(domain.name);
            }
            for (name, reason) in failed {
                acc.report(self.error(format!("domain {name}: {reason}")));
                done.insert(name);
            }
            match asked {
                Asked::Done(_) => break,
                Asked::Refused(reason) => return Err(self.error(reason)),
                Asked::Silent(Some(name)) => {
                    self.quarantine.add(&name, Instant::now());
                    if Instant::now() >= deadline {
                        break;
                    }
                }
                Asked::Silent(None) => return Err(self.error("no answer to the list of domains".to_owned())),
            }
        }
        for name in self.quarantine.names() {
            acc.report(self.error(format!("domain {name} does not answer and is left alone for a while")));
        }
        Ok(())
    }

    /// Gives a worker a job and waits for its end, at most until `deadline` and no longer for a
    /// single domain than an eighth of the timeout. An error is one of the connection as a whole.
    fn ask(
        &mut self,
        job: Job,
        deadline: Instant,
        mut domain: impl FnMut(Result<Domain, (String, String)>),
    ) -> Result<Asked, GatherError> {
        let patience = match &job {
            Job::Bulk => self.options.timeout,
            Job::OneByOne { .. } => self.options.timeout / 8,
        };
        let mut worker = self.idle_worker(deadline)?;
        worker.give(job);
        loop {
            let limit = deadline.min(Instant::now() + patience);
            match worker.next(limit) {
                Some(Outcome::Connected) | Some(Outcome::Begin(_)) => {}
                Some(Outcome::Listed(names)) => self.quarantine.forget_absent(|name| names.contains(name)),
                Some(Outcome::Domain(found)) => domain(found),
                Some(Outcome::End(Ok(domains))) => {
                    self.worker = Some(worker);
                    return Ok(Asked::Done(domains));
                }
                Some(Outcome::End(Err(failure))) => {
                    self.worker = Some(worker);
                    return match failure {
                        Failure::Connection(reason) => Err(self.error(reason)),
                        Failure::Call(reason) => Ok(Asked::Refused(reason)),
                    };
                }
                None if !worker.is_connected() => {
                    // Another worker would wait for the same daemon; this one is asked again next time.
                    self.worker = Some(worker);
                    return Err(self.error("the connection is not established in time".to_owned()));
                }
                None => {
                    let busy_with = worker.busy_with().map(str::to_owned);
                    self.stuck.push(worker.abandon());
                    return Ok(Asked::Silent(busy_with));
                }
            }
        }
    }

    /// The worker, once it is free; a new one if there is none.
    fn idle_worker(&mut self, deadline: Instant) -> Result<Worker, GatherError> {
        if let Some(mut worker) = self.worker.take() {
            while worker.is_busy() {
                if worker.next(deadline).is_none() {
                    self.worker = Some(worker);
                    return Err(self.error("the connection is not established in time".to_owned()));
                }
            }
            if !worker.is_finished() {
                return Ok(worker);
            }
        }
        if self.stuck.len() >= STUCK_MAX {
            return Err(self.error(format!("{STUCK_MAX} calls do not return; waiting for one of them")));
        }
        (self.start)(&self.options).map_err(|error| self.error(format!("cannot start a thread: {error}")))
    }

    fn error(&self, reason: String) -> GatherError {
        GatherError::Service { service: self.options.uri.clone(), reason }
    }
}

#[cfg(test)]
mod tests;
