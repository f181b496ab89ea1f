//! ZooKeeper for Kafka 3: an ensemble with TLS between its nodes and towards Kafka.

use crate::{
    cloud::{Cloud, Host, Kafka, KafkaMode, Role, ports},
    file::{RenderedFile, head},
    kafka,
    plan::Plan,
    services,
};

const CONFIG: &str = "/etc/zookeeper";
const DATA: &str = "/var/lib/zookeeper";

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    let Some(kafka) = plan.cloud.kafka.as_ref().filter(|kafka| kafka.mode == KafkaMode::ZooKeeper) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for host in plan.cloud.with(Role::ZooKeeper) {
        let number = plan.cloud.number(host, Role::ZooKeeper);
        files.push(RenderedFile::on(host, &format!("{CONFIG}/zoo.cfg"), configuration(&plan.cloud, host)));
        files.push(RenderedFile::on(host, &format!("{DATA}/myid"), format!("{number}\n")));
        files.push(RenderedFile::on(host, "/etc/systemd/system/zookeeper.service", unit(&plan.cloud, kafka)));
        files.extend(kafka::keystores(plan, host, CONFIG));
    }
    files
}

fn configuration(cloud: &Cloud, host: &Host) -> String {
    let (peers, elections, clients) = (ports::ZOOKEEPER_PEERS, ports::ZOOKEEPER_ELECTIONS, ports::ZOOKEEPER);
    let servers: String = cloud
        .with(Role::ZooKeeper)
        .map(|other| {
            let number = cloud.number(other, Role::ZooKeeper);
            format!("server.{number}={}:{peers}:{elections}\n", cloud.full_name(&other.name))
        })
        .collect();
    format!(
        "{head}
tickTime=2000
# Ticks that a follower may take to connect and catch up, and to answer.
initLimit=10
syncLimit=5
dataDir={DATA}
# Kept of old snapshots; looked at every day.
autopurge.snapRetainCount=5
autopurge.purgeInterval=24
admin.enableServer=false
4lw.commands.whitelist=srvr,ruok,mntr

# The own name may stand for 127.0.1.1 in /etc/hosts; others are to be heard all the same.
quorumListenOnAllIPs=true

# The same on every node; the number of this one is in {DATA}/myid.
{servers}
# Clients (Kafka) have to show a certificate of the authority; there is no port without TLS.
secureClientPort={clients}
serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
ssl.clientAuth=need
ssl.keyStore.location={CONFIG}/tls/host.pem
ssl.keyStore.type=PEM
ssl.trustStore.location={CONFIG}/tls/ca.pem
ssl.trustStore.type=PEM

# So do the nodes to each other.
sslQuorum=true
ssl.quorum.keyStore.location={CONFIG}/tls/host.pem
ssl.quorum.keyStore.type=PEM
ssl.quorum.trustStore.location={CONFIG}/tls/ca.pem
ssl.quorum.trustStore.type=PEM
",
        head = head("#", &cloud.name, &format!("ZooKeeper node {}", host.name)),
    )
}

fn unit(cloud: &Cloud, kafka: &Kafka) -> String {
    services::java_unit(
        cloud,
        &services::JavaService {
            what: "Apache ZooKeeper",
            documentation: "https://zookeeper.apache.org/doc/r3.6.4/",
            after: "",
            user: "kafka",
            // It comes with Kafka.
            start: format!("{}/bin/zookeeper-server-start.sh {CONFIG}/zoo.cfg", kafka.directory),
            before: String::new(),
            heap_mib: 512,
            data: DATA,
            logs: "zookeeper",
            stop_secs: 30,
        },
    )
}
