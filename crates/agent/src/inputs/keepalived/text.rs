//! `keepalived.data` and `keepalived.stats`. Pure.
//!
//! ```text
//! ------< VRRP Topology >------
//!  VRRP Instance = VI_1
//!    State = MASTER
//!    Virtual IP (1):
//!      10.77.0.100/24 dev eth0 scope global set
//! ------< VRRP Sync groups >------
//!  VRRP Sync Group = G1, MASTER
//! ```
//!
//! What belongs to something stands below it, further to the right. Lines that are not known are passed over: every
//! version has others.

use super::model::{COUNTERS, Group, Instance, Readings, State, Track, VirtualAddress};

/// A line that belongs to nothing, or to a section only, and the lines that belong to it.
struct Block<'a> {
    head: &'a str,
    /// How far to the right, and the text.
    lines: Vec<(usize, &'a str)>,
}

impl<'a> Block<'a> {
    /// The value of `KEY = VALUE` among the lines that belong to the head itself.
    fn value(&self, key: &str) -> Option<&'a str> {
        self.lines.iter().find_map(|(_, line)| line.strip_prefix(key)?.strip_prefix(" = "))
    }

    fn number(&self, key: &str) -> Option<i64> {
        leading_number(self.value(key)?)
    }

    /// The lines below the one that begins with `heading` and ends with a colon.
    fn below(&self, heading: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let is_heading = |line: &str| line.starts_with(heading) && line.ends_with(':');
        let at = self.lines.iter().position(|(_, line)| is_heading(line));
        let (indent, rest) = match at.and_then(|at| Some((self.lines.get(at)?.0, self.lines.get(at + 1..)?)))
        {
            Some((indent, rest)) => (indent, rest.to_vec()),
            None => (0, Vec::new()),
        };
        rest.into_iter().take_while(move |(own, _)| *own > indent).map(|(_, line)| line)
    }
}

/// Cuts a text into blocks: each begins with a line at the left margin of its section.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if line.is_empty() || line.starts_with("------<") {
            continue;
        }
        match blocks.last_mut() {
            Some(block) if indent > 1 => block.lines.push((indent, line)),
            _ => blocks.push(Block { head: line, lines: Vec::new() }),
        }
    }
    blocks
}

fn leading_number(text: &str) -> Option<i64> {
    let end = text.char_indices().find(|(at, c)| !(c.is_ascii_digit() || (*at == 0 && *c == '-')));
    text.get(..end.map_or(text.len(), |(at, _)| at))?.parse().ok()
}

/// Adds the instances, and all else that is in the file.
pub(super) fn read_all(text: &[u8], readings: &mut Readings) -> Result<(), String> {
    let text = String::from_utf8_lossy(text);
    for block in blocks(&text) {
        if let Some(name) = block.head.strip_prefix("VRRP Instance = ") {
            instance(name, &block, readings.instance(name));
        }
    }
    read_tracks(text.as_bytes(), readings)
}

/// Adds what JSON does not have: sync groups, also of the instances that are there, and what is tracked.
pub(super) fn read_tracks(text: &[u8], readings: &mut Readings) -> Result<(), String> {
    let text = String::from_utf8_lossy(text);
    if !text.contains("------<") {
        return Err("its data file has no sections".to_owned());
    }
    for block in blocks(&text) {
        if let Some(name) = block.head.strip_prefix("VRRP Instance = ") {
            let known = readings.instances.iter_mut().find(|instance| instance.name == name);
            if let (Some(instance), Some(group)) = (known, block.value("Sync group")) {
                instance.group = Some(group.to_owned());
            }
        } else if let Some(head) = block.head.strip_prefix("VRRP Sync Group = ") {
            let (name, state) = head.rsplit_once(", ").unwrap_or((head, ""));
            let members = block.below("VRRP member instances").map(str::to_owned).collect();
            readings.groups.push(Group { name: name.to_owned(), state: State::of_name(state), members });
        } else if let Some(track) = track(&block) {
            readings.tracks.push(track);
        }
    }
    Ok(())
}

fn instance(name: &str, block: &Block<'_>, instance: &mut Instance) {
    let state = |key| block.value(key).and_then(State::of_name);
    let addresses = |heading, excluded| {
        block.below(heading).filter_map(move |line| VirtualAddress::parse(line, excluded))
    };
    let counters = std::mem::take(&mut instance.counters);
    *instance = Instance {
        name: name.to_owned(),
        // Of an interface of its own, what it stands on follows.
        interface: block.value("Interface").and_then(|text| text.split(',').next()).map(str::to_owned),
        virtual_router_id: block.number("Virtual Router ID"),
        version: block.number("VRRP Version"),
        group: None,
        state: state("State"),
        wanted_state: state("Wantstate"),
        priority: block.number("Priority"),
        effective_priority: block.number("Effective priority"),
        last_transition: block
            .value("Last transition")
            .and_then(|text| text.split_ascii_whitespace().next()?.parse().ok()),
        // The second heading begins like the first and says more.
        addresses: addresses("Virtual IP (", false).chain(addresses("Virtual IP Excluded", true)).collect(),
        counters,
    };
}

fn track(block: &Block<'_>) -> Option<Track> {
    let named =
        |heads: &[&str]| heads.iter().find_map(|head| block.head.strip_prefix(head)).map(str::to_owned);
    let weight = block.number("Weight");
    if let Some(name) = named(&["VRRP Script = "]) {
        let ok = block.value("Status").map(|status| status == "GOOD");
        return Some(Track { kind: "script", name, ok, value: block.number("Result"), weight });
    }
    if let Some(name) = named(&["Track file = "]) {
        return Some(Track { kind: "file", name, ok: None, value: block.number("Status"), weight });
    }
    let name = named(&["VRRP Track process = ", "Track process = "])?;
    let ok = block.value("Have quorum").map(|quorum| quorum == "true");
    Some(Track { kind: "process", name, ok, value: block.number("Current processes"), weight })
}

/// Adds the counters of `keepalived.stats` to their instances.
pub(super) fn read_stats(text: &[u8], readings: &mut Readings) -> Result<(), String> {
    let text = String::from_utf8_lossy(text);
    let mut name = None;
    let mut heading = "";
    for line in text.lines() {
        let deep = line.starts_with("    ");
        let line = line.trim();
        if let Some(instance) = line.strip_prefix("VRRP Instance: ") {
            (name, heading) = (Some(instance), "");
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        if value.is_empty() {
            heading = key;
            continue;
        }
        let under = if deep { heading } else { "" };
        let counter = COUNTERS.iter().find(|(.., of, text)| *of == under && *text == key);
        if let (Some(name), Some((counter, ..)), Ok(value)) = (name, counter, value.trim().parse()) {
            readings.instance(name).counters.insert(counter, value);
        }
    }
    match name {
        Some(_) => Ok(()),
        None => Err("its statistics name no instance".to_owned()),
    }
}
