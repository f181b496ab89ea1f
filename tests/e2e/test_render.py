"""`skywatch render` and `skywatch cert` as an operator uses them: what they write, keep, refuse and say. The rendered files are
looked at by the programs they are for."""

import re
import subprocess

import pytest
from conftest import need

SMALL = """
[cloud]
name = "small"
domain = "cloud.example"
[sites]
east = ["r1", "r2"]
[hosts]
meta1 = { address = "10.0.0.1", rack = "r1", roles = ["meta"] }
data1 = { address = "10.0.0.2", rack = "r1", roles = ["data"] }
data2 = { address = "10.0.0.3", rack = "r2", roles = ["data"] }
"""


class Place:
    """An inventory, and where it is rendered to."""

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = directory
        self.inventory = directory / "cloud.toml"
        self.out = directory / "rendered"

    def run(self, *arguments):
        return subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True, timeout=120)

    def render(self, *options, code=0):
        done = self.run("render", "--inventory", self.inventory, "--out", self.out, *options)
        assert done.returncode == code, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def cert(self, *arguments, code=0):
        done = self.run("cert", *arguments, "--inventory", self.inventory)
        assert done.returncode == code, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def change(self, old, new):
        text = self.inventory.read_text()
        assert old in text
        self.inventory.write_text(text.replace(old, new))

    def state(self):
        """Every file with its time of change and permissions."""
        files = [path for path in sorted(self.directory.rglob("*")) if path.is_file() and path.name != ".rendered"]
        return {path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in files}


@pytest.fixture
def small(skywatch_bin, tmp_path):
    place = Place(skywatch_bin, tmp_path)
    place.inventory.write_text(SMALL)
    return place


@pytest.fixture(scope="module")
def example(skywatch_bin, tmp_path_factory):
    """The documented topology, rendered once."""
    place = Place(skywatch_bin, tmp_path_factory.mktemp("example"))
    place.inventory.write_text(place.run("render", "--example").stdout)
    place.render()
    return place


def test_the_documented_topology_passes_the_programs_it_is_for(example):
    for program in ("haproxy", "keepalived", "systemd-analyze", "openssl"):
        need(program, program)
    said = example.render("--verify").stdout
    assert "refuses" not in said and "not installed" not in said, said
    counts = {program: int(count) for program, count in re.findall(r"^(\S+): (\d+) files are fine, 0 are not$", said, re.M)}
    assert counts.keys() == {"haproxy", "keepalived", "openssl", "sh", "skywatch", "systemd-analyze"}, said
    assert counts["openssl"] == 13 and counts["skywatch"] >= 5 and counts["systemd-analyze"] >= 11 and counts["sh"] >= 16


def test_services_are_confined(example):
    """By systemd's own reckoning, from 0 (nothing to reach) to 10."""
    need("systemd-analyze", "systemd")
    for host, unit, worst in (("data1", "skywatch-data", 20), ("meta1", "skywatch-meta", 20), ("kafka1", "kafka", 20)):
        path = example.out / f"hosts/{host}/etc/systemd/system/{unit}.service"
        command = ["systemd-analyze", "security", "--offline=true", f"--threshold={worst}", "--no-pager", path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout[-600:] + done.stderr
        print(done.stdout.splitlines()[-1])


def test_rendering_again_changes_nothing(small):
    first = small.render()
    assert "secrets.toml: made" in first.stderr and "made an authority" in first.stderr
    before = small.state()
    again = small.render()
    assert re.search(r": 0 created, 0 changed, \d+ unchanged$", again.stdout.strip()), again.stdout
    assert small.state() == before
    assert "0 of" in small.render("--check").stdout


def test_keys_and_secrets_are_for_their_owner_only(small):
    small.render()
    modes = {path.relative_to(small.directory).as_posix(): state[1] & 0o777 for path, state in small.state().items()}
    for path, mode in modes.items():
        text = (small.directory / path).read_text()
        if "PRIVATE KEY" in text or path == "secrets.toml" or "internal-shared-secret = " in text:
            assert mode & 0o077 == 0, f"{path}: {mode:o}"
    assert modes["rendered/hosts/data1/etc/skywatch/tls/host.key"] == 0o600
    assert (small.out.stat().st_mode & 0o777, (small.out / "hosts/data1/etc").stat().st_mode & 0o777) == (0o700, 0o755)


def test_secrets_are_made_once_and_what_is_there_is_kept(small):
    small.render()
    secrets = small.directory / "secrets.toml"
    before = secrets.read_text()
    small.change('[cloud]', '[users]\nreader = { read = ["telegraf"] }\n[cloud]')
    assert "added what was missing" in small.render().stderr
    after = secrets.read_text()
    assert set(before.splitlines()) <= set(after.splitlines()) and "reader = " in after
    assert secrets.stat().st_mode & 0o777 == 0o600
    secrets.write_text(after.replace("cluster = ", "clutser = "))
    assert "clutser" in small.render(code=1).stderr


def test_mistakes_are_told_with_line_and_key_and_nothing_is_written(small):
    small.change('meta1 = { address', 'meta1 = { adress')
    small.change('roles = ["data"] }\ndata2', 'roles = ["dato"] }\ndata2')
    said = small.render(code=1).stderr
    assert "line 8: error: hosts.meta1.adress: is no key here: did you mean `address`?" in said, said
    assert 'line 9: error: hosts.data1.roles: "dato" is no role: did you mean `data`?' in said, said
    assert [path.name for path in small.directory.iterdir()] == ["cloud.toml"]
    small.inventory.write_text("[cloud\n")
    assert "line 1: error: " in small.render(code=1).stderr
    small.inventory.unlink()
    assert "cannot read" in small.render(code=1).stderr


def test_hints_and_warnings_do_not_stand_in_the_way(small):
    small.change('roles = ["data"] }\ndata2', 'roles = ["data"], cores = 2, memory = "2g" }\ndata2')
    said = small.render().stderr
    assert "line 9: hint: hosts.data1.cores: is 2, recommended for data: 8 (measured:" in said, said
    assert "line 7: warning: hosts: have a single one of the meta nodes" in said, said


def test_what_was_changed_by_hand_stays(small):
    small.render()
    file = small.out / "hosts/data1/etc/systemd/system/skywatch-data.service"
    mine = file.read_text() + "# mine\n"
    file.write_text(mine)
    said = small.render(code=1).stdout
    assert "changed by hand, left alone  hosts/data1/etc/systemd/system/skywatch-data.service" in said, said
    assert file.read_text() == mine
    shown = small.render("--check", code=1).stdout
    assert "-# mine" in shown and "1 of" in shown, shown
    small.render("--force")
    assert "# mine" not in file.read_text()


def test_a_change_is_shown_before_it_is_made(small):
    small.render()
    small.change('rack = "r2", roles', 'rack = "r1", roles')
    small.change('"10.0.0.3"', '"10.0.0.4"')
    shown = small.render("--check", code=1).stdout
    assert "-10.0.0.3 " in shown and "+10.0.0.4 " in shown, shown
    assert "holds secrets" in shown and "internal-shared-secret" not in shown, shown
    small.change('data2 = { address = "10.0.0.4", rack = "r1", roles = ["data"] }\n', "")
    said = small.render().stdout
    assert "left over  hosts/data2/etc/skywatch/data.toml" in said, said
    small.render("--prune")
    assert not (small.out / "hosts/data2").exists() and (small.out / "hosts/data1").exists()


def openssl(*arguments):
    return subprocess.run([need("openssl", "openssl"), *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_certificates_are_what_openssl_takes(example):
    directory = example.directory / "certificates"
    names = {
        "front1": ["front1.cloud.example", "skywatch.cloud.example", "localhost"],
        "data1": ["data1.cloud.example", "data1"],
    }
    for host, own in names.items():
        for name in own:
            done = openssl("verify", "-CAfile", directory / "ca.pem", "-verify_hostname", name, directory / f"{host}.pem")
            assert done.returncode == 0, done.stderr
        for purpose in ("sslserver", "sslclient"):
            done = openssl("verify", "-CAfile", directory / "ca.pem", "-purpose", purpose, directory / f"{host}.pem")
            assert done.returncode == 0, done.stderr
    done = openssl("verify", "-CAfile", directory / "ca.pem", "-verify_ip", "10.10.0.100", directory / "front2.pem")
    assert done.returncode == 0, done.stderr
    other = openssl("verify", "-CAfile", directory / "ca.pem", "-verify_hostname", "data2.cloud.example", directory / "data1.pem")
    assert other.returncode != 0, "a host is not another one"
    text = openssl("x509", "-in", directory / "data1.pem", "-noout", "-text").stdout
    assert "prime256v1" in text and "CA:FALSE" in text, text
    text = openssl("x509", "-in", directory / "ca.pem", "-noout", "-text").stdout
    assert "CA:TRUE, pathlen:0" in text and "Certificate Sign" in text, text


def test_an_authority_is_never_overwritten_and_certificates_only_when_asked(small):
    made = small.cert().stdout
    assert "made an authority" in made and "made a certificate of data2" in made and "valid until" in made
    directory = small.directory / "certificates"
    authority, data1 = (directory / "ca.pem").read_text(), (directory / "data1.pem").read_text()
    assert "stays as it is" in small.cert("authority").stdout
    assert "nothing to do" in small.cert("issue", "data1").stdout and "nothing to do" in small.cert("renew").stdout
    assert (directory / "data1.pem").read_text() == data1
    assert small.cert("renew", "data1").stdout == "made a certificate of data1\n"
    assert (directory / "data1.pem").read_text() != data1 and (directory / "ca.pem").read_text() == authority
    assert '"data7" is no host' in small.cert("renew", "data7", code=1).stderr
    small.render()
    assert "made a certificate of data1" in small.cert("renew", "--within", "3000").stdout
    assert "would change  hosts/data1/etc/skywatch/tls/host.pem" in small.render("--check", code=1).stdout
    (directory / "data1.key").unlink()
    shown = small.cert("show", code=1).stdout
    assert "data1.pem: is missing" in shown, shown
    (directory / "ca.key").rename(directory / "away")
    assert "ca.key is missing" in small.cert("issue", code=1).stderr


def test_certificates_of_others_are_used_as_they_are(small, tmp_path):
    small.cert()
    small.inventory.write_text(SMALL + '[certificates]\ngiven = true\n')
    before = {path.name: path.read_text() for path in (small.directory / "certificates").iterdir()}
    small.render()
    assert {path.name: path.read_text() for path in (small.directory / "certificates").iterdir()} == before
    assert "given is true" in small.cert("renew", code=1).stderr
    small.change('"10.0.0.2"', '"10.0.0.9"')
    said = small.render(code=1).stderr
    assert "data1.pem: is not for 10.0.0.9; it was made elsewhere" in said, said
