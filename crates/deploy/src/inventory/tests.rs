use super::*;
use crate::problem::Severity;

const SMALL: &str = r#"
[cloud]
name = "small"
[sites]
east = ["r1", "r2"]
[hosts]
meta1 = { address = "10.0.0.1", rack = "r1", roles = ["meta"] }
data1 = { address = "10.0.0.2", rack = "r1", roles = ["data"] }
data2 = { address = ["10.0.0.3", "fd00::3"], rack = "r2", roles = ["data"] }
"#;

/// What is said of the inventory with some of its text replaced.
fn said(changes: &[(&str, &str)]) -> String {
    let text = changes.iter().fold(SMALL.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    match read(&text) {
        Ok((_, problems)) | Err(problems) => problems.to_string(),
    }
}

fn errors(text: &str) -> Vec<String> {
    match read(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.of(Severity::Error).iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_example_is_fine_and_is_the_documented_topology() {
    let (cloud, problems) = read(EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"));
    let kinds = |severity| problems.of(severity).len();
    assert_eq!((kinds(Severity::Error), kinds(Severity::Warning)), (0, 0), "{problems}");
    let count = |role| cloud.with(role).count();
    assert_eq!([count(Role::Meta), count(Role::Data), count(Role::Front)], [3, 2, 2]);
    assert_eq!([count(Role::Kafka), count(Role::ZooKeeper), count(Role::Grafana)], [3, 3, 1]);
    assert_eq!(cloud.sites.len(), 2);
    assert_eq!(cloud.entrances(), ["https://skywatch.cloud.example:8086"]);
    assert_eq!(cloud.databases[0].policies.len(), 2);
    assert_eq!(
        cloud.addresses(Role::Meta, 8091),
        "meta1.cloud.example:8091,meta2.cloud.example:8091,meta3.cloud.example:8091"
    );
    let uncommented: String =
        EXAMPLE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    assert!(errors(&uncommented).is_empty(), "the commented-out examples are valid too");
}

#[test]
fn a_short_inventory_has_sensible_defaults() {
    let (cloud, _) = read(SMALL).unwrap();
    assert_eq!(cloud.databases.len(), 1);
    let policy = &cloud.databases[0].policies[0];
    assert_eq!(
        (cloud.databases[0].name.as_str(), policy.name.as_str(), policy.replication),
        ("telegraf", "autogen", 2)
    );
    assert_eq!((policy.duration, cloud.kafka.is_none(), cloud.users.len()), (None, true, 2));
    assert_eq!(cloud.entrances(), ["https://data1:8086", "https://data2:8086"]);
    assert_eq!(cloud.hosts[2].addresses.len(), 2);
    assert_eq!(cloud.hosts[0].site, "east");
}

#[test]
fn mistakes_are_told_with_line_and_key() {
    for (from, to, expected) in [
        (
            "address = \"10.0.0.1\"",
            "adress = \"10.0.0.1\"",
            "line 7: error: hosts.meta1.adress: is no key here: did you mean `address`?",
        ),
        ("\"10.0.0.1\"", "\"10.0.0\"", "line 7: error: hosts.meta1.address: \"10.0.0\" is no IP address"),
        ("\"10.0.0.1\"", "10", "line 7: error: hosts.meta1.address: is no list of texts"),
        (
            "\"10.0.0.1\"",
            "\"10.0.0.2\"",
            "line 8: error: hosts.data1.address: 10.0.0.2 is that of meta1 already",
        ),
        (
            "\"meta\"",
            "\"metta\"",
            "line 7: error: hosts.meta1.roles: \"metta\" is no role: did you mean `meta`?",
        ),
        ("[\"meta\"]", "[\"meta\", \"meta\"]", "hosts.meta1.roles: names \"meta\" twice"),
        ("[\"meta\"]", "[]", "hosts.meta1.roles: are empty"),
        (", roles = [\"meta\"]", "", "hosts.meta1.roles: are missing"),
        ("address = \"10.0.0.1\", ", "", "hosts.meta1.address: is missing"),
        (
            "rack = \"r1\", roles = [\"meta\"]",
            "rack = \"r3\", roles = [\"meta\"]",
            "line 7: error: hosts.meta1.rack: \"r3\" is no rack of east",
        ),
        (
            "rack = \"r1\", roles = [\"meta\"]",
            "roles = [\"meta\"]",
            "hosts.meta1.rack: is missing: racks of east are r1, r2",
        ),
        (
            "rack = \"r1\", roles = [\"meta\"]",
            "site = \"eats\", roles = [\"meta\"]",
            "hosts.meta1.site: \"eats\" is not among [sites]: did you mean `east`?",
        ),
        (
            "name = \"small\"",
            "nmae = \"small\"",
            "line 3: error: cloud.nmae: is no key here: did you mean `name`?",
        ),
        ("name = \"small\"", "", "line 2: error: cloud: has no name"),
        ("[sites]", "[stes]", "line 4: error: stes: is no key here: did you mean `sites`?"),
        ("meta1 =", "data1 =", "line 8: error: duplicate key"),
        ("meta1 =", "Meta_1 =", "line 7: error: hosts.Meta_1: \"Meta_1\" is no name"),
        ("meta1 =", "localhost =", "hosts.localhost: localhost is every host's own name"),
        ("name = \"small\"", "name = \"small", "line 3: error: "),
        ("[\"meta\"]", "[\"meta\"], cores = 0", "hosts.meta1.cores: is not a whole number from 1 to 4096"),
        ("[\"meta\"]", "[\"meta\"], memory = \"2\"", "hosts.meta1.memory: \"2\" is no size"),
        ("[\"meta\"]", "[\"data\"]", "line 6: error: hosts: have no meta node"),
        ("[\"data\"]", "[\"meta\"]", "line 6: error: hosts: have no data node"),
        ("[\"meta\"]", "[\"meta\"], id = 3", "hosts.meta1.id: is for hosts with the roles"),
        (
            "[\"meta\"]",
            "[\"meta\", \"front\"]",
            "hosts.meta1.roles: \"meta\" and \"front\" both listen on port 8091",
        ),
        (
            "[\"meta\"]",
            "[\"meta\", \"zookeeper\"]",
            "hosts: have the role \"zookeeper\", and none has the role \"kafka\"",
        ),
    ] {
        let said = said(&[(from, to)]);
        assert!(said.contains(expected), "{from} -> {to}\n{said}\nexpected: {expected}");
    }
}

#[test]
fn what_is_added_is_checked_too() {
    let and = |more: &str| said(&[("[hosts]", &format!("{more}\n[hosts]"))]);
    for (more, expected) in [
        (
            "[databases.telegraf]\nreplication = 3",
            "line 7: error: databases.telegraf.replication: is 3, and there are 2 data nodes",
        ),
        ("[databases.telegraf]\nreplication = 1", "line 7: warning: databases.telegraf.replication: is 1"),
        ("[databases.telegraf]\nduration = \"30\"", "databases.telegraf.duration: \"30\" is no duration"),
        ("[databases.telegraf]\nduration = \"1m\"", "less than 1h"),
        (
            "[databases.telegraf]\nduration = \"1d\"\nshard-duration = \"7d\"",
            "line 8: error: databases.telegraf.shard-duration: is longer",
        ),
        ("[databases.telegraf]\npolicies.autogen = {}", "is the name of the default policy already"),
        ("[databases._internal]", "is made by the servers themselves"),
        (
            "[users]\nx = { read = [\"telegaf\"] }",
            "line 7: error: users.x.read: \"telegaf\" is not among [databases]: did you mean `telegraf`?",
        ),
        ("[users]\nadmin = {}", "users.admin: is made in any case"),
        ("[replication]\nmode = \"kafka\"", "replication.mode: is \"kafka\", and no host has the role"),
        ("[replication]\nmode = \"kafak\"", "did you mean `kafka`?"),
        ("[kafka]\nmode = \"kraft\"", "line 6: error: kafka: is set up, and no host has the role"),
        (
            "[fronts]\nconnections = 100",
            "line 6: error: fronts: are limited, and no host has the role \"front\"",
        ),
        (
            "[virtual-address]\naddress = \"10.0.0.9/24\"\ninterface = \"eth0\"",
            "no host has the role \"front\"",
        ),
        ("[virtual-address]\naddress = \"10.0.0.9\"\ninterface = \"eth0\"", "is no address with a prefix"),
        ("[virtual-address]\naddress = \"10.0.0.9/24\"", "virtual-address.interface: is missing"),
        ("[virtual-address]\nrouter-id = 256", "is not a whole number from 1 to 255"),
        ("[certificates]\ndays = \"x\"", "certificates.days: is not a whole number"),
        ("[alerts]\ndiscord-webhook = \"http://x\"", "alerts.discord-webhook: is no webhook"),
        ("[agents]\ninterval = \"1ms\"", "agents.interval: \"1ms\" is no interval"),
        ("[agents]\nthrough-kafka = true", "agents.through-kafka: is true, and no host has the role"),
    ] {
        let said = and(more);
        assert!(said.contains(expected), "{more}\n{said}\nexpected: {expected}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let said = said(&[("small", "Small"), ("10.0.0.2", "x"), ("\"meta\"", "\"meat\"")]);
    let lines: Vec<_> = said.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
    assert_eq!(lines, ["line 3", "line 7", "line 8"], "{said}");
}

/// The example with some of its text replaced.
fn example(changes: &[(&str, &str)]) -> String {
    let text = changes.iter().fold(EXAMPLE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    match read(&text) {
        Ok((_, problems)) | Err(problems) => problems.to_string(),
    }
}

#[test]
fn clouds_that_cannot_work() {
    for (changes, expected) in [
        (
            vec![("\"10.10.0.100/24\"", "\"10.20.0.100/24\"")],
            "virtual-address.address: 10.20.0.100/24 is outside the network of front1",
        ),
        (vec![("\"10.10.0.100/24\"", "\"fd00::1/64\"")], "is of another family"),
        (
            vec![("\"10.10.0.100/24\"", "\"10.10.0.21/24\"")],
            "10.10.0.21 is that of data1: it has to be nobody's",
        ),
        (
            vec![("connections = 8000", "connections = 400")],
            "fronts.connections-per-client: is 500, and all clients together may have 400",
        ),
        (
            vec![("requests-per-client = 5000", "request-per-client = 5000")],
            "did you mean `requests-per-client`?",
        ),
        (vec![("name = \"skywatch\"", "name = \"data1\"")], "is the name of a host"),
        (vec![("[virtual-address]", "[[virtual-address]]")], "virtual-address: is a list"),
        (
            vec![("version = \"3.5.2\"", "version = \"4.1.0\"")],
            "kafka.version: 4.1.0 works without ZooKeeper only",
        ),
        (vec![("version = \"3.5.2\"", "version = \"2.8.0\"")], "2.8.0 is too old"),
        (
            vec![("mode = \"zookeeper\"", "mode = \"kraft\"")],
            "have the role \"zookeeper\", and kafka.mode is \"kraft\"",
        ),
        (vec![("replication = 3", "replication = 4")], "kafka.replication: is 4, and there are 3 brokers"),
        (vec![("min-in-sync = 2", "min-in-sync = 4")], "no write could ever be acknowledged"),
        (vec![("min-in-sync = 2", "min-in-sync = 3")], "writes stop when one broker does"),
        (vec![("[\"kafka\", \"zookeeper\"]", "[\"zookeeper\"]")], "no host has the role \"kafka\""),
        (
            vec![("address = \"10.10.0.22\", site = \"west\"", "address = \"10.10.0.22\", site = \"east\"")],
            "copies will share one and be lost with it",
        ),
        (
            vec![("roles = [\"data\"], cores = 8", "roles = [\"data\"], cores = 4")],
            "hint: hosts.data1.cores: is 4, recommended for data: 8 (measured:",
        ),
        (
            vec![("roles = [\"grafana\"]", "roles = [\"meta\"]")],
            "warning: hosts: have 4 meta nodes: an even number survives the loss of 1, as 3 do",
        ),
        (
            vec![("[\"grafana\"]", "[\"grafana\", \"kafka\"], id = 1")],
            "hosts.kafka1.id: is missing: other hosts with the role \"kafka\" have one",
        ),
        (
            vec![("[\"hypervisor\"] }\nkvm2", "[\"hypervisor\"], interface = \"eth1\" }\nkvm2")],
            "is for the shared address of fronts",
        ),
    ] {
        let said = example(&changes);
        assert!(said.contains(expected), "{changes:?}\n{said}\nexpected: {expected}");
    }
}

#[test]
fn what_is_no_inventory_is_told() {
    assert!(errors("").iter().any(|error| error.contains("cloud: has no name")), "{:?}", errors(""));
    assert!(errors("hosts = 3").iter().any(|error| error.contains("hosts")));
    assert!(
        errors("\u{feff}[cloud]\nname = 1")
            .iter()
            .any(|error| error.contains("line 2: error: cloud.name: is a number"))
    );
    assert!(errors(&"#".repeat(BYTES_MAX + 1))[0].contains("larger"));
}
