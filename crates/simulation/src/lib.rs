//! Whole clusters in one thread and virtual time, with every fault a seed can think of.
