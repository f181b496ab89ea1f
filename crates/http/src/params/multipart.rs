//! `multipart/form-data` bodies (RFC 7578), as `curl -F q=@file.iql` sends them. The body is in memory already.

use super::Params;

/// The boundary named by a `Content-Type: multipart/form-data` header.
pub(crate) fn multipart_boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))
        .map(|(_, value)| value.trim().trim_matches('"'))
        .filter(|boundary| !boundary.is_empty())
}

/// The fields of the form. Files count as fields of their name, after the plain ones. What is malformed is left out.
pub(crate) fn parse_multipart(body: &[u8], boundary: &str) -> Params {
    let delimiter = format!("--{boundary}");
    let (mut fields, mut files) = (Params::default(), Params::default());
    let mut rest = body;
    while let Some((_, after)) = split_at_bytes(rest, delimiter.as_bytes()) {
        // The delimiter is on a line of its own; two dashes after it end the body.
        let Some(part) = after.strip_prefix(b"\r\n") else { break };
        let Some((content, _)) = split_at_bytes(part, format!("\r\n{delimiter}").as_bytes()) else { break };
        if let Some((head, value)) = split_at_bytes(content, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(head);
            let value = String::from_utf8_lossy(value).into_owned();
            match (disposition_parameter(&head, "name"), disposition_parameter(&head, "filename")) {
                (Some(name), None) => fields.push(name, value),
                (Some(name), Some(_)) => files.push(name, value),
                (None, _) => {}
            }
        }
        rest = &part[content.len() + 2..];
    }
    fields.append(files);
    fields
}

fn split_at_bytes<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(separator.len()).position(|window| window == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// A parameter of the part's `Content-Disposition: form-data; name="q"; filename="x"`.
fn disposition_parameter(head: &str, wanted: &str) -> Option<String> {
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    line.split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str = concat!(
        "--X\r\nContent-Disposition: form-data; name=\"q\"; filename=\"f.iql\"\r\n",
        "Content-Type: application/octet-stream\r\n\r\nshow databases;\nselect * from n\r\n",
        "--X\r\ncontent-disposition: form-data; name=\"db\"\r\n\r\ndb0\r\n--X--\r\n"
    );

    #[test]
    fn reads_fields_and_files() {
        let params = parse_multipart(BODY.as_bytes(), "X");
        assert_eq!(params.get("q"), "show databases;\nselect * from n");
        assert_eq!(params.get("db"), "db0");
    }

    #[test]
    fn finds_the_boundary() {
        assert_eq!(multipart_boundary("multipart/form-data; boundary=----a1"), Some("----a1"));
        assert_eq!(multipart_boundary("Multipart/Form-Data; charset=x; Boundary=\"b c\""), Some("b c"));
        assert_eq!(multipart_boundary("multipart/form-data; boundary="), None);
        assert_eq!(multipart_boundary("application/json; boundary=x"), None);
    }

    proptest! {
        #[test]
        fn cut_or_altered_bodies_never_panic(cut in 0..BODY.len(), at in 0..BODY.len(), byte in any::<u8>()) {
            let mut body = BODY.as_bytes().to_vec();
            body[at] = byte;
            body.truncate(cut);
            parse_multipart(&body, "X");
        }
    }
}
