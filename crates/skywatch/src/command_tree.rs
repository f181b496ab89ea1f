//! Every command and option of the program as one tree: what manual pages and completions are made from.
//!
//! The command line itself stops at `ctl`, whose commands `skywatch_ctl` reads in its own way (options with one dash or two,
//! before or after the command); here they are commands like all others.

use clap::{Arg, ArgAction, Command, CommandFactory, ValueHint};
use skywatch_ctl::{CommandDescription, OptionDescription};

use crate::{
    cli::{Cli, CtlCli, Program},
    ctl::INFLUXD_CTL,
};

/// The commands below one of the names of the binary, built.
pub(crate) fn of(program: Program) -> Command {
    let mut tree = match program {
        Program::Skywatch => Cli::command().mut_subcommand("ctl", |ctl| {
            let commands = ctl_commands("ctl");
            let about = ctl.get_about().cloned().unwrap_or_default();
            commands.about(about)
        }),
        Program::InfluxdCtl => ctl_commands(INFLUXD_CTL)
            .about("Administer a Skywatch cluster; back databases up, restore them")
            .version(env!("CARGO_PKG_VERSION")),
    };
    tree.build();
    tree
}

/// Whether a command is the one whose commands stand on its own page.
pub(crate) fn is_ctl(command: &Command) -> bool {
    ["ctl", INFLUXD_CTL].contains(&command.get_name())
}

fn ctl_commands(name: &'static str) -> Command {
    let mut tree = Command::new(name)
        .subcommand_required(true)
        .args(skywatch_ctl::global_options().into_iter().map(option));
    let elsewhere = CtlCli::command();
    for described in skywatch_ctl::commands() {
        if described.name == "help" {
            continue;
        }
        let command = match elsewhere.find_subcommand(described.name) {
            Some(command) => command.clone(),
            None => ctl_command(&described),
        };
        tree = match described.name.split_once(' ') {
            Some((group, _)) => within(tree, group, command),
            None => tree.subcommand(with_global(command)),
        };
    }
    tree
}

/// Adds a command to a group of commands, which is made when the first one comes.
fn within(tree: Command, group: &'static str, command: Command) -> Command {
    let command = with_global(command);
    if tree.find_subcommand(group).is_some() {
        return tree.mut_subcommand(group, |group| group.subcommand(command));
    }
    let about = format!("Commands of {group}");
    tree.subcommand(Command::new(group).about(about).subcommand_required(true).subcommand(command))
}

fn ctl_command(described: &CommandDescription) -> Command {
    let name = described.name.rsplit(' ').next().unwrap_or(described.name);
    let arguments = described.arguments.split_whitespace().map(|word| {
        let (bare, is_needed) = match word.strip_prefix('<') {
            Some(rest) => (rest.trim_end_matches('>'), true),
            None => (word.trim_matches(['[', ']']), false),
        };
        Arg::new(bare).value_name(bare).required(is_needed).value_hint(ValueHint::Hostname)
    });
    Command::new(name)
        .about(described.summary)
        .args(arguments)
        .args(described.options.iter().copied().map(option))
}

/// The options that every command takes, unless it has one of that name with a meaning of its own.
fn with_global(command: Command) -> Command {
    let own: Vec<String> =
        command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    let missing = skywatch_ctl::global_options().into_iter().filter(|shared| {
        !own.iter().any(|name| name == shared.name)
            && !command.get_arguments().any(|arg| arg.get_id().as_str() == shared.name)
    });
    let missing: Vec<_> = missing.map(|shared| option(shared).hide(true)).collect();
    command.args(missing)
}

fn option(described: OptionDescription) -> Arg {
    let arg = Arg::new(described.name).help(described.help);
    let arg = match (described.name.chars().next(), described.name.len()) {
        (Some(letter), 1) => arg.short(letter),
        _ => arg.long(described.name),
    };
    match described.value {
        "" => arg.action(ArgAction::SetTrue),
        value => arg.value_name(value).action(ArgAction::Set).value_hint(hint(value)),
    }
}

fn hint(value: &str) -> ValueHint {
    match value {
        "file" => ValueHint::FilePath,
        "host:port" => ValueHint::Hostname,
        _ => ValueHint::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_are_consistent_and_have_every_command_of_ctl() {
        for program in [Program::Skywatch, Program::InfluxdCtl] {
            let tree = of(program);
            tree.clone().debug_assert();
            let ctl = tree.find_subcommand("ctl").unwrap_or(&tree);
            for described in skywatch_ctl::commands() {
                let found =
                    described.name.split(' ').try_fold(ctl, |command, word| command.find_subcommand(word));
                let command = found.unwrap_or_else(|| panic!("{program:?} lacks {}", described.name));
                for option in described.options {
                    assert!(
                        command.get_arguments().any(|arg| arg.get_id() == option.name),
                        "{} lacks {}",
                        described.name,
                        option.name
                    );
                }
            }
        }
    }
}
