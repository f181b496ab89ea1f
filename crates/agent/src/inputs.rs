//! The inputs: one file per collector, parsing apart from scraping.

pub(crate) mod cpu;
pub(crate) mod disk;
pub(crate) mod diskio;
pub(crate) mod kernel;
pub(crate) mod libvirt;
pub(crate) mod mem;
pub(crate) mod net;
mod proc_stat;
pub(crate) mod processes;
pub(crate) mod swap;
pub(crate) mod system;
mod udev;
