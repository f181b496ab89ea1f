//! What the kernel's files of one process say. Pure parsing.

/// Ticks per second of the kernel's user interface.
pub(super) const USER_HZ: u64 = 100;

/// `/proc/PID/stat`, as far as it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    /// The name, at most 15 bytes.
    pub(super) comm: String,
    pub(super) state: char,
    pub(super) ppid: i32,
    pub(super) minor_faults: u64,
    pub(super) child_minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) child_major_faults: u64,
    pub(super) user_ticks: u64,
    pub(super) system_ticks: u64,
    pub(super) nice: i64,
    pub(super) threads: i64,
    /// Since boot.
    pub(super) start_ticks: u64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_pages: u64,
    pub(super) realtime_priority: u64,
    /// Waiting for block devices.
    pub(super) io_wait_ticks: u64,
}

impl Stat {
    /// The name stands in parentheses and may hold some itself; fields count from the last one, the state being the third.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once('(')?;
        let (comm, rest) = rest.rsplit_once(')')?;
        let words: Vec<_> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| words.get(number - 3).copied();
        let unsigned = |number: usize| field(number)?.parse::<u64>().ok();
        Some(Self {
            comm: comm.to_owned(),
            state: field(3)?.chars().next()?,
            ppid: field(4)?.parse().ok()?,
            minor_faults: unsigned(10)?,
            child_minor_faults: unsigned(11)?,
            major_faults: unsigned(12)?,
            child_major_faults: unsigned(13)?,
            user_ticks: unsigned(14)?,
            system_ticks: unsigned(15)?,
            nice: field(19)?.parse().ok()?,
            threads: field(20)?.parse().ok()?,
            start_ticks: unsigned(22)?,
            virtual_bytes: unsigned(23)?,
            resident_pages: unsigned(24)?,
            // Kernels before 2.6.18 lack the rest.
            realtime_priority: unsigned(40).unwrap_or(0),
            io_wait_ticks: unsigned(42).unwrap_or(0),
        })
    }

    /// The state as a word.
    pub(super) fn status(&self) -> &'static str {
        match self.state {
            'R' => "running",
            'S' => "sleep",
            'D' => "blocked",
            'I' => "idle",
            'T' | 't' => "stop",
            'W' => "wait",
            'Z' => "zombie",
            'L' => "lock",
            'X' => "dead",
            'P' => "parked",
            _ => "unknown",
        }
    }

    /// Seconds of CPU time used, and waited for block devices.
    pub(super) fn cpu_seconds(&self) -> f64 {
        (self.user_ticks + self.system_ticks + self.io_wait_ticks) as f64 / USER_HZ as f64
    }
}

/// The first number behind a key at the start of a line, as of `VmData:   20440 kB` or `rchar: 12`.
pub(super) fn number(text: &str, key: &str) -> Option<u64> {
    word(text, key, 0)?.parse().ok()
}

/// A word behind a key at the start of a line.
pub(super) fn word<'a>(text: &'a str, key: &str, index: usize) -> Option<&'a str> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    rest.split_ascii_whitespace().nth(index)
}

/// The real and the effective user of `/proc/PID/status`.
pub(super) fn uids(status: &str) -> Option<(u32, u32)> {
    Some((word(status, "Uid", 0)?.parse().ok()?, word(status, "Uid", 1)?.parse().ok()?))
}

/// Arguments with blanks between them; the kernel ends each with NUL.
pub(super) fn command_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches('\0').replace('\0', " ")
}

/// A limit of `/proc/PID/limits`: the soft and the hard one. Names hold blanks, the columns are apart by two or more.
pub(super) fn limit(limits: &str, name: &str) -> Option<(u64, u64)> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("  "))?;
    let mut words = rest.split_ascii_whitespace();
    let mut next = || match words.next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    };
    Some((next()?, next()?))
}

/// Sums of the mappings of `/proc/PID/smaps`, in kilobytes, by its own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Maps {
    pub(super) sums: [u64; MAPS.len()],
}

/// Fields, and the keys of the file.
pub(super) const MAPS: [(&str, &str); 9] = [
    ("memory_size", "Size"),
    ("memory_pss", "Pss"),
    ("memory_shared_clean", "Shared_Clean"),
    ("memory_shared_dirty", "Shared_Dirty"),
    ("memory_private_clean", "Private_Clean"),
    ("memory_private_dirty", "Private_Dirty"),
    ("memory_referenced", "Referenced"),
    ("memory_anonymous", "Anonymous"),
    ("memory_swap", "Swap"),
];

impl Maps {
    /// Adds a line's number; the lines of addresses and others are none.
    pub(super) fn add(&mut self, line: &str) {
        let Some((key, rest)) = line.split_once(':') else { return };
        let Some(at) = MAPS.iter().position(|(_, known)| *known == key) else { return };
        if let Some(Ok(value)) = rest.split_ascii_whitespace().next().map(str::parse::<u64>) {
            self.sums[at] = self.sums[at].saturating_add(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_fields() {
        let line = "9 (a) R 7 (b) S 8 9 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 -5 3 0 900 4096 2 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 1 50 1 77 0 0";
        let stat = Stat::parse(line).expect("valid");
        assert_eq!((stat.comm.as_str(), stat.state, stat.ppid), ("a) R 7 (b", 'S', 8));
        assert_eq!((stat.minor_faults, stat.child_major_faults), (1, 4));
        assert_eq!((stat.user_ticks, stat.system_ticks, stat.io_wait_ticks), (5, 6, 77));
        assert_eq!((stat.nice, stat.threads, stat.start_ticks), (-5, 3, 900));
        assert_eq!((stat.virtual_bytes, stat.resident_pages, stat.realtime_priority), (4096, 2, 50));
        assert_eq!(stat.status(), "sleep");
        assert!((stat.cpu_seconds() - 0.88).abs() < 1e-9);
        for torn in ["", "9", "9 (a", "9 (a) S", "9 (a) S x 1 2 3"] {
            assert_eq!(Stat::parse(torn), None, "{torn:?}");
        }
    }

    #[test]
    fn limits_and_numbers() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n\
                      Max locked memory         unlimited            unlimited            bytes     \n\
                      Max nice priority         0                    0                    \n";
        assert_eq!(limit(limits, "Max open files"), Some((1024, 524_288)));
        assert_eq!(limit(limits, "Max locked memory"), Some((u64::MAX, u64::MAX)));
        assert_eq!(limit(limits, "Max nice priority"), Some((0, 0)));
        assert_eq!(limit(limits, "Max stack size"), None);
        assert_eq!(number("rchar: 12\nwchar: x\n", "rchar"), Some(12));
        assert_eq!(number("rchar: 12\nwchar: x\n", "wchar"), None);
        assert_eq!(uids("Name:\tx\nUid:\t1000\t0\t0\t0\n"), Some((1000, 0)));
    }

    #[test]
    fn arguments_and_maps() {
        assert_eq!(command_line(b"sh\0-c\0two words\0"), "sh -c two words");
        assert_eq!(command_line(b""), "");
        let mut maps = Maps::default();
        for line in [
            "7f00-7f01 rw-p 0:0 0",
            "Size:   8 kB",
            "Size:   4 kB",
            "Swap:  1 kB",
            "VmFlags: rd wr",
            "Pss: x",
        ] {
            maps.add(line);
        }
        assert_eq!(maps.sums, [12, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
