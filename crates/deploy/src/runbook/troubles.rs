//! What is seen at night, what it means, what to do.

use crate::{
    cloud::{Cloud, ReplicationMode, Role, ports},
    plan::paths,
};

pub(super) fn chapter(cloud: &Cloud) -> String {
    let mut rows = vec![
        (
            format!(
                "`/ready` of a data node stays at 503: `curl --cacert {} https://localhost:{}/ready`",
                paths::AUTHORITY,
                ports::HTTP
            ),
            "its `message` says what it waits for: usually for what it missed. Others serve meanwhile",
            "wait; `entropy show` and `SHOW DIAGNOSTICS` of the other nodes tell how much there is",
        ),
        (
            "`meta service unavailable`".to_owned(),
            "fewer than half of the meta nodes reach each other; writes and queries go on, changes of databases do not",
            "start meta nodes; `journalctl -u skywatch-meta`",
        ),
        (
            "`a connection between nodes was refused`".to_owned(),
            "no certificate of the authority, or another secret: a host that was not copied to",
            "`./push.sh HOST`, restart it",
        ),
        (
            "writes are answered with 503 and Retry-After".to_owned(),
            "the node is full for the moment; agents keep what they have and send it again",
            "`journalctl -u skywatch-data`; more memory or more nodes if it lasts",
        ),
        (
            "`systemctl status` says `watchdog`".to_owned(),
            "the process did not answer itself for the time of its watchdog and was replaced",
            "`journalctl -u UNIT -b`; is the disk slow, the host out of memory?",
        ),
        (
            "a host does not report any more".to_owned(),
            "its agent, its network or the host itself",
            "`systemctl status skywatch-agent`; `skywatch agent --config /etc/skywatch/telegraf.conf --once`",
        ),
    ];
    if cloud.with(Role::Front).next().is_some() {
        rows.push((
            format!("the page of statistics (https://FRONT:{}) shows a data node red", ports::HAPROXY_STATS),
            "its `/ready` is not 200: stopped, starting, or behind",
            "as above",
        ));
        rows.push((
            "clients hear 429, or their connections are closed at once".to_owned(),
            "one address has more connections or requests than [fronts] lets it, such as many agents behind one translated \
             address",
            "on the front: `socat - /run/haproxy/admin.sock <<<'show table api'` names them; raise `connections-per-client` \
             or `requests-per-client`, render, `./push.sh` both fronts, `systemctl reload haproxy`",
        ));
    }
    if cloud.virtual_address.is_some() {
        rows.push((
            "two fronts have the shared address".to_owned(),
            "they do not hear each other: VRRP (protocol 112) is filtered between them, or one has other files",
            "`journalctl -u keepalived`; `./push.sh` both; open protocol 112 between them",
        ));
    }
    if cloud.replication == ReplicationMode::Kafka {
        rows.push((
            "writes are answered with 503 and name Kafka".to_owned(),
            "fewer brokers are in step than min-in-sync asks for; nothing acknowledged is lost",
            "start brokers; `kafka-topics.sh --describe --under-min-isr-partitions`",
        ));
    }
    let mut text = String::from(
        "## At night\n\nFirst: `. cluster/operator.sh; ctl show`, and `systemctl --failed` on the hosts of the table.\n\n| what is seen | what it means | what to do |\n|---|---|---|\n",
    );
    for (seen, means, does) in rows {
        text += &format!("| {seen} | {means} | {does} |\n");
    }
    text
}
