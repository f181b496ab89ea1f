//! What owners of a shard send each other: whatever arrives is refused or taken in, and nothing else happens.

use std::{path::Path, sync::Arc};

use skywatch_model::TimeRange;
use skywatch_storage::{
    CellBatch, Deletion, ShardDigest, ShardId, Store, StoreOptions, VersionPolicy, decode_classes, fs::SimFs,
    wire::Reader,
};

/// A batch of cells: what is read of it is written as it was read, and a shard takes it in, once.
pub(crate) fn cells(bytes: &[u8]) {
    let _refused = ShardDigest::decode(&mut Reader::new(bytes));
    let _refused = decode_classes(&mut Reader::new(bytes));
    let _refused = Deletion::decode(&mut Reader::new(bytes));
    let Ok(batch) = CellBatch::decode(bytes) else { return };
    let write = |batch: &CellBatch| {
        let mut bytes = Vec::new();
        batch.encode(&mut bytes);
        bytes
    };
    let written = write(&batch);
    let again = CellBatch::decode(&written).expect("it was written just now");
    assert_eq!(write(&again), written);
    let options =
        StoreOptions { versions: VersionPolicy::Keep, background: false, ..StoreOptions::default() };
    let store = Store::open_on(Arc::new(SimFs::new(1)), Path::new("data"), options).expect("an empty disk");
    let shard = store.create_shard(ShardId(1), TimeRange::ALL).expect("there is none");
    let taken = shard.import(&batch, shard.forgotten()).expect("the disk works");
    assert_eq!(taken.stored + taken.known + taken.refused, batch.cells(), "{taken:?}");
    // A batch may say several things of one cell with one version; they settle.
    let is_settled = |_| shard.import(&batch, shard.forgotten()).expect("the disk works").stored == 0;
    assert!((0..=batch.cells()).any(is_settled), "it is here already");
    shard.flush().expect("the disk works");
    shard.digest().expect("what was taken in can be read");
}
