//! Where a configuration comes from: files, directories and URLs, given or in their usual places.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use tracing::warn;

use super::document::Environment;
use super::env::Lookup;
use super::selection::Selection;
use crate::net::{http, tls::ClientTls};

/// Between two tries to fetch a configuration.
pub(super) const FETCH_PAUSE: Duration = Duration::from_secs(10);
/// How long one try may take.
const FETCH_MAX: Duration = Duration::from_secs(30);
/// Most bytes of a configuration.
pub(super) const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// What makes up a configuration, and how it is read.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Files and http(s) URLs, in their order.
    pub files: Vec<String>,
    /// Directories whose `*.conf` files are read after them.
    pub directories: Vec<PathBuf>,
    /// How environment variables get in.
    pub environment: Environment,
    /// Which plugins are taken.
    pub selection: Selection,
}

impl Sources {
    /// The usual places, where nothing else is said: `$TELEGRAF_CONFIG_PATH`, else `~/.telegraf/telegraf.conf`, else
    /// `/etc/telegraf/telegraf.conf` with `/etc/telegraf/telegraf.d`. The error lists where there is nothing.
    pub fn usual(env: &Lookup<'_>, root: &Path) -> Result<Self, String> {
        if let Some(path) = env("TELEGRAF_CONFIG_PATH").filter(|path| !path.is_empty()) {
            return Ok(if Path::new(&path).is_dir() {
                Self { directories: vec![path.into()], ..Self::default() }
            } else {
                Self { files: vec![path], ..Self::default() }
            });
        }
        let own = env("HOME").filter(|home| !home.is_empty());
        let own = own.map(|home| Path::new(&home).join(".telegraf/telegraf.conf"));
        if let Some(own) = own.as_ref().filter(|own| own.is_file()) {
            return Ok(Self { files: vec![own.display().to_string()], ..Self::default() });
        }
        let system = root.join("etc/telegraf/telegraf.conf");
        let directory = root.join("etc/telegraf/telegraf.d");
        let (file, directory) =
            (system.is_file().then_some(&system), directory.is_dir().then_some(directory));
        if file.is_none() && directory.is_none() {
            let own = own.map_or_else(String::new, |own| format!("{}, ", own.display()));
            return Err(format!("$TELEGRAF_CONFIG_PATH (not set), {own}{}", system.display()));
        }
        Ok(Self {
            files: file.into_iter().map(|file| file.display().to_string()).collect(),
            directories: directory.into_iter().collect(),
            ..Self::default()
        })
    }

    /// The files among them, without URLs, for watching.
    pub fn file_paths(&self) -> Vec<PathBuf> {
        self.files.iter().filter(|file| url(file).is_none()).map(PathBuf::from).collect()
    }
}

/// The URL that a source is, if it is one.
pub(super) fn url(source: &str) -> Option<Url> {
    if !(source.starts_with("http://") || source.starts_with("https://")) {
        return None;
    }
    Url::parse(source).ok()
}

/// Fetches a document, trying this often (forever if negative). To be called outside of asynchronous code.
pub(super) fn fetch(url: &Url, attempts: i64, pause: Duration, env: &Lookup<'_>) -> Result<Vec<u8>, String> {
    let token = |name: &str, scheme: &str| {
        env(name).filter(|token| !token.is_empty()).map(|token| format!("{scheme} {token}"))
    };
    let authorization =
        token("INFLUX_TOKEN", "Token").or_else(|| token("TELEGRAF_CONTROLLER_TOKEN", "Bearer"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| format!("the asynchronous runtime does not start: {why}"))?;
    runtime.block_on(async {
        let mut tried = 0;
        loop {
            let failed = match fetch_once(url, authorization.as_deref()).await {
                Ok(body) => return Ok(body),
                Err(failed) => failed,
            };
            tried += 1;
            if attempts >= 0 && tried >= attempts {
                return Err(format!("{failed} ({tried} tries)"));
            }
            warn!("{}: {failed}; next try in {} s", http::shown(url), pause.as_secs());
            tokio::time::sleep(pause).await;
        }
    })
}

async fn fetch_once(url: &Url, authorization: Option<&str>) -> Result<Vec<u8>, String> {
    let client =
        http::client(&ClientTls::default(), FETCH_MAX)?.build().map_err(|error| http::describe(&error))?;
    let mut request = client.get(url.clone()).header("Accept", "application/toml, text/plain, */*");
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    let answer = request.send().await.map_err(|error| http::describe(&error))?;
    if !answer.status().is_success() {
        return Err(format!("the server answers {}", answer.status()));
    }
    http::body(answer, DOCUMENT_BYTES_MAX).await
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn usual_places_in_their_order() {
        let root = tempfile::tempdir().expect("temporary directory");
        let home = root.path().join("home");
        let env = |name: &str| (name == "HOME").then(|| home.display().to_string());
        let error = Sources::usual(&env, root.path()).expect_err("nothing there");
        assert!(
            error.contains("home/.telegraf/telegraf.conf") && error.contains("etc/telegraf/telegraf.conf")
        );
        let etc = root.path().join("etc/telegraf");
        fs::create_dir_all(etc.join("telegraf.d")).expect("created");
        fs::write(etc.join("telegraf.conf"), "").expect("written");
        let usual = Sources::usual(&env, root.path()).expect("found");
        assert_eq!(usual.files, [etc.join("telegraf.conf").display().to_string()]);
        assert_eq!(usual.directories, [etc.join("telegraf.d")]);
        fs::create_dir_all(home.join(".telegraf")).expect("created");
        fs::write(home.join(".telegraf/telegraf.conf"), "").expect("written");
        let usual = Sources::usual(&env, root.path()).expect("found");
        assert_eq!(usual.files, [home.join(".telegraf/telegraf.conf").display().to_string()]);
        assert!(usual.directories.is_empty(), "the system's places are not mixed in");
        let named = |name: &str| (name == "TELEGRAF_CONFIG_PATH").then(|| "/x/y.conf".to_owned());
        assert_eq!(Sources::usual(&named, root.path()).expect("named").files, ["/x/y.conf"]);
    }

    /// Answers one request after the other with these statuses, and returns what it was asked.
    fn serve(statuses: &'static [u16]) -> (Url, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let url = format!("http://{}/telegraf.conf", listener.local_addr().expect("bound"));
        let thread = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for status in statuses {
                let (mut stream, _) = listener.accept().expect("a request");
                let mut request = [0; 4096];
                let length = stream.read(&mut request).expect("a request");
                requests.push(String::from_utf8_lossy(&request[..length]).into_owned());
                let answer =
                    format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
                stream.write_all(answer.as_bytes()).expect("answered");
            }
            requests
        });
        (Url::parse(&url).expect("valid"), thread)
    }

    #[test]
    fn a_url_is_tried_again_and_asked_with_the_token() {
        let (url, server) = serve(&[503, 200]);
        let env = |name: &str| (name == "INFLUX_TOKEN").then(|| "s3cret".to_owned());
        assert_eq!(fetch(&url, 3, Duration::ZERO, &env), Ok(b"hi".to_vec()));
        let requests = server.join().expect("served");
        assert!(
            requests.iter().all(|request| request.contains("authorization: Token s3cret\r\n")),
            "{requests:?}"
        );
        let (url, server) = serve(&[404, 404]);
        let error = fetch(&url, 2, Duration::ZERO, &|_| None).expect_err("refused");
        assert_eq!(error, "the server answers 404 Not Found (2 tries)");
        assert!(server.join().expect("served").iter().all(|request| !request.contains("authorization")));
    }
}
