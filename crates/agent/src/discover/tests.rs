//! Hosts with everything, nothing, and things that do not answer.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::reach::{Reach, Target};
use super::{Discovery, Host, haproxy, look};
use crate::config::Config;
use crate::paths::HostPaths;

/// Answers by target and the beginning of the request; what is not listed refuses or does not exist.
#[derive(Debug, Default)]
struct Script {
    answers: HashMap<(String, &'static str), Result<String, io::ErrorKind>>,
    signals: bool,
}

impl Reach for Script {
    fn exchange(&self, target: &Target, request: &[u8], _: fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
        let request = String::from_utf8_lossy(request);
        let is_it = |(to, begin): &(String, &str)| *to == target.to_string() && request.starts_with(begin);
        match self.answers.iter().find(|(key, _)| is_it(key)) {
            Some((_, Ok(answer))) => Ok(answer.clone().into_bytes()),
            Some((_, Err(kind))) => Err((*kind).into()),
            None if matches!(target, Target::Unix(_)) => Err(io::ErrorKind::NotFound.into()),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    fn may_signal(&self, _: i32) -> io::Result<()> {
        if self.signals { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

struct Fake {
    root: tempfile::TempDir,
    script: Script,
    store: Option<String>,
}

impl Fake {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        Self { root, script: Script::default(), store: None }
    }

    fn path(&self, name: &str) -> String {
        self.root.path().join(name).display().to_string()
    }

    /// `to` is a port or a path below the root.
    fn answers(mut self, to: &str, request: &'static str, answer: &str) -> Self {
        let key = (self.target(to), request);
        self.script.answers.insert(key, Ok(answer.to_owned()));
        self
    }

    fn fails(mut self, to: &str, request: &'static str, kind: io::ErrorKind) -> Self {
        let key = (self.target(to), request);
        self.script.answers.insert(key, Err(kind));
        self
    }

    fn target(&self, to: &str) -> String {
        if to.parse::<u16>().is_ok() { format!("127.0.0.1:{to}") } else { self.path(to) }
    }

    fn look(self) -> (Discovery, String) {
        let root = self.path("");
        let root = Path::new(&root);
        let env = |name: &str| {
            let below = name.strip_prefix("HOST_").filter(|name| *name != "MOUNT_PREFIX");
            below.map(|name| root.join(name.to_lowercase()).display().to_string())
        };
        let host = Host {
            paths: HostPaths::from_env(&env),
            programs: format!("relative:{}", root.join("bin").display()),
            store: self.store,
            reach: Arc::new(self.script),
        };
        (look(&host), root.display().to_string())
    }
}

/// The inputs of a discovered configuration that are not every host's; it has to load without a remark.
fn inputs(found: &Discovery) -> Vec<String> {
    let config = Config::parse_with(&found.toml, "discovered", &|_| None).expect("it loads");
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(config.hints.is_empty(), "{:?}", config.hints);
    let tables: toml::Table = found.toml.parse().expect("TOML");
    let host = ["cpu", "mem", "swap", "disk", "diskio", "net", "system", "kernel", "processes"];
    let inputs = tables["inputs"].as_table().expect("a table");
    assert!(host.iter().all(|name| inputs.contains_key(*name)), "{}", found.toml);
    inputs.keys().filter(|name| !host.contains(&name.as_str())).cloned().collect()
}

fn page(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Type: text/plain\r\n\r\n{body}")
}

#[test]
fn a_host_with_everything() {
    let fake = Fake::new(&[
        ("run/keepalived.pid", "4711\n"),
        ("run/systemd/system/x", ""),
        ("run/haproxy/admin.sock", ""),
        ("run/haproxy-master.sock", ""),
        ("proc/sys/net/netfilter/nf_conntrack_count", "7\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "43000\n"),
        ("bin/sensors", ""),
    ])
    .answers("run/libvirt/virtqemud-sock", "", "")
    .answers("run/docker.sock", "GET /_ping ", &page("200 OK", "OK"))
    .answers("run/haproxy/admin.sock", "show info\n", "Name: HAProxy\nVersion: 2.6\nPid: 12\n")
    .answers("run/haproxy-master.sock", "show info\n", "Name: HAProxy\nPid: 11\n")
    .answers("run/dbus/system_bus_socket", "", "")
    .answers("2181", "mntr", "zk_version\t3.8.0\n")
    .answers("9092", "\0\0\0\n\0\u{12}", "\0\0\0\u{14}\0\0\0\u{1}")
    .answers("9100", "GET /metrics ", &page("200 OK", "# HELP x y\n# TYPE x gauge\nx 1\n"))
    .answers("8086", "GET /ping ", "HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.8.10\r\n\r\n");
    let fake = Fake { script: Script { signals: true, ..fake.script }, ..fake };
    let (found, root) = fake.look();
    let expected =
        "conntrack docker haproxy kafka keepalived libvirt prometheus sensors systemd_units temp zookeeper";
    let mut names = inputs(&found);
    names.sort();
    assert_eq!(names.join(" "), expected, "{}", found.toml);
    for part in [
        format!("endpoint = \"unix://{root}run/docker.sock\""),
        format!("servers = [\"{root}run/haproxy/admin.sock\"]"),
        format!("pid_file = \"{root}run/keepalived.pid\""),
        "[[outputs.influxdb]]\n  urls = [\"http://127.0.0.1:8086\"]".to_owned(),
        "urls = [\"http://127.0.0.1:9100/metrics\"]".to_owned(),
    ] {
        assert!(found.toml.contains(&part), "{part} in\n{}", found.toml);
    }
    assert!(!found.toml.contains("Not found"), "{}", found.toml);
    assert!(found.notes.iter().all(|note| note.starts_with("found ")), "{:?}", found.notes);
}

#[test]
fn a_host_with_nothing() {
    let (found, _) = Fake::new(&[]).look();
    assert_eq!(inputs(&found), Vec::<String>::new());
    assert!(found.toml.contains("\n# [[outputs.influxdb]]\n"), "{}", found.toml);
    assert_eq!(
        found.notes.iter().filter(|note| note.starts_with("not found ")).count(),
        11,
        "{:?}",
        found.notes
    );
}

#[test]
fn what_does_not_answer_is_a_comment_with_the_reason() {
    let (found, _) = Fake::new(&[
        ("run/keepalived.pid", "4711\n"),
        ("run/systemd/system/x", ""),
        ("run/haproxy/admin.sock", ""),
        ("bin/sensors", ""),
    ])
    .fails("run/libvirt/libvirt-sock", "", io::ErrorKind::PermissionDenied)
    .fails("run/docker.sock", "GET", io::ErrorKind::ConnectionRefused)
    .fails("run/haproxy/admin.sock", "show", io::ErrorKind::PermissionDenied)
    .answers("2181", "mntr", "mntr is not executed because it is not in the whitelist.\n")
    .fails("9092", "", io::ErrorKind::TimedOut)
    .answers("8086", "GET", &page("200 OK", "something else"))
    .answers("9100", "GET", &page("404 Not Found", "# TYPE "))
    .look();
    assert_eq!(inputs(&found), Vec::<String>::new(), "{}", found.toml);
    for part in [
        "# [[inputs.libvirt]]",
        "# [[inputs.docker]]",
        "# [[inputs.haproxy]]",
        "# [[inputs.keepalived]]",
        "names process 4711, which takes no signal: permission denied",
        "set 4lw.commands.whitelist=mntr in zoo.cfg\n# [[inputs.zookeeper]]",
        "# [[inputs.kafka]]",
        "# [[inputs.systemd_units]]",
        "is no InfluxDB\n# [[outputs.influxdb]]",
        "#   lm-sensors: ",
    ] {
        assert!(found.toml.contains(part), "{part} in\n{}", found.toml);
    }
}

#[test]
fn the_store_that_is_named_is_taken() {
    for (url, note) in [
        ("http://127.0.0.1:9999", "answers as InfluxDB 1.8.10"),
        ("http://127.0.0.1:9998", "as given; it does not answer now"),
        ("https://store-1:8086", "as given; not asked"),
    ] {
        let fake = Fake::new(&[]).answers(
            "9999",
            "GET /ping ",
            "HTTP/1.1 204\r\nx-influxdb-version: 1.8.10\r\n\r\n",
        );
        let (found, _) = Fake { store: Some(url.to_owned()), ..fake }.look();
        assert_eq!(inputs(&found), Vec::<String>::new());
        assert!(found.toml.contains(&format!("\n  urls = [\"{url}\"]\n")), "{}", found.toml);
        assert!(found.notes[0].ends_with(note), "{:?}", found.notes);
    }
}

#[test]
fn pages_of_haproxy_where_no_socket_answers() {
    let config = "listen stats\n  bind 127.0.0.1:7000\n  stats enable\n  stats uri /s # here\n";
    let fake = || Fake::new(&[("etc/haproxy/haproxy.cfg", config)]);
    let (found, _) = fake().answers("7000", "GET /s;csv ", &page("200 OK", "# pxname,svname,\n")).look();
    assert!(found.toml.contains("\n  servers = [\"http://127.0.0.1:7000/s\"]\n"), "{}", found.toml);
    assert_eq!(inputs(&found), ["haproxy"]);
    let (found, _) = fake().answers("7000", "GET /s;csv ", &page("401 Unauthorized", "")).look();
    assert!(found.toml.contains("asks for a user and a password\n# [[inputs.haproxy]]\n"), "{}", found.toml);
    assert_eq!(inputs(&found), Vec::<String>::new());
    let (found, _) = Fake::new(&[]).answers("8404", "GET /stats;csv ", &page("200 OK", "# pxname,")).look();
    assert!(found.toml.contains("\n  servers = [\"http://127.0.0.1:8404/stats\"]\n"), "{}", found.toml);
}

#[test]
fn a_configuration_of_haproxy() {
    let told = haproxy::told(
        "global\n  stats socket /run/haproxy/admin.sock mode 660 level admin # x\n  stats socket ipv4@127.0.0.1:9999\n\
         defaults\n  stats uri /d\n\
         frontend a\n  bind *:80\n  bind :443 ssl crt x.pem\n  bind 10.0.0.1:81\n\
         listen b\n  bind 127.0.0.1:1936\n  stats enable\n  stats uri /b\n\
         defaults\n\
         frontend c\n  bind *:82\n\
         listen d\n  stats enable\n  bind ipv4@0.0.0.0:83\n",
    );
    assert_eq!(told.sockets, [Path::new("/run/haproxy/admin.sock")]);
    let pages: Vec<(u16, &str)> = told.pages.iter().map(|(port, path)| (*port, path.as_str())).collect();
    assert_eq!(pages, [(80, "/d"), (1936, "/b"), (83, "/haproxy?stats")]);
}
