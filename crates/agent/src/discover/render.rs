//! Findings as the text of a configuration, and as notes.

use std::fmt::Write as _;

use super::Discovery;
use super::finding::{Finding, State};
use crate::config::default::{AGENT_TOML, HOST_INPUTS_TOML, commented};

const ABOUT: &str = "\
# Made by `skywatch agent discover` from what it found on this host. Telegraf's format.
# Check it with `skywatch agent --config FILE --test`, then fill in the tags below.
";

pub(super) fn render(store: &Finding, others: &[Finding]) -> Discovery {
    let mut toml = format!("{ABOUT}\n{AGENT_TOML}\n");
    section(&mut toml, store);
    write!(toml, "\n# The host itself.\n{HOST_INPUTS_TOML}").ok();
    for finding in others {
        if finding.state != State::Absent {
            toml.push('\n');
            section(&mut toml, finding);
        }
    }
    let absent: Vec<&Finding> = others.iter().filter(|finding| finding.state == State::Absent).collect();
    if !absent.is_empty() {
        toml.push_str("\n# Not found:\n");
        for finding in absent {
            writeln!(toml, "#   {}: {}", finding.name, finding.note).ok();
        }
    }
    Discovery { toml, notes: std::iter::once(store).chain(others).map(note).collect() }
}

/// The tables of a finding below a comment that tells of it.
fn section(text: &mut String, finding: &Finding) {
    writeln!(text, "# {}: {}", finding.name, finding.note).ok();
    match &finding.state {
        State::Found(toml) => text.push_str(toml),
        State::Unusable(toml) => text.push_str(&commented(toml)),
        State::Absent => {}
    }
}

fn note(finding: &Finding) -> String {
    let state = match finding.state {
        State::Found(_) => "found    ",
        State::Unusable(_) => "to do    ",
        State::Absent => "not found",
    };
    format!("{state} {}: {}", finding.name, finding.note)
}
