//! Packages system and runtime: what the query runs on.

use crate::{
    Value,
    function::Builtin,
    packages::{Library, no_constants},
};

/// Package system.
pub(crate) static LIBRARY: Library = Library {
    path: "system",
    // The clock as the query began: one query sees one time, whatever `option now` says.
    builtins: &[Builtin {
        name: "time",
        parameters: &[],
        run: |call| Ok(Value::Time(call.context.begun_ns())),
    }],
    constants: no_constants,
    text: "",
};

/// Package runtime.
pub(crate) static RUNTIME: Library = Library {
    path: "runtime",
    builtins: &[Builtin {
        name: "version",
        parameters: &[],
        run: |_| Ok(Value::text(concat!("v0 (Skywatch ", env!("CARGO_PKG_VERSION"), ")"))),
    }],
    constants: no_constants,
    text: "",
};
