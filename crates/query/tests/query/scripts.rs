//! Every script under `scripts/`, on several layouts of shards and blocks: the answers may not depend on them.

use std::{fs, num::NonZeroUsize, path::Path, sync::Arc};

use crate::node::{Layout, MemoryNode, PLAIN};
use crate::script::Step;
use skywatch_query::{Executor, Limits, MemoryStatistics, QueryRequest};

const SECOND: i64 = 1_000_000_000;

const LAYOUTS: [Layout; 6] = [
    PLAIN,
    Layout { name: "short shards", shard_ns: 3 * SECOND, block_rows: 1, statistics: ALL, ..PLAIN },
    Layout {
        name: "two partitions",
        shard_ns: 7 * SECOND,
        partitions: 2,
        block_rows: 3,
        statistics: ALL,
        ..PLAIN
    },
    Layout { name: "three partitions", partitions: 3, block_rows: 4, ..PLAIN },
    Layout { name: "spans", block_rows: 7, statistics: SPANS, ..PLAIN },
    Layout { name: "wide spans", statistics: MemoryStatistics { span_ns: 60 * SECOND, ..SPANS }, ..PLAIN },
];

const ALL: MemoryStatistics = MemoryStatistics { blocks: true, span_ns: 2 * SECOND, end_rows: true };
const SPANS: MemoryStatistics = MemoryStatistics { blocks: false, span_ns: SECOND, end_rows: true };

#[test]
fn scripts_give_the_answers_of_influxdb() {
    let mut queries = 0;
    let mut failures = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    for entry in fs::read_dir(folder).expect("is there") {
        let path = entry.expect("can be read").path();
        let text = fs::read_to_string(&path).expect("can be read");
        let name = path.file_name().expect("is a file").to_string_lossy().into_owned();
        // Rows of equal time come in an order that depends, as in InfluxDB, on which series share a shard.
        let whole_only = text.starts_with("# In one range of time.");
        for layout in LAYOUTS.iter().filter(|layout| !whole_only || layout.shard_ns == PLAIN.shard_ns) {
            queries += run(&name, &crate::script::parse(&text), *layout, &mut failures);
        }
    }
    assert!(queries > 100, "only {queries} queries: were the scripts found?");
    assert!(failures.is_empty(), "{} of {queries} fail:\n{}", failures.len(), failures.join("\n"));
}

fn run(name: &str, steps: &[Step], layout: Layout, failures: &mut Vec<String>) -> usize {
    let backend = Arc::new(MemoryNode::new(layout));
    let limits = Limits { worker_threads: layout.partitions as usize - 1, ..Limits::default() };
    let executor = Executor::new(Arc::<MemoryNode>::clone(&backend), limits);
    let mut queries = 0;
    for step in steps {
        match step {
            Step::Load { database, policy, lines } => backend.load(database, policy.as_deref(), lines),
            Step::Query(query) => {
                queries += 1;
                let want = serde_json::from_str(&query.answer).expect("the answer is JSON");
                let mut request = QueryRequest::new(&query.text, &query.database, 1_600_000_000 * SECOND);
                request.read_only = true;
                let whole = crate::json::run(&executor, &request);
                request.chunk_rows = NonZeroUsize::new(2);
                let chunked = crate::json::run(&executor, &request);
                for got in [whole, chunked] {
                    if !crate::json::same(&got, &want) {
                        failures.push(format!(
                            "{name}:{} in {}\n  {}\n  want {}\n  got  {got}",
                            query.line, layout.name, query.text, query.answer
                        ));
                        break;
                    }
                }
            }
        }
    }
    queries
}
