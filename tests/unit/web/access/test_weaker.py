import contextlib
from pathlib import Path

import pytest

from exporter.config.settings import SettingsError
from exporter.web.access.config import WebConfig, load
from exporter.web.access.weaker import lost, may_be_half

_HASH, _OTHER = ("$2b$04$" + letter * 53 for letter in "xy")
_FULL = f"""\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example, other.example]
  min_version: TLS13
  max_version: TLS13
  cipher_suites:
  - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
  - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
http_server_config:
  headers:
    Strict-Transport-Security: max-age=31536000
    Content-Security-Policy: default-src 'none'
basic_auth_users:
  alice: {_HASH}
  bob: {_HASH}
rate_limit:
  interval: 100ms
  burst: 20
"""
_AUTH = "RequireAndVerifyClientCert"
_SANS = "  client_allowed_sans: [prometheus.example, other.example]\n"
_CLIENTS = ("client_auth_type", "client_ca", "client_allowed_sans")
_HEADERS = ["headers: strict-transport-security", "headers: content-security-policy"]


def _load(directory: Path, text: str) -> WebConfig:
    file = directory / "web.yml"
    file.write_text(text)
    return load(str(file))


@pytest.mark.parametrize(
    ("changed", "to", "missing"),
    [
        (_FULL[: _FULL.index("rate")], "", ["basic_auth_users", "tls_server_config", *_HEADERS]),
        (_FULL[_FULL.index("basic_auth") :], "", ["basic_auth_users", "rate_limit"]),
        (_FULL[_FULL.index("http_server") : _FULL.index("basic_auth")], "", _HEADERS),
        (f"  alice: {_HASH}\n  bob: {_HASH}\n", "", ["basic_auth_users"]),
        (_SANS, "  client_allowed_sans:\n", ["client_allowed_sans"]),
        (f"{_AUTH}\n  client_ca_file: ca.crt\n{_SANS}", "VerifyClientCertIfGiven\n", [*_CLIENTS]),
        ("  client_ca_file: ca.crt\n", "", ["client_ca"]),
        ("client_ca_file: ca.crt", "client_ca_file: ca", ["client_ca_file"]),
        (_SANS, "", ["client_allowed_sans"]),
        ("prometheus.example", "prometheus.ex", ["client_allowed_sans"]),
        ("  min_version: TLS13\n", "", ["min_version"]),
        ("min_version: TLS13\n  max_version: TLS13", "max_version: TLS12", ["min_version", "max_version"]),
        ("max-age=31536000", "max-age=3", ["headers: strict-transport-security"]),
        ("interval: 100ms", "interval: 100", ["rate_limit"]),
        ("  interval: 100ms\n", "", ["rate_limit"]),
        ("burst: 20", "burst: 200", ["rate_limit"]),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", ["cipher_suites"]),
    ],
)
def test_what_protects_less_is_named(tmp_path: Path, changed: str, to: str, missing: list[str]) -> None:
    assert changed in _FULL
    assert lost(_load(tmp_path, _FULL), _load(tmp_path, _FULL.replace(changed, to))) == missing


@pytest.mark.parametrize(
    ("changed", "to"),
    [
        ("", ""),
        (f"  bob: {_HASH}", f"  bob: {_OTHER}"),
        (f"  bob: {_HASH}", f"  bob: {_HASH}\n  carol: {_HASH}"),
        (f"  bob: {_HASH}", f"  carol: {_OTHER}"),
        ("server.crt", "renewed.crt"),
        ("client_ca_file: ca.crt", "client_ca_file: renewed.crt"),
        ("interval: 100ms", "interval: 1s"),
        ("max-age=31536000", "max-age=63072000"),
    ],
)
def test_what_is_renewed_or_stricter_comes_into_force(tmp_path: Path, changed: str, to: str) -> None:
    old = _load(tmp_path, _FULL)
    new = _load(tmp_path, _FULL.replace(changed, to, 1))
    assert (lost(old, new), may_be_half(old, new)) == ([], False)


def test_no_beginning_of_a_file_comes_into_force(tmp_path: Path) -> None:
    """Whatever is cut off: it is no valid file, or it is seen to be less, or nothing is missing but white space."""
    old = _load(tmp_path, _FULL)
    for length in range(0, len(_FULL), 5):
        with contextlib.suppress(SettingsError):
            new = _load(tmp_path, _FULL[:length])
            assert new == old or lost(old, new) or may_be_half(old, new), _FULL[:length]


def test_where_nothing_protects_nothing_can_be_lost(tmp_path: Path) -> None:
    assert lost(WebConfig(), _load(tmp_path, _FULL)) == lost(WebConfig(), WebConfig()) == []
