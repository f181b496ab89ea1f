//! How to call the program and its commands.

use crate::{
    command::{COMMANDS, Command},
    flags::Flag,
    options::GLOBAL,
};

/// Of everything.
pub(crate) fn of_program(program: &str) -> String {
    let mut text =
        format!("Usage: {program} [options] <command> [options] [<args>]\n\nAvailable commands are:\n");
    list(&mut text, COMMANDS.iter().filter(|command| !command.summary.is_empty()));
    text.push_str("\nOptions, before or after the command:\n\n");
    options(&mut text, &GLOBAL);
    text.push_str("\nExamples:\n\n");
    for example in
        ["add-meta meta1:8091", "add-data data1:8088", "show", "-bind meta1:8091,meta2:8091 show-shards"]
    {
        text.push_str(&format!("  {program} {example}\n"));
    }
    text.push_str(&format!(
        "\nThe exit status is 0 when all was done, 1 when not, 2 for an option that does not exist.\nUse \"{program} help <command>\" for more about a command.\n"
    ));
    text
}

/// Of the commands that begin with the same word.
pub(crate) fn of_group(program: &str, group: &str) -> String {
    let mut text = format!(
        "Usage: {program} [options] {group} <command> [options] [<args>]\n\nAvailable commands are:\n"
    );
    list(
        &mut text,
        COMMANDS
            .iter()
            .filter(|command| command.name.split(' ').next() == Some(group) && !command.summary.is_empty()),
    );
    text
}

/// Of one command.
pub(crate) fn of_command(program: &str, command: &Command) -> String {
    let mut text = format!("Usage: {program} [options] {}", command.name);
    if !command.flags.is_empty() {
        text.push_str(" [options]");
    }
    if !command.arguments.is_empty() {
        text.push_str(&format!(" {}", command.arguments));
    }
    text.push('\n');
    if !command.summary.is_empty() {
        text.push_str(&format!("\n{}.\n", command.summary));
    }
    if !command.flags.is_empty() {
        text.push_str("\nOptions:\n\n");
        options(&mut text, command.flags);
    }
    if !command.examples.is_empty() {
        text.push_str("\nExamples:\n\n");
        for example in command.examples {
            text.push_str(&format!("  {program} {example}\n"));
        }
    }
    text
}

fn list<'a>(text: &mut String, commands: impl Iterator<Item = &'a Command>) {
    for command in commands {
        text.push_str(&format!("   {:<20}{}\n", command.name, command.summary));
    }
}

fn options(text: &mut String, flags: &[Flag]) {
    for flag in flags {
        let value = if flag.value.is_empty() { String::new() } else { format!(" {}", flag.value) };
        text.push_str(&format!("  -{}{value}\n        {}\n", flag.name, flag.help));
    }
}
