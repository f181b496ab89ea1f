//! RUNBOOK.md: what to do with the rendered files, in order of steps, each with the command that does it, the command
//! that verifies it and what that prints; then what comes up later, at night.

mod day_two;
mod installation;
mod troubles;

use crate::{
    cloud::{Cloud, Host, Role},
    file::RenderedFile,
    plan::Plan,
};

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    let cloud = &plan.cloud;
    let text = format!(
        "# Runbook of {name}\n\n\
         Rendered by `skywatch render`: change the inventory and render again, and this page follows.\n\n{overview}{contents}",
        name = cloud.name,
        overview = overview(cloud),
        contents = [installation::chapter(cloud), day_two::chapter(cloud), troubles::chapter(cloud)].concat(),
    );
    vec![RenderedFile::beside("RUNBOOK.md", text)]
}

/// A table of the hosts, and what is where.
fn overview(cloud: &Cloud) -> String {
    let mut text = String::from("| host | address | where | what runs there |\n|---|---|---|---|\n");
    for host in &cloud.hosts {
        text += &format!(
            "| {} | {} | {}, {} | {} |\n",
            host.name,
            host.address(),
            host.site,
            host.rack,
            services(cloud, host).join(", ")
        );
    }
    if let Some(shared) = &cloud.virtual_address {
        text += &format!("| {} | {} | shared by the fronts | |\n", shared.name, shared.network.address);
    }
    let entrances = cloud.entrances().join(", ");
    text + &format!(
        "\nClients go to {entrances}. Names end with `{domain}` wherever they are written in full.\n\n\
         | here | |\n|---|---|\n\
         | `hosts/NAME/` | what is copied to a host, as it lies there |\n\
         | `push.sh` | copies it and makes it take effect; restarts nothing |\n\
         | `cluster/` | what is done once: `join.sh`, `databases.sh`; `operator.sh` makes a shell an operator's |\n\n\
         Keys and passwords are among it: keep this directory, `secrets.toml` and the certificates as safe as the hosts.\n\n",
        domain = cloud.domain.as_deref().unwrap_or("nothing"),
    )
}

/// Units of a host, without `.service`.
fn services(cloud: &Cloud, host: &Host) -> Vec<&'static str> {
    let mut units = Vec::new();
    for (role, unit) in [
        (Role::ZooKeeper, "zookeeper"),
        (Role::Kafka, "kafka"),
        (Role::Controller, "kafka"),
        (Role::Meta, "skywatch-meta"),
        (Role::Data, "skywatch-data"),
        (Role::Front, "haproxy"),
        (Role::Grafana, "grafana-server"),
    ] {
        if host.has(role) && !units.contains(&unit) {
            units.push(unit);
        }
    }
    if host.has(Role::Front) && cloud.virtual_address.is_some() {
        units.push("keepalived");
    }
    if cloud.has_agent(host) {
        units.push("skywatch-agent");
    }
    units
}

/// A step: what it is about, what does it, what tells that it worked and how that looks.
fn step(title: &str, words: &str, does: &str, verify: &str, prints: &str) -> String {
    let block = |text: &str| format!("```\n{}\n```\n", text.trim_end());
    let mut text = format!("### {title}\n\n");
    if !words.is_empty() {
        text += &format!("{words}\n\n");
    }
    if !does.is_empty() {
        text += &block(does);
    }
    if !verify.is_empty() {
        text += &format!("\nVerify:\n\n{}", block(verify));
    }
    if !prints.is_empty() {
        text += &format!("\nIt prints:\n\n{}", block(prints));
    }
    text + "\n"
}

/// `for host in ...; do ssh root@$host COMMAND; done`, or without the loop for one host. Nothing for none.
fn on_each<'a>(hosts: impl Iterator<Item = &'a Host>, command: &str) -> String {
    let hosts: Vec<_> = hosts.map(|host| host.name.as_str()).collect();
    match hosts.as_slice() {
        [] => String::new(),
        [only] => format!("ssh root@{only} {command}\n"),
        all => format!("for host in {}; do ssh root@$host {command}; done\n", all.join(" ")),
    }
}

/// The name of the first host with a role.
fn first(cloud: &Cloud, role: Role) -> &str {
    cloud.with(role).next().map_or("HOST", |host| &host.name)
}
