//! What Flux has elsewhere and a query has not here, and why: said to whoever asks for it.

use super::LIBRARIES;
use crate::{
    Call, Error, Value,
    function::{Builtin, optional, piped},
    packages::{Library, no_constants},
};

const NETWORK: &str = "a query reaches no other servers";
const FILES: &str = "a query reads no files and no other servers; csv.from takes text";
const NO_TASKS: &str = "tasks and checks do not run here; continuous queries and alerts do that work";
const SECRETS: &str = "a query sees no secrets";
const SAMPLES: &str = "sample data is not shipped; array.from and csv.from make tables of your own";
const INTERNAL: &str = "it is for Flux's own sources and tests";
const CONTRIBUTED: &str = "contributed packages are not shipped";
const NOT_YET: &str = "it is not part of what is offered here";

/// Paths, each with all that is below it.
static UNAVAILABLE: &[(&str, &str)] = &[
    ("contrib", CONTRIBUTED),
    ("experimental/bigtable", NETWORK),
    ("experimental/csv", FILES),
    ("experimental/geo", NOT_YET),
    ("experimental/http", NETWORK),
    ("experimental/influxdb", NETWORK),
    ("experimental/iox", NETWORK),
    ("experimental/mqtt", NETWORK),
    ("experimental/oee", NOT_YET),
    ("experimental/prometheus", NETWORK),
    ("experimental/universe", NOT_YET),
    ("http", NETWORK),
    ("influxdata/influxdb/internal", INTERNAL),
    ("influxdata/influxdb/monitor", NO_TASKS),
    ("influxdata/influxdb/sample", SAMPLES),
    ("influxdata/influxdb/secrets", SECRETS),
    ("influxdata/influxdb/tasks", NO_TASKS),
    ("internal", INTERNAL),
    ("kafka", NETWORK),
    ("pagerduty", NETWORK),
    ("planner", INTERNAL),
    ("profiler", INTERNAL),
    ("pushbullet", NETWORK),
    ("sampledata", SAMPLES),
    ("sensu", NETWORK),
    ("slack", NETWORK),
    ("socket", NETWORK),
    ("sql", NETWORK),
    ("testing", INTERNAL),
    ("universe", "its functions need no import"),
];

/// Why there is no package of that path, if it is known and not here.
pub(crate) fn why_unavailable(path: &str) -> Option<String> {
    if LIBRARIES.iter().any(|library| library.path == path) {
        return None;
    }
    let found = UNAVAILABLE.iter().find(|(known, _)| {
        path.strip_prefix(known).is_some_and(|below| below.is_empty() || below.starts_with('/'))
    });
    found.map(|(_, why)| format!("package {path} is not available: {why}"))
}

/// Functions that need no import, and say why they do nothing.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[Builtin {
        name: "to",
        parameters: &[
            piped("tables"),
            optional("bucket"),
            optional("bucketID"),
            optional("fieldFn"),
            optional("host"),
            optional("measurementColumn"),
            optional("org"),
            optional("orgID"),
            optional("tagColumns"),
            optional("timeColumn"),
            optional("token"),
        ],
        run: to,
    }],
    constants: no_constants,
    text: "",
};

fn to(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Err(call.error("a query writes nothing; write points with /write, or let a continuous query do it"))
}
