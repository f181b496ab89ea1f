//! The inventory: a short TOML file that says what a cloud consists of. It is read whole, and all that is wrong with it
//! is told at once, each with its line and key.
//!
//! What a table says is read here; whether it fits together with the rest is for [`crate::check`].

mod databases;
mod hosts;
mod section;
mod services;
mod suggest;
mod values;

use toml::de::DeTable;

pub(crate) use section::Lines;
use section::{Section, Source};
use suggest::did_you_mean;

use crate::{
    check,
    cloud::{Cloud, Role},
    problem::Problems,
};

/// An inventory to begin with: the topology of a small cloud in two data centres, annotated.
pub const EXAMPLE: &str = include_str!("inventory/example.toml");

/// Larger inventories are mistakes.
const BYTES_MAX: usize = 4 << 20;

/// Reads an inventory and checks it.
///
/// # Errors
/// All that is wrong with it, warnings and hints among them.
pub fn read(text: &str) -> Result<(Cloud, Problems), Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source::new(text);
    if text.len() > BYTES_MAX {
        source.error(1, "", format!("the inventory is larger than {BYTES_MAX} bytes"));
        return Err(source.problems.into_inner());
    }
    let (document, mistakes) = DeTable::parse_recoverable(text);
    for mistake in &mistakes {
        let span = mistake.span().unwrap_or(0..0);
        source.error(source.line(&span), "", mistake.message());
    }
    if !mistakes.is_empty() {
        return Err(source.problems.into_inner());
    }
    let cloud = cloud(&Section::new(&source, String::new(), 1, document.get_ref()));
    let mut problems = source.problems.into_inner();
    // What could not be read would make others look wrong that are not.
    if !problems.has_errors() {
        check::check(&cloud, &mut problems);
    }
    if problems.has_errors() { Err(problems) } else { Ok((cloud, problems)) }
}

fn cloud(file: &Section<'_>) -> Cloud {
    let head = file.section("cloud", "[cloud]");
    let name = head.as_ref().and_then(|head| head.parsed("name", values::name));
    let domain = head.as_ref().and_then(|head| head.parsed("domain", values::domain));
    if let Some(head) = &head {
        head.finish();
    }
    if name.is_none() && !file.source().problems.borrow().has_errors() {
        file.error("cloud", "has no name; write [cloud] and below it name = \"mycloud\"");
    }
    let sites = hosts::sites(file);
    let hosts = hosts::hosts(file, &sites);
    let has_grafana = hosts.iter().any(|host| host.has(Role::Grafana));
    let data_nodes = hosts.iter().filter(|host| host.has(Role::Data)).count();
    let agents = services::agents(file);
    let databases = databases::databases(file, &agents.database, data_nodes);
    let users = databases::users(file, &databases, &agents.database, has_grafana);
    let cloud = Cloud {
        name: name.unwrap_or_default(),
        domain,
        users,
        databases,
        replication: services::replication(file),
        kafka: services::kafka(file, &hosts),
        fronts: services::fronts(file, &hosts),
        virtual_address: services::virtual_address(file),
        certificates: services::certificates(file),
        alerts: services::alerts(file),
        agents,
        sites,
        hosts,
        lines: file.lines(),
    };
    file.finish();
    cloud
}

#[cfg(test)]
mod tests;
