//! Requests to one server.

use std::{error::Error, fs};

use reqwest::{Certificate, ClientBuilder, Method, RequestBuilder, Response, StatusCode, redirect::Policy};
use serde::Deserialize;

use crate::{ClientError, Connection, Credentials, Place};

/// Most of an error's body that is read: enough for any error, and no more than a stray page may cost.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// One server. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    connection: Connection,
    /// What paths are appended to, without a slash at its end.
    base: String,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The version of InfluxDB it is, or stands in for.
    pub influxdb_version: String,
    /// Skywatch's own version, if it is one.
    pub skywatch_version: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

impl Client {
    /// A client for a server; nothing is sent yet.
    pub fn new(connection: Connection) -> Result<Self, ClientError> {
        let is_local = connection.place.is_local();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("skywatch/", env!("CARGO_PKG_VERSION")))
            // What is redirected would lose its body or its credentials on the way.
            .redirect(Policy::none())
            .connect_timeout(connection.connect_timeout)
            .danger_accept_invalid_certs(connection.insecure)
            .gzip(!is_local);
        if let Some(timeout) = connection.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(silence) = connection.silence {
            builder = builder.read_timeout(silence);
        }
        if is_local {
            builder = builder.no_proxy();
        }
        let base = match &connection.place {
            Place::Url(url) => url.as_str().trim_end_matches('/').to_owned(),
            Place::Socket(path) => {
                builder = builder.unix_socket(path.as_path());
                "http://localhost".to_owned()
            }
        };
        let http =
            trust(builder, &connection)?.build().map_err(|error| ClientError::Options(innermost(&error)))?;
        Ok(Self { http, connection, base })
    }

    /// Where and how.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A request for `path`, such as `query`, with credentials.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/{path}", self.base));
        match &self.connection.credentials {
            None => request,
            Some(Credentials::Password { user, password }) => request.basic_auth(user, Some(password)),
            Some(Credentials::Token(token)) if token.contains(':') => {
                request.header("Authorization", format!("Token {token}"))
            }
            Some(Credentials::Token(token)) => request.bearer_auth(token),
        }
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// `POST path`.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// The head of the answer, whatever its status; the body is still to come.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    /// The answer, if its status says success; otherwise what the server says is wrong.
    pub async fn send_checked(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = self.send(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// What a status other than success means.
    pub async fn refusal(&self, response: Response) -> ClientError {
        let (status, server) = (response.status(), self.server());
        if let Some(target) = response.headers().get("Location").and_then(|value| value.to_str().ok()) {
            let reason = format!("it says to go to {target}: give that with --url");
            return ClientError::NotInfluxDb { server, reason };
        }
        let text = match self.read_bounded(response).await {
            Ok(text) => text,
            Err(error) => return error,
        };
        match (error_text(&text), status) {
            (reason, StatusCode::UNAUTHORIZED) => {
                ClientError::Unauthorized { server, reason: reason.unwrap_or_else(|| status.to_string()) }
            }
            (Some(reason), _) => ClientError::Refused(reason),
            (None, _) => ClientError::NotInfluxDb { server, reason: format!("HTTP {status}") },
        }
    }

    /// The next piece of a body; `None` at its end.
    pub async fn next_piece(
        &self,
        response: &mut Response,
    ) -> Result<Option<impl AsRef<[u8]> + use<>>, ClientError> {
        response.chunk().await.map_err(|error| self.broken(&error))
    }

    /// A short body as text.
    pub async fn read_bounded(&self, mut response: Response) -> Result<String, ClientError> {
        let mut body = Vec::new();
        while body.len() < ERROR_BYTES_MAX {
            match self.next_piece(&mut response).await? {
                Some(piece) => body.extend_from_slice(piece.as_ref()),
                None => break,
            }
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Asks who is there, and whether anybody is.
    pub async fn ping(&self) -> Result<Server, ClientError> {
        let response = self.send(self.get("ping")).await?;
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let versions = (header("X-Influxdb-Version"), header("X-Skywatch-Version"));
        match versions {
            (Some(influxdb_version), skywatch_version) => Ok(Server { influxdb_version, skywatch_version }),
            (None, _) if response.status() == StatusCode::UNAUTHORIZED => Err(self.refusal(response).await),
            (None, _) => {
                let reason = format!("HTTP {} to /ping, without X-Influxdb-Version", response.status());
                Err(ClientError::NotInfluxDb { server: self.server(), reason })
            }
        }
    }

    /// The server's name in messages.
    pub fn server(&self) -> String {
        self.connection.place.to_string()
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        if error.is_builder() {
            return ClientError::Options(innermost(error));
        }
        let reason = if error.is_timeout() { "nobody answers".to_owned() } else { innermost(error) };
        let unreachable = ClientError::Unreachable { server: self.server(), reason };
        if error.is_connect() { unreachable } else { self.in_time(error).unwrap_or(unreachable) }
    }

    fn broken(&self, error: &reqwest::Error) -> ClientError {
        let broken = || ClientError::BrokenAnswer { server: self.server(), reason: innermost(error) };
        self.in_time(error).unwrap_or_else(broken)
    }

    /// That an answer has not come in time, if that is what happened.
    fn in_time(&self, error: &reqwest::Error) -> Option<ClientError> {
        let Connection { timeout, silence, .. } = self.connection;
        let server = || self.server();
        match (timeout, silence) {
            _ if !error.is_timeout() => None,
            // Whichever ends first has ended it.
            (_, Some(silence)) if timeout.is_none_or(|timeout| silence < timeout) => {
                Some(ClientError::Silent { server: server(), seconds: silence.as_secs() })
            }
            (Some(timeout), _) => {
                Some(ClientError::TimedOut { server: server(), seconds: timeout.as_secs() })
            }
            (None, _) => None,
        }
    }
}

/// The text of InfluxDB's `{"error":"..."}`.
pub fn error_text(body: &str) -> Option<String> {
    serde_json::from_str::<ErrorBody>(body).ok().map(|body| body.error)
}

fn trust(mut builder: ClientBuilder, connection: &Connection) -> Result<ClientBuilder, ClientError> {
    let Some(path) = &connection.ca else { return Ok(builder) };
    let wrong = |reason: String| ClientError::Certificates { path: path.display().to_string(), reason };
    let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(innermost(&error)))?;
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate in PEM".to_owned()));
    }
    for certificate in certificates {
        builder = builder.add_root_certificate(certificate);
    }
    Ok(builder)
}

/// The deepest cause says what happened ("Connection refused"); the outer ones only where.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        os::unix::net::UnixListener,
        thread,
        time::Duration,
    };

    use super::*;

    fn client(url: &str) -> Client {
        Client::new(Connection::to(url).unwrap()).unwrap()
    }

    /// Answers one request with `answer` and gives the request back.
    fn serve<S: Read + Write>(mut stream: S, answer: &str) -> String {
        let mut request = [0; 4096];
        let count = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..count]).into_owned()
    }

    async fn ask_once(user: &str, answer: &'static str) -> (Result<Server, ClientError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{user}{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || serve(listener.accept().unwrap().0, answer));
        (client(&url).ping().await, server.join().unwrap())
    }

    #[tokio::test]
    async fn a_server_is_asked_who_it_is_with_credentials() {
        let (server, request) =
            ask_once("me:secret@", "HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.8.10\r\n\r\n").await;
        assert_eq!(server.unwrap(), Server { influxdb_version: "1.8.10".into(), skywatch_version: None });
        assert!(request.contains("authorization: Basic bWU6c2VjcmV0"), "{request}");
    }

    #[tokio::test]
    async fn strangers_and_refusals_are_told_apart() {
        let (answer, _) = ask_once("", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
        assert!(matches!(answer, Err(ClientError::NotInfluxDb { .. })), "{answer:?}");
        let body = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 24\r\n\r\n{\"error\":\"who are you?\"}";
        let (answer, _) = ask_once("", body).await;
        assert!(answer.unwrap_err().to_string().contains("who are you?; give a user with --user"));
    }

    #[tokio::test]
    async fn nobody_there_is_said_with_what_to_do() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let told = client(&url).ping().await.unwrap_err().to_string();
        assert!(told.contains("Connection refused") && told.contains("is the server running"), "{told}");
    }

    #[tokio::test]
    async fn a_server_that_falls_silent_is_not_waited_for() {
        // Nothing at all, and a body that stops in its midst.
        for begun in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                serve(&mut stream, begun);
                stream
            });
            let silence = Some(Duration::from_secs(1));
            let client = Client::new(Connection { silence, ..Connection::to(&url).unwrap() }).unwrap();
            let answer = match client.send(client.get("query")).await {
                Ok(response) => client.read_bounded(response).await,
                Err(error) => Err(error),
            };
            let error = answer.unwrap_err();
            assert!(matches!(error, ClientError::Silent { seconds: 1, .. }), "{begun:?}: {error:?}");
            assert!(!error.is_connection(), "it was there");
            assert_eq!(
                error.to_string(),
                format!("{url} has said nothing for 1 s: is it frozen, or cut off?")
            );
            drop(server.join().unwrap());
        }
    }

    #[tokio::test]
    async fn a_unix_socket_is_a_place_like_others() {
        let path = std::env::temp_dir().join(format!("skywatch-client-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let answer = "HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.8.10\r\nX-Skywatch-Version: 1\r\n\r\n";
        let server = thread::spawn(move || serve(listener.accept().unwrap().0, answer));
        let found = client(&format!("unix:{}", path.display())).ping().await;
        fs::remove_file(&path).unwrap();
        assert_eq!(found.unwrap().skywatch_version.as_deref(), Some("1"));
        server.join().unwrap();
    }
}
