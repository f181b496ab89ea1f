//! The commands and their options as data, for manual pages and the completion of shells.

use crate::{
    command::{COMMANDS, Command},
    flags::Flag,
    options::GLOBAL,
};

/// A command of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandDescription {
    /// One word, or two where it belongs to a group.
    pub name: &'static str,
    /// What follows its options: `<needed>`, `[optional]`.
    pub arguments: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its own options.
    pub options: Vec<OptionDescription>,
    /// Lines behind the program's name.
    pub examples: &'static [&'static str],
}

/// An option, which may be given with one dash or with two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionDescription {
    /// Without dashes.
    pub name: &'static str,
    /// What its value is called; empty for a switch.
    pub value: &'static str,
    /// One sentence.
    pub help: &'static str,
}

/// The commands that the usage lists, in its order.
pub fn commands() -> Vec<CommandDescription> {
    COMMANDS.iter().filter(|command| !command.summary.is_empty()).map(describe).collect()
}

/// The options of every command.
pub fn global_options() -> Vec<OptionDescription> {
    GLOBAL.iter().map(describe_option).collect()
}

fn describe(command: &Command) -> CommandDescription {
    CommandDescription {
        name: command.name,
        arguments: command.arguments,
        summary: command.summary,
        options: command.flags.iter().map(describe_option).collect(),
        examples: command.examples,
    }
}

const fn describe_option(flag: &Flag) -> OptionDescription {
    OptionDescription { name: flag.name, value: flag.value, help: flag.help }
}
