//! `[sites]` and `[hosts]`.

use super::{
    did_you_mean,
    section::{Entry, Section},
    values,
};
use crate::cloud::{Host, Role, Site};

const HOST_FORM: &str = "{ address = \"10.10.0.11\", site = \"east\", rack = \"r1\", roles = [\"data\"] }";

/// `east = ["r1", "r2"]`
pub(super) fn sites(file: &Section<'_>) -> Vec<Site> {
    let Some(table) = file.section("sites", "[sites] and below it east = [\"r1\", \"r2\"]") else {
        file.error(
            "sites",
            "are missing: write [sites] and below it each data centre with its racks, as east = [\"r1\"]",
        );
        return Vec::new();
    };
    table.entries().into_iter().filter_map(|entry| site(&table, entry)).collect()
}

fn site(table: &Section<'_>, entry: Entry<'_>) -> Option<Site> {
    let (key, line, value) = entry;
    let racks = table.texts_of((key, line, value))?;
    let mut seen: Vec<String> = Vec::new();
    for rack in racks {
        match values::name(&rack) {
            Ok(rack) if seen.contains(&rack) => table.error(key, format!("names rack {rack:?} twice")),
            Ok(rack) => seen.push(rack),
            Err(reason) => table.error(key, reason),
        }
    }
    if seen.is_empty() {
        table.error(key, "has no racks: name at least one, as [\"r1\"]");
    }
    values::name(key).map_err(|reason| table.error(key, reason)).ok().map(|name| Site { name, racks: seen })
}

/// `data1 = { address = "10.10.0.21", site = "east", rack = "r1", roles = ["data"] }`
pub(super) fn hosts(file: &Section<'_>, sites: &[Site]) -> Vec<Host> {
    let Some(table) = file.section("hosts", "[hosts] and below it a line for each host") else {
        file.error("hosts", format!("are missing: write [hosts] and below it data1 = {HOST_FORM}"));
        return Vec::new();
    };
    table.entries().into_iter().filter_map(|entry| host(&table, entry, sites)).collect()
}

fn host(table: &Section<'_>, entry: Entry<'_>, sites: &[Site]) -> Option<Host> {
    let (key, ..) = entry;
    let section = Section::of(table.source(), table.path(key), entry, HOST_FORM)?;
    let name = values::name(key).map_err(|reason| table.error(key, reason)).ok();
    let (site, rack) = place(&section, sites);
    let host = Host {
        name: name.clone().unwrap_or_default(),
        addresses: addresses(&section),
        site,
        rack,
        roles: roles(&section),
        cores: section.number("cores", 1..=4096).and_then(|number| u32::try_from(number).ok()),
        memory: section.parsed("memory", values::size),
        interface: section.parsed("interface", values::interface),
        id: section.number("id", 1..=255).and_then(|number| u32::try_from(number).ok()),
        lines: section.lines(),
    };
    section.finish();
    name.map(|_| host)
}

fn addresses(section: &Section<'_>) -> Vec<std::net::IpAddr> {
    let Some(texts) = section.texts("address") else {
        if !section.entries().iter().any(|(key, ..)| *key == "address") {
            section.error("address", "is missing: write the address by which other hosts reach this one");
        }
        return Vec::new();
    };
    if texts.is_empty() {
        section.error("address", "is empty: write the address by which other hosts reach this one");
    }
    let read = |text: &String| values::address(text).map_err(|reason| section.error("address", reason)).ok();
    texts.iter().filter_map(read).collect()
}

/// Where a host stands; with one site of one rack that goes without saying.
fn place(section: &Section<'_>, sites: &[Site]) -> (String, String) {
    let written = (section.text("site"), section.text("rack"));
    let site = match (&written.0, sites) {
        (Some(name), _) => sites.iter().find(|site| site.name == *name),
        (None, [only]) => Some(only),
        (None, []) => return <(String, String)>::default(),
        (None, _) => {
            section
                .error("site", format!("is missing: {}", list("sites", sites.iter().map(|site| &site.name))));
            return <(String, String)>::default();
        }
    };
    let Some(site) = site else {
        let name = written.0.unwrap_or_default();
        let known = sites.iter().map(|site| site.name.as_str());
        section.error("site", format!("{name:?} is not among [sites]: {}", did_you_mean(&name, known)));
        return <(String, String)>::default();
    };
    let rack = match (written.1, site.racks.as_slice()) {
        (Some(name), racks) => {
            if !racks.contains(&name) {
                let meant = did_you_mean(&name, racks.iter().map(String::as_str));
                section.error("rack", format!("{name:?} is no rack of {}: {meant}", site.name));
            }
            name
        }
        (None, [only]) => only.clone(),
        (None, racks) => {
            section.error("rack", format!("is missing: {}", list(&format!("racks of {}", site.name), racks)));
            String::new()
        }
    };
    (site.name.clone(), rack)
}

fn list<'a>(what: &str, names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    format!("{what} are {}", names.join(", "))
}

fn roles(section: &Section<'_>) -> Vec<Role> {
    let Some(words) = section.texts("roles") else {
        if !section.entries().iter().any(|(key, ..)| *key == "roles") {
            section.error("roles", "are missing: write what the host is for, as [\"data\"]");
        }
        return Vec::new();
    };
    let mut roles = Vec::new();
    for word in &words {
        match Role::WORDS.iter().find(|(known, _)| known == word) {
            Some((_, role)) if roles.contains(role) => {
                section.error("roles", format!("names {word:?} twice"));
            }
            Some((_, role)) => roles.push(*role),
            None => {
                let meant = did_you_mean(word, Role::WORDS.iter().map(|(known, _)| *known));
                section.error("roles", format!("{word:?} is no role: {meant}"));
            }
        }
    }
    if words.is_empty() {
        section.error("roles", "are empty: write what the host is for, as [\"data\"]");
    }
    roles
}
