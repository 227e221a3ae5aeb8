"""Clients of every kind against a real exporter with TLS and passwords."""

import contextlib
import socket
import ssl
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.product import needs
from tests.support.tls import HASH, TLS, client, get, serving
from tests.support.waiting import DEADLINE

pytestmark = needs("openssl")
_RSA = "tls_server_config:\n  cert_file: rsa.crt\n  key_file: rsa.key\n"
_VERIFIED = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
Client = Callable[..., ssl.SSLContext]


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
    with serving(certificates, f"{TLS}  client_auth_type: {policy}\n{authority}") as running:
        assert get(running, client(certificates)) == nothing
        assert get(running, client(certificates, "client")) == known
        for one in ("other", "expired", "server-only", "self-signed"):
            assert get(running, client(certificates, one)) == bad, one


def test_who_is_refused_is_told_the_reason_also_after_sending_a_request(certificates: Path) -> None:
    """In TLS 1.3 a client may send before the server has its certificate: the alert has to come in all the same."""
    context = client(certificates)
    with serving(certificates, TLS + _VERIFIED) as running:
        for _ in range(50):
            connected = socket.create_connection(("127.0.0.1", running.port), DEADLINE)
            with context.wrap_socket(connected, server_hostname="localhost") as one:
                one.sendall(b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"x" * 8000 + b"\r\n\r\n")
                with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                    one.recv(1)


def test_a_certificate_that_is_trusted_itself_needs_no_authority(certificates: Path) -> None:
    policy = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: self-signed.crt\n"
    with serving(certificates, TLS + policy) as running:
        assert get(running, client(certificates, "self-signed")) == 200
        assert get(running, client(certificates, "client")) == 0


def test_an_empty_list_of_allowed_names_lets_nobody_in(certificates: Path) -> None:
    text = f"{TLS}{_VERIFIED}  client_allowed_sans: []\n"
    with serving(certificates, text) as running:
        assert get(running, client(certificates, "client")) == 0
        assert get(running, client(certificates)) == 0


@pytest.mark.parametrize(
    ("allowed", "status"),
    [("prometheus.example", 200), ('"::1"', 200), ('"spiffe://a/b"', 200), ("example", 0), ("client", 0)],
)
def test_only_allowed_names_come_in(certificates: Path, allowed: str, status: int) -> None:
    text = f"{TLS}{_VERIFIED}  client_allowed_sans: [{allowed}]\n"
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
            TLS,
            [
                (_version(_V.TLSv1_1, _V.TLSv1_1), 0),
                (_version(_V.TLSv1_2, _V.TLSv1_2), 200),
                (_version(_V.TLSv1_3, _V.TLSv1_3), 200),
            ],
        ),
        (
            TLS + "  min_version: TLS13\n",
            [(_version(_V.TLSv1_2, _V.TLSv1_2), 0), (_version(_V.TLSv1_2, _V.TLSv1_3), 200)],
        ),
        (
            TLS + "  max_version: TLS12\n",
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
            TLS + "  min_version: TLS13\n  curve_preferences: [CurveP521]\n",
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
    with serving(certificates, TLS) as running:
        assert get(running, None) == 400
        assert get(running, client(certificates)) == 200


def test_a_handshake_may_come_in_pieces(certificates: Path) -> None:
    with serving(certificates, TLS) as running:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = client(certificates).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
        hello = outgoing.read()
        with socket.create_connection(("127.0.0.1", running.port), timeout=DEADLINE) as whole:
            whole.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(hello), 200):
                assert get(running, client(certificates)) == 200, "one that stalls is in nobody's way"
                whole.sendall(hello[start : start + 200])
            incoming.write(whole.recv(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            assert side.version() == "TLSv1.3"
        for said in (hello[:1], hello[:4], hello[:100], b"\x16\3\1\xff\xff" + b"x" * 20_000, b"\x16\3\1\0\0"):
            with socket.create_connection(("127.0.0.1", running.port), timeout=DEADLINE) as part:
                part.sendall(said)
                with contextlib.suppress(OSError):  # it may be refused at once
                    part.shutdown(socket.SHUT_WR)
                    assert not part.recv(1 << 16).startswith(b"HTTP")
        assert get(running, client(certificates)) == 200


def test_passwords(certificates: Path) -> None:
    with serving(certificates, f"{TLS}basic_auth_users:\n  prom: {HASH}\n") as running:
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
    assert HASH not in log
    assert "secret" not in log
    assert "traceback" not in log.lower()


def test_headers_and_rate_limit(tmp_path: Path) -> None:
    text = "http_server_config:\n  headers:\n    X-Frame-Options: deny\nrate_limit:\n  interval: 1h\n  burst: 3\n"
    with serving(tmp_path, text) as running:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/", timeout=DEADLINE) as answer:
            assert answer.headers["x-frame-options"] == "deny"
        assert [get(running, None) for _ in range(4)] == [200, 200, 429, 429]
