//! What comes up while the cloud runs: upgrades, nodes that come and go, certificates, backups.

use super::{first, installation::all_run, on_each, step};
use crate::{
    cloud::{Cloud, Role, ports},
    plan::paths,
};

pub(super) fn chapter(cloud: &Cloud) -> String {
    let mut text = String::from("## Later\n\n");
    text += &change(cloud);
    text += &upgrade(cloud);
    text += &replace_data(cloud);
    text += &replace_meta(cloud);
    text += &add(cloud);
    if cloud.kafka.is_some() {
        text += &replace_broker(cloud);
    }
    text += &certificates(cloud);
    text += &backup(cloud);
    if cloud.virtual_address.is_some() {
        text += &fail_over(cloud);
    }
    text
}

fn change(cloud: &Cloud) -> String {
    step(
        "A change of the inventory",
        "Look first, then render, copy, and restart what changed, one host at a time (below). Certificates and names of \
         hosts need no restart.",
        "skywatch render --inventory cloud.toml --out . --check\nskywatch render --inventory cloud.toml --out .\n./push.sh all",
        "skywatch render --inventory cloud.toml --out . --check",
        &format!(".: 0 of {} files would change", "N"),
    ) + &all_run_note(cloud)
}

fn all_run_note(cloud: &Cloud) -> String {
    format!("What should run on a data node, for instance:\n\n```\n{}```\n\n", all_run(cloud, Role::Data))
}

fn upgrade(cloud: &Cloud) -> String {
    let metas: Vec<_> = cloud.with(Role::Meta).map(|host| host.name.as_str()).collect();
    let data: Vec<_> = cloud.with(Role::Data).map(|host| host.name.as_str()).collect();
    let does = format!(
        "for host in {metas}; do\n    ssh root@$host 'apt-get install -y /root/skywatch_NEW.deb && systemctl restart skywatch-meta'\n    until ctl show >/dev/null; do sleep 1; done\ndone\n\
         for host in {data}; do\n    ssh root@$host 'apt-get install -y /root/skywatch_NEW.deb && systemctl restart skywatch-data'\n    \
         until ssh root@$host curl -sf --cacert {authority} https://localhost:{http}/ready; do sleep 1; done\ndone",
        metas = metas.join(" "),
        data = data.join(" "),
        authority = paths::AUTHORITY,
        http = ports::HTTP,
    );
    step(
        "A rolling upgrade, or a rolling restart",
        "One node at a time, meta nodes first; the next one only when `/ready` says 200. With two copies of everything no \
         write fails in between: the fronts send it to another node. ",
        &does,
        "ctl show",
        "(all nodes, with a version)",
    )
}

fn replace_data(cloud: &Cloud) -> String {
    let gone = first(cloud, Role::Data);
    let full = cloud.full_name(gone);
    step(
        "A data node is lost with its disk",
        "The new machine gets the name and the address of the old one. The cluster makes its copies again by itself, from the \
         other owners.",
        &format!(
            "ctl remove-data -force {full}:{node}\n./push.sh {gone}\nssh root@{gone} 'apt-get install -y /root/skywatch_*.deb && systemctl enable --now skywatch-data'\nctl add-data {full}:{node}\nctl truncate-shards        # new points go to it at once",
            node = ports::NODE
        ),
        &format!(
            "ctl entropy show\nssh root@{gone} curl -s --cacert {} https://localhost:{}/ready",
            paths::AUTHORITY,
            ports::HTTP
        ),
        "(no shard that differs; then status 200)",
    )
}

fn replace_meta(cloud: &Cloud) -> String {
    let gone = cloud.with(Role::Meta).last().map_or("HOST", |host| &host.name);
    let full = cloud.full_name(gone);
    step(
        "A meta node is lost with its disk",
        "While more than half of the others are there, everything goes on.",
        &format!(
            "ctl remove-meta -force -tcpAddr {full}:{raft} {full}:{http}\n./push.sh {gone}\nssh root@{gone} 'apt-get install -y /root/skywatch_*.deb && systemctl enable --now skywatch-meta'\nctl add-meta {full}:{http}",
            raft = ports::RAFT,
            http = ports::META
        ),
        "ctl show",
        "(all meta nodes, each with a version)",
    )
}

fn add(cloud: &Cloud) -> String {
    step(
        "One more data node",
        "A line in [hosts] of the inventory; its certificate is made by `render`. The fronts have to learn of it, too.",
        &format!(
            "skywatch render --inventory cloud.toml --out .\n./push.sh all\nssh root@NEW 'apt-get install -y /root/skywatch_*.deb && systemctl enable --now skywatch-data'\nssh root@{} sh -s <cluster/join.sh\n{}ctl truncate-shards        # so that new points go to it at once, not with the next shard group",
            first(cloud, Role::Meta),
            on_each(cloud.with(Role::Front), "systemctl reload haproxy")
        ),
        "ctl show-shards",
        "(shards of the current group with NEW among their owners)",
    )
}

fn replace_broker(cloud: &Cloud) -> String {
    let Some(kafka) = &cloud.kafka else { return String::new() };
    let broker = cloud.with(Role::Kafka).last().map_or("HOST", |host| &host.name);
    let other = first(cloud, Role::Kafka);
    step(
        "A Kafka broker is lost with its disk",
        "The new machine gets the name and the address of the old one, and with them its number; its copies are fetched from \
         the other brokers. One at a time: writes need as many copies in step as min-in-sync says.",
        &format!(
            "./push.sh {broker}\nssh root@{broker} 'apt-get install -y default-jre-headless && mkdir -p {dir} && tar -xzf /root/kafka_2.13-{version}.tgz -C {dir} --strip-components=1'\nssh root@{broker} 'systemctl enable --now {units}'",
            dir = kafka.directory,
            version = kafka.version,
            units = if cloud.host(broker).is_some_and(|host| host.has(Role::ZooKeeper)) {
                "zookeeper kafka"
            } else {
                "kafka"
            },
        ),
        &format!(
            "ssh root@{other} {}/bin/kafka-topics.sh --bootstrap-server {}:{} --command-config /etc/kafka/admin.properties --describe --under-replicated-partitions",
            kafka.directory,
            cloud.full_name(other),
            ports::KAFKA
        ),
        "(nothing, once its copies are complete)",
    )
}

fn certificates(cloud: &Cloud) -> String {
    if cloud.certificates.given {
        return step(
            "Certificates are renewed",
            "They come from elsewhere: put the new HOST.pem and HOST.key into the directory of certificates. Skywatch's nodes \
             read them when they change; the others are told.",
            &renewed(cloud, "skywatch render --inventory cloud.toml --out ."),
            "skywatch cert show --inventory cloud.toml",
            "(valid until ..., for every host)",
        );
    }
    step(
        "Certificates are renewed",
        &format!(
            "They are valid for {} days; `render` and `cert show` warn 30 days before. Skywatch's nodes read them when they \
             change; the others are told. The authority itself is valid for {} days: before that, let every host trust the \
             old and the new one (both in ca.pem), and only then renew.",
            cloud.certificates.days, cloud.certificates.authority_days
        ),
        &renewed(
            cloud,
            "skywatch cert renew --inventory cloud.toml --within 60\nskywatch render --inventory cloud.toml --out .",
        ),
        &format!(
            "skywatch cert show --inventory cloud.toml\nssh root@{} \"openssl s_client -connect localhost:{} </dev/null 2>/dev/null | openssl x509 -noout -enddate\"",
            first(cloud, Role::Data),
            ports::HTTP
        ),
        "(valid until ..., for every host)\nnotAfter=... (the same day)",
    )
}

fn renewed(cloud: &Cloud, how: &str) -> String {
    let brokers = cloud.hosts.iter().filter(|host| host.has(Role::Kafka));
    format!(
        "{how}\n./push.sh all\n{}{}{}",
        on_each(cloud.with(Role::Front), "systemctl reload haproxy"),
        on_each(cloud.with(Role::Grafana), "systemctl restart grafana-server"),
        match on_each(brokers, "'systemctl restart kafka; sleep 60'").as_str() {
            "" => String::new(),
            restart => format!("# Brokers one after the other, when no partition lacks a copy:\n{restart}"),
        }
    )
}

fn backup(cloud: &Cloud) -> String {
    step(
        "Backup and restore",
        "Nothing stops meanwhile, and the second \
         backup copies what is new only. A restore never touches a database that exists.",
        &format!(
            "ctl backup --keep 7 --verify /backup/{name}\n\nctl restore --db {database} --new-db {database}_restored /backup/{name}",
            name = cloud.name,
            database = cloud.agents.database
        ),
        &format!(
            "skywatch ctl backup verify /backup/{}\nskywatch ctl restore --list /backup/{}",
            cloud.name, cloud.name
        ),
        "(every backup, and that it is whole)",
    )
}

fn fail_over(cloud: &Cloud) -> String {
    let Some(shared) = &cloud.virtual_address else { return String::new() };
    let front = first(cloud, Role::Front);
    step(
        "Fail-over of the fronts is tried",
        "Every few months, on purpose. The other front takes the address within three seconds; agents send again what was not \
         acknowledged.",
        &format!("ssh root@{front} systemctl stop haproxy"),
        &on_each(cloud.with(Role::Front), &format!("'ip -brief address show to {}'", shared.network.address)),
        &format!("(the address on another front; after `systemctl start haproxy` on {front} again)"),
    )
}
