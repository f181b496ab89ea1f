//! Requests to nodes: with a deadline, to one address after the other, following redirects to the leader.

use std::{
    error::Error,
    fmt, fs,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::{
    Certificate, Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, DATE, HeaderMap, LOCATION},
    redirect::Policy,
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    CtlError,
    options::{Auth, Options},
    token,
};

/// Most of an answer that is read: that of a cluster with a hundred thousand shards has room.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// From a follower to the leader, and again if that changed meanwhile.
const REDIRECTS_MAX: usize = 5;

/// What kind of node is asked; for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A meta node's HTTP API.
    Meta,
    /// A data node's port for other nodes.
    Data,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Data => "data",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Meta => {
                "check that the meta node runs, that -bind is its HTTP address (port 8091), and that no firewall is in between"
            }
            Self::Data => {
                "check that the data node runs, that this is its address for other nodes (port 8088), and that no firewall is in between"
            }
        }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    parameters: &'a [(&'a str, &'a str)],
    deadline: Option<Duration>,
}

impl<'a> Call<'a> {
    /// `GET path?parameters`.
    pub(crate) const fn get(path: &'a str, parameters: &'a [(&'a str, &'a str)]) -> Self {
        Self { method: Method::GET, path, parameters, deadline: None }
    }

    /// `POST path` with a form.
    pub(crate) const fn post(path: &'a str, parameters: &'a [(&'a str, &'a str)]) -> Self {
        Self { method: Method::POST, path, parameters, deadline: None }
    }

    /// With another deadline than that of the options.
    pub(crate) const fn within(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// A successful answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Who answered.
    pub(crate) address: String,
    pub(crate) body: Vec<u8>,
    /// The node's clock, to the second, and ours when its answer came.
    pub(crate) clock: Option<(Timestamp, Timestamp)>,
    /// The node's release.
    pub(crate) version: Option<String>,
    /// What a meta node adds that knows of no leader.
    unled: Option<Unled>,
    kind: Kind,
}

/// That nobody leads, and how old what was answered may be all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unled {
    /// Who answered.
    address: String,
    /// In its words.
    reason: String,
    age: Option<Duration>,
}

impl Unled {
    fn of(headers: &HeaderMap, address: &str) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let age = text("X-Skywatch-Age-Ms").and_then(|age| age.parse().ok()).map(Duration::from_millis);
        let reason = text("X-Skywatch-No-Leader")?.to_owned();
        Some(Self { address: address.to_owned(), reason, age })
    }
}

impl fmt::Display for Unled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, reason, age } = self;
        match age {
            Some(age) => write!(f, "{reason}; this is what {address} knew {} s ago", age.as_secs()),
            None => write!(f, "{reason}; this is what {address} knows"),
        }
    }
}

impl Answer {
    /// The JSON in it.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, CtlError> {
        serde_json::from_slice(&self.body).map_err(|error| self.is_none(error.to_string()))
    }

    fn is_none(&self, reason: String) -> CtlError {
        not_a_node(&self.address, self.kind, reason)
    }
}

/// Requests with the options of one command line.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    scheme: &'static str,
    binds: Vec<String>,
    auth: Auth,
    timeout: Duration,
    /// What a meta node said of that nobody leads.
    unled: Mutex<Option<Unled>>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic",
            Self::Jwt { .. } => "Jwt",
        })
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

impl Client {
    /// Nothing is sent yet.
    pub(crate) fn new(options: &Options) -> Result<Self, CtlError> {
        let mut builder = reqwest::Client::builder()
            .user_agent("InfluxDB Cluster Client")
            // Redirects are followed here: reqwest would drop the credentials on the way to another host.
            .redirect(Policy::none())
            // Nodes of a cluster are on the operator's network.
            .no_proxy()
            .connect_timeout(options.timeout)
            .danger_accept_invalid_certs(options.insecure);
        if let Some(path) = &options.ca {
            let wrong = |reason: String| CtlError::local(format!("-ca {path}: {reason}"));
            let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let certificates =
                Certificate::from_pem_bundle(&pem).map_err(|error| wrong(innermost(&error)))?;
            if certificates.is_empty() {
                return Err(wrong("there is no certificate in it; PEM is expected".to_owned()));
            }
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let http = builder.build().map_err(|error| CtlError::local(innermost(&error)))?;
        Ok(Self {
            http,
            scheme: if options.tls { "https" } else { "http" },
            binds: options.binds.clone(),
            auth: options.auth.clone(),
            timeout: options.timeout,
            unled: Mutex::new(None),
        })
    }

    /// How long an answer may take.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The first address of `-bind`.
    pub(crate) fn first_bind(&self) -> &str {
        self.binds.first().map_or("", String::as_str)
    }

    /// That nobody leads, if an answer of a meta node that was taken said so.
    pub(crate) fn unled(&self) -> Option<Unled> {
        self.unled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer of the first meta node of `-bind` that has one and knows a leader, or else of the first that has one. One
    /// that was reached and did not answer ends it: the request may have been carried out.
    pub(crate) async fn meta(&self, call: &Call<'_>) -> Result<Answer, CtlError> {
        let mut errors = Vec::new();
        let mut unled: Option<Answer> = None;
        for address in &self.binds {
            match self.at(Kind::Meta, address, call).await {
                Ok(answer) if answer.unled.is_some() => unled = unled.or(Some(answer)),
                Err(error)
                    if error.is_about_the_node()
                        || call.method == Method::GET && matches!(error, CtlError::TimedOut { .. }) =>
                {
                    errors.push(error);
                }
                result => return result,
            }
        }
        let answer = unled.ok_or_else(|| worst_of(errors))?;
        self.unled.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&answer.unled);
        Ok(answer)
    }

    /// The answer of the node at an address, or of the leader that it points to.
    pub(crate) async fn at(&self, kind: Kind, address: &str, call: &Call<'_>) -> Result<Answer, CtlError> {
        let url = format!("{}://{address}{}", self.scheme, call.path);
        let mut url = Url::parse(&url).map_err(|error| CtlError::local(format!("{url}: {error}")))?;
        for _ in 0..=REDIRECTS_MAX {
            let address = address_of(&url);
            let response = self.send(kind, &address, url.clone(), call).await?;
            match redirect(&url, &response) {
                Some(Ok(target)) => url = target,
                Some(Err(reason)) => return Err(not_a_node(&address, kind, reason)),
                None => return self.answer(kind, address, response, call).await,
            }
        }
        Err(not_a_node(&address_of(&url), kind, "nodes point to each other as the leader".to_owned()))
    }

    async fn send(&self, kind: Kind, address: &str, url: Url, call: &Call<'_>) -> Result<Response, CtlError> {
        let request = self.http.request(call.method.clone(), url);
        let request = match (call.method == Method::GET, call.parameters.is_empty()) {
            (true, true) => request,
            (true, false) => request.query(call.parameters),
            (false, _) => request.form(call.parameters),
        };
        let request = self.authorized(request)?.timeout(call.deadline.unwrap_or(self.timeout));
        request.send().await.map_err(|error| self.failure(kind, address, &error, call))
    }

    fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, CtlError> {
        Ok(match &self.auth {
            Auth::None => request,
            Auth::Basic { user, password } => request.basic_auth(user, Some(password)),
            Auth::Jwt { user, secret } => {
                let now = Timestamp::now().as_second();
                let token = token::sign(secret, user, now, token::REQUEST_LIFE)?;
                request.header(AUTHORIZATION, format!("Bearer {token}"))
            }
        })
    }

    async fn answer(
        &self,
        kind: Kind,
        address: String,
        mut response: Response,
        call: &Call<'_>,
    ) -> Result<Answer, CtlError> {
        let status = response.status();
        let clock = clock_of(response.headers()).map(|theirs| (theirs, Timestamp::now()));
        let version = version_of(response.headers());
        let unled = Unled::of(response.headers(), &address);
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.failure(kind, &address, &error, call))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                let reason = format!("its answer has more than {ANSWER_BYTES_MAX} bytes");
                return Err(not_a_node(&address, kind, reason));
            }
        }
        if status.is_success() {
            return Ok(Answer { address, body, clock, version, unled, kind });
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(told) => Err(CtlError::Server { message: told.error, status }),
            Err(_) => Err(not_a_node(&address, kind, refusal_reason(status, call.path))),
        }
    }

    fn failure(&self, kind: Kind, address: &str, error: &reqwest::Error, call: &Call<'_>) -> CtlError {
        let node = format!("the {} node at {address}", kind.name());
        if error.is_timeout() {
            let timeout = call.deadline.unwrap_or(self.timeout);
            return if error.is_connect() {
                let reason = format!("no connection within {timeout:?} (-timeout)");
                CtlError::Unreachable { node, reason, advice: kind.advice() }
            } else {
                let advice = match call.method == Method::GET {
                    true => kind.advice(),
                    false => "it may still carry the request out: look with show or show-shards",
                };
                CtlError::TimedOut { node, timeout, advice }
            };
        }
        let reason = innermost(error);
        let advice = tls_advice(&reason).unwrap_or(kind.advice());
        CtlError::Unreachable { node, reason, advice }
    }
}

/// Of the errors of several nodes the one that says most: a server's word before a broken connection.
fn worst_of(errors: Vec<CtlError>) -> CtlError {
    let mut reasons = Vec::new();
    for error in errors {
        match error {
            CtlError::Server { .. } => return error,
            other => reasons.push(other),
        }
    }
    match reasons.len() {
        0 => CtlError::local("there is no address of a meta node: give one with -bind"),
        1 => reasons.remove(0),
        _ => {
            let each: Vec<String> = reasons
                .iter()
                .map(|error| match error {
                    CtlError::Unreachable { node, reason, .. } => {
                        format!("{}: {reason}", node.trim_start_matches("the meta node at "))
                    }
                    other => other.to_string(),
                })
                .collect();
            CtlError::Unreachable {
                node: "any meta node of -bind".to_owned(),
                reason: each.join("; "),
                advice: Kind::Meta.advice(),
            }
        }
    }
}

fn not_a_node(address: &str, kind: Kind, reason: String) -> CtlError {
    CtlError::NotANode { address: address.to_owned(), kind: kind.name(), reason, advice: kind.advice() }
}

fn refusal_reason(status: StatusCode, path: &str) -> String {
    match status {
        StatusCode::NOT_FOUND => format!("it does not know {path}"),
        StatusCode::BAD_REQUEST => {
            format!("HTTP {status} for {path}, as of a server that speaks TLS: -bind-tls does")
        }
        other => format!("HTTP {other} for {path}"),
    }
}

/// Where the answer says to go, if it does. Never from TLS to plain text: the credentials go along.
fn redirect(from: &Url, response: &Response) -> Option<Result<Url, String>> {
    if !response.status().is_redirection() {
        return None;
    }
    let target = response.headers().get(LOCATION)?.to_str().ok()?;
    Some(match from.join(target) {
        Ok(url) if from.scheme() == "https" && url.scheme() != "https" => {
            Err(format!("it points to {url}, which is not encrypted"))
        }
        Ok(mut url) => {
            // A target may repeat the parameters, which are added to every request anyway.
            url.set_query(None);
            Ok(url)
        }
        Err(error) => Err(format!("it points to {target:?}: {error}")),
    })
}

fn address_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn clock_of(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// Skywatch's own release, or that of the InfluxDB it stands in for.
fn version_of(headers: &HeaderMap) -> Option<String> {
    ["X-Skywatch-Version", "X-Influxdb-Version"]
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok())
        .map(str::to_owned)
}

/// What the network said, without the layers above and the number of the error.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn tls_advice(reason: &str) -> Option<&'static str> {
    if reason.contains("InvalidContentType") || reason.contains("corrupt message") {
        Some("it seems to speak HTTP without TLS: leave -bind-tls out")
    } else if reason.contains("invalid HTTP version") || reason.contains("connection closed before message") {
        Some("it may speak TLS: try -bind-tls")
    } else if reason.to_lowercase().contains("reset by peer") {
        Some("with -bind-tls it has to speak TLS, without it must not")
    } else if reason.contains("CaUsedAsEndEntity") {
        // What `openssl req -x509` makes unless it is told otherwise.
        Some(
            "the certificate is one of an authority (CA:TRUE), which no server may show: make one with basicConstraints CA:FALSE (skywatch cert does), or take any with -k",
        )
    } else if reason.contains("not valid for name") {
        Some("give -bind a name that the certificate is for, or take any certificate with -k")
    } else if reason.contains("certificate expired") || reason.contains("not valid yet") {
        Some("renew it, or look at the clocks of both machines; -k takes any certificate")
    } else if reason.to_lowercase().contains("certificate") {
        Some("trust its issuer with -ca FILE, or any certificate with -k")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_what_is_advised_about() {
        for (reason, advised) in [
            ("invalid peer certificate: UnknownIssuer", "-ca FILE"),
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "CA:FALSE"),
            (
                "invalid peer certificate: certificate not valid for name \"m1\"; it is for m2",
                "give -bind a name",
            ),
            ("invalid peer certificate: certificate expired: verification time 3", "renew it"),
        ] {
            assert!(tls_advice(reason).unwrap().contains(advised), "{reason}");
        }
    }

    #[test]
    fn the_clock_of_an_answer_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Sat, 28 Nov 2026 20:25:47 GMT".parse().unwrap());
        assert_eq!(clock_of(&headers), Some("2026-11-28T20:25:47Z".parse().unwrap()));
        headers.insert(DATE, "soon".parse().unwrap());
        assert_eq!(clock_of(&headers), None);
    }

    #[test]
    fn a_servers_word_says_more_than_a_broken_connection() {
        let unreachable = || CtlError::Unreachable {
            node: "the meta node at a:1".to_owned(),
            reason: "connection refused".to_owned(),
            advice: "check",
        };
        let no_leader =
            CtlError::Server { message: "no leader".to_owned(), status: StatusCode::SERVICE_UNAVAILABLE };
        let told = worst_of(vec![unreachable(), no_leader]).to_string();
        assert_eq!(told, "operation exited with error: no leader");
        let told = worst_of(vec![unreachable(), unreachable()]).to_string();
        assert!(told.contains("any meta node of -bind: a:1: connection refused; a:1: connection"), "{told}");
    }
}
