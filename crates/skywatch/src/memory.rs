//! How much memory the process takes unless told: a part of what this machine, or this container, has.

use std::{fs, path::Path};

/// Never less, even where that is more than a quarter: below it a write of the largest size leaves no room for others.
const BUDGET_BYTES_MIN: u64 = 256 << 20;
/// Never more unasked: a machine with much memory usually has it for something else, and what the budget does not
/// take the kernel uses to cache segments.
const BUDGET_BYTES_MAX: u64 = 4 << 30;

/// The memory budget of a process that was given none: a quarter of the memory it may use. The other three quarters
/// are for the page cache, which queries live on, and for the agent and whatever else runs here.
pub(crate) fn default_budget_bytes() -> u64 {
    let installed = fs::read_to_string("/proc/meminfo").ok().and_then(|text| installed_bytes(&text));
    budget_bytes(installed, container_bytes(Path::new("/sys/fs/cgroup")))
}

fn budget_bytes(installed: Option<u64>, container: Option<u64>) -> u64 {
    let available = [installed, container].into_iter().flatten().min();
    (available.unwrap_or(0) / 4).clamp(BUDGET_BYTES_MIN, BUDGET_BYTES_MAX)
}

/// `MemTotal` of `/proc/meminfo`.
fn installed_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The tightest limit of the control groups this process is in, version 2 or 1; `None` without one.
fn container_bytes(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_bytes(&groups, root, &|file| fs::read_to_string(file).ok())
}

/// As [`container_bytes`], of the text of `/proc/self/cgroup`: lines of `number:controllers:path`. A limit of any
/// group above counts too.
fn limit_bytes(groups: &str, root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (base, file) = if controllers.is_empty() {
            (root.to_path_buf(), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let mut group = base.join(path.trim_start_matches('/'));
        while group.starts_with(&base) {
            // "max" is no number and no limit.
            let limit = read(&group.join(file)).and_then(|text| text.trim().parse().ok());
            least = [least, limit].into_iter().flatten().min();
            if !group.pop() {
                break;
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_quarter_within_bounds() {
        assert_eq!(budget_bytes(Some(8 * GIB), None), 2 * GIB);
        assert_eq!(budget_bytes(Some(8 * GIB), Some(4 * GIB)), GIB);
        assert_eq!(budget_bytes(Some(64 * GIB), Some(u64::MAX)), BUDGET_BYTES_MAX);
        assert_eq!(budget_bytes(Some(GIB / 2), None), BUDGET_BYTES_MIN);
        assert_eq!(budget_bytes(None, None), BUDGET_BYTES_MIN);
    }

    #[test]
    fn installed_memory_is_read() {
        let text = "MemTotal:       24683392 kB\nMemFree:        16166936 kB\n";
        assert_eq!(installed_bytes(text), Some(24_683_392 * 1024));
        assert_eq!(installed_bytes("MemFree: 1 kB"), None);
    }

    #[test]
    fn the_tightest_group_counts() {
        let root = Path::new("/cg");
        let v2 = |file: &Path| match file.to_str()? {
            "/cg/a/b/memory.max" => Some("max\n".to_owned()),
            "/cg/a/memory.max" => Some("1048576\n".to_owned()),
            _ => None,
        };
        assert_eq!(limit_bytes("0::/a/b\n", root, &v2), Some(1 << 20));
        let v1 = |file: &Path| {
            (file == Path::new("/cg/memory/docker/x/memory.limit_in_bytes")).then(|| "4096\n".to_owned())
        };
        assert_eq!(limit_bytes("4:cpu:/other\n7:memory:/docker/x\n0::/\n", root, &v1), Some(4096));
        assert_eq!(limit_bytes("", root, &v2), None);
    }
}
