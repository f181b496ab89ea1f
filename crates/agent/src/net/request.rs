//! What listening plugins do with requests: bodies bounded in size and time, parameters, credentials, plain answers.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response, StatusCode};

/// An answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Why a body could not be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than allowed, as sent or unpacked.
    TooLarge,
    /// It did not come in time, or not whole.
    Broken(String),
    /// It is packed in a way that is not known, or badly.
    Encoding(String),
}

/// The whole body, unpacked, at most `limit` bytes of it.
pub(crate) async fn read_body(
    request: Request<Incoming>,
    limit: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError> {
    let encoding = header(request.headers(), CONTENT_ENCODING.as_str()).unwrap_or_default().to_owned();
    let body = Limited::new(request.into_body(), limit).collect();
    let body = match tokio::time::timeout(timeout, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(BodyError::TooLarge),
        Ok(Err(error)) => return Err(BodyError::Broken(error.to_string())),
        Err(_) => return Err(BodyError::Broken(format!("not complete after {} s", timeout.as_secs()))),
    };
    unpack(body, &encoding, limit)
}

/// Unpacks gzip, deflate, zstd and snappy's block format.
pub(crate) fn unpack(body: Bytes, encoding: &str, limit: usize) -> Result<Bytes, BodyError> {
    let bad = |error: &dyn std::fmt::Display| BodyError::Encoding(format!("{encoding}: {error}"));
    let bounded = |reader: &mut dyn Read| {
        let mut out = Vec::new();
        reader.take(limit as u64 + 1).read_to_end(&mut out).map_err(|error| bad(&error))?;
        if out.len() > limit { Err(BodyError::TooLarge) } else { Ok(Bytes::from(out)) }
    };
    match encoding {
        "" | "identity" => Ok(body),
        "gzip" => bounded(&mut flate2::read::MultiGzDecoder::new(body.as_ref())),
        "zlib" | "deflate" => bounded(&mut flate2::read::ZlibDecoder::new(body.as_ref())),
        "zstd" => {
            let mut reader = zstd::Decoder::new(body.as_ref()).map_err(|error| bad(&error))?;
            bounded(&mut reader)
        }
        "snappy" => {
            let length = snap::raw::decompress_len(&body).map_err(|error| bad(&error))?;
            if length > limit {
                return Err(BodyError::TooLarge);
            }
            snap::raw::Decoder::new().decompress_vec(&body).map(Bytes::from).map_err(|error| bad(&error))
        }
        _ => Err(BodyError::Encoding(format!("{encoding:?} is none of gzip, deflate, zstd, snappy"))),
    }
}

/// A header's text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::from(format!("{value}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    answer
}

/// The parameters of a query string, decoded; the first of a name counts.
pub(crate) fn parameters(request: &Request<Incoming>) -> Vec<(String, String)> {
    let query = request.uri().query().unwrap_or_default();
    reqwest::Url::parse(&format!("http://localhost/?{query}"))
        .map(|url| url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
        .unwrap_or_default()
}

/// What a client must bring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Credentials {
    /// Whether these are in an `Authorization: Basic` header. Takes the same time whichever part is wrong.
    pub(crate) fn are_in(&self, headers: &HeaderMap) -> bool {
        use base64::Engine as _;
        let sent = header(headers, "authorization")
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|value| base64::engine::general_purpose::STANDARD.decode(value.trim()).ok())
            .unwrap_or_default();
        same(&sent, format!("{}:{}", self.username, self.password).as_bytes())
    }
}

/// Compares secrets in a time that depends on their lengths only.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn packed_bodies_are_bounded() {
        let text = vec![b'a'; 10_000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).expect("memory");
        let gzip = Bytes::from(gzip.finish().expect("memory"));
        let snappy = Bytes::from(snap::raw::Encoder::new().compress_vec(&text).expect("small"));
        let zstd = Bytes::from(zstd::encode_all(text.as_slice(), 1).expect("memory"));
        for (body, encoding) in [(gzip, "gzip"), (snappy, "snappy"), (zstd, "zstd")] {
            assert_eq!(unpack(body.clone(), encoding, 10_000), Ok(Bytes::from(text.clone())), "{encoding}");
            assert_eq!(unpack(body, encoding, 9_999), Err(BodyError::TooLarge), "{encoding}");
            let noise = Bytes::from_static(b"\xff\xff\xff\xff\xff\xff");
            assert!(unpack(noise, encoding, 10_000).is_err(), "{encoding}");
        }
        assert!(matches!(unpack(Bytes::new(), "br", 1), Err(BodyError::Encoding(_))));
    }

    #[test]
    fn credentials() {
        let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned() };
        let mut headers = HeaderMap::new();
        assert!(!credentials.are_in(&headers));
        headers.insert("authorization", "Basic dTpw".parse().expect("valid"));
        assert!(credentials.are_in(&headers));
        headers.insert("authorization", "Basic dTpx".parse().expect("valid"));
        assert!(!credentials.are_in(&headers));
    }
}
