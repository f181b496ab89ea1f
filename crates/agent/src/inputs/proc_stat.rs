//! `/proc/stat`, which several collectors read a part of. Pure.

/// Ticks per second of the kernel's user interface; 100 on every Linux.
const USER_HZ: f64 = 100.0;

/// The times of one CPU, or of all together, in seconds since boot. `guest` is contained in
/// `user`, `guest_nice` in `nice`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct CpuTimes {
    pub(crate) user: f64,
    pub(crate) nice: f64,
    pub(crate) system: f64,
    pub(crate) idle: f64,
    pub(crate) iowait: f64,
    pub(crate) irq: f64,
    pub(crate) softirq: f64,
    pub(crate) steal: f64,
    pub(crate) guest: f64,
    pub(crate) guest_nice: f64,
}

impl CpuTimes {
    /// All time accounted, guests counted once.
    pub(crate) fn total(&self) -> f64 {
        self.user + self.system + self.nice + self.iowait + self.irq + self.softirq + self.steal + self.idle
    }

    /// All time that was not idle; waiting for I/O counts as active, as in the original.
    pub(crate) fn active(&self) -> f64 {
        self.total() - self.idle
    }
}

/// Every `cpu` line: its name (`cpu-total`, `cpu0` ...) and its times, in the file's order.
pub(crate) fn cpu_times(text: &str) -> Result<Vec<(String, CpuTimes)>, String> {
    let lines = text.lines().filter(|line| line.starts_with("cpu"));
    lines
        .map(|line| {
            let mut words = line.split_ascii_whitespace();
            let name = match words.next() {
                Some("cpu") | None => "cpu-total".to_owned(),
                Some(name) => name.to_owned(),
            };
            let mut ticks = [0.0; 10];
            for (slot, word) in ticks.iter_mut().zip(words) {
                *slot = word.parse::<u64>().map_err(|_| format!("no number: {line:?}"))? as f64 / USER_HZ;
            }
            let [user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice] = ticks;
            Ok((name, CpuTimes { user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice }))
        })
        .collect()
}

/// The first number behind a keyword at the start of a line, as of `ctxt 115960`.
pub(crate) fn number(text: &str, keyword: &str) -> Option<i64> {
    numbers(text, keyword)?.next()?
}

/// All numbers behind a keyword at the start of a line.
pub(crate) fn numbers<'a>(text: &'a str, keyword: &str) -> Option<impl Iterator<Item = Option<i64>> + 'a> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some(keyword)).then(|| words.map(|word| word.parse().ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "\
cpu  1000 20 300 40000 50 6 7 8 90 10
cpu0 500 10 150 20000 25 3 4 4 45 5
cpu1 500 10 150 20000
intr 8885917 17 0 0
ctxt 2626618
btime 1457505775
processes 26442
";

    #[test]
    fn cpu_lines_of_new_and_old_kernels() {
        let times = cpu_times(STAT).expect("valid");
        assert_eq!(times.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["cpu-total", "cpu0", "cpu1"]);
        assert_eq!(times[0].1.user, 10.0);
        assert_eq!(times[0].1.guest_nice, 0.1);
        assert_eq!(times[2].1.steal, 0.0, "not told by old kernels");
        assert!((times[0].1.total() - 413.91).abs() < 1e-9);
        assert!((times[0].1.active() - 13.91).abs() < 1e-9);
        assert!(cpu_times("cpu0 12 x").is_err());
    }

    #[test]
    fn numbers_behind_keywords() {
        assert_eq!(number(STAT, "ctxt"), Some(2_626_618));
        assert_eq!(number(STAT, "intr"), Some(8_885_917));
        assert_eq!(number(STAT, "page"), None);
    }
}
