//! How the C library's allocator is told to behave: few arenas, and free pages given back. And what it holds.

use std::{fs, sync::Weak, thread, time::Duration};

use skywatch_storage::MemoryBudget;

/// How often the process looks at what it holds.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Memory beyond what is counted that is taken for free pages rather than for code, stacks and tables.
const SLACK_BYTES: u64 = 96 << 20;

/// Arenas that all threads share.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Lets threads share few arenas. By default glibc gives nearly every thread one, and memory that was freed in an
/// arena stays there: under many large requests a server took more than twice what it used. Called before there are
/// threads. See mallopt(3), `M_ARENA_MAX`.
#[cfg(target_env = "gnu")]
pub(crate) fn share_arenas() {
    // SAFETY: no other thread runs yet, and the parameter is one that mallopt(3) names.
    let accepted = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
    debug_assert_eq!(accepted, 1, "mallopt takes M_ARENA_MAX");
}

/// Other C libraries have no such arenas.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn share_arenas() {}

/// Gives free pages back to the system while the process holds much more than is counted in `memory`: pages between
/// blocks that live on stay with the allocator otherwise. Ends with the budget.
pub(crate) fn trim_beside(memory: Weak<MemoryBudget>) -> std::io::Result<()> {
    let look = move || {
        while let Some(memory) = memory.upgrade() {
            let counted = memory.used_bytes_total();
            drop(memory);
            if anonymous_bytes().is_some_and(|held| held > counted + SLACK_BYTES) {
                trim();
            }
            thread::sleep(LOOK_EVERY);
        }
    };
    thread::Builder::new().name("memory-trim".to_owned()).spawn(look).map(drop)
}

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: malloc_trim(3) may be called at any time from any thread; it keeps no room at the top.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}

/// What the allocator holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heap {
    /// In blocks handed out.
    pub(crate) used_bytes: u64,
    /// In blocks that wait to be handed out again.
    pub(crate) free_bytes: u64,
}

/// What all arenas hold now.
#[cfg(target_env = "gnu")]
pub(crate) fn heap() -> Option<Heap> {
    // SAFETY: mallinfo2(3) may be called at any time from any thread; it only counts.
    let counted = unsafe { libc::mallinfo2() };
    // Blocks mapped one by one are in no arena.
    Some(Heap { used_bytes: (counted.uordblks + counted.hblkhd) as u64, free_bytes: counted.fordblks as u64 })
}

/// Other C libraries do not tell.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn heap() -> Option<Heap> {
    None
}

/// Memory of the process that no file backs.
fn anonymous_bytes() -> Option<u64> {
    status_number("RssAnon:").map(|kib| kib * 1024)
}

/// Memory of the process that is in RAM.
pub(crate) fn resident_bytes() -> Option<u64> {
    status_number("VmRSS:").map(|kib| kib * 1024)
}

/// A number that the kernel tells of the process; see proc_pid_status(5). Sizes are in KiB.
pub(crate) fn status_number(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().trim_end_matches("kB").trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_tells_what_the_process_holds() {
        let before = super::anonymous_bytes().expect("Linux tells");
        let held = vec![1u8; 64 << 20];
        let during = super::anonymous_bytes().expect("Linux tells");
        assert!(during >= before + (48 << 20) && held.len() == 64 << 20, "{before} then {during}");
    }
}
