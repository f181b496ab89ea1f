//! The rest of the inventory: Kafka, the shared address, certificates, alerts, agents.

use super::{section::Section, values};
use crate::cloud::{
    Agents, Alerts, CertificateSettings, Fronts, Host, Kafka, KafkaMode, ReplicationMode, Role,
    VirtualAddress,
};

const KAFKA_WITH_ZOOKEEPER: &str = "3.5.2";
const KAFKA_WITH_KRAFT: &str = "4.1.0";
/// Copies of every record, where there are as many brokers.
const KAFKA_COPIES: usize = 3;

pub(super) fn replication(file: &Section<'_>) -> ReplicationMode {
    let Some(section) = file.section("replication", "[replication] and below it mode = \"native\"") else {
        return ReplicationMode::Native;
    };
    let words = [("native", ReplicationMode::Native), ("kafka", ReplicationMode::Kafka)];
    let mode = section.choice("mode", &words);
    section.finish();
    mode.unwrap_or(ReplicationMode::Native)
}

/// `None` where no host is a broker; then the section, too, would be a mistake.
pub(super) fn kafka(file: &Section<'_>, hosts: &[Host]) -> Option<Kafka> {
    let brokers = hosts.iter().filter(|host| host.has(Role::Kafka)).count();
    let section = file.section("kafka", "[kafka] and below it mode = \"kraft\"");
    if brokers == 0 {
        if section.is_some() {
            file.error(
                "kafka",
                "is set up, and no host has the role \"kafka\": give it to three hosts, or take [kafka] away",
            );
        }
        return None;
    }
    let empty = toml::de::DeTable::new();
    let section = section.unwrap_or_else(|| Section::new(file.source(), "kafka".to_owned(), 1, &empty));
    let version = section.parsed("version", values::release);
    let has_zookeeper = hosts.iter().any(|host| host.has(Role::ZooKeeper));
    let words = [("zookeeper", KafkaMode::ZooKeeper), ("kraft", KafkaMode::KRaft)];
    let mode = section.choice("mode", &words);
    let mode = mode.unwrap_or(if has_zookeeper { KafkaMode::ZooKeeper } else { KafkaMode::KRaft });
    let built_in = match mode {
        KafkaMode::ZooKeeper => KAFKA_WITH_ZOOKEEPER,
        KafkaMode::KRaft => KAFKA_WITH_KRAFT,
    };
    let number = |key, bounds, default: usize| {
        let number = section.number(key, bounds).and_then(|number| u32::try_from(number).ok());
        number.unwrap_or_else(|| u32::try_from(default).unwrap_or(1))
    };
    let replication = number("replication", 1..=16, brokers.min(KAFKA_COPIES));
    let kafka = Kafka {
        mode,
        version: version.unwrap_or_else(|| built_in.to_owned()),
        directory: section.parsed("directory", values::path).unwrap_or_else(|| "/opt/kafka".to_owned()),
        data: section.parsed("data", values::path).unwrap_or_else(|| "/var/lib/kafka".to_owned()),
        partitions: number("partitions", 1..=1024, 8),
        replication,
        min_in_sync: number("min-in-sync", 1..=16, if replication > 2 { 2 } else { 1 }),
        retention_hours: number("retention-hours", 1..=8760, 24),
    };
    section.finish();
    Some(kafka)
}

pub(super) fn fronts(file: &Section<'_>, hosts: &[Host]) -> Fronts {
    let usual = Fronts::default();
    let Some(section) = file.section("fronts", "[fronts] and below it requests-per-client = 5000") else {
        return usual;
    };
    if !hosts.iter().any(|host| host.has(Role::Front)) {
        let message =
            "are limited, and no host has the role \"front\": give it to two hosts, or take [fronts] away";
        file.error("fronts", message);
    }
    let number = |key, default: u32| {
        let number = section.number(key, 1..=1_000_000).and_then(|number| u32::try_from(number).ok());
        number.unwrap_or(default)
    };
    let fronts = Fronts {
        connections: number("connections", usual.connections),
        connections_per_client: number("connections-per-client", usual.connections_per_client),
        requests_per_client: number("requests-per-client", usual.requests_per_client),
    };
    if fronts.connections_per_client > fronts.connections {
        let message = format!(
            "is {}, and all clients together may have {} ([fronts] connections): one of them could keep the others out",
            fronts.connections_per_client, fronts.connections
        );
        section.error("connections-per-client", message);
    }
    section.finish();
    fronts
}

pub(super) fn virtual_address(file: &Section<'_>) -> Option<VirtualAddress> {
    let section =
        file.section("virtual-address", "[virtual-address] and below it address = \"10.10.0.100/24\"")?;
    let network = section.parsed("address", str::parse);
    let interface = section.parsed("interface", values::interface);
    for (key, is_there, form) in [
        ("address", section.entries().iter().any(|(key, ..)| *key == "address"), "10.10.0.100/24"),
        ("interface", section.entries().iter().any(|(key, ..)| *key == "interface"), "eth0"),
    ] {
        if !is_there {
            section.error(key, format!("is missing: write {key} = \"{form}\""));
        }
    }
    let router_id = section.number("router-id", 1..=255).and_then(|number| u8::try_from(number).ok());
    let name = section.parsed("name", values::name).unwrap_or_else(|| "skywatch".to_owned());
    section.finish();
    Some(VirtualAddress {
        network: network?,
        interface: interface?,
        router_id: router_id.unwrap_or(51),
        name,
    })
}

pub(super) fn certificates(file: &Section<'_>) -> CertificateSettings {
    let mut settings = CertificateSettings {
        directory: "certificates".to_owned(),
        given: false,
        days: 825,
        authority_days: 3650,
        lines: file.lines(),
    };
    if let Some(section) = file.section("certificates", "[certificates] and below it days = 825") {
        let days = |key, default: u32| {
            section.number(key, 1..=36500).and_then(|days| u32::try_from(days).ok()).unwrap_or(default)
        };
        settings = CertificateSettings {
            directory: section.text("directory").unwrap_or(settings.directory),
            given: section.flag("given").unwrap_or(false),
            days: days("days", settings.days),
            authority_days: days("authority-days", settings.authority_days),
            lines: section.lines(),
        };
        section.finish();
    }
    settings
}

pub(super) fn alerts(file: &Section<'_>) -> Alerts {
    let Some(section) = file.section("alerts", "[alerts] and below it discord-webhook = \"https://...\"")
    else {
        return Alerts::default();
    };
    let alerts = Alerts { discord_webhook: section.parsed("discord-webhook", values::webhook) };
    section.finish();
    alerts
}

pub(super) fn agents(file: &Section<'_>) -> Agents {
    let mut agents = Agents {
        everywhere: true,
        interval: "10s".to_owned(),
        database: "telegraf".to_owned(),
        through_kafka: false,
    };
    if let Some(section) = file.section("agents", "[agents] and below it interval = \"10s\"") {
        agents = Agents {
            everywhere: section.flag("everywhere").unwrap_or(true),
            interval: section.parsed("interval", values::interval).unwrap_or(agents.interval),
            database: section.parsed("database", values::identifier).unwrap_or(agents.database),
            through_kafka: section.flag("through-kafka").unwrap_or(false),
        };
        section.finish();
    }
    agents
}
