//! A plugin's bug must not take the others down with it: calls that catch a panic and tell its text.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `work`; a panic in it becomes an error with the panic's text. What `work` changed before it panicked stays
/// changed: a plugin's own state is at worst stale.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| text(panic.as_ref()))
}

/// What a panic said.
pub(crate) fn text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked".to_owned())
}
