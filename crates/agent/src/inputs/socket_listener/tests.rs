//! Over real sockets.

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::*;
use crate::config::section_for_tests;
use crate::processors::testing::lines;
use crate::service::testing::Running;

fn service(options: &str) -> Result<Box<dyn Service>, ConfigError> {
    let mut section = section_for_tests(options);
    let service = build(&mut section, &Context::default())?;
    assert!(section.finish().is_ok(), "unknown options in {options}");
    Ok(service)
}

async fn connect(path: &std::path::Path) -> UnixStream {
    for _ in 0..500 {
        if let Ok(stream) = UnixStream::connect(path).await {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody listens on {}", path.display());
}

#[tokio::test]
async fn connections_bring_lines_and_bad_ones_cost_only_themselves() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("s.sock");
    let mut running =
        Running::start(service(&format!("service_address = 'unix://{}'", path.display())).expect("valid"));
    let mut client = connect(&path).await;
    client.write_all(b"m,t=1 x=1i 5\nm x=").await.expect("sent");
    assert_eq!(lines(&running.metrics().await), ["m,t=1 x=1i 5"]);
    client.write_all(b"2i 6\nbad\nm x=3i 7\n").await.expect("sent");
    let error = running.error().await;
    assert!(error.contains("unable to parse 'bad'"), "{error}");
    assert_eq!(lines(&running.metrics().await), ["m x=2i 6", "m x=3i 7"]);
    client.write_all(b"m x=4i 8").await.expect("sent");
    drop(client);
    assert_eq!(lines(&running.metrics().await), ["m x=4i 8"], "a last line without its end");
    running.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn packed_datagrams_at_the_time_they_arrive() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("s.sock");
    let options = format!(
        "service_address = 'unixgram://{}'\ncontent_encoding = 'gzip'\ntime_source = 'receive_time'",
        path.display()
    );
    let mut running = Running::start(service(&options).expect("valid"));
    let client = UnixDatagram::unbound().expect("a socket");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"m x=1i 5\nm x=2i 6\n").expect("memory");
    let packed = gzip.finish().expect("memory");
    while client.send_to(&packed, &path).is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let metrics = running.metrics().await;
    assert_eq!(metrics.len(), 2);
    assert!(metrics.iter().all(|metric| metric.time_ns > 1_700_000_000_000_000_000), "{metrics:?}");
    client.send_to(b"no gzip", &path).expect("sent");
    assert!(running.error().await.contains("gzip"));
    running.stop().await;
}

#[test]
fn faults_are_named() {
    for (options, want) in [
        ("service_address = 'vsock://1:2'", "none of tcp, udp, unix, unixgram"),
        ("service_address = 'tcp://:1'\nsplitting_strategy = 'x'", "none of newline"),
        ("service_address = 'tcp://:1'\nsplitting_strategy = 'fixed length'", "above zero"),
        ("service_address = 'tcp://:1'\nsplitting_strategy = 'variable length'", "where the length is"),
        ("service_address = 'tcp://:1'\ncontent_encoding = 'br'", "none of identity"),
        ("service_address = 'tcp://:1'\nallowed_sources = ['host']", "no address"),
        ("service_address = 'tcp://:1'\nsocket_mode = '9'", "no permissions"),
    ] {
        let error = service(options).expect_err(want).to_string();
        assert!(error.contains(want), "{error}");
    }
}
