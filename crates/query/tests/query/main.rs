//! The query engine over a node in memory.

mod json;
mod layouts;
mod limits;
mod node;
mod script;
mod scripts;
