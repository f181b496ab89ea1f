//! `[data]`: where points are kept, how safely, and in how much memory.

use std::path::PathBuf;

use anyhow::{Result, bail};
use skywatch_storage::{CardinalityLimits, Consumer, MemoryBudget, StoreOptions};

use crate::{
    byte_size::ByteSize,
    cli::{DurabilityMode, RunArgs},
    memory,
};

use super::influxdb::{refuse_foreign_data, section};

/// How the store runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DataSettings {
    pub(crate) dir: PathBuf,
    pub(crate) durability: DurabilityMode,
    /// `None` leaves it to what this machine has.
    pub(crate) memory_budget: Option<ByteSize>,
    /// Bytes that memtables may hold, at most their share of the budget, before writes are slowed down and refused.
    pub(crate) write_memory_bytes: u64,
    /// 0 means no limit.
    pub(crate) max_series_per_database: u64,
    /// 0 means no limit.
    pub(crate) max_values_per_tag: u64,
}

section! {
    /// The section as written; what tunes InfluxDB's engine has no effect on this one.
    DataSection "data"
    reads {
        dir: Option<PathBuf>,
        durability: Option<DurabilityMode>,
        memory_budget: Option<ByteSize>,
        write_memory_bytes: Option<u64>,
        max_series_per_database: Option<u64>,
        max_values_per_tag: Option<u64>,
    }
    ignores {
        wal_dir,
        wal_fsync_delay,
        index_version,
        query_log_enabled,
        trace_logging_enabled,
        validate_keys,
        strict_error_handling,
        cache_max_memory_size,
        cache_snapshot_memory_size,
        cache_snapshot_write_cold_duration,
        compact_full_write_cold_duration,
        compact_throughput,
        compact_throughput_burst,
        max_concurrent_compactions,
        max_concurrent_deletes,
        max_index_log_file_size,
        series_id_set_cache_size,
        series_file_max_concurrent_snapshot_compactions,
        tsm_use_madv_willneed,
    }
}

/// A write passes through memory as a body, as parsed points and as rows: so many times its size at once.
const BUDGET_BODIES: u64 = 4;
/// Less would not do for anything.
const BUDGET_BYTES_MIN: u64 = 64 << 20;

/// Below this no memtable would hold a body of the largest size.
const WRITE_MEMORY_BYTES_MIN: u64 = 64 << 20;

impl DataSettings {
    pub(super) fn merge(args: &RunArgs, file: DataSection) -> Self {
        let cardinality = CardinalityLimits::default();
        Self {
            dir: args.data_dir.clone().or(file.dir).unwrap_or_else(|| "skywatch-data".into()),
            durability: args.durability.or(file.durability).unwrap_or(DurabilityMode::Fsync),
            memory_budget: args.memory_budget.or(file.memory_budget),
            write_memory_bytes: file.write_memory_bytes.unwrap_or(StoreOptions::MEMTABLE_BYTES_MAX),
            max_series_per_database: file
                .max_series_per_database
                .unwrap_or(cardinality.max_series_per_database),
            max_values_per_tag: file.max_values_per_tag.unwrap_or(cardinality.max_values_per_tag),
        }
    }

    /// Bodies of up to `body_bytes_max` must find memory.
    pub(super) fn check(&self, body_bytes_max: usize) -> Result<()> {
        refuse_foreign_data(&self.dir)?;
        if self.write_memory_bytes < WRITE_MEMORY_BYTES_MIN {
            bail!(
                "[data] write-memory-bytes is {}: it must be at least {WRITE_MEMORY_BYTES_MIN}",
                self.write_memory_bytes
            );
        }
        if let Some(budget) = self.memory_budget {
            let needed = ByteSize((BUDGET_BODIES * body_bytes_max as u64).max(BUDGET_BYTES_MIN));
            if budget < needed {
                bail!(
                    "memory-budget is {budget}: it must be at least {needed} for writes of up to {body_bytes_max} \
                     bytes; raise [data] memory-budget (--memory-budget) or lower [http] max-body-bytes"
                );
            }
        }
        Ok(())
    }

    /// What the whole process shares.
    pub(crate) fn memory(&self) -> MemoryBudget {
        let total = self.memory_budget.map_or_else(memory::default_budget_bytes, |budget| budget.0);
        MemoryBudget::new(total).with_ceiling(Consumer::Memtables, self.write_memory_bytes)
    }
}

#[cfg(test)]
mod tests {
    use skywatch_storage::Consumer;

    use crate::config::tests::{settings, settings_error};

    #[test]
    fn the_memory_budget_is_a_size_or_a_number() {
        for text in ["memory-budget = \"1g\"", "memory-budget = 1073741824"] {
            let memory = settings(&format!("[data]\n{text}\nwrite-memory-bytes = 67108864")).data.memory();
            assert_eq!(memory.total_bytes(), 1 << 30);
            assert_eq!(memory.limit_bytes(Consumer::Memtables), 64 << 20);
        }
        let error = settings_error("[data]\nmemory-budget = \"much\"");
        assert!(error.contains("line 2") && error.contains("512m"), "{error}");
    }

    #[test]
    fn a_budget_that_no_write_fits_is_refused() {
        let error = settings_error("[data]\nmemory-budget = \"64m\"");
        for part in ["64m", "100000000", "--memory-budget", "max-body-bytes"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
