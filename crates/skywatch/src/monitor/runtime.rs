//! The statistics `runtime`: memory and threads of the process. The names are those of Go's runtime; a number stands
//! under one only where the C library's allocator or the kernel has the same thing to tell.

use std::fs;

use skywatch_monitor::{Selection, Statistic, StatisticsSource};

use crate::allocator;

/// Tells of the process.
#[derive(Debug)]
pub(super) struct RuntimeSource;

impl StatisticsSource for RuntimeSource {
    fn collect(&self, selection: Selection<'_>, statistics: &mut Vec<Statistic>) {
        if !selection.includes("runtime") {
            return;
        }
        let mut runtime = Statistic::new("runtime");
        if let Some(heap) = allocator::heap() {
            runtime = runtime.values([
                ("Alloc", heap.used_bytes),
                ("HeapAlloc", heap.used_bytes),
                ("HeapIdle", heap.free_bytes),
                ("HeapInUse", heap.used_bytes),
                ("HeapSys", heap.used_bytes + heap.free_bytes),
            ]);
        }
        if let Some(resident) = allocator::resident_bytes() {
            runtime = runtime.values([("Sys", resident)]);
        }
        if let Some(threads) = allocator::status_number("Threads:") {
            runtime = runtime.values([("NumGoroutine", threads)]);
        }
        statistics.push(runtime);
    }
}

/// This host's name, as the kernel knows it.
pub(crate) fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_tells_of_its_memory() {
        let held = vec![1u8; 48 << 20];
        let mut statistics = Vec::new();
        RuntimeSource.collect(Selection::All, &mut statistics);
        let fields = statistics[0].fields();
        let value = |name: &str| fields.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        assert!(value("HeapAlloc") >= Some(48 << 20) && held.len() == 48 << 20, "{fields:?}");
        assert!(value("HeapSys") >= value("HeapAlloc"), "{fields:?}");
        assert!(value("Sys") > Some(0) && value("NumGoroutine") > Some(0), "{fields:?}");
        assert!(!hostname().is_empty());
    }
}
