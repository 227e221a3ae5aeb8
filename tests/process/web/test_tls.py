"""Clients of every kind against a real exporter with TLS and passwords."""

import base64
import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.support import pki
from tests.support.exporter import Exporter, exporter
from tests.support.product import Samples, needs
from tests.support.roots import graph_root

pytestmark = needs("openssl")
_DEADLINE_SECONDS = 30
_HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(5)).decode()
_TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
_RSA = "tls_server_config:\n  cert_file: rsa.crt\n  key_file: rsa.key\n"
_VERIFIED = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
Client = Callable[..., ssl.SSLContext]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
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
    plain = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    encrypted = http.client.HTTPSConnection("127.0.0.1", running.port, timeout=20, context=context)
    headers = {"authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
    with contextlib.closing(encrypted if context else plain) as connection:
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0
        return answer.status


@pytest.mark.parametrize(
    ("policy", "nothing", "known", "bad"),
    [
        ("NoClientCert", 200, 200, 200),
        ("VerifyClientCertIfGiven", 200, 200, 0),
        ("RequireAndVerifyClientCert", 0, 200, 0),
    ],
)
def test_each_policy_for_client_certificates(
    certificates: Path, policy: str, nothing: int, known: int, bad: int
) -> None:
    authority = "" if policy == "NoClientCert" else "  client_ca_file: ca.crt\n"
    with serving(certificates, f"{_TLS}  client_auth_type: {policy}\n{authority}") as running:
        assert get(running, client(certificates)) == nothing
        assert get(running, client(certificates, "client")) == known
        for one in ("other", "expired", "server-only", "self-signed"):
            assert get(running, client(certificates, one)) == bad, one


def test_a_certificate_that_is_trusted_itself_needs_no_authority(certificates: Path) -> None:
    policy = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: self-signed.crt\n"
    with serving(certificates, _TLS + policy) as running:
        assert get(running, client(certificates, "self-signed")) == 200
        assert get(running, client(certificates, "client")) == 0


def test_an_empty_list_of_allowed_names_lets_nobody_in(certificates: Path) -> None:
    text = f"{_TLS}{_VERIFIED}  client_allowed_sans: []\n"
    with serving(certificates, text) as running:
        assert get(running, client(certificates, "client")) == 0
        assert get(running, client(certificates)) == 0


@pytest.mark.parametrize(
    ("allowed", "status"),
    [("prometheus.example", 200), ('"::1"', 200), ('"spiffe://a/b"', 200), ("example", 0), ("client", 0)],
)
def test_only_allowed_names_come_in(certificates: Path, allowed: str, status: int) -> None:
    text = f"{_TLS}{_VERIFIED}  client_allowed_sans: [{allowed}]\n"
    with serving(certificates, text) as running:
        assert get(running, client(certificates, "client")) == status


def _version(low: ssl.TLSVersion, high: ssl.TLSVersion) -> Client:
    def make(certificates: Path) -> ssl.SSLContext:
        context = client(certificates)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = low, high
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        return context

    return make


def _cipher(names: str) -> Client:
    def make(certificates: Path) -> ssl.SSLContext:
        context = client(certificates)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(names)
        return context

    return make


def _curve(name: str) -> Client:
    def make(certificates: Path) -> ssl.SSLContext:
        context = client(certificates)
        context.set_ecdh_curve(name)
        return context

    return make


_V = ssl.TLSVersion
_SUITES = "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n"


@pytest.mark.parametrize(
    ("text", "clients"),
    [
        (
            _TLS,
            [
                (_version(_V.TLSv1_1, _V.TLSv1_1), 0),
                (_version(_V.TLSv1_2, _V.TLSv1_2), 200),
                (_version(_V.TLSv1_3, _V.TLSv1_3), 200),
            ],
        ),
        (
            _TLS + "  min_version: TLS13\n",
            [(_version(_V.TLSv1_2, _V.TLSv1_2), 0), (_version(_V.TLSv1_2, _V.TLSv1_3), 200)],
        ),
        (
            _TLS + "  max_version: TLS12\n",
            [(_version(_V.TLSv1_3, _V.TLSv1_3), 0), (_version(_V.TLSv1_2, _V.TLSv1_3), 200)],
        ),
        (
            _RSA + "  min_version: TLS10\n",
            [(_version(_V.TLSv1, _V.TLSv1), 200), (_version(_V.TLSv1_2, _V.TLSv1_3), 200)],
        ),
        (
            _RSA + _SUITES,
            [
                (_cipher("ECDHE-RSA-AES128-GCM-SHA256"), 200),
                (_cipher("ECDHE-RSA-AES256-SHA"), 0),
                (_version(_V.TLSv1_3, _V.TLSv1_3), 200),
            ],
        ),
        (
            _TLS + "  min_version: TLS13\n  curve_preferences: [CurveP521]\n",
            [(_curve("secp521r1"), 200), (_curve("secp384r1"), 0)],
        ),
    ],
    ids=["defaults", "only 1.3", "up to 1.2", "from 1.0", "suites", "a curve"],
)
def test_versions_suites_and_curves(certificates: Path, text: str, clients: list[tuple[Client, int]]) -> None:
    with serving(certificates, text) as running:
        assert [get(running, make(certificates)) for make, _ in clients] == [status for _, status in clients]


@pytest.mark.parametrize(("prefer", "chosen"), [("true", "AES256"), ("false", "AES128")])
def test_who_chooses_the_cipher_suite(certificates: Path, prefer: str, chosen: str) -> None:
    suites = _SUITES.replace("AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "AES_256_GCM_SHA384, X")
    suites = suites.replace("X]", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]")
    text = f"{_RSA}{suites}  max_version: TLS12\n  prefer_server_cipher_suites: {prefer}\n"
    context = _cipher("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384")(certificates)
    with (
        serving(certificates, text) as running,
        socket.create_connection(("127.0.0.1", running.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        found = wrapped.cipher()
        assert found is not None
        assert chosen in found[0]


def test_plain_http_is_told_that_this_is_tls(certificates: Path) -> None:
    with serving(certificates, _TLS) as running:
        assert get(running, None) == 400
        assert get(running, client(certificates)) == 200


def test_a_handshake_may_come_in_pieces(certificates: Path) -> None:
    with serving(certificates, _TLS) as running:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = client(certificates).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
        hello = outgoing.read()
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as whole:
            whole.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(hello), 40):
                assert get(running, client(certificates)) == 200, "one that stalls is in nobody's way"
                whole.sendall(hello[start : start + 40])
            incoming.write(whole.recv(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            assert side.version() == "TLSv1.3"
        for said in (hello[:1], hello[:4], hello[:100], b"\x16\3\1\xff\xff" + b"x" * 20_000, b"\x16\3\1\0\0"):
            with socket.create_connection(("127.0.0.1", running.port), timeout=10) as part:
                part.sendall(said)
                part.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    assert not part.recv(1 << 16).startswith(b"HTTP")
        assert get(running, client(certificates)) == 200


def test_passwords(certificates: Path) -> None:
    with serving(certificates, f"{_TLS}basic_auth_users:\n  prom: {_HASH}\n") as running:
        context = client(certificates)
        for _ in range(2):  # the second time from memory
            assert get(running, context) == 401
            assert get(running, context, user="prom:secret") == 200
            assert get(running, context, user="prom:wrong") == 401
            assert get(running, context, user="nobody:secret") == 401
            assert get(running, context, user="prom:" + "x" * 73) == 401
            assert get(running, context, user="prom:secret\0") == 401
        running.stop()
        assert running.process.stderr is not None
        log = "".join(running.lines) + running.process.stderr.read()
    assert _HASH not in log
    assert "secret" not in log
    assert "traceback" not in log.lower()


def test_headers_and_rate_limit(tmp_path: Path) -> None:
    text = "http_server_config:\n  headers:\n    X-Frame-Options: deny\nrate_limit:\n  interval: 1h\n  burst: 3\n"
    with serving(tmp_path, text) as running:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/", timeout=10) as answer:
            assert answer.headers["x-frame-options"] == "deny"
        assert [get(running, None) for _ in range(4)] == [200, 200, 429, 429]


def test_a_changed_file_is_followed_and_a_broken_one_counted(certificates: Path) -> None:
    users = "basic_auth_users:\n  prom: "
    with serving(certificates, f"{_TLS}{users}{_HASH}\n", "--web.enable-lifecycle") as running:
        context = client(certificates)
        with contextlib.closing(
            http.client.HTTPSConnection("127.0.0.1", running.port, timeout=20, context=context)
        ) as kept:

            def ask(user: str, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
                token = base64.b64encode(user.encode()).decode()
                kept.request(method, path, headers={"authorization": f"Basic {token}"})
                answer = kept.getresponse()
                return answer.status, answer.read().decode()

            assert ask("prom:secret")[0] == 200
            connection = kept.sock
            file = certificates / "web.yml"
            changed = bcrypt.hashpw(b"changed", bcrypt.gensalt(4)).decode()
            file.write_text(f"{_TLS}{users}{changed}\n")
            assert ask("prom:secret")[0] == 401
            assert ask("prom:changed")[0] == 200
            file.write_text("broken: yes\n")
            figures = Samples(ask("prom:changed")[1])
            assert figures("web_config_reloads_total", result="success") == 1
            assert figures("web_config_reloads_total", result="failure") == 1
            assert figures("web_config_stale") == 1
            assert ask("prom:changed", "/-/reload", "POST")[0] == 500
            pki.signed(certificates, "next", "DNS:localhost,IP:127.0.0.1", by="stranger")
            file.write_text(f"{_TLS.replace('server', 'next').replace('tls_next', 'tls_server')}{users}{changed}\n")
            assert ask("prom:changed", "/-/reload", "POST")[0] == 200
            assert ask("prom:changed")[0] == 200
            assert kept.sock is connection, "no connection was dropped"
            assert get(running, context, user="prom:changed") == 0, "a new connection gets the new certificate"


def test_a_mounted_secret_that_is_swapped_is_followed(certificates: Path, tmp_path: Path) -> None:
    """Kubernetes changes a mounted secret by renaming a link to its directory; certbot one file after the other."""

    def put(name: str, certificate: str, key: str) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        (directory / "tls.crt").write_bytes((certificates / f"{certificate}.crt").read_bytes())
        (directory / "tls.key").write_bytes((certificates / f"{key}.key").read_bytes())
        text = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n"
        (directory / "web.yml").write_text(text)
        return directory

    def swap(directory: Path) -> None:
        link = tmp_path / "..data_tmp"
        link.symlink_to(directory.name)
        link.rename(tmp_path / "..data")

    def served() -> bytes:
        pem = ssl.get_server_certificate(("127.0.0.1", running.port))
        return ssl.PEM_cert_to_DER_cert(pem)

    def certificate(name: str) -> bytes:
        return ssl.PEM_cert_to_DER_cert((certificates / f"{name}.crt").read_text())

    first = put("..first", "server", "server")
    swap(first)
    for name in ("web.yml", "tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    root = graph_root(tmp_path / "root").path
    with exporter(root, "--web.config.file", str(tmp_path / "web.yml")) as running:
        kept = http.client.HTTPSConnection("127.0.0.1", running.port, timeout=20, context=client(certificates))
        with contextlib.closing(kept):

            def figures() -> Samples:
                kept.request("GET", "/metrics")
                return Samples(kept.getresponse().read().decode())

            assert figures()("web_config_stale") == 0
            connection = kept.sock
            assert served() == certificate("server")
            swap(put("..second", "rsa", "rsa"))
            assert served() == certificate("rsa")
            (tmp_path / "..second" / "tls.crt").write_bytes((certificates / "server.crt").read_bytes())
            assert served() == certificate("rsa"), "it has no key yet"
            assert figures()("web_config_stale") == 1
            (tmp_path / "..second" / "tls.key").write_bytes((certificates / "server.key").read_bytes())
            assert served() == certificate("server")
            found = figures()
            assert (found("web_config_stale"), found("web_config_reloads_total", result="failure")) == (0, 1)
            assert kept.sock is connection


def test_reload_is_off_unless_asked_for_and_scans_everything(tmp_path: Path) -> None:
    def reload(running: Exporter) -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)) as connection:
            connection.request("POST", "/-/reload")
            return connection.getresponse().status

    built = graph_root(tmp_path / "root").image("app", size=7)
    with exporter(built.path) as running:
        assert reload(running) == 403
    with exporter(built.path, "--web.enable-lifecycle") as running:
        running.wait_for("image_virtual_size_bytes", 7)
        assert reload(running) == 200
        until = time.monotonic() + _DEADLINE_SECONDS
        while running.figures()("scans_total", collector="images", trigger="manual") != 1:
            assert time.monotonic() < until
            time.sleep(0.05)


@needs("prometheus")
def test_prometheus_scrapes_over_tls_with_a_password(certificates: Path, tmp_path: Path) -> None:
    text = f"{_TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
    with serving(certificates, f"{text}basic_auth_users:\n  prom: {_HASH}\n") as running:
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: docker\n  scheme: https\n"
            f"  basic_auth: {{username: prom, password: secret}}\n  tls_config:\n    ca_file: {certificates}/ca.crt\n"
            f"    cert_file: {certificates}/client.crt\n    key_file: {certificates}/client.key\n"
            f"  static_configs: [{{targets: ['localhost:{running.port}']}}]\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb"]
        prometheus = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL, env={**os.environ}
        )
        try:
            query = f"http://127.0.0.1:{port}/api/v1/query?query=up%7Bjob%3D%22docker%22%7D"
            until = time.monotonic() + 60
            answer = ""
            while '"1"]' not in answer:
                assert time.monotonic() < until, answer
                time.sleep(0.2)
                with contextlib.suppress(OSError), urllib.request.urlopen(query, timeout=5) as page:
                    answer = page.read().decode()
        finally:
            prometheus.terminate()
            prometheus.wait()


@needs("curl")
def test_curl(certificates: Path) -> None:
    with serving(certificates, f"{_TLS}basic_auth_users:\n  prom: {_HASH}\n") as running:
        command = ["curl", "-sS", "--compressed", "--cacert", str(certificates / "ca.crt"), "-u", "prom:secret"]
        done = subprocess.run(
            [*command, f"https://localhost:{running.port}/metrics"], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert Samples(done.stdout)("up") == 1
