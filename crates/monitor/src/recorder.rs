//! Writes the statistics to the database `_internal` at every full interval, on a thread of its own.
//!
//! The database is created once. If it is dropped later, nothing is recorded until the next start, as in InfluxDB: who
//! drops it wants to be rid of it.

use std::{
    error::Error,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use skywatch_model::wall_clock_ns;

use crate::{Monitor, Selection, to_lines};

/// Where the statistics go.
pub trait RecorderStore: Send + 'static {
    /// Creates what [`Self::store`] writes to, if it is not there. Called until it succeeds once.
    fn prepare(&self) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Stores lines of line protocol with nanoseconds.
    fn store(&self, lines: &str) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// How to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecorderConfig {
    /// Time between two records, more than 0. Points get times that are multiples of it.
    pub interval: Duration,
    /// Tags of every point: who tells it.
    pub tags: Vec<(&'static str, String)>,
}

/// A running recorder; dropping it stops the thread and waits for it.
#[derive(Debug)]
pub struct Recorder {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts recording.
    pub fn start(
        monitor: Arc<Monitor>,
        config: RecorderConfig,
        store: impl RecorderStore,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let mut recording = Recording { monitor, config, store, is_prepared: false, lines: String::new() };
        let thread = std::thread::Builder::new().name("monitor".into()).spawn(move || {
            loop {
                recording.prepare();
                let wait = time_to_next(wall_clock_ns(), recording.interval_ns());
                match stopped.recv_timeout(wait) {
                    Err(mpsc::RecvTimeoutError::Timeout) => recording.record(wall_clock_ns()),
                    Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that records statistics panicked");
        }
    }
}

struct Recording<S> {
    monitor: Arc<Monitor>,
    config: RecorderConfig,
    store: S,
    is_prepared: bool,
    /// Kept from record to record.
    lines: String,
}

impl<S: RecorderStore> Recording<S> {
    fn interval_ns(&self) -> i64 {
        i64::try_from(self.config.interval.as_nanos()).unwrap_or(i64::MAX).max(1)
    }

    fn prepare(&mut self) {
        if !self.is_prepared {
            match self.store.prepare() {
                Ok(()) => self.is_prepared = true,
                Err(error) => tracing::warn!(error, "cannot create the database of statistics; tried again"),
            }
        }
    }

    fn record(&mut self, now_ns: i64) {
        let interval_ns = self.interval_ns();
        let time_ns = now_ns.div_euclid(interval_ns) * interval_ns;
        self.lines.clear();
        let statistics = self.monitor.statistics(Selection::All);
        to_lines(&statistics, &self.config.tags, time_ns, &mut self.lines);
        if let Err(error) = self.store.store(&self.lines) {
            tracing::info!(error, "failed to store statistics");
        }
    }
}

/// Time from now to the next multiple of the interval.
fn time_to_next(now_ns: i64, interval_ns: i64) -> Duration {
    Duration::from_nanos((interval_ns - now_ns.rem_euclid(interval_ns)).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::{Statistic, StatisticsSource};

    struct One;

    impl StatisticsSource for One {
        fn collect(&self, _: Selection<'_>, statistics: &mut Vec<Statistic>) {
            statistics.push(Statistic::new("cq").values([("queryOk", 1)]));
        }
    }

    /// Fails to prepare once, then hands over what it is given.
    struct Sent(Mutex<u32>, mpsc::Sender<String>);

    impl RecorderStore for Sent {
        fn prepare(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
            let mut tries = self.0.lock();
            *tries += 1;
            if *tries == 1 { Err("not yet".into()) } else { Ok(()) }
        }

        fn store(&self, lines: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
            self.1.send(format!("{} {lines}", self.0.lock()))?;
            Ok(())
        }
    }

    #[test]
    fn records_come_at_full_intervals_and_end_with_the_recorder() {
        let monitor = Arc::new(Monitor::default());
        monitor.add(Arc::new(One));
        let (sender, sent) = mpsc::channel();
        let tags = vec![("hostname", "h".to_owned())];
        let config = RecorderConfig { interval: Duration::from_millis(20), tags };
        let recorder = Recorder::start(monitor, config, Sent(Mutex::new(0), sender)).unwrap();
        let records: Vec<String> = sent.iter().take(3).collect();
        drop(recorder);
        assert!(sent.try_iter().count() < 3, "the thread has ended");
        for record in &records[1..] {
            let (head, time) = record.trim_end().rsplit_once(' ').unwrap();
            assert_eq!(head, "2 cq,hostname=h queryOk=1i", "prepared again until it succeeded, then no more");
            assert_eq!(time.parse::<i64>().unwrap() % 20_000_000, 0);
        }
    }

    #[test]
    fn the_next_record_is_at_the_next_multiple() {
        let after = |now_ns, interval_ns| time_to_next(now_ns, interval_ns).as_nanos();
        assert_eq!((after(25, 10), after(30, 10), after(-1, 10)), (5, 10, 1));
    }
}
