"""A real exporter with TLS and passwords, and clients of it."""

import base64
import contextlib
import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path

import bcrypt

from tests.support import pki
from tests.support.exporter import Exporter, exporter
from tests.support.roots import graph_root
from tests.support.waiting import DEADLINE

#: The hash of "secret".
HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(5)).decode()
TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"


def make_certificates(directory: Path) -> Path:
    """Make authorities, and certificates of servers and clients, good and bad ones."""
    pki.authority(directory)
    pki.authority(directory, "stranger")
    pki.signed(directory, "server", "DNS:localhost,IP:127.0.0.1")
    pki.signed(directory, "rsa", "DNS:localhost,IP:127.0.0.1", rsa=True)
    pki.signed(directory, "client", "DNS:prometheus.example,IP:0:0:0:0:0:0:0:1,URI:spiffe://a/b")
    pki.signed(directory, "other", "DNS:other.example", by="stranger")
    pki.signed(directory, "expired", "DNS:prometheus.example", expired=True)
    pki.signed(directory, "server-only", "DNS:prometheus.example", use="serverAuth")
    pki.authority(directory, "self-signed", usage="")
    return directory


@contextlib.contextmanager
def serving(certificates: Path, text: str, *flags: str) -> Iterator[Exporter]:
    file = certificates / "web.yml"
    file.write_text(text)
    root = graph_root(certificates / "root")
    with exporter(root.path, "--web.config.file", str(file), *flags) as running:
        yield running


def client(certificates: Path, certificate: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    if certificate:
        context.load_cert_chain(certificates / f"{certificate}.crt", certificates / f"{certificate}.key")
    return context


def get(running: Exporter, context: ssl.SSLContext | None, path: str = "/-/healthy", user: str = "") -> int:
    """The status of an answer; 0 where TLS or the connection fails."""
    plain = http.client.HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE)
    encrypted = http.client.HTTPSConnection("127.0.0.1", running.port, timeout=DEADLINE, context=context)
    headers = {"authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
    with contextlib.closing(encrypted if context else plain) as connection:
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0
        return answer.status
