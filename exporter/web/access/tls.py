"""A TLS context for a server, made from a web configuration."""

import contextlib
import os
import ssl
import warnings
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from exporter.config.settings import SettingsError
from exporter.web.access.config import CIPHERS, CURVES, TlsConfig

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_OTHER = "the key is that of another certificate"
#: By the reason that OpenSSL gives. The last two are those of a key of another kind, such as EC with RSA.
_KEY_ERRORS = {"KEY_VALUES_MISMATCH": _OTHER, "NO_CERTIFICATE_ASSIGNED": _OTHER, "KEY_TYPE_MISMATCH": _OTHER}
_CLIENT_CA = ("client_ca_file", "client_ca")


def make_context(config: TlsConfig, file: str) -> ssl.SSLContext:
    """Make the context. Raises SettingsError; its message names `file`, the web configuration, and the line."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        _certificate(context, config)
        _protocol(context, config)
        _clients(context, config)
    except _BadError as error:
        line = config.line(*error.names)
        place = f"{file}:{line}" if line else file
        raise SettingsError(f"{place}: tls_server_config: {error}") from None
    return context


class _BadError(Exception):
    """A value or a file of the configuration cannot be used. `names`: the fields that it comes from."""

    def __init__(self, text: str, *names: str) -> None:
        super().__init__(text)
        self.names = names


def _certificate(context: ssl.SSLContext, config: TlsConfig) -> None:
    with _file(config.cert, config.cert_file, "cert") as cert, _file(config.key, config.key_file, "key") as key:
        try:
            # Without a password callback, OpenSSL asks for the password of an encrypted key on the terminal.
            context.load_cert_chain(cert, key, password=lambda: "")
        except (ssl.SSLError, ValueError, OSError) as error:
            reason = str(getattr(error, "reason", None) or "no PEM")
            why = _KEY_ERRORS.get(reason, f"not a PEM certificate and its unencrypted private key ({reason})")
            raise _BadError(f"certificate and key cannot be used: {why}", "key_file", "key") from None


def _protocol(context: ssl.SSLContext, config: TlsConfig) -> None:
    old = config.min_version in {"TLS10", "TLS11"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # an old version is allowed on purpose
        context.maximum_version = _VERSIONS[config.max_version]
        context.minimum_version = _VERSIONS[config.min_version]
    ciphers = [CIPHERS[one] for one in config.ciphers if CIPHERS[one]]
    if config.ciphers and not ciphers:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if ciphers or old:
        # OpenSSL 3 allows TLS 1.0 and 1.1 at security level 0 only.
        context.set_ciphers(":".join(ciphers or ["DEFAULT"]) + (":@SECLEVEL=0" if old else ""))
    if not config.prefer_server:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if config.curve:
        try:
            context.set_ecdh_curve(CURVES[config.curve])
        except (ValueError, ssl.SSLError):
            raise _BadError(
                "curve_preferences: this Python's ssl cannot be given that curve; name CurveP256, or leave the key out",
                "curve_preferences",
            ) from None


def _clients(context: ssl.SSLContext, config: TlsConfig) -> None:
    if config.client_auth == "NoClientCert":
        return
    required = config.client_auth == "RequireAndVerifyClientCert"
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    if config.client_ca or config.client_ca_file:
        _trust(context, config)
    else:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # as in Go: a listed intermediate is trusted


def _trust(context: ssl.SSLContext, config: TlsConfig) -> None:
    with _file(config.client_ca, config.client_ca_file, "client_ca") as file:
        try:
            context.load_verify_locations(file)
        except (ssl.SSLError, ValueError, OSError):
            raise _BadError("client_ca has no certificate that could be read", *_CLIENT_CA) from None
    if not context.cert_store_stats()["x509"]:
        raise _BadError("client_ca has no certificate", *_CLIENT_CA)


@contextlib.contextmanager
def _file(text: str, path: str, name: str) -> Iterator[str]:
    """The path of a PEM file: the configured file, or a file in memory with the configured text."""
    if path:
        try:
            with open(path, "rb"):
                pass
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise _BadError(f"failed to read {name}_file ({path}): {str(reason).lower()}", f"{name}_file") from None
        yield path
        return
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def admitted(config: TlsConfig, certificate: Mapping[str, Any] | None) -> bool:
    """Whether a client certificate, in the form of `getpeercert`, has one of the allowed names."""
    if config.allowed_sans is None:
        return True
    names = (certificate or {}).get("subjectAltName", ())
    return any(_name(kind, value) in config.allowed_sans for kind, value in names)


def _name(kind: str, value: str) -> str | None:
    if kind == "IP Address":
        try:
            return str(ip_address(value))
        except ValueError:
            return None
    return value if kind in {"DNS", "email", "URI"} else None
