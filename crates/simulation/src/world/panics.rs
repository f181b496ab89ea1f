//! Panics of simulated processes. A runtime swallows them with their task; here they are bugs.

use std::{
    cell::RefCell,
    panic::{PanicHookInfo, set_hook, take_hook},
    sync::Once,
};

thread_local! {
    static RECORDED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// From now on panics of this thread are kept instead of told.
pub(crate) fn record_in_this_thread() {
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !record(panic) {
                usual(panic);
            }
        }));
    });
    RECORDED.with_borrow_mut(|recorded| *recorded = Some(Vec::new()));
}

fn record(panic: &PanicHookInfo<'_>) -> bool {
    RECORDED.with_borrow_mut(|recorded| match recorded {
        Some(recorded) => {
            recorded.push(panic.to_string());
            true
        }
        None => false,
    })
}

/// What has been kept since the last time.
pub(crate) fn take() -> Vec<String> {
    RECORDED.with_borrow_mut(|recorded| recorded.as_mut().map(std::mem::take).unwrap_or_default())
}
