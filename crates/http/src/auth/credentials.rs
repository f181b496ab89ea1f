//! The credentials of a request, as InfluxDB 1.8 finds them: `u` and `p` of the URL, then `Authorization`; in a form in
//! the body last, which its documentation promises and the original does not look at.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::header::AUTHORIZATION;

use crate::{app::Head, params::Params};

/// What somebody shows to be let in.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password, which may be empty.
    Password {
        /// Its name.
        user: String,
        /// Its password.
        password: String,
    },
    /// A signed token (JWT).
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(..)",
            Self::Bearer(_) => "Bearer(..)",
        })
    }
}

impl Credentials {
    /// Those of the URL or the headers.
    pub(super) fn of_head(head: &Head<'_>) -> Option<Self> {
        Self::of_params(&head.url).or_else(|| Self::of_header(head.header(&AUTHORIZATION)))
    }

    /// `u` and `p`, both of them.
    pub(super) fn of_params(params: &Params) -> Option<Self> {
        let (user, password) = (params.get("u"), params.get("p"));
        (!user.is_empty() && !password.is_empty())
            .then(|| Self::Password { user: user.to_owned(), password: password.to_owned() })
    }

    /// `Bearer` and `Token` are spelt so; `Basic` in any case.
    pub fn of_header(header: &str) -> Option<Self> {
        let (scheme, value) = header.split_once(' ')?;
        match scheme {
            "Bearer" if !value.is_empty() && !value.contains(' ') => Some(Self::Bearer(value.to_owned())),
            "Token" => Self::of_pair(value),
            _ if scheme.eq_ignore_ascii_case("Basic") => {
                Self::of_pair(&String::from_utf8(STANDARD.decode(value).ok()?).ok()?)
            }
            _ => None,
        }
    }

    /// `user:password`
    fn of_pair(text: &str) -> Option<Self> {
        let (user, password) = text.split_once(':')?;
        Some(Self::Password { user: user.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::peer::Peer;

    fn found(uri: &str, authorization: Option<&str>) -> Option<Credentials> {
        let mut request = Request::get(uri);
        if let Some(text) = authorization {
            request = request.header(AUTHORIZATION, text);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Credentials::of_head(&Head::new(&parts, Peer::Local))
    }

    fn password(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn the_url_comes_first_but_only_whole() {
        let basic = Some("Basic bWU6c2VjcmV0");
        assert_eq!(found("/query?u=you&p=x%3Ay", basic), password("you", "x:y"));
        assert_eq!(found("/query?u=you", basic), password("me", "secret"));
        assert_eq!(found("/query?u=you&p=", basic), password("me", "secret"));
        assert_eq!(found("/query?u=you", None), None);
    }

    #[test]
    fn headers_as_influxdb_reads_them() {
        for (header, expected) in [
            ("basic bWU6c2VjcmV0", password("me", "secret")),
            ("Basic bWU6", password("me", "")),
            ("Basic Om1l", password("", "me")),
            ("Basic  bWU6c2VjcmV0", None),
            ("Basic bWU=", None),
            ("Basic !!!", None),
            ("Token me:se:cret", password("me", "se:cret")),
            ("Token me", None),
            ("token me:secret", None),
            ("Bearer a.b.c", Some(Credentials::Bearer("a.b.c".to_owned()))),
            ("Bearer a.b.c x", None),
            ("Bearer ", None),
            ("Bearer", None),
            ("bearer a.b.c", None),
            ("Digest abc", None),
        ] {
            assert_eq!(found("/query", Some(header)), expected, "{header}");
        }
    }

    #[test]
    fn debug_tells_no_secret() {
        assert_eq!(format!("{:?}", password("me", "secret")), "Some(Password(..))");
    }
}
