"""Stock clients over HTTPS, with InfluxDB's settings for it, trusting the server's certificate or told not to ask."""

import subprocess

import pytest
import requests
from conftest import Skywatch, need, wait_until
from grafana_data_source import DataSource
from influxdb import InfluxDBClient
from influxdb_client import InfluxDBClient as InfluxDBClient2
from influxdb_client.client.write_api import SYNCHRONOUS
from test_influx_cli import Terminal
from test_node_clients import run_node_tests


class SecureSkywatch(Skywatch):
    """A server that answers over HTTPS alone."""

    def start(self):
        self.url = f"https://127.0.0.1:{self.http_port}"
        super(Skywatch, self).start()
        wait_until(lambda: not self.running() or self.pings(), "skywatch to answer /ping over HTTPS")
        assert self.running(), self.output()
        return self

    def pings(self):
        try:
            return self.session.get(f"{self.url}/ping", timeout=2).status_code == 204
        except requests.RequestException:
            return False


def trust(session, certificate):
    """Trusts this certificate alone, whatever the environment says."""
    session.verify, session.trust_env = str(certificate), False


@pytest.fixture(scope="module")
def secure(skywatch_bin, tmp_path_factory):
    """HTTPS on loopback, with a certificate that says so; `db` holds one point."""
    directory = tmp_path_factory.mktemp("secure")
    certificate, key, config = (directory / name for name in ("certificate.pem", "key.pem", "skywatch.toml"))
    command = [need("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    config.write_text(
        f'[http]\nhttps-enabled = true\nhttps-certificate = "{certificate}"\nhttps-private-key = "{key}"\n'
    )
    server = SecureSkywatch(skywatch_bin, directory, "--config", config)
    server.certificate = certificate
    trust(server.session, certificate)
    try:
        server.start().query("CREATE DATABASE db")
        assert server.write("m,host=a v=1 1").status_code == 204
        yield server
    finally:
        server.stop()


def test_influx(secure, tmp_path):
    def run(*arguments, **options):
        command = [need("influx", "influxdb-client"), "-host", "127.0.0.1", "-port", str(secure.http_port), *arguments]
        command += ["-database", "db", "-execute", "select v from m"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options)
        return done.returncode, done.stdout + done.stderr

    assert run("-ssl", "-unsafeSsl") == (0, "name: m\ntime v\n---- -\n1    1\n")
    trusting = {"SSL_CERT_FILE": str(secure.certificate), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    assert run("-ssl", env=trusting) == (0, "name: m\ntime v\n---- -\n1    1\n")
    code, shown = run("-ssl")
    assert code == 1 and "certificate" in shown
    code, shown = run()
    assert code == 1 and "HTTPS" in shown.upper(), "what went wrong can be seen"


def test_influx_at_a_terminal(secure, tmp_path):
    shell = Terminal(secure, tmp_path, "-ssl", "-unsafeSsl")
    try:
        assert f"Connected to {secure.url} version 1.8.10" in shell.banner
        assert shell.type("use db") == "Using database db"
        assert shell.type("select v from m") == "name: m\ntime v\n---- -\n1    1"
        assert shell.leave() == 0
    finally:
        shell.child.close(force=True)


def test_python_influxdb(secure):
    for verify in (str(secure.certificate), False):
        client = InfluxDBClient("127.0.0.1", secure.http_port, database="db", ssl=True, verify_ssl=verify)
        assert client.ping() == "1.8.10"
        assert client.write_points(["m,host=b v=2 2"], protocol="line")
        assert [point["v"] for point in client.query("SELECT v FROM m WHERE host = 'b'").get_points()] == [2]
    with pytest.raises(requests.exceptions.SSLError):
        InfluxDBClient("127.0.0.1", secure.http_port, ssl=True, verify_ssl=True).ping()


def test_python_influxdb_client(secure):
    with InfluxDBClient2(url=secure.url, token="", org="-", ssl_ca_cert=str(secure.certificate)) as client:
        client.write_api(write_options=SYNCHRONOUS).write("db", "-", "v2 v=1 1")
        assert client.version() == "1.8.10"
    with InfluxDBClient2(url=secure.url, token="", org="-") as client:
        assert client.ping() is False
    assert secure.rows("SELECT v FROM v2", epoch="ns") == [[1, 1]]


def test_grafana(secure):
    source = DataSource(secure.url, "db", 0, 1000)
    trust(source.session, secure.certificate)
    assert "m" in source.frames("SHOW measurements")[0]["values"]


def test_node_clients(secure):
    environment = {"NODE_EXTRA_CA_CERTS": str(secure.certificate)}
    run_node_tests("influxdb-client.test.js", secure.url, "1.8.10", environment)
