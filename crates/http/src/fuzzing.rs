//! The fuzzers' way (`crates/fuzz-targets`) to parsers inside this crate, with what has to hold of each. No API.

use skywatch_query::Params as BoundParams;

use crate::{
    auth,
    bind::bound_parameters,
    delete_predicate::DeletePredicate,
    params::{Params, multipart_boundary, parse_multipart},
};

/// Parameters of a URL or a form: written and read again, they are the same.
pub fn parameters(text: &str) {
    let written = Params::parse(text).encode();
    assert_eq!(Params::parse(&written).encode(), written);
}

/// A multipart body after a line with its content type.
pub fn multipart(bytes: &[u8]) {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (content_type, body) = bytes.split_at(line);
    let content_type = String::from_utf8_lossy(content_type);
    if let Some(boundary) = multipart_boundary(content_type.trim()) {
        let params = parse_multipart(body.get(1..).unwrap_or_default(), boundary);
        assert!(params.encode().len() <= 16 * bytes.len(), "more came out than went in");
    }
}

/// The request's `params`, if they can be used.
pub fn bound(json: &str) -> Option<BoundParams> {
    bound_parameters(json).ok()
}

/// The predicate of `/api/v2/delete`.
pub fn delete_predicate(text: &str) {
    if let Ok(predicate) = DeletePredicate::parse(text) {
        let _wanted = (predicate.wants_measurement("cpu"), predicate.tags());
    }
}

/// An `Authorization` header, and the user that it names.
pub fn authorization(header: &str) -> Option<String> {
    auth::named_user(header, "secret", 1_700_000_000)
}
