"""HTTPS with certificates made by openssl: real clients, renewal without a restart, files that cannot be used."""

import os
import socket
import ssl
import subprocess

import pytest
import requests
from conftest import Process, free_port, need, wait_until


def certificate(directory, name, *options):
    """A self-signed certificate for 127.0.0.1 and its key."""
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    command = [need("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"] + list(options or ["-nodes"])
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key


class Https:
    """`skywatch run` that serves HTTPS."""

    def __init__(self, binary, directory, cert, key, *arguments):
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        command = [binary, "run", "--data-dir", directory / "data", "--http-bind", f"127.0.0.1:{self.port}"]
        command += ["--no-console", "--no-agent", "--https-certificate", cert, "--https-private-key", key, *arguments]
        self.process = Process(command, directory / "skywatch.log").start()

    def ready(self):
        def shows():
            try:
                return self.subject() or True
            except OSError:
                return False

        wait_until(lambda: not self.process.running() or shows(), "HTTPS to answer")
        assert self.process.running(), self.process.output()
        return self

    def subject(self, **versions):
        """The certificate that a new connection is shown, in DER."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for name, value in versions.items():
            setattr(context, name, value)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            with context.wrap_socket(plain) as stream:
                return stream.getpeercert(binary_form=True)


@pytest.fixture
def start(skywatch_bin, tmp_path):
    started = []

    def start(cert, key, *arguments):
        started.append(Https(skywatch_bin, tmp_path, cert, key, *arguments))
        return started[-1].ready()

    yield start
    for server in started:
        server.process.stop()


def test_clients_speak_https(start, tmp_path, skywatch_bin):
    cert, key = certificate(tmp_path, "one")
    server = start(cert, key)
    query = {"q": "CREATE DATABASE db"}
    assert requests.post(f"{server.url}/query", data=query, verify=str(cert), timeout=30).status_code == 200
    assert requests.post(f"{server.url}/write?db=db", data="m v=1 1", verify=str(cert), timeout=30).status_code == 204
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{server.url}/ping", timeout=30)
    command = [need("influx", "influxdb-client"), "-ssl", "-unsafeSsl", "-port", str(server.port)]
    shown = subprocess.run([*command, "-execute", "SHOW DATABASES"], capture_output=True, text=True, timeout=60)
    assert "db" in shown.stdout.split(), shown
    ours = subprocess.run(
        [skywatch_bin, "query", "--url", server.url, "--ca", cert, "SHOW DATABASES"], capture_output=True, text=True, timeout=60
    )
    assert ours.returncode == 0 and "db" in ours.stdout, ours


def test_the_process_reaches_itself(skywatch_bin, tmp_path):
    """The built-in agent and the console's proxy, whose address is on no certificate, with users asked for."""
    cert, key = certificate(tmp_path, "one")
    port, console = free_port(), free_port()
    command = [skywatch_bin, "run", "--data-dir", tmp_path / "data", "--http-bind", f"127.0.0.1:{port}", "--auth"]
    command += ["--console-bind", f"127.0.0.1:{console}", "--https-certificate", cert, "--https-private-key", key]
    process = Process(command, tmp_path / "skywatch.log").start()
    try:
        ask = {"q": "SELECT last(usage_idle) FROM cpu", "db": "telegraf"}
        make = {"q": "CREATE USER root WITH PASSWORD 'x' WITH ALL PRIVILEGES"}

        def made():
            try:
                answer = requests.post(f"https://127.0.0.1:{port}/query", data=make, verify=str(cert), timeout=30)
                return answer.status_code == 200
            except requests.ConnectionError:
                return False

        wait_until(made, "the first administrator")

        def arrived():
            answer = requests.get(f"http://127.0.0.1:{console}/api/query", params=ask, auth=("root", "x"), timeout=30)
            return answer.status_code == 200 and "series" in answer.json()["results"][0]

        wait_until(arrived, "the agent's metrics, through the console", seconds=60)
    finally:
        process.stop()


def test_a_renewed_certificate_is_shown_without_a_restart(start, tmp_path):
    cert, key = certificate(tmp_path, "one")
    server = start(cert, key)
    first = server.subject()
    kept = requests.Session()
    assert kept.get(f"{server.url}/ping", verify=str(cert), timeout=30).status_code == 204
    # Broken files change nothing.
    whole = cert.read_bytes()
    cert.write_text("not a certificate")
    wait_until(lambda: server.subject() and "the old one stays" in server.process.output(), "the broken file to be told")
    assert server.subject() == first
    cert.write_bytes(whole)
    new_cert, new_key = certificate(tmp_path, "two")
    os.replace(new_key, key)
    os.replace(new_cert, cert)
    wait_until(lambda: server.subject() != first, "the new certificate")
    assert server.process.running()


def test_old_versions_are_not_spoken(start, tmp_path):
    cert, key = certificate(tmp_path, "one")
    config = tmp_path / "skywatch.toml"
    config.write_text('[tls]\nmin-version = "tls1.3"\n')
    server = start(cert, key, "--config", config)
    with pytest.raises(ssl.SSLError):
        server.subject(maximum_version=ssl.TLSVersion.TLSv1_2)
    assert server.subject(minimum_version=ssl.TLSVersion.TLSv1_3)


def test_who_does_not_greet_is_let_go(start, tmp_path):
    cert, key = certificate(tmp_path, "one")
    server = start(cert, key)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as silent:
        assert silent.recv(1) == b"", "closed by the server"


def test_plain_http_is_told_where_it_is(start, tmp_path):
    cert, key = certificate(tmp_path, "one")
    server = start(cert, key)
    answer = requests.post(f"http://127.0.0.1:{server.port}/write?db=db", data="m v=1 1", timeout=30)
    assert (answer.status_code, answer.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")


def test_files_that_cannot_be_used_are_named(skywatch_bin, tmp_path):
    cert, key = certificate(tmp_path, "one")
    _, other = certificate(tmp_path, "two")
    _, locked = certificate(tmp_path, "three", "-passout", "pass:secret")
    for files, parts in [
        ((tmp_path / "none.pem", key), ["none.pem", "No such file"]),
        ((cert, other), ["two.key", "another key"]),
        ((cert, locked), ["three.key", "encrypted", "openssl pkey"]),
        ((cert, cert), ["one.pem", "no private key"]),
        ((key, key), ["one.key", "no certificate"]),
    ]:
        command = [skywatch_bin, "run", "--data-dir", tmp_path / "data", "--http-bind", "127.0.0.1:0", "--no-console"]
        command += ["--no-agent", "--https-certificate", files[0], "--https-private-key", files[1]]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ended.returncode != 0
        assert all(part in ended.stderr for part in parts), ended.stderr
