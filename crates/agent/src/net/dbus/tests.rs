//! A server that is not what it should be; the real counterpart is in the end-to-end tests.

use super::*;
use std::os::unix::net::UnixListener;
use std::thread;

fn against(server: impl FnOnce(UnixStream) + Send + 'static, patience: Duration) -> Result<Bus, BusError> {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("bus");
    let listener = UnixListener::bind(&path).expect("bound");
    let served = thread::spawn(move || server(listener.accept().expect("a client").0));
    let bus = Bus::connect(&format!("tcp:host=x;unix:guid=1,path={}", path.display()), patience);
    served.join().expect("served");
    bus
}

#[test]
fn a_server_that_refuses_is_quoted() {
    let refuse = |mut stream: UnixStream| stream.write_all(b"REJECTED EXTERNAL\r\n").expect("written");
    let error = against(refuse, Duration::from_secs(20)).expect_err("refused");
    assert!(matches!(&error, BusError::Refused(line) if line == "REJECTED EXTERNAL"), "{error}");
}

#[test]
fn a_server_that_is_silent_or_drips_is_left() {
    let silent = |stream: UnixStream| {
        thread::sleep(Duration::from_millis(300));
        drop(stream);
    };
    let error = against(silent, Duration::from_millis(50)).expect_err("silent");
    assert!(matches!(error, BusError::Late), "{error}");
    let drip = |mut stream: UnixStream| {
        while stream.write_all(b"O").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    };
    let error = against(drip, Duration::from_millis(100)).expect_err("drips");
    assert!(matches!(error, BusError::Late), "{error}");
}

#[test]
fn a_server_that_speaks_something_else_is_left() {
    let babble = |mut stream: UnixStream| stream.write_all(&[b'x'; 4096]).expect("written");
    let error = against(babble, Duration::from_secs(20)).expect_err("babbles");
    assert!(!error.is_answer(), "{error}");
    let greet_and_babble =
        |mut stream: UnixStream| stream.write_all(b"OK 1234\r\nHTTP/1.1 200 OK\r\n\r\n").expect("written");
    let error = against(greet_and_babble, Duration::from_secs(20)).expect_err("no D-Bus");
    assert!(matches!(error, BusError::Malformed(_) | BusError::Io(_)), "{error}");
}

#[test]
fn addresses_without_a_socket_are_named() {
    let error = Bus::connect("tcp:host=localhost", Duration::from_secs(1)).expect_err("no socket");
    assert!(error.to_string().contains("tcp:host=localhost"), "{error}");
    assert!(Bus::connect("unix:path=/nonexistent/bus", Duration::from_secs(1)).is_err());
}
