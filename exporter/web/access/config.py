"""The web configuration file, in the format of the exporter-toolkit, which Prometheus exporters share.

Source: prometheus/exporter-toolkit, docs/web-configuration.md and web/tls_config.go.
"""

import os
import re
from typing import Any, Literal

from msgspec import Struct

from exporter.config.yaml_reader import YamlEntry, read

ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]
_CLIENT_AUTH: dict[str, ClientAuth] = {
    "": "NoClientCert",
    "NoClientCert": "NoClientCert",
    "VerifyClientCertIfGiven": "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert": "RequireAndVerifyClientCert",
}
#: exporter-toolkit accepts these, Python's ssl cannot. The last is the old name of RequireAnyClientCert.
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
#: Names of curves: Go's and OpenSSL's.
CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
#: Names of cipher suites: Go's and OpenSSL's. Those of TLS 1.3 cannot be chosen and have "".
CIPHERS = {
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
_HTTP2_CIPHERS = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}
_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
_BCRYPT = re.compile(r"\$2[abxy]?\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
#: The largest values of Go's int64 and time.Duration.
_MOST = 2**63 - 1
_LONGEST_SECONDS = _MOST / 1e9
_Fields = dict[str, Any]


class TlsConfig(Struct, frozen=True):
    """tls_server_config: PEM texts or absolute paths of PEM files, and what to accept from clients.

    If both a file and a text are given, the file is used. `allowed_sans`: None allows every client certificate, an
    empty set allows none. `curve` is one of `CURVES`, or "" for OpenSSL's default. `lines`: the line of each field.
    """

    cert: str = ""
    key: str = ""
    client_ca: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth: ClientAuth = "NoClientCert"
    allowed_sans: frozenset[str] | None = None
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    ciphers: tuple[str, ...] = ()
    curve: str = ""
    prefer_server: bool = True
    lines: tuple[tuple[str, int], ...] = ()

    __repr__ = object.__repr__  # no key gets into a log line or a traceback

    def line(self, *names: str) -> int | None:
        """The line of the first of these fields that is set."""
        known = dict(self.lines)
        return next((known[one] for one in names if one in known), None)


class WebConfig(Struct, frozen=True):
    """A web configuration. `users`: names with bcrypt hashes.

    `interval`: seconds between two tokens of the rate limit, 0 without a limit. `burst`: the most tokens kept.
    """

    tls: TlsConfig | None = None
    users: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    interval: float = 0.0
    burst: int = 0

    __repr__ = object.__repr__  # nor does a hash of a password

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        tls = self.tls or TlsConfig()
        return tuple(one for one in (tls.cert_file, tls.key_file, tls.client_ca_file) if one)


def load(file: str) -> WebConfig:
    """Read a web configuration file; raises SettingsError. The files it names are not read."""
    top = read(file)
    directory = os.path.dirname(os.path.abspath(file))
    sections: _Fields = top.known(
        tls_server_config=lambda entry: (entry, _tls_fields(entry, directory)),
        http_server_config=lambda entry: entry.known(http2=YamlEntry.boolean, headers=_headers),
        basic_auth_users=_users,
        rate_limit=lambda entry: entry.known(interval=_duration, burst=_burst),
    )
    http: _Fields = sections.get("http_server_config", {})
    limit: _Fields = sections.get("rate_limit", {})
    tls = None
    if "tls_server_config" in sections:
        entry, fields = sections["tls_server_config"]
        tls = _tls(entry, fields, http2=http.get("http2", True))
    return WebConfig(
        tls=tls,
        users=sections.get("basic_auth_users", ()),
        headers=http.get("headers", ()),
        interval=limit.get("interval", 0.0),
        burst=limit.get("burst", 0),
    )


def _tls_fields(entry: YamlEntry, directory: str) -> _Fields:
    lines: dict[str, int] = {}

    def text(one: YamlEntry) -> str:
        lines[one.name] = one.line
        return one.text()

    def path(one: YamlEntry) -> str:
        return os.path.join(directory, text(one)) if one.text() else ""

    fields: _Fields = entry.known(
        cert=text,
        key=text,
        client_ca=text,
        cert_file=path,
        key_file=path,
        client_ca_file=path,
        client_auth_type=_client_auth,
        client_allowed_sans=lambda one: frozenset(one.texts()),
        min_version=_version,
        max_version=_version,
        cipher_suites=lambda one: _listed(one, CIPHERS, "cipher"),
        curve_preferences=lambda one: _curve(one, lines),
        prefer_server_cipher_suites=YamlEntry.boolean,
    )
    fields["lines"] = lines
    return fields


def _tls(entry: YamlEntry, fields: _Fields, *, http2: bool) -> TlsConfig | None:
    """Make the TLS settings, and check that the fields agree. None if no TLS is configured."""
    used = ("cert", "key", "client_ca", "cert_file", "key_file", "client_ca_file", "client_auth_type")
    if not any(fields.get(one) for one in used):
        return None
    for one in ("cert", "key"):
        if not fields.get(one) and not fields.get(one + "_file"):
            raise entry.error(f"missing one of {one} or {one}_file")
    auth = fields.pop("client_auth_type", "NoClientCert")
    if auth == "NoClientCert" and (fields.get("client_ca") or fields.get("client_ca_file")):
        raise entry.error("client CA's have been configured without a Client Auth Policy (client_auth_type)")
    sans = fields.pop("client_allowed_sans", None)
    if sans is not None and auth != "RequireAndVerifyClientCert":
        raise entry.error("client_allowed_sans needs client_auth_type RequireAndVerifyClientCert")
    ciphers = fields.pop("cipher_suites", ())
    tls = TlsConfig(
        client_auth=auth,
        allowed_sans=sans,
        ciphers=ciphers,
        curve=fields.pop("curve_preferences", ""),
        prefer_server=fields.pop("prefer_server_cipher_suites", True),
        lines=tuple(fields.pop("lines").items()),
        **fields,
    )
    if VERSIONS.index(tls.min_version) > VERSIONS.index(tls.max_version):
        raise entry.error(f"min_version {tls.min_version} is above max_version {tls.max_version}")
    _check_ciphers(entry, tls, http2=http2)
    return tls


def _check_ciphers(entry: YamlEntry, tls: TlsConfig, *, http2: bool) -> None:
    if tls.ciphers and tls.min_version != "TLS13" and http2 and not _HTTP2_CIPHERS & set(tls.ciphers):
        raise entry.error(
            "cipher_suites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher "
            f"(at least one of {', '.join(sorted(_HTTP2_CIPHERS))}); or set http_server_config: http2: false"
        )
    if tls.ciphers and tls.max_version != "TLS13" and not any(CIPHERS[one] for one in tls.ciphers):
        raise entry.error(f"cipher_suites has no cipher suite for {tls.max_version}")


def _client_auth(entry: YamlEntry) -> ClientAuth:
    if entry.text() in _UNVERIFIED:
        raise entry.error(
            f"client_auth_type {entry.text()}: Python's ssl cannot accept a certificate without verifying it; "
            "use VerifyClientCertIfGiven or RequireAndVerifyClientCert, with client_ca_file"
        )
    if entry.text() not in _CLIENT_AUTH:
        raise entry.error(f"invalid ClientAuth; expected one of {', '.join(filter(None, _CLIENT_AUTH))}")
    return _CLIENT_AUTH[entry.text()]


def _version(entry: YamlEntry) -> str:
    if entry.text() not in VERSIONS:
        raise entry.error(f"{entry.name}: unknown TLS version; expected one of {', '.join(VERSIONS)}")
    return entry.text()


def _curve(entry: YamlEntry, lines: dict[str, int]) -> str:
    lines[entry.name] = entry.line
    curves = _listed(entry, CURVES, "curve")
    if len(curves) > 1:
        raise entry.error(
            f"{entry.name}: Python's ssl can be given one curve only; name one, "
            "or leave the key out for OpenSSL's own choice"
        )
    return curves[0] if curves else ""


def _listed(entry: YamlEntry, names: dict[str, str], what: str) -> tuple[str, ...]:
    for one in entry.sequence():
        if one.text() not in names:
            raise one.error(f"{entry.name}: unknown {what} {one.text()!r}; known are {', '.join(names)}")
    return entry.texts()


def _users(entry: YamlEntry) -> tuple[tuple[str, str], ...]:
    users = []
    for name, one in entry.mapping():
        if one.empty or not _BCRYPT.fullmatch(one.text()):
            raise one.error(f"basic_auth_users: {name}: not a bcrypt hash ($2y$10$... of 60 characters)")
        users.append((name, one.text()))
    return tuple(users)


def _headers(entry: YamlEntry) -> tuple[tuple[str, str], ...]:
    headers = []
    for name, one in entry.mapping():
        if name not in _HEADERS:
            raise one.error(f"HTTP header {name!r} can not be configured; can be: {', '.join(_HEADERS)}")
        value = "" if one.empty else one.text()
        if _HEADERS[name] and value not in _HEADERS[name]:
            raise one.error(f"invalid value for {name}; expected one of {', '.join(_HEADERS[name])}")
        if not value.isascii() or not (value.isprintable() and value == value.strip()):
            raise one.error(f"invalid value for {name}: only printable ASCII on one line can be sent")
        if value:
            headers.append((name.lower(), value))
    return tuple(headers)


def _duration(entry: YamlEntry) -> float:
    """A duration as Go writes it, in seconds; a bare number is nanoseconds, as in Go."""
    if entry.is_number:
        seconds = min(entry.integer(), 2**64) / 1e9
    else:
        text = entry.text()
        parts = _DURATION.findall(text)
        if text != "0" and (not parts or "".join(parts) != text):
            raise entry.error(f"{entry.name}: not a duration such as 1s or 100ms")
        units = [re.sub("[0-9.]", "", part) for part in parts]
        seconds = sum(float(part.removesuffix(unit)) * _UNITS[unit] for part, unit in zip(parts, units, strict=True))
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise entry.error(f"{entry.name}: must not be negative, nor longer than 292 years")
    return seconds


def _burst(entry: YamlEntry) -> int:
    if not 0 <= entry.integer() <= _MOST:
        raise entry.error(f"{entry.name}: must not be negative, nor above {_MOST}")
    return entry.integer()
