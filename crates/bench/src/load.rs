//! Loads a server with the data and takes the time.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::{Progress, bodies::Bodies, http::Client, process::Kind};

/// How often a load says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Writes all bodies with several concurrent clients, each taking the next body as soon as its previous one is
/// acknowledged; they share out the ports, of a server or of the nodes of a cluster, among themselves. Returns the time
/// from the first request to the last acknowledgement.
pub(crate) fn load(
    kind: Kind,
    ports: &[u16],
    bodies: &Bodies,
    workers: usize,
    progress: &Progress,
) -> anyhow::Result<Duration> {
    let next = AtomicUsize::new(0);
    let rows = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let write_some = &|port: u16| -> anyhow::Result<()> {
        let client = Client::new(kind, port);
        let mut buffer = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(body) = bodies.get(at, &mut buffer)? else { return Ok(()) };
            progress.check()?;
            // A failed worker ends the others: what they would measure no longer counts.
            client.write(body).inspect_err(|_| next.store(bodies.len(), Ordering::Relaxed))?;
            rows.fetch_add(bodies.rows_of(at), Ordering::Relaxed);
        }
    };
    let tell = || {
        let mut told = Instant::now();
        while !done.load(Ordering::Relaxed) {
            std::thread::park_timeout(TELL_EVERY);
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let share = rows.load(Ordering::Relaxed) as f64 / bodies.rows() as f64;
                progress.say(&format!("{}: {:.0} % written", kind.name(), share * 100.0));
            }
        }
    };
    let started = Instant::now();
    std::thread::scope(|scope| {
        let writing: Vec<_> =
            ports.iter().cycle().take(workers).map(|port| scope.spawn(move || write_some(*port))).collect();
        let telling = scope.spawn(tell);
        let results: Vec<_> = writing
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a writer panicked")))
            .collect();
        let elapsed = started.elapsed();
        done.store(true, Ordering::Relaxed);
        telling.thread().unpark();
        results.into_iter().collect::<anyhow::Result<()>>()?;
        Ok(elapsed)
    })
}
