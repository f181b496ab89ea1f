//! Trouble with Kafka in the log: told once when it begins, and once when it is over.

use std::time::Instant;

use parking_lot::Mutex;

/// One thing that may be in trouble.
#[derive(Debug)]
pub(crate) struct Trouble {
    what: String,
    since: Mutex<Option<Instant>>,
}

impl Trouble {
    /// `what` is in trouble or well: "the topic x cannot be read".
    pub(crate) fn with(what: String) -> Self {
        Self { what, since: Mutex::new(None) }
    }

    /// It is in trouble. Whether that is news.
    pub(crate) fn begins(&self, reason: &str) -> bool {
        let mut since = self.since.lock();
        if since.is_some() {
            return false;
        }
        *since = Some(Instant::now());
        tracing::warn!("{}: {reason}", self.what);
        true
    }

    /// It is well. Whether that is news.
    pub(crate) fn ends(&self) -> bool {
        let Some(since) = self.since.lock().take() else { return false };
        tracing::warn!("{}: over after {:.1} s", self.what, since.elapsed().as_secs_f64());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_and_its_end_is_news_once() {
        let trouble = Trouble::with("test".to_owned());
        assert!(!trouble.ends());
        assert!(trouble.begins("a"));
        assert!(!trouble.begins("b"));
        assert!(trouble.ends());
        assert!(!trouble.ends());
        assert!(trouble.begins("a"));
    }
}
