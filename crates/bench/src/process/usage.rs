//! What a server takes of the machine, seen from outside: memory, processor time, disk.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;

/// The unit of processor time in `/proc`: Linux' USER_HZ is 100 wherever this runs.
const TICK: Duration = Duration::from_millis(10);

/// What a process has taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident memory now, in bytes.
    pub(crate) resident_bytes: u64,
    /// The most it ever was.
    pub(crate) resident_bytes_max: u64,
    /// Processor time of all its threads since it started.
    pub(crate) processor: Duration,
}

/// What the process has taken until now.
pub(crate) fn of_process(pid: u32) -> anyhow::Result<Usage> {
    let read = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}; has it ended?"))
    };
    let (resident_bytes, resident_bytes_max) =
        resident_bytes(&read("status")?).context("the kernel tells no resident size")?;
    let ticks = processor_ticks(&read("stat")?).context("the kernel tells no processor time")?;
    let processor = TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
    Ok(Usage { resident_bytes, resident_bytes_max, processor })
}

/// Resident memory now and at most, from the text of `/proc/PID/status` (proc_pid_status(5)).
fn resident_bytes(status: &str) -> Option<(u64, u64)> {
    let bytes = |key: &str| -> Option<u64> {
        let kib = status.lines().find_map(|line| line.strip_prefix(key))?.trim().strip_suffix("kB")?;
        Some(kib.trim().parse::<u64>().ok()? * 1024)
    };
    bytes("VmRSS:").zip(bytes("VmHWM:"))
}

/// User and system time in clock ticks, from the text of `/proc/PID/stat` (proc_pid_stat(5)): fields 14 and 15.
/// The second field, the program's name in parentheses, may hold spaces and parentheses of its own.
fn processor_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Bytes in the blocks of all files below `path`. Files that vanish meanwhile count nothing.
pub(crate) fn disk_bytes(path: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(0) };
    if !metadata.is_dir() {
        return Ok(metadata.blocks() * 512);
    }
    let Ok(entries) = fs::read_dir(path) else { return Ok(0) };
    entries.map(|entry| disk_bytes(&entry?.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_bytes_are_those_of_all_files_below() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("a")).expect("a directory");
        fs::write(directory.path().join("a/b"), vec![7; 100_000]).expect("a file");
        fs::write(directory.path().join("c"), vec![7; 100_000]).expect("a file");
        let bytes = disk_bytes(directory.path()).expect("readable");
        assert!((200_000..300_000).contains(&bytes), "{bytes}");
        assert_eq!(disk_bytes(&directory.path().join("none")).expect("no error"), 0);
    }

    #[test]
    fn what_the_kernel_tells_is_read() {
        let status = "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t    1000 kB\nThreads:\t1\n";
        assert_eq!(resident_bytes(status), Some((1_024_000, 2_097_152)));
        assert_eq!(resident_bytes("Name:\ta\n"), None);
        let stat = "17 (a) b (c)) S 1 17 17 0 -1 4194560 9 0 0 0 250 30 0 0 20 0 4 0 100 0 0";
        assert_eq!(processor_ticks(stat), Some(280));
        assert_eq!(processor_ticks("17 (a) S 1"), None);
    }

    #[test]
    fn a_busy_process_is_seen_to_be_busy() {
        let before = of_process(std::process::id()).expect("this process runs");
        let mut sum = 0_u64;
        while of_process(std::process::id()).expect("this process runs").processor == before.processor {
            sum = (0..1_000_000).fold(sum, |sum, number| sum.wrapping_mul(31).wrapping_add(number));
        }
        assert!(std::hint::black_box(sum) != 1 && before.resident_bytes > 0);
        assert!(before.resident_bytes_max >= before.resident_bytes);
    }
}
