//! Reading shards that other nodes hold, as if they were here.
