//! What is scraped: addresses, and what is missing in them.

use std::path::PathBuf;

use reqwest::{Client, Url};

/// A page.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) url: Url,
    /// For tags and messages: without a password.
    pub(super) shown: String,
    /// Tags of everything on the page.
    pub(super) tags: Vec<(String, String)>,
    /// The socket the page is behind, and the client that connects to it.
    pub(super) socket: Option<PathBuf>,
    pub(super) client: Option<Client>,
}

impl Target {
    /// Reads `http://host:port/path`, where a missing path is `/metrics`, or `unix:///socket?path=/path`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("unix://") {
            let (socket, query) = rest.split_once('?').unwrap_or((rest, ""));
            if !socket.starts_with('/') {
                return Err(format!("{text:?} names no socket"));
            }
            let path = query.split('&').find_map(|pair| pair.strip_prefix("path=")).unwrap_or("/metrics");
            let mut target = Self::http(&format!("http://localhost{path}"))?;
            (target.shown, target.socket) = (text.to_owned(), Some(PathBuf::from(socket)));
            return Ok(target);
        }
        Self::http(text)
    }

    fn http(text: &str) -> Result<Self, String> {
        let after_scheme = text.split_once("://").map(|(_, rest)| rest);
        let Some(after_scheme) = after_scheme else {
            return Err(format!("{text:?} has no scheme; write http://{text}"));
        };
        let mut url = Url::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{text:?}: {:?} is none of http, https and unix", url.scheme()));
        }
        // The library knows no URL without a path and makes it "/", which some servers have a page at.
        let authority_end = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
        if !after_scheme[authority_end..].starts_with('/') {
            url.set_path("/metrics");
        }
        let shown = crate::net::http::shown(&url).to_string();
        Ok(Self { url, shown, tags: Vec::new(), socket: None, client: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_what_is_missing_in_them() {
        for (text, url) in [
            ("http://node-1:9100", "http://node-1:9100/metrics"),
            ("http://node-1:9100/", "http://node-1:9100/"),
            ("https://node-1/probe?target=x", "https://node-1/probe?target=x"),
            ("http://node-1?x=1", "http://node-1/metrics?x=1"),
            ("http://[::1]:9100", "http://[::1]:9100/metrics"),
        ] {
            let target = Target::parse(text).expect(text);
            assert_eq!((target.url.as_str(), target.shown.as_str()), (url, url));
        }
        let secret = Target::parse("http://prom:secret@node-1/m").expect("valid");
        assert_eq!((secret.url.password(), secret.shown.as_str()), (Some("secret"), "http://node-1/m"));
        let socket = Target::parse("unix:///run/app.sock?path=/stats").expect("valid");
        assert_eq!(socket.url.as_str(), "http://localhost/stats");
        assert_eq!(socket.socket, Some(PathBuf::from("/run/app.sock")));
        let plain = Target::parse("unix:///run/app.sock").expect("valid");
        assert_eq!((plain.url.path(), plain.shown.as_str()), ("/metrics", "unix:///run/app.sock"));
        for (bad, wanted) in [
            ("node-1:9100", "has no scheme; write http://node-1:9100"),
            ("ftp://x/", "\"ftp\" is none of http, https and unix"),
            ("unix://x", "names no socket"),
            ("http://", "empty host"),
        ] {
            assert!(Target::parse(bad).expect_err(bad).contains(wanted), "{bad}");
        }
    }
}
