//! A meta node: hosts the catalogue on Raft and answers for it.
