//! Configurations of Skywatch's nodes. TLS is on every link and mutual between nodes; clients and operators are users.

use crate::{
    cloud::{Cloud, Host, ReplicationMode, Role, ports},
    file::{RenderedFile, head},
    kafka,
    plan::{Plan, paths},
};

/// How often fronts look at `GET /ready`, twice, and a little.
const SHUTDOWN_DELAY: &str = "5s";
/// The page cache, which holds what queries read, gets the rest; as the server chooses by itself, told so that an operator sees it.
const MEMORY_SHARE: u64 = 4;
const BUDGET_MIB: std::ops::RangeInclusive<u64> = 256..=4096;

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    let meta = plan.cloud.with(Role::Meta).map(|host| {
        RenderedFile::on(host, &format!("{}/meta.toml", paths::CONFIG), meta_file(plan, host)).secret()
    });
    let data = plan.cloud.with(Role::Data).map(|host| {
        RenderedFile::on(host, &format!("{}/data.toml", paths::CONFIG), data_file(plan, host)).secret()
    });
    meta.chain(data).collect()
}

fn meta_file(plan: &Plan, host: &Host) -> String {
    let (cloud, secrets) = (&plan.cloud, &plan.secrets);
    let (authority, certificate, key) = (paths::AUTHORITY, paths::CERTIFICATE, paths::KEY);
    let (raft, http) = (ports::RAFT, ports::META);
    format!(
        "{head}
# By this name every other node finds this one; it has to be in DNS or /etc/hosts everywhere.
hostname = {hostname}

[meta]
dir = \"{state}/meta\"
# For other meta nodes; for data nodes and `skywatch ctl`.
bind-address = \":{raft}\"
http-bind-address = \":{http}\"

# Renewed by replacing the files; no restart. Nodes have to show a certificate of the same authority.
https-enabled = true
https-certificate = \"{certificate}\"
https-private-key = \"{key}\"
https-ca = \"{authority}\"
data-use-tls = true

# The same on all nodes (secrets.toml: cluster).
internal-shared-secret = {cluster}
# Operators are users of the databases, with the rights of an administrator; or bring a token signed with this.
auth-enabled = true
shared-secret = {tokens}

[logging]
level = \"info\"
",
        head = head("#", &cloud.name, &format!("Meta node {}: skywatch meta --config {}/meta.toml", host.name, paths::CONFIG)),
        hostname = text(&cloud.full_name(&host.name)),
        state = paths::STATE,
        cluster = text(&secrets.cluster),
        tokens = text(&secrets.tokens),
    )
}

fn data_file(plan: &Plan, host: &Host) -> String {
    let (cloud, secrets) = (&plan.cloud, &plan.secrets);
    let (authority, certificate, key) = (paths::AUTHORITY, paths::CERTIFICATE, paths::KEY);
    let (node, http, console) = (ports::NODE, ports::HTTP, ports::CONSOLE);
    format!(
        "{head}
# By this name every other node finds this one; it has to be in DNS or /etc/hosts everywhere.
hostname = {hostname}
# For other nodes.
bind-address = \":{node}\"
gossip-frequency = \"3s\"

# Copies of a shard are kept apart by these.
[labels]
dc = {site}
rack = {rack}

[data]
dir = \"{state}/data\"
# Acknowledged is what is on disk.
durability = \"fsync\"
{budget}
[http]
# For clients, through the fronts.
bind-address = \":{http}\"
auth-enabled = true
# What tokens are signed with (secrets.toml: tokens).
shared-secret = {tokens}
https-enabled = true
https-certificate = \"{certificate}\"
https-private-key = \"{key}\"
# A certificate that a client shows has to be of the cloud; the fronts show theirs, others are users at least.
https-ca = \"{authority}\"
# While it says 503 to GET /ready before it stops, so that the fronts send clients elsewhere first.
shutdown-delay = \"{SHUTDOWN_DELAY}\"

# The web pages, through the fronts.
[console]
enabled = true
bind = \":{console}\"
https-enabled = true

[meta]
meta-tls-enabled = true
# The same on all nodes (secrets.toml: cluster).
meta-internal-shared-secret = {cluster}

[coordinator]
# Between nodes, which have to show a certificate of the same authority. Renewed by replacing the files; no restart.
https-enabled = true
https-certificate = \"{certificate}\"
https-private-key = \"{key}\"
https-ca = \"{authority}\"
# A query that takes longer is logged; one that takes ten minutes is stopped.
log-queries-after = \"30s\"
query-timeout = \"10m\"
{kafka}{alerts}",
        head = head("#", &cloud.name, &format!("Data node {}: skywatch data --config {}/data.toml", host.name, paths::CONFIG)),
        hostname = text(&cloud.full_name(&host.name)),
        site = text(&host.site),
        rack = text(&host.rack),
        state = paths::STATE,
        budget = budget(host),
        cluster = text(&secrets.cluster),
        tokens = text(&secrets.tokens),
        kafka = kafka_sections(plan),
        alerts = alerts(cloud),
    )
}

/// The memory that the inventory tells; without, the server looks at the machine itself.
fn budget(host: &Host) -> String {
    let Some(memory) = host.memory else { return String::new() };
    let share = (memory >> 20) / MEMORY_SHARE;
    let mib = share.clamp(*BUDGET_MIB.start(), *BUDGET_MIB.end());
    format!(
        "# A quarter of the {} MB of this host, at most 4 GB; the page cache, which holds what queries read, gets the rest.\n\
         memory-budget = \"{mib}m\"\n",
        memory >> 20
    )
}

/// The log that writes go through, and the topic that agents write to, where they do.
fn kafka_sections(plan: &Plan) -> String {
    let cloud = &plan.cloud;
    let is_log = cloud.replication == ReplicationMode::Kafka;
    let Some(kafka) = cloud.kafka.as_ref().filter(|_| is_log || cloud.agents.through_kafka) else {
        return String::new();
    };
    let brokers: Vec<_> = cloud
        .with(Role::Kafka)
        .map(|host| text(&format!("{}:{}", cloud.full_name(&host.name), ports::KAFKA)))
        .collect();
    let mut sections = String::new();
    if is_log {
        sections += "
# Writes are acknowledged when Kafka has them; the owners of a shard read them from there.
[replication]
mode = \"kafka\"
";
    }
    sections += &format!(
        "
[kafka]
brokers = [{brokers}]
tls-enabled = true
tls-ca = \"{authority}\"
# Who may do what is granted by topics.sh on the first broker.
sasl-mechanism = \"PLAIN\"
sasl-username = \"{user}\"
sasl-password = {password}
topic = \"{topic}\"
dead-letter-topic = \"{dead_letters}\"
partitions = {partitions}
replication-factor = {replication}
min-insync-replicas = {min_in_sync}
# How long a node may be away and still catch up.
retention = \"{retention_hours}h\"
",
        brokers = brokers.join(", "),
        authority = paths::AUTHORITY,
        user = kafka::SKYWATCH_USER,
        password = text(&plan.secrets.kafka_skywatch),
        topic = kafka::WRITES,
        dead_letters = kafka::DEAD_LETTERS,
        partitions = kafka.partitions,
        replication = kafka.replication,
        min_in_sync = kafka.min_in_sync,
        retention_hours = kafka.retention_hours,
    );
    if cloud.agents.through_kafka {
        sections += &format!(
            "
# What agents write; the nodes share it among themselves.
[[kafka-ingest]]
topics = [\"{topic}\"]
consumer-group = \"skywatch\"
database = {database}
",
            topic = kafka::AGENTS,
            database = text(&cloud.agents.database)
        );
    }
    sections
}

fn alerts(cloud: &Cloud) -> String {
    if cloud.alerts.discord_webhook.is_none() {
        return String::new();
    }
    format!(
        "\n# Of all nodes that have these rules one evaluates them.\n[alerts]\nfile = \"{}/alerts.yaml\"\n",
        paths::CONFIG
    )
}

/// A text in TOML. Names and secrets of an inventory have neither quotes nor control characters in them.
fn text(value: &str) -> String {
    format!("\"{value}\"")
}
