//! The thread that calls libvirt and may hang in it.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use virt::domain::Domain as Handle;
use virt::error::{Error, ErrorNumber};

use super::connection::Connection;
use super::details::Remembered;
use super::options::Options;
use super::points::Domain;

/// What a worker is to do. It connects first if it has to.
#[derive(Debug)]
pub(super) enum Job {
    /// All domains with one call.
    Bulk,
    /// Each domain by itself, except these.
    OneByOne {
        /// Names of domains to be left alone.
        skip: BTreeSet<String>,
    },
}

/// What a worker tells while it does a job.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The connection is there.
    Connected,
    /// The domains there are.
    Listed(BTreeSet<String>),
    /// It now asks about this domain.
    Begin(String),
    /// One domain's answer, or its name and libvirt's words.
    Domain(Result<Domain, (String, String)>),
    /// The job is over; with a bulk job's domains.
    End(Result<Vec<Domain>, Failure>),
}

/// Why a job failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no connection.
    Connection(String),
    /// The daemon is there and refuses the call.
    Call(String),
}

/// A handle to the thread. Dropped, it lets the thread end after what it is doing.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: Sender<Job>,
    outcomes: Receiver<Outcome>,
    thread: JoinHandle<()>,
    busy: bool,
    connected: bool,
    busy_with: Option<String>,
}

impl Worker {
    pub(super) fn start(options: &Options) -> std::io::Result<Self> {
        let options = options.clone();
        Self::spawn(move |jobs, outbox| work(&options, jobs, outbox))
    }

    /// A worker that does its jobs in any other way.
    pub(super) fn spawn(
        work: impl FnOnce(&Receiver<Job>, &Sender<Outcome>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = channel();
        let (outbox, outcomes) = channel();
        let thread = Builder::new().name("libvirt".to_owned()).spawn(move || work(&inbox, &outbox))?;
        Ok(Self { jobs, outcomes, thread, busy: false, connected: false, busy_with: None })
    }

    /// Hands over a job; to be followed by calls of [`next`](Self::next) until its end.
    pub(super) fn give(&mut self, job: Job) {
        self.busy = self.jobs.send(job).is_ok();
        self.connected = false;
        self.busy_with = None;
    }

    /// What it tells next; `None` if nothing until then.
    pub(super) fn next(&mut self, until: Instant) -> Option<Outcome> {
        let wait = until.saturating_duration_since(Instant::now());
        let outcome = self.outcomes.recv_timeout(wait).ok()?;
        match &outcome {
            Outcome::Connected => self.connected = true,
            Outcome::Begin(name) => self.busy_with = Some(name.clone()),
            Outcome::Domain(_) => self.busy_with = None,
            Outcome::End(_) => self.busy = false,
            Outcome::Listed(_) => {}
        }
        Some(outcome)
    }

    /// Whether a job is not at its end.
    pub(super) fn is_busy(&self) -> bool {
        self.busy && !self.is_finished()
    }

    /// Whether the connection was there in the current job.
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// The domain it is asking about.
    pub(super) fn busy_with(&self) -> Option<&str> {
        self.busy_with.as_deref()
    }

    /// Gives the worker up: its thread ends as soon as its call returns.
    pub(super) fn abandon(self) -> JoinHandle<()> {
        self.thread
    }

    /// Whether the thread has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// What a worker keeps from job to job.
struct State<'a> {
    options: &'a Options,
    connection: Option<Connection>,
    details: Remembered,
}

/// Works until the input has gone. Sends fail only then.
fn work(options: &Options, jobs: &Receiver<Job>, outbox: &Sender<Outcome>) {
    let mut state = State { options, connection: None, details: Remembered::default() };
    for job in jobs {
        let kept = state.connection.is_some();
        let mut result = state.attempt(&job, outbox);
        // A daemon that was restarted since the last job is there again under a new connection.
        if kept && state.connection.is_none() && matches!(job, Job::Bulk) {
            result = state.attempt(&job, outbox);
        }
        if outbox.send(Outcome::End(result)).is_err() {
            return;
        }
    }
}

impl State<'_> {
    fn attempt(&mut self, job: &Job, outbox: &Sender<Outcome>) -> Result<Vec<Domain>, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.options).map_err(|e| Failure::Connection(text(&e)))?,
        };
        outbox.send(Outcome::Connected).ok();
        self.details.begin();
        let result = match job {
            Job::Bulk => self.bulk(&mut connection),
            Job::OneByOne { skip } => self.one_by_one(&mut connection, skip, outbox).map(|()| Vec::new()),
        };
        let failure = match result {
            Err(error) if is_lost(&error) || !connection.is_alive() => {
                return Err(Failure::Connection(text(&error)));
            }
            // No domain has statistics then; asking one after the other would repeat it.
            Err(error) if error.code() == ErrorNumber::NoSupport => Err(Failure::Connection(text(&error))),
            Err(error) => Err(Failure::Call(text(&error))),
            Ok(domains) => Ok(domains),
        };
        self.connection = Some(connection);
        failure
    }

    /// All domains with one call, and what it does not tell with further ones.
    fn bulk(&mut self, connection: &mut Connection) -> Result<Vec<Domain>, Error> {
        let options = self.options;
        let selection = &options.selection;
        if selection.takes_all_names() && !options.asks_each_domain() {
            return connection.all_stats(options);
        }
        let handles = connection.list(selection)?;
        if handles.is_empty() {
            return Ok(Vec::new());
        }
        let mut domains = connection.stats_of(&handles, options.groups)?;
        if options.asks_each_domain() {
            let by_uuid: HashMap<String, &Handle> =
                handles.iter().filter_map(|handle| Some((handle.get_uuid_string().ok()?, handle))).collect();
            let cpus = self.host_cpus(connection)?;
            for domain in &mut domains {
                if let Some(handle) = by_uuid.get(&domain.uuid) {
                    self.complete(connection, handle, domain, cpus)?;
                }
            }
            self.details.retain(|uuid| by_uuid.contains_key(uuid));
        }
        Ok(domains)
    }

    fn one_by_one(
        &mut self,
        connection: &mut Connection,
        skip: &BTreeSet<String>,
        outbox: &Sender<Outcome>,
    ) -> Result<(), Error> {
        let mut handles = Vec::new();
        for handle in connection.list(&self.options.selection)? {
            handles.push((handle.get_name()?, handle));
        }
        outbox.send(Outcome::Listed(handles.iter().map(|(name, _)| name.clone()).collect())).ok();
        let cpus = self.host_cpus(connection)?;
        for (name, handle) in handles {
            if skip.contains(&name) {
                continue;
            }
            if outbox.send(Outcome::Begin(name.clone())).is_err() {
                return Ok(());
            }
            let outcome = match self.one(connection, &handle, cpus) {
                Ok(Some(domain)) => Ok(domain),
                // It vanished since the list was made.
                Ok(None) => continue,
                Err(error) if is_lost(&error) || !connection.is_alive() => return Err(error),
                Err(error) => Err((name, text(&error))),
            };
            outbox.send(Outcome::Domain(outcome)).ok();
        }
        Ok(())
    }

    fn one(
        &mut self,
        connection: &mut Connection,
        handle: &Handle,
        cpus: usize,
    ) -> Result<Option<Domain>, Error> {
        let found = match connection.stats_of(std::slice::from_ref(handle), self.options.groups) {
            Err(error) if error.code() == ErrorNumber::NoDomain => return Ok(None),
            found => found?.pop(),
        };
        let Some(mut domain) = found else { return Ok(None) };
        self.complete(connection, handle, &mut domain, cpus)?;
        Ok(Some(domain))
    }

    /// What the statistics do not tell. A domain of which it cannot be read says so; an error is one of the connection.
    fn complete(
        &mut self,
        connection: &Connection,
        handle: &Handle,
        domain: &mut Domain,
        cpus: usize,
    ) -> Result<(), Error> {
        let options = self.options;
        let mut note = |error: Error| match error.code() {
            _ if is_lost(&error) || !connection.is_alive() => Err(error),
            // It vanished since; what was read before is true all the same.
            ErrorNumber::NoDomain => Ok(()),
            _ => {
                domain.problem = Some(text(&error));
                Ok(())
            }
        };
        if options.reads_details() {
            let read = || connection.details(handle, options);
            match self.details.get(&domain.uuid, Instant::now(), read) {
                Ok(details) => domain.details = Some(details),
                Err(error) => note(error)?,
            }
        }
        if options.vcpu_mapping {
            match connection.pins(handle, cpus) {
                Ok(pins) => domain.pins = pins,
                Err(error) => note(error)?,
            }
        }
        Ok(())
    }

    /// How many CPUs the host has, if that matters.
    fn host_cpus(&self, connection: &Connection) -> Result<usize, Error> {
        if self.options.vcpu_mapping { connection.host_cpus() } else { Ok(0) }
    }
}

/// Whether an error says that the connection is gone. Most do not: a system error may be one of a
/// single domain's disk.
fn is_lost(error: &Error) -> bool {
    matches!(error.code(), ErrorNumber::InvalidConn | ErrorNumber::NoConnect)
}

fn text(error: &Error) -> String {
    error.message().to_owned()
}
