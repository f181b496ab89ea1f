//! Queues of hints that are not where the catalogue says that they are.

use std::{path::Path, sync::Arc};

use skywatch_meta::NodeId;
use skywatch_model::SystemClock;
use skywatch_replication::hints::{HintSettings, Hints};
use skywatch_storage::fs::{Fs, SimFs};

const NODE: NodeId = NodeId(5);

fn open(fs: &SimFs) -> Hints {
    let wall = Arc::new(SystemClock);
    Hints::open(Arc::new(fs.clone()), Path::new("hh"), wall, HintSettings::default()).unwrap()
}

#[tokio::test]
async fn a_queue_that_is_gone_is_missed_and_one_that_was_emptied_is_not() {
    let fs = SimFs::default();
    let queue = open(&fs).queue(NODE).unwrap();
    queue.append(b"operation", 1).await.unwrap();
    let batch = queue.next(100).unwrap();
    queue.delivered(&batch);
    let queue = open(&fs).queue(NODE).unwrap();
    queue.expect_kept();
    assert!(queue.is_empty() && !queue.has_gaps(), "all of it was delivered");
    queue.append(b"operation", 1).await.unwrap();
    fs.remove_dir_all(Path::new("hh/5")).unwrap();
    let queue = open(&fs).queue(NODE).unwrap();
    assert!(!queue.has_gaps(), "nothing is known to have been here");
    queue.expect_kept();
    assert!(queue.has_gaps());
    assert!(open(&fs).queue(NODE).unwrap().has_gaps(), "it is remembered");
}
