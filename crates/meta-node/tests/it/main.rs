//! Several meta nodes in one process and one thread, under a paused clock.

mod leases;
mod members;
mod raft;
mod recovery;
mod wire;
