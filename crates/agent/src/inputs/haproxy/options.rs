//! The options of the `haproxy` input, and what its addresses mean.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use reqwest::Url;

use crate::config::{ConfigError, Section};
use crate::filter::glob::Globs;
use crate::net::stream::HostPort;
use crate::net::tls::ClientTls;

/// Sockets that one pattern may stand for, at most.
const SOCKETS_MAX: usize = 1024;

/// What `[[inputs.haproxy]]` sets.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) servers: Vec<Server>,
    pub(super) keep_field_names: bool,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    /// For the whole exchange with one server.
    pub(super) timeout: Duration,
    pub(super) tls: ClientTls,
}

/// One of `servers`.
#[derive(Debug, PartialEq)]
pub(super) enum Server {
    /// A status page. The tag is its host, and its port where the address has one.
    Page { url: Url, tag: String },
    /// A socket of HAProxy bound to an address.
    Tcp { address: HostPort, tag: String },
    /// Unix sockets: a path, which may hold globs.
    Sockets(String),
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let mut servers = section.strings("servers")?.unwrap_or_default();
        if servers.is_empty() {
            servers.push("http://127.0.0.1:1936/haproxy?stats".to_owned());
        }
        let servers = servers
            .iter()
            .map(|text| server(text).map_err(|why| section.bad("servers", why)))
            .collect::<Result<_, _>>()?;
        let timeout = section.duration("timeout")?.filter(|&timeout| timeout > 0).unwrap_or(4_000_000_000);
        Ok(Self {
            servers,
            keep_field_names: section.boolean("keep_field_names")?.unwrap_or(false),
            username: section.string("username")?.filter(|name| !name.is_empty()),
            password: section.string("password")?,
            timeout: Duration::from_nanos(timeout.unsigned_abs()),
            tls: ClientTls::from_section(section)?,
        })
    }
}

/// `http://...` and `https://...` are pages, `tcp://host:port` is an address, and all else is a path, `socket:` before
/// it or not.
fn server(text: &str) -> Result<Server, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        let mut url = Url::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
        url.set_fragment(None);
        match url.query().map(str::to_owned) {
            Some(query) if query.ends_with(";csv") => {}
            Some(query) => url.set_query(Some(&format!("{query};csv"))),
            None if url.path().ends_with(";csv") => {}
            None => url.set_path(&format!("{};csv", url.path())),
        }
        let host = url.host_str().unwrap_or_default();
        let tag = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        return Ok(Server::Page { url, tag });
    }
    if let Some(address) = text.strip_prefix("tcp://") {
        return Ok(Server::Tcp { address: HostPort::parse(address, None)?, tag: address.to_owned() });
    }
    let path = ["socket:", "unix://"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    if !path.starts_with('/') {
        return Err(format!("{text:?} is neither http://, https:// or tcp:// nor the path of a socket"));
    }
    Ok(Server::Sockets(path.to_owned()))
}

/// The paths that a pattern stands for now, sorted; the pattern itself if there are none, so that the failure to
/// connect names it.
pub(super) fn sockets(pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![PathBuf::from(pattern)];
    }
    let mut found = vec![PathBuf::from("/")];
    for component in Path::new(pattern).components() {
        let Component::Normal(name) = component else { continue };
        let name = name.to_string_lossy().into_owned();
        found = match name.contains(['*', '?', '[']).then(|| Globs::compile(std::slice::from_ref(&name), ""))
        {
            None => found.into_iter().map(|path| path.join(&name)).filter(|path| path.exists()).collect(),
            Some(Err(_)) => Vec::new(),
            Some(Ok(globs)) => found.iter().flat_map(|path| matching(path, &globs)).collect(),
        };
        found.truncate(SOCKETS_MAX);
    }
    found.sort();
    if found.is_empty() { vec![PathBuf::from(pattern)] } else { found }
}

fn matching(directory: &Path, globs: &Globs) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| globs.matches(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let page = |text: &str| match server(text) {
            Ok(Server::Page { url, tag }) => (url.to_string(), tag),
            other => panic!("{text}: {other:?}"),
        };
        let csv = "http://lb-1:1936/haproxy?stats;csv".to_owned();
        assert_eq!(page("http://lb-1:1936/haproxy?stats"), (csv.clone(), "lb-1:1936".to_owned()));
        assert_eq!(page("http://lb-1:1936/haproxy?stats;csv"), (csv, "lb-1:1936".to_owned()));
        assert_eq!(page("https://lb-2"), ("https://lb-2/;csv".to_owned(), "lb-2".to_owned()));
        let address = HostPort { host: "10.0.0.1".to_owned(), port: 9999 };
        assert_eq!(
            server("tcp://10.0.0.1:9999"),
            Ok(Server::Tcp { address, tag: "10.0.0.1:9999".to_owned() })
        );
        for text in
            ["socket:/run/haproxy/admin.sock", "/run/haproxy/admin.sock", "unix:///run/haproxy/admin.sock"]
        {
            assert_eq!(server(text), Ok(Server::Sockets("/run/haproxy/admin.sock".to_owned())));
        }
        assert!(server("lb-1:1936").expect_err("no scheme").contains("\"lb-1:1936\" is neither"));
        assert!(server("tcp://lb-1").expect_err("no port").contains("no port"));
    }

    #[test]
    fn a_pattern_stands_for_the_sockets_there_are() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["a/one.sock", "b/two.sock", "b/three.txt"] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        let root = directory.path().to_string_lossy().into_owned();
        let found = sockets(&format!("{root}/*/*.sock"));
        assert_eq!(found, [directory.path().join("a/one.sock"), directory.path().join("b/two.sock")]);
        let nothing = format!("{root}/*.sock");
        assert_eq!(sockets(&nothing), [PathBuf::from(&nothing)]);
        assert_eq!(sockets("/no/glob.sock"), [PathBuf::from("/no/glob.sock")]);
    }
}
