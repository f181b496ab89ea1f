//! The thread that calls libvirt and may hang in it.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use virt::domain::Domain as Handle;
use virt::error::{Error, ErrorNumber};

use super::connection::Connection;
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

/// Works until the input has gone. Sends fail only then.
fn work(options: &Options, jobs: &Receiver<Job>, outbox: &Sender<Outcome>) {
    let mut connection: Option<Connection> = None;
    for job in jobs {
        let kept = connection.is_some();
        let mut result = attempt(options, &mut connection, &job, outbox);
        // A daemon that was restarted since the last job is there again under a new connection.
        if kept && connection.is_none() && matches!(job, Job::Bulk) {
            result = attempt(options, &mut connection, &job, outbox);
        }
        if outbox.send(Outcome::End(result)).is_err() {
            return;
        }
    }
}

fn attempt(
    options: &Options,
    slot: &mut Option<Connection>,
    job: &Job,
    outbox: &Sender<Outcome>,
) -> Result<Vec<Domain>, Failure> {
    let connection = match slot {
        Some(connection) => connection,
        None => {
            let opened = Connection::open(&options.uri).map_err(|e| Failure::Connection(text(&e)))?;
            slot.insert(opened)
        }
    };
    outbox.send(Outcome::Connected).ok();
    let result = match job {
        Job::Bulk => bulk(options, connection),
        Job::OneByOne { skip } => one_by_one(options, connection, skip, outbox).map(|()| Vec::new()),
    };
    let error = match result {
        Ok(domains) => return Ok(domains),
        Err(error) => error,
    };
    if connection.is_alive() && !is_lost(&error) {
        return Err(Failure::Call(text(&error)));
    }
    *slot = None;
    Err(Failure::Connection(text(&error)))
}

fn bulk(options: &Options, connection: &mut Connection) -> Result<Vec<Domain>, Error> {
    let mut domains = connection.all_stats(options)?;
    if options.points.title_tag || options.vcpu_mapping {
        let handles = connection.list(&options.domains)?;
        for handle in &handles {
            let Ok(uuid) = handle.get_uuid_string() else { continue };
            if let Some(domain) = domains.iter_mut().find(|domain| domain.uuid == uuid) {
                complete(options, connection, handle, domain)?;
            }
        }
    }
    Ok(domains)
}

fn one_by_one(
    options: &Options,
    connection: &mut Connection,
    skip: &BTreeSet<String>,
    outbox: &Sender<Outcome>,
) -> Result<(), Error> {
    let mut handles = Vec::new();
    for handle in connection.list(&options.domains)? {
        handles.push((handle.get_name()?, handle));
    }
    outbox.send(Outcome::Listed(handles.iter().map(|(name, _)| name.clone()).collect())).ok();
    for (name, handle) in handles {
        if skip.contains(&name) {
            continue;
        }
        if outbox.send(Outcome::Begin(name.clone())).is_err() {
            return Ok(());
        }
        let outcome = match one(options, connection, &handle) {
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

fn one(options: &Options, connection: &mut Connection, handle: &Handle) -> Result<Option<Domain>, Error> {
    let found = match connection.stats_of(std::slice::from_ref(handle), options.groups) {
        Err(error) if error.code() == ErrorNumber::NoDomain => return Ok(None),
        found => found?.pop(),
    };
    let Some(mut domain) = found else { return Ok(None) };
    complete(options, connection, handle, &mut domain)?;
    Ok(Some(domain))
}

/// What the bulk call does not tell.
fn complete(
    options: &Options,
    connection: &Connection,
    handle: &Handle,
    domain: &mut Domain,
) -> Result<(), Error> {
    if options.points.title_tag {
        domain.title = connection.title(handle);
    }
    if options.vcpu_mapping {
        domain.pins = match connection.pins(handle) {
            Err(error) if error.code() == ErrorNumber::NoDomain => Vec::new(),
            pins => pins?,
        };
    }
    Ok(())
}

/// Whether an error says that the connection is gone. Most do not: a system error may be one of a
/// single domain's disk.
fn is_lost(error: &Error) -> bool {
    matches!(error.code(), ErrorNumber::InvalidConn | ErrorNumber::NoConnect)
}

fn text(error: &Error) -> String {
    error.message().to_owned()
}
