//! `skywatch man`: manual pages, made from the same definition as the command line and its help.
//!
//! A page for each command: `skywatch-run.1`. The commands of `ctl` share one page, as `skywatch-ctl.1` and as
//! `influxd-ctl.1`; those that have options of their own kind (`backup`, `restore`) have theirs beside it.

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Command;
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, italic, roman},
};
use jiff::Timestamp;

use crate::{
    cli::{CtlCli, Program},
    command_tree,
    ctl::INFLUXD_CTL,
};

/// The section of commands.
const SECTION: &str = "1";
const MANUAL: &str = "Skywatch";
/// What begins the examples in the help of a command.
const EXAMPLES: &str = "Examples:";

pub(crate) fn run(page: Option<&str>, out: Option<&Path>) -> Result<ExitCode> {
    let pages = pages(&date()?)?;
    let Some(dir) = out else { return print(&pages, page).map(|()| ExitCode::SUCCESS) };
    fs::create_dir_all(dir).with_context(|| format!("cannot make directory {}", dir.display()))?;
    for page in pages {
        let path = dir.join(format!("{}.{SECTION}", page.name));
        fs::write(&path, page.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(pages: &[Page], wanted: Option<&str>) -> Result<()> {
    let name = match wanted {
        None => "skywatch".to_owned(),
        Some(name) => name.to_owned(),
    };
    let found = pages.iter().find(|page| page.name == name || page.name == format!("skywatch-{name}"));
    let Some(page) = found else {
        let names: Vec<_> = pages.iter().map(|page| page.name.as_str()).collect();
        bail!("there is no page {name:?}: there are {}", names.join(", "));
    };
    match io::stdout().write_all(&page.text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot print"),
    }
}

/// The date that pages carry: builds that are to be the same every time say which.
fn date() -> Result<String> {
    let now = match env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => {
            let seconds = seconds
                .parse()
                .with_context(|| format!("SOURCE_DATE_EPOCH={seconds:?}: expected seconds"))?;
            Timestamp::from_second(seconds).context("SOURCE_DATE_EPOCH is too far away")?
        }
        Err(_) => Timestamp::now(),
    };
    Ok(now.strftime("%Y-%m-%d").to_string())
}

/// A manual page.
struct Page {
    /// Without section.
    name: String,
    text: Vec<u8>,
}

/// Every page there is.
fn pages(date: &str) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    for program in [Program::Skywatch, Program::InfluxdCtl] {
        let tree = command_tree::of(program);
        add(&tree, tree.get_name(), date, &mut pages)?;
    }
    Ok(pages)
}

/// Adds the page of a command, and those of its commands.
fn add(command: &Command, name: &str, date: &str, pages: &mut Vec<Page>) -> Result<()> {
    pages.push(Page { name: name.to_owned(), text: text(command, name, date)? });
    for sub in shown(command).filter(|sub| !command_tree::is_ctl(command) || has_page(sub)) {
        add(sub, &format!("{name}-{}", sub.get_name()), date, pages)?;
    }
    Ok(())
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

/// Whether a command of `ctl` has a page of its own.
fn has_page(command: &Command) -> bool {
    use clap::CommandFactory as _;
    CtlCli::command().find_subcommand(command.get_name()).is_some()
}

fn text(command: &Command, name: &str, date: &str) -> Result<Vec<u8>> {
    let named = command.clone().display_name(name.to_owned()).bin_name(name.replace('-', " "));
    let named =
        if name.starts_with(INFLUXD_CTL) { named.bin_name(name.replacen("ctl-", "ctl ", 1)) } else { named };
    let man = Man::new(named.clone())
        .title(name.to_uppercase())
        .section(SECTION)
        .date(date)
        .source(concat!("Skywatch ", env!("CARGO_PKG_VERSION")))
        .manual(MANUAL);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    section(&mut text, |page| synopsis(&named, page))?;
    man.render_description_section(&mut text)?;
    if named.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut text)?;
    }
    if shown(command).next().is_some() {
        section(&mut text, |page| match command_tree::is_ctl(command) {
            true => ctl_commands(name, page),
            false => commands(command, name, page),
        })?;
    }
    if let Some(help) = command.get_after_help() {
        section(&mut text, |page| after(&help.to_string(), page))?;
    }
    section(&mut text, |page| see_also(name, page))?;
    Ok(tidied(&text))
}

fn section(text: &mut Vec<u8>, fill: impl FnOnce(&mut Roff)) -> io::Result<()> {
    let mut page = Roff::new();
    fill(&mut page);
    text.extend_from_slice(page.render().as_bytes());
    Ok(())
}

/// What sections that are rendered by themselves lead to: each begins with the definition of the apostrophe, which once is
/// enough; and the empty line before possible values is one in words, which manual pages have a macro for.
fn tidied(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text).replace(".br\n\n.br\n", ".sp\n");
    let mut seen = Vec::new();
    let lines = text.lines().filter(|line| {
        let is_preamble = line.starts_with(".ie ") || line.starts_with(".el ");
        let is_repeated = is_preamble && seen.contains(line);
        if is_preamble {
            seen.push(line);
        }
        !is_repeated
    });
    lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

fn synopsis(command: &Command, page: &mut Roff) {
    let usage = command.clone().render_usage().to_string();
    page.control("SH", ["SYNOPSIS"]);
    for (i, line) in usage.trim_start_matches("Usage:").lines().enumerate() {
        if i > 0 {
            page.control("br", []);
        }
        page.text([roman(line.trim())]);
    }
}

/// The commands of a command, each with the page to read.
fn commands(command: &Command, name: &str, page: &mut Roff) {
    page.control("SH", ["COMMANDS"]);
    for sub in shown(command) {
        page.control("TP", []);
        page.text([bold(format!("{name}-{}", sub.get_name())), roman(format!("({SECTION})"))]);
        page.text([roman(sub.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
}

/// The commands of `ctl` with their options.
fn ctl_commands(name: &str, page: &mut Roff) {
    page.control("SH", ["COMMANDS"]);
    page.text([roman("Options may be given with one dash or with two, before or after the command.")]);
    for described in skywatch_ctl::commands() {
        page.control("TP", []);
        let mut heading: Vec<Inline> = vec![bold(described.name)];
        if !described.options.is_empty() {
            heading.push(roman(" [options]"));
        }
        if !described.arguments.is_empty() {
            heading.push(italic(format!(" {}", described.arguments)));
        }
        page.text(heading);
        page.text([roman(format!("{}.", described.summary))]);
        if described.options.is_empty() {
            continue;
        }
        page.control("RS", []);
        for option in described.options {
            page.control("TP", []);
            let mut heading = vec![bold(format!("-{}", option.name))];
            if !option.value.is_empty() {
                heading.push(italic(format!(" {}", option.value)));
            }
            page.text(heading);
            page.text([roman(option.help)]);
        }
        page.control("RE", []);
    }
    page.control("SH", [EXAMPLES.trim_end_matches(':').to_uppercase().as_str()]);
    let program = name.replace("skywatch-ctl", "skywatch ctl");
    let lines = skywatch_ctl::commands();
    let lines = lines.iter().flat_map(|described| described.examples);
    as_it_stands(lines.map(|example| format!("{program} {example}")), page);
    page.control("SH", ["EXIT STATUS"]);
    page.text([roman(
        "0 when all was done, 1 when not, 2 for an option that does not exist, 130 when interrupted.",
    )]);
}

/// What a command's help says after its options.
fn after(help: &str, page: &mut Roff) {
    let (before, examples) = help.split_once(EXAMPLES).unwrap_or((help, ""));
    if !before.trim().is_empty() {
        page.control("SH", ["NOTES"]);
        for (i, paragraph) in before.trim().split("\n\n").enumerate() {
            if i > 0 {
                page.control("PP", []);
            }
            page.text([roman(paragraph.replace('\n', " "))]);
        }
    }
    let (indented, rest): (Vec<_>, Vec<_>) =
        examples.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with("  "));
    if !indented.is_empty() {
        page.control("SH", [EXAMPLES.trim_end_matches(':').to_uppercase().as_str()]);
        as_it_stands(indented.into_iter().map(|line| line.trim().to_owned()), page);
    }
    for line in rest {
        page.control("PP", []);
        page.text([roman(line)]);
    }
}

/// Lines that are neither joined nor broken.
fn as_it_stands(lines: impl Iterator<Item = String>, page: &mut Roff) {
    page.control("nf", []);
    for line in lines {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}

fn see_also(name: &str, page: &mut Roff) {
    page.control("SH", ["SEE ALSO"]);
    let other = match name {
        "skywatch" => "influxd-ctl",
        _ => "skywatch",
    };
    page.text([
        bold(other),
        roman(format!("({SECTION}); the documents below ")),
        italic("/usr/share/doc/skywatch"),
        roman(" where the Debian package is installed."),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_says_what_its_help_says() {
        let pages = pages("2026-01-02").unwrap();
        let text = |name: &str| {
            let page =
                pages.iter().find(|page| page.name == name).unwrap_or_else(|| panic!("no page {name}"));
            String::from_utf8(page.text.clone()).unwrap()
        };
        for name in ["skywatch", "skywatch-run", "skywatch-agent-discover", "skywatch-ctl-backup-verify"] {
            assert!(text(name).contains(".SH SYNOPSIS"), "{name}");
        }
        assert!(text("skywatch-run").contains(r"\-\-no\-console"));
        assert!(text("skywatch-run").contains(".SH EXAMPLES\n.nf\n"));
        for name in ["skywatch-ctl", "influxd-ctl"] {
            assert!(text(name).contains(r"copy\-shard\-status"), "{name}");
        }
        assert!(!pages.iter().any(|page| page.name.ends_with("add-data")));
    }
}
