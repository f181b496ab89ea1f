//! A webhook's address: whoever knows it can post in the channel, so it is never shown.

use std::fmt;

/// A checked `http` or `https` address. `Debug` and `Display` show scheme and host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(reqwest::Url);

/// Why a text is no webhook address. The text itself is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookUrlError {
    /// Nothing was given.
    #[error("the webhook address is empty; {EXAMPLE}")]
    Empty,
    /// It does not parse.
    #[error("the webhook address is not a URL; {EXAMPLE}")]
    NotUrl,
    /// Another scheme.
    #[error("the webhook address must begin with https:// (or http://); {EXAMPLE}")]
    Scheme,
    /// No host.
    #[error("the webhook address names no host; {EXAMPLE}")]
    NoHost,
    /// Nothing after the host.
    #[error(
        "the webhook address ends after the host: the part with the id and the token is missing; {EXAMPLE}"
    )]
    NoPath,
    /// Spaces or control characters inside.
    #[error("the webhook address has spaces or line breaks in it; {EXAMPLE}")]
    Blank,
}

const EXAMPLE: &str = "Discord shows it under Edit Channel > Integrations > Webhooks > Copy Webhook URL, \
                       and it looks like https://discord.com/api/webhooks/<id>/<token>";

impl WebhookUrl {
    /// Checks an address.
    pub fn parse(text: &str) -> Result<Self, WebhookUrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(WebhookUrlError::Empty);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(WebhookUrlError::Blank);
        }
        match text.split_once("://") {
            None => return Err(WebhookUrlError::Scheme),
            Some((scheme, _)) if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) => {
                return Err(WebhookUrlError::Scheme);
            }
            Some((_, rest)) if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) => {
                return Err(WebhookUrlError::NoHost);
            }
            Some(_) => {}
        }
        let url = reqwest::Url::parse(text).map_err(|_| WebhookUrlError::NotUrl)?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(WebhookUrlError::NoHost);
        }
        if url.path().trim_matches('/').is_empty() {
            return Err(WebhookUrlError::NoPath);
        }
        Ok(Self(url))
    }

    /// The address itself, for the request that is sent there.
    pub(crate) fn expose(&self) -> &reqwest::Url {
        &self.0
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str("/…")
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_addresses_are_told_apart_and_never_repeated() {
        use WebhookUrlError::*;
        for (text, error) in [
            ("", Empty),
            ("discord.com/api/webhooks/1/s3cret", Scheme),
            ("ftp://discord.com/api/webhooks/1/s3cret", Scheme),
            ("https:///api/webhooks/1/s3cret", NoHost),
            ("https://", NoHost),
            ("https://discord.com", NoPath),
            ("https://discord.com/?s3cret", NoPath),
            ("https://discord.com/api/web hooks/1/s3cret", Blank),
            ("https://[::1/api/webhooks/s3cret", NotUrl),
        ] {
            assert_eq!(WebhookUrl::parse(text), Err(error), "{text}");
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn the_secret_part_is_never_shown() {
        let url =
            WebhookUrl::parse("https://user:pw@discord.com:8443/api/webhooks/123/s3cret?wait=1").unwrap();
        for text in [format!("{url}"), format!("{url:?}"), format!("{:#?}", Some(&url))] {
            assert!(text.contains("https://discord.com:8443/…"), "{text}");
            for secret in ["123", "s3cret", "pw", "user", "wait"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}
