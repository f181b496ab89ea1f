//! Every table and message of `ctl`, to the byte, against a server that answers as the nodes' HTTP APIs do.

mod backstage;
mod errors;
mod long_work;
mod membership;
mod shards;
mod tables;
mod this_machine;
