//! Certificates made by openssl, from files and from its own server.

use std::process::{Child, Command, Stdio};

use super::*;
use crate::config::section_for_tests;
use crate::processors::testing::lines;

/// A root, an intermediate and a leaf for `localhost` in a directory; `None` where openssl is not installed.
fn chain() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().expect("temporary directory");
    let script = r#"
        set -e
        new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $1.key -out $1.csr -subj "$2"; }
        sign() { openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -set_serial $3 -days 30 -extfile $1.ext -out $1.pem; }
        openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 60 -subj "/O=Ours/CN=Root"
        new mid "/O=Ours/CN=Middle"; echo "basicConstraints=critical,CA:TRUE" > mid.ext; sign mid root 0x1001
        new leaf "/C=DE/ST=Hessen/L=Kassel/O=Ours/OU=Cloud/CN=server"
        echo "subjectAltName=DNS:localhost,DNS:*.example.org,IP:127.0.0.1" > leaf.ext; sign leaf mid 0xabc
        cat leaf.pem mid.pem > served.pem
    "#;
    let made = Command::new("sh").args(["-c", script]).current_dir(dir.path()).output().expect("a shell");
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(said.contains("not found"), "{said}");
        eprintln!("skipped: openssl is not installed (apt-get install openssl)");
        return None;
    }
    Some(dir)
}

fn gather(options: &str) -> (Vec<Metric>, Vec<String>) {
    let mut section = section_for_tests(options);
    let mut input = build(&mut section, &Context::default()).expect("valid");
    assert!(section.finish().is_ok(), "unknown options in {options}");
    let mut acc = Accumulator::new(crate::agent::wall_clock_ns());
    input.gather(&mut acc).expect("gathered");
    let (metrics, errors) = acc.into_parts();
    (metrics, errors.iter().map(ToString::to_string).collect())
}

#[test]
fn files_and_what_is_trusted() {
    let Some(dir) = chain() else { return };
    let at = dir.path().display();
    let (metrics, errors) =
        gather(&format!("sources = ['{at}/served.pem', 'file://{at}/ro*.pem']\ntls_ca = '{at}/root.pem'"));
    assert!(errors.is_empty(), "{errors:?}");
    let lines = lines(&metrics);
    assert!(
        lines[0].starts_with(&format!(
            "x509_cert,common_name=server,country=DE,issuer_common_name=Middle,locality=Kassel,organization=Ours,\
             organizational_unit=Cloud,province=Hessen,public_key_algorithm=ECDSA,san=localhost\\,*.example.org\\,127.0.0.1,\
             serial_number=abc,signature_algorithm=ECDSA-SHA256,source={at}/served.pem,type=leaf,verification=valid age="
        )),
        "{lines:?}"
    );
    assert!(lines[0].contains("public_key_length=256u,verification_code=0i "), "{lines:?}");
    assert!(
        lines[1].contains("common_name=Middle") && lines[1].contains("type=intermediate,verification=valid"),
        "{lines:?}"
    );
    assert!(
        lines[2].contains("public_key_length=2048u") && lines[2].contains("type=root,verification=valid"),
        "{lines:?}"
    );
    let expiry = metrics[0].field_value("expiry").cloned();
    assert!(matches!(expiry, Some(skywatch_model::FieldValue::Integer(2_505_600..=2_592_000))), "{expiry:?}");
    let (metrics, _) = gather(&format!(
        "sources = ['{at}/leaf.pem']\ntls_ca = '{at}/root.pem'\npad_serial_with_zeroes = true"
    ));
    assert_eq!(metrics[0].tag_value("verification"), Some("invalid"), "the intermediate is missing");
    assert_eq!(metrics[0].tag_value("serial_number"), Some("0000000000000abc"));
    let (_, errors) =
        gather(&format!("sources = ['{at}/absent.pem', '{at}/root.key']\ntls_ca = '{at}/root.pem'"));
    assert_eq!(errors.len(), 2, "{errors:?}");
}

/// `openssl s_server`; ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it has ended");
    }
}

#[test]
fn servers_and_their_names() {
    let Some(dir) = chain() else { return };
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a port").port();
    let _server = Server(
        Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")])
            .args(["-cert", "leaf.pem", "-key", "leaf.key", "-cert_chain", "mid.pem"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started"),
    );
    let ca = format!("tls_ca = '{}/root.pem'", dir.path().display());
    let options = format!("sources = ['https://127.0.0.1:{port}/path']\n{ca}");
    let until = std::time::Instant::now() + Duration::from_secs(10);
    let metrics = loop {
        let (metrics, errors) = gather(&options);
        if errors.is_empty() || std::time::Instant::now() > until {
            assert!(errors.is_empty(), "{errors:?}");
            break metrics;
        }
    };
    assert_eq!(metrics.len(), 2);
    assert_eq!(metrics[0].tag_value("source"), Some(format!("tcp://127.0.0.1:{port}").as_str()));
    assert_eq!(metrics[0].tag_value("verification"), Some("valid"));
    assert_eq!(metrics[0].tag_value("ocsp_stapled"), Some("no"));
    for (name, verification) in
        [("a.example.org", "valid"), ("a.b.example.org", "invalid"), ("other", "invalid")]
    {
        let (metrics, _) = gather(&format!("{options}\nserver_name = '{name}'"));
        assert_eq!(metrics[0].tag_value("verification"), Some(verification), "{name}");
        assert_eq!(metrics[1].tag_value("verification"), Some("valid"), "names are the leaf's affair");
    }
    let (_, errors) = gather(&format!("sources = ['tcp://127.0.0.1:1']\n{ca}"));
    assert!(errors[0].starts_with("tcp://127.0.0.1:1: cannot connect"), "{errors:?}");
}

#[test]
fn faults_are_named() {
    for (options, want) in [
        ("", "say whose"),
        ("sources = ['udp://h:1']", "DTLS"),
        ("sources = ['jks:///x']", "key stores"),
        ("sources = ['tcp://h']", "no port"),
        ("sources = ['ftp://h']", "none of https"),
    ] {
        let error = build(&mut section_for_tests(options), &Context::default()).expect_err(want).to_string();
        assert!(error.contains(want), "{error}");
    }
}
