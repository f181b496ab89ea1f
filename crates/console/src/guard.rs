//! Keeps other web sites and strangers out of the API and gives every response its security headers.
//!
//! A console whose store asks nobody has no log-in, and a browser sends a log-in along unasked, so any page a person visits could otherwise make their browser send queries
//! (`DROP DATABASE` among them) to a console on that person's machine.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{error::ApiError, proxy, router::Console};

/// Styles are inline because the chart, editor and component libraries set them from script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Sets the security headers on every response.
pub(crate) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Refuses API requests that a browser sends for another site.
pub(crate) async fn same_site_only(request: Request, next: Next) -> Response {
    if is_cross_site(request.headers()) {
        return ApiError::CrossSite.into_response();
    }
    next.run(request).await
}

/// Refuses whom the store would refuse, in its words: a browser then asks for a user and a password.
pub(crate) async fn users_only(
    State(console): State<Console>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    those_who_may("SHOW DATABASES", &console, request, next).await
}

/// As [`users_only`], for what InfluxDB shows to administrators alone.
pub(crate) async fn administrators_only(
    State(console): State<Console>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    those_who_may("SHOW SERVERS", &console, request, next).await
}

async fn those_who_may(
    statement: &str,
    console: &Console,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let refusal = match console.config.asks_for_user {
        true => proxy::refusal(console, request.headers(), statement).await?,
        false => None,
    };
    match refusal {
        Some(refusal) => Ok(refusal),
        None => Ok(next.run(request).await),
    }
}

/// Browsers say where a request comes from in `Sec-Fetch-Site`, older ones and plain-HTTP pages at least in `Origin`;
/// programs such as curl send neither and pass.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match text(HeaderName::from_static("sec-fetch-site")) {
        Some("same-origin" | "none") => return false,
        Some(_) => return true,
        None => {}
    }
    let Some(origin) = text(header::ORIGIN) else { return false };
    let host = text(header::HOST).unwrap_or_default();
    origin.split_once("://").is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn programs_and_the_console_itself_pass() {
        assert!(!is_cross_site(&headers(&[])));
        assert!(!is_cross_site(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!is_cross_site(&headers(&[("origin", "http://127.0.0.1:3000"), ("host", "127.0.0.1:3000")])));
    }

    #[test]
    fn other_sites_are_refused() {
        assert!(is_cross_site(&headers(&[("sec-fetch-site", "cross-site")])));
        assert!(is_cross_site(&headers(&[("sec-fetch-site", "same-site")])));
        assert!(is_cross_site(&headers(&[("origin", "https://evil.example"), ("host", "127.0.0.1:3000")])));
        assert!(is_cross_site(&headers(&[("origin", "null"), ("host", "127.0.0.1:3000")])));
    }
}
