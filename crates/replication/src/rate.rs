//! A rate of bytes that several share.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// See the module's header. 0 bytes a second is no limit.
#[derive(Debug)]
pub(crate) struct Rate {
    bytes_per_sec: u64,
    /// When the bytes taken so far have had their time.
    free_at: Mutex<Option<Instant>>,
}

impl Rate {
    /// So many bytes a second.
    pub(crate) fn new(bytes_per_sec: u64) -> Self {
        Self { bytes_per_sec, free_at: Mutex::default() }
    }

    /// Waits until what was taken before has had its time; `bytes` more are taken then.
    pub(crate) async fn take(&self, bytes: u64) {
        if self.bytes_per_sec == 0 {
            return;
        }
        let until = {
            let mut free_at = self.free_at.lock().await;
            let now = Instant::now();
            let from = free_at.map_or(now, |at| at.max(now));
            *free_at = Some(from + Duration::from_secs_f64(bytes as f64 / self.bytes_per_sec as f64));
            from
        };
        tokio::time::sleep_until(until).await;
    }
}
