//! Inventories of all kinds: whatever is written, reading it ends with a plan or with errors that have a line; and whatever
//! is a plan is rendered, twice the same.

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::select, strategy::ValueTree as _};
use skywatch_deploy::{Certificates, Plan, Secrets, Severity, inventory, render};

const ROLES: [&str; 9] =
    ["meta", "data", "front", "kafka", "zookeeper", "controller", "grafana", "hypervisor", "agent"];

/// A host as a line, in a cloud of two sites.
fn host() -> impl Strategy<Value = String> {
    let roles = prop::collection::btree_set(select(&ROLES[..]), 1..3);
    (roles, select(vec!["east", "west"]), 0..4_u8, prop::option::of(1..200_u32), any::<bool>()).prop_map(
        |(roles, site, rack, cores, has_memory)| {
            let roles: Vec<_> = roles.iter().map(|role| format!("{role:?}")).collect();
            let cores = cores.map_or_else(String::new, |cores| format!(", cores = {cores}"));
            let memory = if has_memory { ", memory = \"8g\"" } else { "" };
            format!("site = \"{site}\", rack = \"r{rack}\", roles = [{}]{cores}{memory}", roles.join(", "))
        },
    )
}

/// Clouds that hold together by and large: of the usual roles as many as are usual, and some hosts more.
fn cloud() -> impl Strategy<Value = String> {
    let more = prop::collection::vec(host(), 0..5);
    let counts = (1..6_usize, 1..6_usize, 0..3_usize, 0..5_usize, 0..4_usize);
    let options = (any::<bool>(), any::<bool>(), any::<bool>(), 1..4_u32, any::<bool>());
    (counts, more, options).prop_map(|((metas, data, fronts, brokers, zookeepers), more, (kraft, domain, shared, copies, through))| {
        let mut hosts = Vec::new();
        let mut add = |count: usize, role: &str| {
            for at in 0..count {
                hosts.push(format!("site = \"{}\", rack = \"r{}\", roles = [\"{role}\"]", ["east", "west"][at % 2], at % 4));
            }
        };
        add(metas, "meta");
        add(data, "data");
        add(fronts, "front");
        add(brokers, "kafka");
        add(if kraft { 0 } else { zookeepers }, "zookeeper");
        hosts.extend(more);
        let mut text = String::from("[cloud]\nname = \"random\"\n");
        text += if domain { "domain = \"cloud.example\"\n" } else { "" };
        text += "[sites]\neast = [\"r0\", \"r1\", \"r2\", \"r3\"]\nwest = [\"r0\", \"r1\", \"r2\", \"r3\"]\n[hosts]\n";
        for (at, host) in hosts.iter().enumerate() {
            text += &format!("h{at} = {{ address = \"10.1.0.{}\", {host} }}\n", at + 1);
        }
        text += &format!("[databases.telegraf]\nreplication = {copies}\nduration = \"30d\"\n");
        if shared {
            text += "[virtual-address]\naddress = \"10.1.0.200/24\"\ninterface = \"eth0\"\n";
        }
        if brokers > 0 {
            text += &format!("[kafka]\nmode = \"{}\"\n", if kraft { "kraft" } else { "zookeeper" });
            text += &format!("[agents]\nthrough-kafka = {through}\n");
        }
        text
    })
}

fn plan(text: &str) -> Result<Plan, String> {
    match inventory::read(text) {
        Ok((cloud, problems)) => {
            assert!(!problems.has_errors());
            let mut secrets = Secrets::default();
            secrets.complete(&cloud);
            Ok(Plan { cloud, secrets, certificates: Certificates::default() })
        }
        Err(problems) => {
            let errors = problems.of(Severity::Error);
            assert!(!errors.is_empty(), "refused without an error");
            let lines = text.lines().count().max(1) + 1;
            for error in errors {
                assert!((1..=lines).contains(&error.line), "{error}");
            }
            Err(problems.to_string())
        }
    }
}

fn check(text: &str) -> bool {
    let Ok(plan) = plan(text) else { return false };
    let files = render(&plan);
    assert_eq!(files, render(&plan), "rendering twice gives the same");
    let paths: BTreeSet<_> = files.iter().map(|file| &file.path).collect();
    assert_eq!(paths.len(), files.len(), "every file is rendered once");
    for file in &files {
        let fine =
            !file.path.starts_with('/') && !file.path.split('/').any(|part| part == ".." || part.is_empty());
        assert!(fine, "{}", file.path);
    }
    true
}

#[test]
fn random_clouds_are_rendered_or_refused_in_words() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut rendered = 0;
    for _ in 0..300 {
        let text = cloud().new_tree(&mut runner).expect("a cloud").current();
        rendered += u32::from(check(&text));
    }
    assert!(rendered > 20, "only {rendered} of 300 were inventories: the test tests nothing");
}

/// Grafana finds the database in its data source; a data node has only the file.
#[test]
fn rules_of_data_nodes_name_the_database_of_the_agents() {
    let text = |grafana: &str| {
        format!(
            "[cloud]\nname = \"small\"\n[sites]\neast = [\"r0\"]\n[hosts]\n\
             a = {{ address = \"10.1.0.1\", site = \"east\", rack = \"r0\", roles = [\"meta\", \"data\"] }}\n{grafana}\
             [databases.hosts]\nreplication = 1\n[agents]\ndatabase = \"hosts\"\n\
             [alerts]\ndiscord-webhook = \"https://discord.com/api/webhooks/1/x\"\n"
        )
    };
    let grafana = "g = { address = \"10.1.0.2\", site = \"east\", rack = \"r0\", roles = [\"grafana\"] }\n";
    for grafana in ["", grafana] {
        let files = render(&plan(&text(grafana)).expect("an inventory"));
        let of = |end: &str| files.iter().find(|file| file.path.ends_with(end)).map(|file| &file.text);
        let rules = of("etc/skywatch/alerts.yaml").expect("data nodes have rules");
        assert!(rules.contains("\napiVersion: 1\ndatabase: 'hosts'\ngroups:\n"), "{rules}");
        let theirs = of("alerting/skywatch.yaml");
        assert_eq!(theirs.is_some(), !grafana.is_empty());
        assert!(theirs.is_none_or(|rules| !rules.contains("database:")), "{theirs:?}");
    }
}

proptest! {
    /// Damaged copies of a good inventory: pieces lost, doubled, replaced, moved.
    #[test]
    fn damage_never_panics(
        cuts in prop::collection::vec((0..4000_usize, 0..60_usize, select(vec!["", "\"", "[", "]", "{", "}", "=", "\n", "9", "\u{fffd}", "'''", "x = ", ".", "-1", "[hosts]", "#"])), 1..5)
    ) {
        let mut text = inventory::EXAMPLE.to_owned();
        for (at, length, new) in cuts {
            let boundary = |at: usize, text: &str| (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let start = boundary(at, &text);
            let end = boundary(start + length, &text);
            text.replace_range(start..end, new);
        }
        check(&text);
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}") {
        check(&text);
    }
}
