//! From empty machines to a cloud that is watched.

use super::{first, on_each, services, step};
use crate::{
    cloud::{Cloud, KafkaMode, ReplicationMode, Role, ports},
    plan::paths,
};

/// What `skywatch --version` says, and nodes of each other.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn chapter(cloud: &Cloud) -> String {
    let mut steps = vec![copy(cloud), packages(cloud)];
    steps.extend(kafka(cloud));
    steps.extend([meta(cloud), data(cloud), join(cloud)]);
    steps.extend(log(cloud));
    steps.push(databases(cloud));
    steps.extend(fronts(cloud));
    steps.extend([agents(cloud)]);
    steps.extend(grafana(cloud));
    steps.push(alerts(cloud));
    let mut text = String::from("## Installation\n\nIn this order; every step may be repeated.\n\n");
    for (at, (title, rest)) in steps.into_iter().enumerate() {
        text += &rest.replacen("### ", &format!("### {}. ", at + 1), 1).replacen("{title}", title, 1);
    }
    text
}

type Step = (&'static str, String);

fn titled(title: &'static str, words: &str, does: &str, verify: &str, prints: &str) -> Step {
    (title, step("{title}", words, does, verify, prints))
}

fn copy(cloud: &Cloud) -> Step {
    titled(
        "Copy",
        "As root over SSH, with rsync on both sides. Users, permissions, `/etc/hosts` and settings of the kernel follow. \
         \
         If the names of the cloud are not in DNS, `cluster/hosts` goes into `/etc/hosts` of this machine too. Below, `ctl` is \
         what `. cluster/operator.sh` makes it, in a shell in this directory.",
        "./push.sh all",
        &on_each(
            cloud.hosts.iter(),
            &format!(
                "'openssl verify -CAfile {} {}; getent hosts {}'",
                paths::AUTHORITY,
                paths::CERTIFICATE,
                cloud.full_name(first(cloud, Role::Data))
            ),
        ),
        &format!(
            "{}: OK\n{:<16}{}",
            paths::CERTIFICATE,
            cloud.with(Role::Data).next().map(|host| host.address().to_string()).unwrap_or_default(),
            cloud.full_name(first(cloud, Role::Data))
        ),
    )
}

fn packages(cloud: &Cloud) -> Step {
    let skywatch = cloud
        .hosts
        .iter()
        .filter(|host| host.has(Role::Meta) || host.has(Role::Data) || cloud.has_agent(host));
    let names: Vec<_> = skywatch.map(|host| host.name.as_str()).collect();
    let mut does = format!(
        "for host in {}; do scp skywatch_*.deb root@$host:/root/ && ssh root@$host 'apt-get install -y /root/skywatch_*.deb'; done\n",
        names.join(" ")
    );
    let and = if cloud.virtual_address.is_some() { "haproxy keepalived" } else { "haproxy" };
    // What is there before the package asks no questions about it.
    does += &on_each(
        cloud.with(Role::Front),
        &format!("'apt-get install -y -o Dpkg::Options::=--force-confold {and}'"),
    );
    does += &on_each(
        cloud.with(Role::Grafana),
        "'apt-get install -y -o Dpkg::Options::=--force-confold grafana'",
    );
    if let Some(kafka) = &cloud.kafka {
        let brokers = cloud.hosts.iter().filter(|host| {
            [Role::Kafka, Role::ZooKeeper, Role::Controller].into_iter().any(|role| host.has(role))
        });
        does += &on_each(
            brokers,
            &format!(
                "'apt-get install -y default-jre-headless && mkdir -p {dir} && tar -xzf /root/kafka_2.13-{version}.tgz -C {dir} --strip-components=1'",
                dir = kafka.directory,
                version = kafka.version
            ),
        );
    }
    titled(
        "Packages",
        "Nothing of it starts by itself in a state that matters: the configurations are there already.",
        &does,
        &on_each(cloud.with(Role::Data), "skywatch --version"),
        &format!("skywatch {VERSION}"),
    )
}

fn kafka(cloud: &Cloud) -> Vec<Step> {
    let Some(kafka) = &cloud.kafka else { return Vec::new() };
    let mut steps = Vec::new();
    if kafka.mode == KafkaMode::ZooKeeper {
        let zookeepers = cloud.with(Role::ZooKeeper);
        let words = "All of them listen with TLS only. One leads, the others follow.";
        // Four-letter words over TLS, with the certificate that ZooKeeper wants to see.
        let ask = format!(
            "\"echo srvr | openssl s_client -quiet -connect localhost:{} -CAfile {} -cert {} -key {} 2>/dev/null | grep Mode\"",
            ports::ZOOKEEPER,
            paths::AUTHORITY,
            paths::CERTIFICATE,
            paths::KEY
        );
        let followers = cloud.with(Role::ZooKeeper).count().saturating_sub(1);
        let prints = format!("Mode: leader     (once)\nMode: follower   (on {followers})");
        steps.push(titled(
            "ZooKeeper",
            words,
            &on_each(zookeepers.clone(), "systemctl enable --now zookeeper"),
            &on_each(zookeepers, &ask),
            &prints,
        ));
    }
    let brokers = cloud.hosts.iter().filter(|host| host.has(Role::Kafka) || host.has(Role::Controller));
    let broker = first(cloud, Role::Kafka);
    let words = "All brokers first, then topics and rights, once.";
    steps.push(titled(
        "Kafka",
        words,
        &format!(
            "{}ssh root@{broker} sh /etc/kafka/topics.sh",
            on_each(brokers, "systemctl enable --now kafka")
        ),
        &format!(
            "ssh root@{broker} {}/bin/kafka-topics.sh --bootstrap-server {}:{} --command-config /etc/kafka/admin.properties --describe --under-replicated-partitions",
            kafka.directory,
            cloud.full_name(broker),
            ports::KAFKA
        ),
        "(nothing: every partition has all its copies)",
    ));
    steps
}

fn meta(cloud: &Cloud) -> Step {
    titled(
        "Meta nodes",
        "They wait until they are made members.",
        &on_each(cloud.with(Role::Meta), "systemctl enable --now skywatch-meta"),
        &on_each(cloud.with(Role::Meta), "systemctl show -P StatusText skywatch-meta"),
        &format!(
            "waits to be made a member of a cluster: skywatch ctl add-meta {}:{}",
            cloud.full_name(first(cloud, Role::Meta)),
            ports::META
        ),
    )
}

fn data(cloud: &Cloud) -> Step {
    let words = match cloud.replication {
        ReplicationMode::Native => "They wait, too.",
        ReplicationMode::Kafka => "They wait, too; Kafka has to be up.",
    };
    titled(
        "Data nodes",
        words,
        &on_each(cloud.with(Role::Data), "systemctl enable --now skywatch-data"),
        &on_each(cloud.with(Role::Data), "systemctl show -P StatusText skywatch-data"),
        &format!(
            "waits to be made a member of a cluster: skywatch ctl add-data {}:{}",
            cloud.full_name(first(cloud, Role::Data)),
            ports::NODE
        ),
    )
}

fn join(cloud: &Cloud) -> Step {
    let mut lines =
        vec!["Data Nodes".to_owned(), "==========".to_owned(), "ID\tTCP Address\tVersion".to_owned()];
    let metas = cloud.with(Role::Meta).count();
    let line =
        |at: usize, name: &str, port: u16| format!("{at}\t{}:{port}\t{VERSION}", cloud.full_name(name));
    lines.extend(
        cloud.with(Role::Data).enumerate().map(|(at, host)| line(metas + at + 1, &host.name, ports::NODE)),
    );
    lines.extend([
        String::new(),
        "Meta Nodes".to_owned(),
        "==========".to_owned(),
        "ID\tTCP Address\tVersion".to_owned(),
    ]);
    lines.extend(cloud.with(Role::Meta).enumerate().map(|(at, host)| line(at + 1, &host.name, ports::META)));
    titled(
        "The cluster is formed",
        "Once; repeated, it changes nothing. A node has a version some seconds later, when it has been heard of.",
        &format!("ssh root@{} sh -s <cluster/join.sh", first(cloud, Role::Meta)),
        "ctl show",
        &lines.join("\n"),
    )
}

/// What is written before goes from node to node until its shard group ends.
fn log(cloud: &Cloud) -> Option<Step> {
    let words = "When all data nodes have said that they write through Kafka, which takes some seconds, the cluster does. What is \
                 written earlier goes from node to node until its shard groups end.";
    let prints = "(the topic skywatch-writes, and how far each data node is behind in it)";
    (cloud.replication == ReplicationMode::Kafka)
        .then(|| titled("The cluster writes through Kafka", words, "", "ctl show-lag", prints))
}

fn databases(cloud: &Cloud) -> Step {
    let names: Vec<_> = cloud.databases.iter().map(|database| database.name.as_str()).collect();
    titled(
        "Databases and users",
        &format!(
            "Makes {}, and the users of the inventory, with the passwords of secrets.toml. Run it again when databases, \
             policies or users of the inventory change.",
            names.join(", ")
        ),
        &format!("ssh root@{} sh -s <cluster/databases.sh", first(cloud, Role::Data)),
        &format!(
            "SKYWATCH_URL=https://{full}:{port} skywatch query 'SHOW RETENTION POLICIES ON {database}'",
            full = cloud.full_name(first(cloud, Role::Data)),
            port = ports::HTTP,
            database = names.first().copied().unwrap_or_default(),
        ),
        "(a row for each policy, with its duration and replicaN)",
    )
}

fn fronts(cloud: &Cloud) -> Vec<Step> {
    if cloud.with(Role::Front).next().is_none() {
        return Vec::new();
    }
    let mut does = on_each(
        cloud.with(Role::Front),
        "'haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl enable haproxy && systemctl restart haproxy'",
    );
    if cloud.virtual_address.is_some() {
        does += &on_each(
            cloud.with(Role::Front),
            "'systemctl enable keepalived && systemctl restart keepalived'",
        );
    }
    let url = cloud.entrances().into_iter().next().unwrap_or_default();
    let mut verify = format!(
        "ssh root@{} curl -sS -o /dev/null -w '%{{http_code}}\\\\n' --cacert {} {url}/ping\n",
        first(cloud, Role::Data),
        paths::AUTHORITY
    );
    let mut prints = "204".to_owned();
    if let Some(shared) = &cloud.virtual_address {
        verify += &on_each(
            cloud.with(Role::Front),
            &format!("'ip -brief address show to {}'", shared.network.address),
        );
        prints += &format!("\n{}   UP   ... {}   (on one front only)", shared.interface, shared.network);
    }
    let mut steps = vec![titled(
        "Fronts",
        "HAProxy sends clients to data nodes that are ready; with keepalived one front has the shared address.",
        &does,
        &verify,
        &prints,
    )];
    steps.extend(cloud.virtual_address.is_some().then(|| who_may_speak_vrrp(cloud)));
    steps
}

/// Addresses of packets can be made up by whoever is on the same wire; what comes from elsewhere is dropped here.
fn who_may_speak_vrrp(cloud: &Cloud) -> Step {
    let fronts: Vec<_> = cloud.with(Role::Front).collect();
    let (tables, whole) = match fronts.iter().all(|front| front.address().is_ipv4()) {
        true => ("iptables", 32),
        false => ("ip6tables", 128),
    };
    let mut does = String::new();
    for front in &fronts {
        let others = fronts.iter().filter(|other| other.name != front.name);
        let accepts: String = others
            .map(|other| format!(" && {tables} -I INPUT -p vrrp -s {} -j ACCEPT", other.address()))
            .collect();
        does += &format!("ssh root@{} '{tables} -I INPUT -p vrrp -j DROP{accepts}'\n", front.name);
    }
    titled(
        "Nobody else takes the shared address",
        "Version 3 of VRRP has no passwords (those of version 2 went over the wire in clear text): keepalived hears the other \
         fronts alone, by address and over a single hop. Let the firewall say the same, and keep strangers off that network. \
         Where nftables or a firewall of your own is in charge, protocol 112 from the other fronts is what it has to let in; \
         `netfilter-persistent save` keeps the rules.",
        &does,
        &on_each(fronts.iter().copied(), &format!("{tables} -S INPUT")),
        &format!("-A INPUT -s OTHER-FRONT/{whole} -p vrrp -j ACCEPT\n-A INPUT -p vrrp -j DROP"),
    )
}

fn agents(cloud: &Cloud) -> Step {
    let hosts = cloud.hosts.iter().filter(|host| cloud.has_agent(host));
    titled(
        "Agents",
        "Every host reports its data centre and rack with everything.",
        &on_each(hosts, "systemctl enable --now skywatch-agent"),
        &format!("skywatch query --db {} 'SHOW TAG VALUES WITH KEY = host'", cloud.agents.database),
        "(every host of the table above, within a minute)",
    )
}

fn grafana(cloud: &Cloud) -> Vec<Step> {
    let Some(host) = cloud.with(Role::Grafana).next() else { return Vec::new() };
    let name = cloud.full_name(&host.name);
    vec![titled(
        "Grafana",
        &format!(
            "Data sources, dashboards, rules and contact points are provisioned. Log in at https://{name}:{} as admin, with \
             grafana-admin of secrets.toml.",
            ports::GRAFANA
        ),
        &format!(
            "ssh root@{} 'systemctl enable grafana-server && systemctl restart grafana-server'",
            host.name
        ),
        &format!(
            "ssh root@{} curl -sS --cacert {} https://{name}:{}/api/health",
            host.name,
            paths::AUTHORITY,
            ports::GRAFANA
        ),
        "{ \"database\": \"ok\", ... }",
    )]
}

fn alerts(cloud: &Cloud) -> Step {
    let host = first(cloud, Role::Meta);
    let (words, prints) = if cloud.alerts.discord_webhook.is_some() {
        (
            "Stop something that is watched, and start it again.",
            "(the channel tells within the time of the rule, and again when it is over)",
        )
    } else {
        (
            "No webhook is in the inventory ([alerts] discord-webhook): nobody is told of anything until there is.",
            "(nothing yet)",
        )
    };
    titled(
        "Somebody is told",
        words,
        &format!(
            "ssh root@{host} systemctl stop skywatch-agent\nssh root@{host} systemctl start skywatch-agent"
        ),
        "",
        prints,
    )
}

/// Whether a unit runs on every host that has it; used by chapters that restart.
pub(super) fn all_run(cloud: &Cloud, role: Role) -> String {
    let units: Vec<_> = cloud.with(role).next().map(|host| services(cloud, host)).unwrap_or_default();
    on_each(cloud.with(role), &format!("systemctl is-active {}", units.join(" ")))
}
