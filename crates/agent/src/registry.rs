//! Every plugin by its name. A new one is a file under `inputs/` or `outputs/` and a line here.

use crate::config::{ConfigError, Section};
use crate::input::Input;
use crate::inputs;
use crate::output::Output;
use crate::outputs;
use crate::paths::HostPaths;

/// A plugin, or what is wrong with its table.
type Built<T> = Result<Box<T>, ConfigError>;

/// An input and how it is built from its table.
#[derive(Debug)]
pub struct InputEntry {
    /// As in `[[inputs.NAME]]`.
    pub name: &'static str,
    /// Takes its options out of the table. Does no I/O.
    pub(crate) build: fn(&mut Section, &HostPaths) -> Built<dyn Input>,
}

/// An output and how it is built from its table.
#[derive(Debug)]
pub struct OutputEntry {
    /// As in `[[outputs.NAME]]`.
    pub name: &'static str,
    /// Takes its options out of the table. Does no I/O.
    pub(crate) build: fn(&mut Section) -> Built<dyn Output>,
}

/// Every input there is.
pub const INPUTS: &[InputEntry] = &[
    InputEntry { name: "cpu", build: inputs::cpu::build },
    InputEntry { name: "disk", build: inputs::disk::build },
    InputEntry { name: "diskio", build: inputs::diskio::build },
    InputEntry { name: "kernel", build: inputs::kernel::build },
    InputEntry { name: "libvirt", build: inputs::libvirt::build },
    InputEntry { name: "mem", build: inputs::mem::build },
    InputEntry { name: "net", build: inputs::net::build },
    InputEntry { name: "processes", build: inputs::processes::build },
    InputEntry { name: "swap", build: inputs::swap::build },
    InputEntry { name: "system", build: inputs::system::build },
];

/// Every output there is.
pub const OUTPUTS: &[OutputEntry] = &[
    OutputEntry { name: "file", build: outputs::file::build },
    OutputEntry { name: "influxdb", build: outputs::influxdb::build },
];

pub(crate) fn input(name: &str) -> Option<&'static InputEntry> {
    INPUTS.iter().find(|entry| entry.name == name)
}

pub(crate) fn output(name: &str) -> Option<&'static OutputEntry> {
    OUTPUTS.iter().find(|entry| entry.name == name)
}

/// The inputs' names, for messages.
pub fn input_names() -> String {
    INPUTS.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

/// The outputs' names, for messages.
pub fn output_names() -> String {
    OUTPUTS.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}
