//! Numbers for systemd's words. They are fixed: dashboards and alerts compare with them.

/// Types of units.
pub(super) const TYPES: [&str; 11] = [
    "automount",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];

const LOAD: [(&str, i64); 7] = [
    ("loaded", 0),
    ("stub", 1),
    ("not-found", 2),
    ("bad-setting", 3),
    ("error", 4),
    ("merged", 5),
    ("masked", 6),
];

const ACTIVE: [(&str, i64); 6] =
    [("active", 0), ("reloading", 1), ("inactive", 2), ("failed", 3), ("activating", 4), ("deactivating", 5)];

const SUB: [(&str, i64); 50] = [
    ("running", 0x00),
    ("dead", 0x01),
    ("start-pre", 0x02),
    ("start", 0x03),
    ("exited", 0x04),
    ("reload", 0x05),
    ("stop", 0x06),
    ("stop-watchdog", 0x07),
    ("stop-sigterm", 0x08),
    ("stop-sigkill", 0x09),
    ("stop-post", 0x0a),
    ("final-sigterm", 0x0b),
    ("failed", 0x0c),
    ("auto-restart", 0x0d),
    ("condition", 0x0e),
    ("cleaning", 0x0f),
    ("waiting", 0x10),
    ("reload-signal", 0x11),
    ("reload-notify", 0x12),
    ("final-watchdog", 0x13),
    ("dead-before-auto-restart", 0x14),
    ("failed-before-auto-restart", 0x15),
    ("dead-resources-pinned", 0x16),
    ("auto-restart-queued", 0x17),
    ("tentative", 0x20),
    ("plugged", 0x21),
    ("mounting", 0x30),
    ("mounting-done", 0x31),
    ("mounted", 0x32),
    ("remounting", 0x33),
    ("unmounting", 0x34),
    ("remounting-sigterm", 0x35),
    ("remounting-sigkill", 0x36),
    ("unmounting-sigterm", 0x37),
    ("unmounting-sigkill", 0x38),
    ("abandoned", 0x50),
    ("active", 0x60),
    ("start-chown", 0x70),
    ("start-post", 0x71),
    ("listening", 0x72),
    ("stop-pre", 0x73),
    ("stop-pre-sigterm", 0x74),
    ("stop-pre-sigkill", 0x75),
    ("final-sigkill", 0x76),
    ("activating", 0x80),
    ("activating-done", 0x81),
    ("deactivating", 0x82),
    ("deactivating-sigterm", 0x83),
    ("deactivating-sigkill", 0x84),
    ("elapsed", 0xa0),
];

pub(super) fn load(word: &str) -> Option<i64> {
    code(&LOAD, word)
}

pub(super) fn active(word: &str) -> Option<i64> {
    code(&ACTIVE, word)
}

pub(super) fn sub(word: &str) -> Option<i64> {
    code(&SUB, word)
}

fn code(table: &[(&str, i64)], word: &str) -> Option<i64> {
    table.iter().find(|(known, _)| *known == word).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_word_and_every_number_once() {
        for table in [&LOAD[..], &ACTIVE, &SUB] {
            let words: BTreeSet<_> = table.iter().map(|(word, _)| word).collect();
            let numbers: BTreeSet<_> = table.iter().map(|(_, number)| number).collect();
            assert_eq!((words.len(), numbers.len()), (table.len(), table.len()));
        }
    }

    #[test]
    fn some_that_dashboards_compare_with() {
        assert_eq!((load("loaded"), load("masked")), (Some(0), Some(6)));
        assert_eq!((active("failed"), active("deactivating")), (Some(3), Some(5)));
        assert_eq!((sub("running"), sub("dead"), sub("exited")), (Some(0), Some(1), Some(4)));
        assert_eq!((sub("mounted"), sub("listening"), sub("elapsed")), (Some(0x32), Some(0x72), Some(0xa0)));
        assert_eq!(sub("auto-restart-queued"), Some(0x17));
        assert_eq!(sub("dancing"), None);
    }
}
