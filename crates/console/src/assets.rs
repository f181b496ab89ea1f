//! The web app inside the binary: files compressed when the crate was built, cached by browsers for good where the
//! name carries a hash of the content.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/web"]
struct Web;

/// Vite puts files named after their content here.
const HASHED_DIR: &str = "assets/";

/// False when the crate was compiled without the web app and serves a page that says how to build it.
pub fn is_built() -> bool {
    Web::iter().any(|path| path.starts_with(HASHED_DIR))
}

/// A file, or the app itself for the routes that it draws (`/d/hosts`, `/explore`).
pub(crate) async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = Web::get(path).filter(|_| !path.ends_with(".gz")) {
        return file_response(path, &file, &headers);
    }
    // A missing script must not be answered with a page: the browser would report a baffling syntax error.
    if path.starts_with(HASHED_DIR) {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    }
    match Web::get("index.html") {
        Some(index) => file_response("index.html", &index, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn file_response(path: &str, file: &EmbeddedFile, request: &HeaderMap) -> Response {
    let etag = etag(file);
    let response = Response::builder()
        .header(header::CONTENT_TYPE, content_type(path))
        .header(header::CACHE_CONTROL, cache_control(path))
        .header(header::VARY, "accept-encoding")
        .header(header::ETAG, &etag);

    let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == etag)) {
        return finish(response.status(StatusCode::NOT_MODIFIED).body(Body::empty()));
    }
    if accepts_gzip(request)
        && let Some(gzipped) = Web::get(&format!("{path}.gz"))
    {
        return finish(
            response.header(header::CONTENT_ENCODING, "gzip").body(Body::from(gzipped.data.into_owned())),
        );
    }
    finish(response.body(Body::from(file.data.clone().into_owned())))
}

fn finish(response: Result<Response, axum::http::Error>) -> Response {
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn etag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let half: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{half}\"")
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).is_some_and(|accepted| {
        accepted.split(',').any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    })
}

fn cache_control(path: &str) -> &'static str {
    if path.starts_with(HASHED_DIR) { "public, max-age=31536000, immutable" } else { "no-cache" }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
