//! Who was heard of lately: nodes announce themselves, meta nodes pass it on. It fills `show`, nothing depends on it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Nobody has more nodes; what comes beyond is not remembered.
const COUNT_MAX: usize = 4_096;

/// What a node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Announcement {
    /// Where other nodes find it: by this it is known.
    pub tcp_addr: String,
    /// Where its HTTP API is.
    pub http_addr: String,
    /// `http` or `https`.
    pub http_scheme: String,
    /// When it said so, by its own clock, in whatever way it writes times.
    pub time: serde_json::Value,
    /// `data` or `meta`.
    pub node_type: String,
    /// `joined` or `disjoined`.
    pub status: String,
    /// The release that runs there.
    pub version: String,
}

/// Announcements that are not too old.
#[derive(Debug)]
pub(crate) struct Announcements {
    lasts: Duration,
    heard: Mutex<BTreeMap<String, (Instant, Announcement)>>,
    /// Whether somebody new was heard of, or something new of somebody.
    is_news: AtomicBool,
}

impl Announcements {
    pub(crate) fn new(lasts: Duration) -> Self {
        Self { lasts, heard: Mutex::new(BTreeMap::new()), is_news: AtomicBool::new(false) }
    }

    /// Somebody was there so long ago. False if there is no room, or nothing to know it by.
    pub(crate) fn hear(&self, announcement: Announcement, age: Duration) -> bool {
        let Some(at) = Instant::now().checked_sub(age) else { return false };
        let mut heard = self.heard.lock();
        let key = &announcement.tcp_addr;
        if key.is_empty() || (heard.len() >= COUNT_MAX && !heard.contains_key(key)) {
            return false;
        }
        let known = heard.get(key);
        if known.is_none_or(|(earlier, _)| *earlier < at) {
            let current = known.filter(|(earlier, _)| earlier.elapsed() <= self.lasts);
            let timeless =
                |told: &Announcement| Announcement { time: serde_json::Value::Null, ..told.clone() };
            if current.is_none_or(|(_, earlier)| timeless(earlier) != timeless(&announcement)) {
                self.is_news.store(true, Ordering::Relaxed);
            }
            heard.insert(key.clone(), (at, announcement));
        }
        true
    }

    /// What a node last said, unless that is too long ago.
    pub(crate) fn of(&self, tcp_addr: &str) -> Option<Announcement> {
        let heard = self.heard.lock();
        let (at, announcement) = heard.get(tcp_addr)?;
        (at.elapsed() <= self.lasts).then(|| announcement.clone())
    }

    /// Whether there is news since this was last asked.
    pub(crate) fn take_news(&self) -> bool {
        self.is_news.swap(false, Ordering::Relaxed)
    }

    /// All that are not too old, and how old they are; the others are forgotten.
    pub(crate) fn all(&self) -> Vec<(Announcement, Duration)> {
        let mut heard = self.heard.lock();
        heard.retain(|_, (at, _)| at.elapsed() <= self.lasts);
        heard.values().map(|(at, announcement)| (announcement.clone(), at.elapsed())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(version: &str) -> Announcement {
        Announcement { tcp_addr: "d1:8088".into(), version: version.into(), ..Announcement::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_counts_and_not_for_ever() {
        tokio::time::advance(Duration::from_secs(100)).await;
        let announcements = Announcements::new(Duration::from_secs(30));
        assert!(announcements.hear(announcement("2"), Duration::from_secs(5)));
        assert!(
            announcements.hear(announcement("1"), Duration::from_secs(9)),
            "older news by way of another"
        );
        assert_eq!(announcements.of("d1:8088").unwrap().version, "2");
        assert!(announcements.take_news() && !announcements.take_news());
        let again = Announcement { time: "later".into(), ..announcement("2") };
        assert!(announcements.hear(again, Duration::from_secs(5)) && !announcements.take_news());
        assert!(!announcements.hear(Announcement::default(), Duration::ZERO));
        tokio::time::advance(Duration::from_secs(26)).await;
        assert_eq!(announcements.of("d1:8088"), None);
        assert!(announcements.all().is_empty());
    }
}
