//! A rendered file: where it goes, who may read it, and what is in it.

use crate::cloud::Host;

/// What every file below the output directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Below the output directory, with `/` between its parts.
    pub path: String,
    /// Permissions, as in `chmod`.
    pub mode: u32,
    /// All of it.
    pub text: String,
}

impl RenderedFile {
    /// A file of a host: `path` is that on the host, as `/etc/skywatch/data.toml`.
    #[must_use]
    pub fn on(host: &Host, path: &str, text: impl Into<String>) -> Self {
        Self {
            path: format!("hosts/{}/{}", host.name, path.trim_start_matches('/')),
            mode: 0o644,
            text: text.into(),
        }
    }

    /// A file for what is done once for all hosts.
    #[must_use]
    pub fn once(path: &str, text: impl Into<String>) -> Self {
        Self { path: format!("cluster/{path}"), mode: 0o644, text: text.into() }
    }

    /// A file beside the hosts.
    #[must_use]
    pub fn beside(path: &str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), mode: 0o644, text: text.into() }
    }

    /// With secrets in it: nobody but its owner reads it.
    #[must_use]
    pub fn secret(self) -> Self {
        Self { mode: 0o600, ..self }
    }

    /// A script.
    #[must_use]
    pub fn script(self) -> Self {
        Self { mode: self.mode | (self.mode & 0o444) >> 2, ..self }
    }
}

/// The comment at the head of every rendered file: where it came from, and that a change belongs into the inventory.
pub(crate) fn head(comment: &str, cloud: &str, what: &str) -> String {
    format!(
        "{comment} {what}\n{comment} Rendered by `skywatch render` for {cloud}: change the inventory and render again.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let file = RenderedFile::once("x", "");
        assert_eq!((file.clone().script().mode, file.clone().secret().mode), (0o755, 0o600));
        assert_eq!(file.secret().script().mode, 0o700);
    }
}
