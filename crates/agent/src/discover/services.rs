//! Probes that speak to services: the store, libvirt, containers, ZooKeeper, Kafka, exporters.

use std::io;
use std::net::SocketAddr;

use super::Host;
use super::finding::Finding;
use super::reach::{Page, Target, get};
use crate::config::DefaultConfig;
use crate::config::default::{LIBVIRT_SOCKETS, LIBVIRT_TOML, output_toml, quote};

/// Where Skywatch and InfluxDB listen unless told otherwise.
const STORE_PORT: u16 = 8086;
/// Where node_exporter listens.
const NODE_EXPORTER_PORT: u16 = 9100;
/// A request of Kafka's for the versions it speaks (key 18, version 0), with the number 1 and no client's name.
const KAFKA_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// Who gets the metrics: the server that was named, or one on this machine.
pub(super) fn store(host: &Host) -> Finding {
    const NAME: &str = "store";
    let usual = format!("http://127.0.0.1:{STORE_PORT}");
    let url = host.store.as_deref().unwrap_or(&usual);
    let toml = output_toml(&DefaultConfig {
        url: url.to_owned(),
        database: "telegraf".to_owned(),
        user: None,
        any_certificate: false,
        libvirt: false,
    });
    // Names are not looked up and certificates not agreed on: such a server is taken by its word.
    let address = match &host.store {
        None => Some(SocketAddr::from(([127, 0, 0, 1], STORE_PORT))),
        Some(url) => url.strip_prefix("http://").and_then(|rest| rest.trim_end_matches('/').parse().ok()),
    };
    let Some(address) = address else {
        return Finding::found(NAME, format!("{url}, as given; not asked"), toml);
    };
    let answer = get(&*host.reach, &Target::Tcp(address), "/ping");
    match (answer.as_ref().map(version), &host.store) {
        (Ok(Some(version)), _) => Finding::found(NAME, format!("{url} answers as InfluxDB {version}"), toml),
        (_, Some(_)) => Finding::found(NAME, format!("{url}, as given; it does not answer now"), toml),
        (Ok(None), None) => Finding::unusable(NAME, format!("what listens at {url} is no InfluxDB"), toml),
        (Err(_), None) => Finding::unusable(NAME, "none on this machine; say where to send".to_owned(), toml),
    }
}

fn version(page: &Page) -> Option<String> {
    page.header("x-influxdb-version").map(str::to_owned)
}

/// A daemon of libvirt takes connections.
pub(super) fn libvirt(host: &Host) -> Finding {
    const NAME: &str = "libvirt";
    let mut refused = None;
    for socket in LIBVIRT_SOCKETS {
        let path = host.paths.run(socket.strip_prefix("/run/").unwrap_or(socket));
        match host.reach.exchange(&Target::unix(&path), b"", |_| true) {
            Ok(_) => return Finding::found(NAME, path.display().to_string(), LIBVIRT_TOML),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => {
                refused = Some(Finding::unusable(NAME, format!("{}: {why}", path.display()), LIBVIRT_TOML));
            }
        }
    }
    refused.unwrap_or_else(|| Finding::absent(NAME, format!("no {}", LIBVIRT_SOCKETS.join(", no "))))
}

/// Docker, else Podman: the first that answers, as one may stand in for the other at its socket.
pub(super) fn containers(host: &Host) -> Finding {
    const NAME: &str = "containers";
    let mut refused = None;
    let sockets = ["docker.sock", "podman/podman.sock"].map(|name| host.paths.run(name));
    for path in &sockets {
        let endpoint = quote(&format!("unix://{}", path.display()));
        let toml = format!("[[inputs.docker]]\n  endpoint = {endpoint}\n");
        match get(&*host.reach, &Target::unix(path), "/_ping") {
            Ok(page) if page.status == 200 => return Finding::found(NAME, path.display().to_string(), toml),
            Ok(page) => {
                let note = format!("{} answers {} to a ping", path.display(), page.status);
                refused = Some(Finding::unusable(NAME, note, toml));
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => refused = Some(Finding::unusable(NAME, format!("{}: {why}", path.display()), toml)),
        }
    }
    let [docker, podman] = &sockets;
    refused
        .unwrap_or_else(|| Finding::absent(NAME, format!("no {}, no {}", docker.display(), podman.display())))
}

/// ZooKeeper answers the command that the input sends.
pub(super) fn zookeeper(host: &Host) -> Finding {
    const NAME: &str = "ZooKeeper";
    const TOML: &str = "[[inputs.zookeeper]]\n  servers = [\"127.0.0.1:2181\"]\n";
    let target = Target::loopback(2181);
    match host.reach.exchange(&target, b"mntr", |_| false) {
        Ok(answer) if answer.starts_with(b"zk_") => Finding::found(NAME, target.to_string(), TOML),
        Ok(answer) if answer.starts_with(b"mntr is not executed") => {
            let note = format!("{target} refuses mntr; set 4lw.commands.whitelist=mntr in zoo.cfg");
            Finding::unusable(NAME, note, TOML)
        }
        Ok(_) => Finding::unusable(NAME, format!("{target} is open, and does not answer mntr"), TOML),
        Err(why) => closed(NAME, &target, &why, TOML),
    }
}

/// A broker of Kafka that speaks without TLS.
pub(super) fn kafka(host: &Host) -> Finding {
    const NAME: &str = "Kafka";
    const TOML: &str = "[[inputs.kafka]]\n  brokers = [\"127.0.0.1:9092\"]\n";
    let target = Target::loopback(9092);
    match host.reach.exchange(&target, &KAFKA_VERSIONS, |answer| answer.len() >= 8) {
        Ok(answer) if answer.get(4..8) == Some(&[0, 0, 0, 1]) => {
            Finding::found(NAME, target.to_string(), TOML)
        }
        Ok(_) => {
            Finding::unusable(NAME, format!("{target} is open, and does not speak Kafka without TLS"), TOML)
        }
        Err(why) => closed(NAME, &target, &why, TOML),
    }
}

/// Pages of exporters: node_exporter's and the store's own.
pub(super) fn exporters(host: &Host) -> Finding {
    const NAME: &str = "Prometheus exporters";
    let ports = [NODE_EXPORTER_PORT, STORE_PORT];
    let is_page = |page: &Page| page.status == 200 && page.body.contains("# TYPE ");
    let urls: Vec<String> = ports
        .iter()
        .filter(|port| {
            get(&*host.reach, &Target::loopback(**port), "/metrics").is_ok_and(|page| is_page(&page))
        })
        .map(|port| format!("http://127.0.0.1:{port}/metrics"))
        .collect();
    if urls.is_empty() {
        return Finding::absent(
            NAME,
            format!("no page at 127.0.0.1, ports {NODE_EXPORTER_PORT} and {STORE_PORT}"),
        );
    }
    let list = urls.iter().map(|url| quote(url)).collect::<Vec<_>>().join(", ");
    Finding::found(
        NAME,
        urls.join(", "),
        format!("[[inputs.prometheus]]\n  urls = [{list}]\n  metric_version = 2\n"),
    )
}

/// A port that nobody listens at is no service; one that takes connections and does not answer may be.
fn closed(name: &'static str, target: &Target, why: &io::Error, toml: &str) -> Finding {
    match why.kind() {
        io::ErrorKind::ConnectionRefused => Finding::absent(name, format!("nothing listens at {target}")),
        _ => Finding::unusable(name, format!("{target}: {why}"), toml),
    }
}
