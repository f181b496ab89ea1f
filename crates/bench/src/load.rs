//! Loads a server with the data and takes the time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::{Progress, http::Client};

/// Writes all batches with several concurrent clients, each taking the next batch as soon as its previous one
/// is acknowledged; returns the time from the first request to the last acknowledgement.
pub(crate) fn load(
    port: u16,
    batches: &[Vec<u8>],
    workers: usize,
    progress: &Progress,
) -> anyhow::Result<Duration> {
    let next = AtomicUsize::new(0);
    let write_some = || -> anyhow::Result<()> {
        let client = Client::new(port);
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            progress.check()?;
            // A failed worker ends the others: what they would measure no longer counts.
            client.write(batch).inspect_err(|_| next.store(batches.len(), Ordering::Relaxed))?;
        }
        Ok(())
    };
    let started = Instant::now();
    std::thread::scope(|scope| {
        let writing: Vec<_> = (0..workers).map(|_| scope.spawn(write_some)).collect();
        writing
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a writer panicked")))
    })?;
    Ok(started.elapsed())
}
