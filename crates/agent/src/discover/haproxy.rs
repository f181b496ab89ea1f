//! HAProxy: its command sockets, else its pages.
//!
//! A socket is asked rather than a page, as it needs no password and no frontend. Where several sockets belong to one
//! process, one of them is taken; otherwise everything would be counted twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Host;
use super::finding::Finding;
use super::reach::{Target, get};
use crate::config::default::quote;
use crate::input::read_text;

const NAME: &str = "HAProxy";
/// Pages that are common, by port and path.
const USUAL_PAGES: [(u16, &str); 5] =
    [(1936, "/haproxy?stats"), (1936, "/stats"), (1936, "/"), (8404, "/stats"), (8404, "/")];
/// Sockets and pages that are asked, at most.
const ASKED_MAX: usize = 16;

/// What `haproxy.cfg` tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Paths of `stats socket`.
    pub(super) sockets: Vec<PathBuf>,
    /// Port and path of pages.
    pub(super) pages: Vec<(u16, String)>,
}

pub(super) fn probe(host: &Host) -> Finding {
    let config = host.paths.etc("haproxy/haproxy.cfg");
    let told = read_text(&config).map(|text| told(&text)).unwrap_or_default();
    let (servers, refused) = sockets(host, &told);
    if !servers.is_empty() {
        return Finding::found(NAME, servers.join(", "), toml(&servers));
    }
    let mut locked = None;
    let mut asked: Vec<(u16, &str)> = told.pages.iter().map(|(port, path)| (*port, path.as_str())).collect();
    asked.extend(USUAL_PAGES.iter().filter(|(port, _)| told.pages.iter().all(|(told, _)| told != port)));
    for (port, path) in asked.into_iter().take(ASKED_MAX) {
        let url = format!("http://127.0.0.1:{port}{path}");
        match get(&*host.reach, &Target::loopback(port), &format!("{path};csv")) {
            Ok(page) if page.status == 200 && page.body.starts_with("# pxname") => {
                return Finding::found(NAME, url.clone(), toml(&[url]));
            }
            Ok(page) if page.status == 401 => locked = Some(url),
            _ => {}
        }
    }
    if let Some(url) = locked {
        let toml = format!("{}  username = \"\"\n  password = \"\"\n", toml(std::slice::from_ref(&url)));
        return Finding::unusable(NAME, format!("{url} asks for a user and a password"), toml);
    }
    if let Some((socket, why)) = refused {
        return Finding::unusable(NAME, format!("{socket}: {why}"), toml(&[socket]));
    }
    if config.exists() {
        let note = format!("{} is there, and no socket and no page of statistics answers", config.display());
        return Finding::unusable(
            NAME,
            note,
            toml(&[host.paths.run("haproxy/admin.sock").display().to_string()]),
        );
    }
    Finding::absent(NAME, format!("no {}, no socket, no page at 127.0.0.1", config.display()))
}

/// The sockets that answer, one for each process, and one that does not.
fn sockets(host: &Host, told: &Told) -> (Vec<String>, Option<(String, io::Error)>) {
    let (mut servers, mut processes, mut refused) = (Vec::new(), Vec::new(), None);
    let below = told.sockets.iter().map(|path| host_path(host, path));
    for path in below.chain(usual_sockets(host)).take(ASKED_MAX) {
        let shown = path.display().to_string();
        match host.reach.exchange(&Target::unix(&path), b"show info\n", |_| false) {
            Ok(answer) => {
                let answer = String::from_utf8_lossy(&answer).into_owned();
                let value =
                    |key: &str| answer.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
                let process = value("Pid: ");
                // The master's socket tells of workers, not of proxies.
                let is_worker = value("Name: ").is_some_and(|name| name.trim() == NAME);
                if is_worker && !processes.contains(&process) && !servers.contains(&shown) {
                    processes.push(process);
                    servers.push(shown);
                }
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => refused = Some((shown, why)),
        }
    }
    (servers, refused)
}

/// Where a file of the host's `/run` is seen from here.
fn host_path(host: &Host, path: &Path) -> PathBuf {
    let rest = path.strip_prefix("/run").or_else(|_| path.strip_prefix("/var/run"));
    rest.map_or_else(|_| path.to_owned(), |rest| host.paths.run(rest))
}

/// Sockets at `/run/haproxy*` and in directories of that name; not those of a master process.
fn usual_sockets(host: &Host) -> Vec<PathBuf> {
    let list = |directory: &Path| -> Vec<PathBuf> {
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let begins =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"haproxy"));
    let (directories, mut found): (Vec<_>, Vec<_>) =
        list(&host.paths.run("")).into_iter().filter(begins).partition(|path| path.is_dir());
    found.extend(directories.iter().flat_map(|directory| list(directory)));
    found.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.contains("sock") && !name.contains("master")
    });
    found.sort();
    found
}

fn toml(servers: &[String]) -> String {
    let list = servers.iter().map(|server| quote(server)).collect::<Vec<_>>().join(", ");
    format!("[[inputs.haproxy]]\n  servers = [{list}]\n")
}

/// Reads a configuration of HAProxy for what concerns its statistics. Pages with TLS are left out.
pub(super) fn told(config: &str) -> Told {
    let mut told = Told::default();
    // Of the section that is read: ports, and the path of its page.
    let (mut ports, mut page): (Vec<u16>, Option<String>) = Default::default();
    // What `defaults` says holds for the sections after it.
    let (mut is_defaults, mut default_page): (bool, Option<String>) = Default::default();
    let mut close = |ports: &mut Vec<u16>, page: Option<String>| {
        for port in ports.drain(..) {
            told.pages.extend(page.iter().map(|page| (port, page.clone())));
        }
    };
    let mut sockets = Vec::new();
    for line in config.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [
                section @ ("global" | "defaults" | "frontend" | "listen" | "backend" | "peers" | "resolvers"),
                ..,
            ] => {
                close(&mut ports, page.take());
                is_defaults = *section == "defaults";
                if is_defaults {
                    default_page = None;
                }
                page = default_page.clone();
            }
            ["stats", "socket", path, ..] if path.starts_with('/') => sockets.push(PathBuf::from(path)),
            ["stats", "enable", ..] => page = page.or_else(|| Some("/haproxy?stats".to_owned())),
            ["stats", "uri", path, ..] if path.starts_with('/') => page = Some((*path).to_owned()),
            ["bind", address, options @ ..] if !options.contains(&"ssl") => {
                ports.extend(loopback_port(address));
            }
            _ => {}
        }
        if is_defaults {
            default_page = page.clone();
        }
    }
    close(&mut ports, page);
    told.sockets = sockets;
    told
}

/// The port of an address at which 127.0.0.1 is answered.
fn loopback_port(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix("ipv4@").unwrap_or(host);
    matches!(host, "" | "*" | "0.0.0.0" | "::" | "[::]" | "127.0.0.1" | "localhost")
        .then(|| port.parse().ok())?
}
