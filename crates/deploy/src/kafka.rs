//! Apache Kafka: brokers and, without ZooKeeper, controllers. TLS everywhere; brokers know each other by their certificates,
//! clients by user and password; nobody may do what is not granted.

mod topics;

pub(crate) use topics::{AGENTS, DEAD_LETTERS, WRITES};

use crate::{
    cloud::{Cloud, Host, Kafka, KafkaMode, Role, ports},
    file::{RenderedFile, head},
    plan::Plan,
    services,
};

/// Where its configuration is.
pub(crate) const CONFIG: &str = "/etc/kafka";
/// Users of the listener for clients, whose passwords are among the secrets.
pub(crate) const ADMIN_USER: &str = "admin";
pub(crate) const SKYWATCH_USER: &str = "skywatch";
pub(crate) const AGENT_USER: &str = "agent";

const MIB: u64 = 1 << 20;

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    let Some(kafka) = &plan.cloud.kafka else { return Vec::new() };
    let mut files = Vec::new();
    for host in plan.cloud.hosts.iter().filter(|host| host.has(Role::Kafka) || host.has(Role::Controller)) {
        files.push(
            RenderedFile::on(host, &format!("{CONFIG}/server.properties"), properties(plan, kafka, host))
                .secret(),
        );
        files.push(RenderedFile::on(
            host,
            "/etc/systemd/system/kafka.service",
            unit(&plan.cloud, kafka, host),
        ));
        files.extend(keystores(plan, host, CONFIG));
        files.extend(cluster_id(plan, kafka, host));
        if host.has(Role::Kafka) {
            files.push(RenderedFile::on(host, &format!("{CONFIG}/admin.properties"), admin(plan)).secret());
        }
    }
    if let Some(first) = plan.cloud.with(Role::Kafka).next() {
        files.push(
            RenderedFile::on(first, &format!("{CONFIG}/topics.sh"), topics::script(&plan.cloud, kafka))
                .script(),
        );
    }
    files
}

/// Key and certificate in one file, as Kafka and ZooKeeper read PEM, and whom to trust.
pub(crate) fn keystores(plan: &Plan, host: &Host, dir: &str) -> Vec<RenderedFile> {
    let Some(identity) = plan.certificates.of(host) else { return Vec::new() };
    vec![
        RenderedFile::on(
            host,
            &format!("{dir}/tls/host.pem"),
            format!("{}{}", identity.key, identity.certificate),
        )
        .secret(),
        RenderedFile::on(host, &format!("{dir}/tls/ca.pem"), plan.certificates.authority.clone()),
    ]
}

fn properties(plan: &Plan, kafka: &Kafka, host: &Host) -> String {
    let cloud = &plan.cloud;
    let what = match (host.has(Role::Kafka), host.has(Role::Controller)) {
        (false, _) => "Kafka controller",
        (true, true) => "Kafka broker and controller",
        (true, false) => "Kafka broker",
    };
    let mut text = head("#", &cloud.name, &format!("{what} {}, release {}", host.name, kafka.version));
    text += &roles(cloud, kafka, host);
    text += &listeners(plan, kafka, host);
    if host.has(Role::Kafka) {
        text += &log(kafka, host);
    }
    text
}

/// Whether a host is among those who keep Kafka's own records.
fn is_controller(cloud: &Cloud, host: &Host) -> bool {
    host.has(Role::Controller) || cloud.with(Role::Controller).next().is_none() && host.has(Role::Kafka)
}

fn roles(cloud: &Cloud, kafka: &Kafka, host: &Host) -> String {
    let full = |host: &Host| cloud.full_name(&host.name);
    if kafka.mode == KafkaMode::ZooKeeper {
        let id = cloud.number(host, Role::Kafka);
        let servers = cloud.addresses(Role::ZooKeeper, ports::ZOOKEEPER);
        return format!(
            "
broker.id={id}
# A third of the data centre or the rack can go: replicas of a partition are kept apart by this.
broker.rack={site}-{rack}

# ZooKeeper lets in whoever has a certificate of the authority.
zookeeper.connect={servers}/kafka
zookeeper.session.timeout.ms=18000
zookeeper.ssl.client.enable=true
zookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty
zookeeper.ssl.keystore.location={CONFIG}/tls/host.pem
zookeeper.ssl.keystore.type=PEM
zookeeper.ssl.truststore.location={CONFIG}/tls/ca.pem
zookeeper.ssl.truststore.type=PEM
",
            site = host.site,
            rack = host.rack
        );
    }
    let voters: Vec<_> = cloud
        .hosts
        .iter()
        .filter(|host| is_controller(cloud, host))
        .map(|host| format!("{}@{}:{}", kraft_number(cloud, host), full(host), ports::KAFKA_CONTROLLERS))
        .collect();
    let mut roles = Vec::new();
    roles.extend(host.has(Role::Kafka).then_some("broker"));
    roles.extend(is_controller(cloud, host).then_some("controller"));
    let rack = if host.has(Role::Kafka) {
        format!(
            "# Replicas of a partition are kept apart by this.\nbroker.rack={}-{}\n",
            host.site, host.rack
        )
    } else {
        String::new()
    };
    format!(
        "
process.roles={}
node.id={}
{rack}controller.quorum.voters={}
controller.listener.names=CONTROLLERS
",
        roles.join(","),
        kraft_number(cloud, host),
        voters.join(",")
    )
}

/// Brokers and controllers share one row of numbers.
fn kraft_number(cloud: &Cloud, host: &Host) -> u32 {
    if host.has(Role::Kafka) {
        cloud.number(host, Role::Kafka)
    } else {
        100 + cloud.number(host, Role::Controller)
    }
}

fn listeners(plan: &Plan, kafka: &Kafka, host: &Host) -> String {
    let (cloud, secrets) = (&plan.cloud, &plan.secrets);
    let name = cloud.full_name(&host.name);
    let (clients, brokers, controllers) = (ports::KAFKA, ports::KAFKA_BROKERS, ports::KAFKA_CONTROLLERS);
    let is_broker = host.has(Role::Kafka);
    let is_controller = kafka.mode == KafkaMode::KRaft && is_controller(cloud, host);
    let mut own = Vec::new();
    if is_broker {
        own.extend([format!("CLIENTS://:{clients}"), format!("BROKERS://:{brokers}")]);
    }
    own.extend(is_controller.then(|| format!("CONTROLLERS://:{controllers}")));
    let advertised = if is_broker {
        format!(
            "# What clients are told to connect to; it has to be in DNS or /etc/hosts where they are.\n\
             advertised.listeners=CLIENTS://{name}:{clients},BROKERS://{name}:{brokers}\n\
             inter.broker.listener.name=BROKERS\n"
        )
    } else {
        String::new()
    };
    let map = match kafka.mode {
        KafkaMode::ZooKeeper => "CLIENTS:SASL_SSL,BROKERS:SSL",
        KafkaMode::KRaft => "CLIENTS:SASL_SSL,BROKERS:SSL,CONTROLLERS:SSL",
    };
    let mut text = format!(
        "
listeners={}
{advertised}listener.security.protocol.map={map}
ssl.keystore.type=PEM
ssl.keystore.location={CONFIG}/tls/host.pem
ssl.truststore.type=PEM
ssl.truststore.location={CONFIG}/tls/ca.pem
ssl.enabled.protocols=TLSv1.3,TLSv1.2
# Brokers show each other their certificates and are known by the names in them.
ssl.principal.mapping.rules=RULE:^CN=([^,]+),.*$/$1/,DEFAULT
",
        own.join(",")
    );
    if is_broker {
        text += "listener.name.brokers.ssl.client.auth=required\n";
    }
    if is_controller {
        text += "listener.name.controllers.ssl.client.auth=required\n";
    }
    if is_broker {
        let users: Vec<_> = [
            (ADMIN_USER, &secrets.kafka_admin),
            (SKYWATCH_USER, &secrets.kafka_skywatch),
            (AGENT_USER, &secrets.kafka_agent),
        ]
        .iter()
        .map(|(user, password)| format!("user_{user}=\"{password}\""))
        .collect();
        text += &format!(
            "# Clients are users; a change of a password (secrets.toml) takes a rolling restart.
listener.name.clients.sasl.enabled.mechanisms=PLAIN
listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {};
",
            users.join(" ")
        );
    }
    let authorizer = match kafka.mode {
        KafkaMode::ZooKeeper => "kafka.security.authorizer.AclAuthorizer",
        KafkaMode::KRaft => "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    };
    text + &format!(
        "# What is not granted (topics.sh grants) is refused; these may do anything.
authorizer.class.name={authorizer}
allow.everyone.if.no.acl.found=false
super.users={}
",
        super_users(cloud)
    )
}

fn super_users(cloud: &Cloud) -> String {
    let nodes = cloud.hosts.iter().filter(|host| host.has(Role::Kafka) || host.has(Role::Controller));
    let mut users: Vec<_> = nodes.map(|host| format!("User:{}", cloud.full_name(&host.name))).collect();
    users.push(format!("User:{ADMIN_USER}"));
    users.join(";")
}

fn log(kafka: &Kafka, host: &Host) -> String {
    let Kafka { data, partitions, replication, min_in_sync, retention_hours, .. } = kafka;
    // One for each core, as far as that is known; the defaults of Kafka are 3 and 8.
    let threads = host.cores.map_or(3, |cores| cores.clamp(2, 16));
    format!(
        "
log.dirs={data}/log
num.partitions={partitions}
default.replication.factor={replication}
# So many brokers have a record before its producer is told so.
min.insync.replicas={min_in_sync}
unclean.leader.election.enable=false
auto.create.topics.enable=false
offsets.topic.replication.factor={replication}
transaction.state.log.replication.factor={replication}
transaction.state.log.min.isr={min_in_sync}
# How long a data node may be away and still catch up.
log.retention.hours={retention_hours}
log.segment.bytes=268435456
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
num.network.threads={threads}
num.io.threads={io}
num.recovery.threads.per.data.dir={threads}
group.initial.rebalance.delay.ms=3000
",
        io = threads * 2
    )
}

fn unit(cloud: &Cloud, kafka: &Kafka, host: &Host) -> String {
    let directory = &kafka.directory;
    let format_once = match kafka.mode {
        KafkaMode::ZooKeeper => String::new(),
        // Does nothing where it was done.
        KafkaMode::KRaft => format!(
            "ExecStartPre={directory}/bin/kafka-storage.sh format --ignore-formatted --cluster-id ${{KAFKA_CLUSTER_ID}} --config {CONFIG}/server.properties\n\
             EnvironmentFile={CONFIG}/cluster-id\n"
        ),
    };
    let after = if host.has(Role::ZooKeeper) { " zookeeper.service" } else { "" };
    let heap = heap_mib(host);
    services::java_unit(
        cloud,
        &services::JavaService {
            what: "Apache Kafka",
            documentation: "https://kafka.apache.org/documentation/",
            after,
            user: "kafka",
            start: format!("{directory}/bin/kafka-server-start.sh {CONFIG}/server.properties"),
            before: format_once,
            heap_mib: heap,
            data: &kafka.data,
            logs: "kafka",
            // A broker hands its partitions over before it ends.
            stop_secs: 180,
        },
    )
}

/// A quarter of the memory, at most 6 GB: the page cache serves consumers.
fn heap_mib(host: &Host) -> u64 {
    if !host.has(Role::Kafka) {
        return 1024;
    }
    host.memory.map_or(1024, |memory| (memory / MIB / 4).clamp(512, 6144))
}

/// For Kafka's own tools, on brokers.
fn admin(plan: &Plan) -> String {
    format!(
        "{}
security.protocol=SASL_SSL
ssl.truststore.type=PEM
ssl.truststore.location={CONFIG}/tls/ca.pem
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{ADMIN_USER}\" password=\"{}\";
",
        head(
            "#",
            &plan.cloud.name,
            "For Kafka's own tools: kafka-topics.sh --command-config /etc/kafka/admin.properties --bootstrap-server ..."
        ),
        plan.secrets.kafka_admin
    )
}

/// Identity of a cluster without ZooKeeper, the same on all nodes.
fn cluster_id(plan: &Plan, kafka: &Kafka, host: &Host) -> Option<RenderedFile> {
    let text = format!(
        "{}KAFKA_CLUSTER_ID={}\n",
        head("#", &plan.cloud.name, "Identity of the Kafka cluster; it is made once and for all."),
        plan.secrets.kafka_cluster_id
    );
    (kafka.mode == KafkaMode::KRaft).then(|| RenderedFile::on(host, &format!("{CONFIG}/cluster-id"), text))
}
