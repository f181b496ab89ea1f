//! Where a server is, and how to be let in.

use std::{fmt, io, net::IpAddr, path::PathBuf, time::Duration};

use reqwest::Url;

/// The port of InfluxDB's API, where a URL names none.
const DEFAULT_PORT: u16 = 8086;
/// Time to find a server, unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything there is to know before the first request.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The server.
    pub place: Place,
    /// Who asks; `None` for a server that does not care.
    pub credentials: Option<Credentials>,
    /// Certificates (PEM) that are trusted besides the well-known ones.
    pub ca: Option<PathBuf>,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Time to find the server.
    pub connect_timeout: Duration,
    /// Time for a whole request; `None` for as long as it takes.
    pub timeout: Option<Duration>,
    /// Longest time in which nothing arrives of an answer that is awaited; `None` for as long as it takes.
    pub silence: Option<Duration>,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A signed token of InfluxDB 1.x (JWT), or `user:password` as tokens of 2.x clients are written for 1.8.
    Token(String),
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An `http` or `https` URL without credentials.
    Url(Url),
    /// A Unix socket.
    Socket(PathBuf),
}

/// What is wrong with a server's URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no URL of a server ({reason}): give one such as http://127.0.0.1:8086, https://store-1:8086 or unix:/run/skywatch.sock"
)]
pub struct UrlError {
    text: String,
    reason: String,
}

impl Connection {
    /// The server at `url`, with defaults for everything else. Credentials may be in the URL; `http://` and the port
    /// may be left out.
    pub fn to(url: &str) -> Result<Self, UrlError> {
        let (place, credentials) = parse(url.trim())?;
        Ok(Self {
            place,
            credentials,
            ca: None,
            insecure: false,
            connect_timeout: CONNECT_TIMEOUT,
            timeout: None,
            silence: None,
        })
    }
}

impl Credentials {
    /// Asks for a user's password on the terminal, without echo.
    pub fn prompt(user: &str) -> io::Result<Self> {
        let password = rpassword::prompt_password(format!("password of {user}: "))?;
        Ok(Self::Password { user: user.to_owned(), password })
    }
}

impl Place {
    /// Whether the server is on this machine, where compression costs more than it saves and a proxy is no way.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Url(url) => url.host_str().is_some_and(|host| {
                let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
                host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
            }),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => {
                f.debug_struct("Password").field("user", user).finish_non_exhaustive()
            }
            Self::Token(_) => f.debug_struct("Token").finish_non_exhaustive(),
        }
    }
}

fn parse(text: &str) -> Result<(Place, Option<Credentials>), UrlError> {
    let wrong = |reason: &str| UrlError { text: without_password(text), reason: reason.to_owned() };
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path.is_empty() {
            true => Err(wrong("the path of the socket is missing")),
            false => Ok((Place::Socket(PathBuf::from(path)), None)),
        };
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&whole).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("neither http nor https"));
    }
    let credentials = (!url.username().is_empty()).then(|| Credentials::Password {
        user: percent_decoded(url.username()),
        password: percent_decoded(url.password().unwrap_or_default()),
    });
    // None of these fails: an http URL has a host.
    url.set_username("").unwrap_or_default();
    url.set_password(None).unwrap_or_default();
    if names_no_port(&whole) {
        url.set_port(Some(DEFAULT_PORT)).unwrap_or_default();
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok((Place::Url(url), credentials))
}

/// Whether the text leaves the port out: `Url` forgets `:80` and `:443`, which are meant when written.
fn names_no_port(whole: &str) -> bool {
    let (_, rest) = whole.split_once("://").unwrap_or(("", whole));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    !host.rsplit(']').next().unwrap_or_default().contains(':')
}

/// For messages.
fn without_password(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}{}", &text[..scheme + 3], &text[at + 1..]),
        (None, Some(at)) => text[at + 1..].to_owned(),
        _ => text.to_owned(),
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &tail[2..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_people_write_them() {
        for (text, place) in [
            ("http://127.0.0.1:8086", "http://127.0.0.1:8086"),
            ("http://store-1:8086/", "http://store-1:8086"),
            ("store-1", "http://store-1:8086"),
            ("store-1:9000", "http://store-1:9000"),
            ("https://store-1", "https://store-1:8086"),
            ("https://store-1:443/influx/", "https://store-1/influx"),
            ("[::1]", "http://[::1]:8086"),
            ("[::1]:1", "http://[::1]:1"),
            ("unix:/run/skywatch.sock", "unix:/run/skywatch.sock"),
            ("unix:///run/skywatch.sock", "unix:/run/skywatch.sock"),
        ] {
            assert_eq!(Connection::to(text).unwrap().place.to_string(), place, "{text}");
        }
    }

    #[test]
    fn credentials_leave_the_url() {
        let connection = Connection::to("http://me:p%40ss:word@store-1").unwrap();
        assert_eq!(connection.place.to_string(), "http://store-1:8086");
        let expected = Credentials::Password { user: "me".into(), password: "p@ss:word".into() };
        assert_eq!(connection.credentials, Some(expected));
        assert!(!format!("{connection:?}").contains("p@ss"));
    }

    #[test]
    fn what_is_no_url_is_refused_without_telling_a_password() {
        for text in ["ftp://a", "http://", "unix:", "http://me:secret@:x"] {
            let told = Connection::to(text).unwrap_err().to_string();
            assert!(told.contains("is no URL of a server") && !told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn this_machine_is_known() {
        for (url, local) in [
            ("localhost", true),
            ("127.0.0.9", true),
            ("[::1]", true),
            ("unix:/a", true),
            ("10.0.0.1", false),
        ] {
            assert_eq!(Connection::to(url).unwrap().place.is_local(), local, "{url}");
        }
    }
}
