"""A Unix socket of a real server made reachable over TCP and TLS, for tests of clients that come over a network."""

import socket
import ssl
import subprocess
import threading

from conftest import need


class Forwarder:
    """Listens on a port of loopback until closed; `greeting` is sent first, after TLS. It can fall silent."""

    def __init__(self, path, tls=None, greeting=b""):
        self.path = path
        self.tls = tls
        self.greeting = greeting
        self.flows = threading.Event()
        self.flows.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            client.sendall(self.greeting)
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self.path))
        except OSError:
            client.close()
            return
        threading.Thread(target=self.copy, args=(client, server), daemon=True).start()
        self.copy(server, client)

    def copy(self, source, target):
        try:
            while data := source.recv(65536):
                self.flows.wait()
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            end.close()

    def close(self):
        self.listener.close()
        self.flows.set()


def certificates(directory):
    """Makes an authority (`cacert.pem`), a server for localhost and a client (`clientcert.pem`, `clientkey.pem`).

    The names are those that libvirt expects. Returns the server's side, which wants a client of that authority.
    """
    openssl = need("openssl", "openssl")
    for name, usage in (("ca", None), ("server", "serverAuth"), ("client", "clientAuth")):
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-subj", f"/CN={name}", "-days", "2"]
        if usage is None:
            command += ["-addext", "keyUsage=critical,keyCertSign"]
        else:
            command += ["-CA", directory / "cacert.pem", "-CAkey", directory / "cakey.pem"]
            command += ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"extendedKeyUsage={usage}"]
            command += ["-addext", "keyUsage=digitalSignature", "-addext", "subjectAltName=DNS:localhost"]
        command += ["-keyout", directory / f"{name}key.pem", "-out", directory / f"{name}cert.pem"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # libvirt's client takes a ticket, which libvirtd never sends, for the word it waits for.
    context.num_tickets = 0
    context.load_cert_chain(directory / "servercert.pem", directory / "serverkey.pem")
    context.load_verify_locations(directory / "cacert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context
