"""Compares two web configurations: what the second would let through that the first does not.

A file that is rewritten in place is empty, or ends anywhere, for a moment; or for good, if the disk is full. Most of
what is cut off such a file leaves a file that is valid. So a file that has changed comes into force by itself only if
no protection is missing.
"""

from collections.abc import Iterator

from exporter.web.access.config import VERSIONS, TlsConfig, WebConfig

_STRICTNESS = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")


def lost(old: WebConfig, new: WebConfig) -> list[str]:
    """The protections of `old` that `new` does not have, as keys of the file. Other users or keys are no loss."""
    return list(_lost(old, new))


def _lost(old: WebConfig, new: WebConfig) -> Iterator[str]:
    if old.users and not new.users:
        yield "basic_auth_users"
    if old.tls and not new.tls:
        yield "tls_server_config"
    elif old.tls and new.tls:
        yield from _lost_of_tls(old.tls, new.tls)
    headers = dict(new.headers)
    yield from (f"headers: {name}" for name, value in old.headers if _is_cut(value, headers.get(name, "")))
    if old.interval and (not new.interval or new.interval < old.interval or new.burst > old.burst):
        yield "rate_limit"


def _lost_of_tls(old: TlsConfig, new: TlsConfig) -> Iterator[str]:
    if _STRICTNESS.index(new.client_auth) < _STRICTNESS.index(old.client_auth):
        yield "client_auth_type"
    if (old.client_ca or old.client_ca_file) and not (new.client_ca or new.client_ca_file):
        yield "client_ca"  # the authorities of the system would be trusted
    if old.allowed_sans is not None and (new.allowed_sans is None or not new.allowed_sans <= old.allowed_sans):
        yield "client_allowed_sans"
    paths = ("cert_file", "key_file", "client_ca_file")
    yield from (name for name in paths if getattr(new, name) and _is_cut(getattr(old, name), getattr(new, name)))
    yield from (
        name
        for name in ("min_version", "max_version")
        if VERSIONS.index(getattr(new, name)) < VERSIONS.index(getattr(old, name))
    )
    if old.ciphers and not (new.ciphers and {*new.ciphers} <= {*old.ciphers}):
        yield "cipher_suites"


def _is_cut(old: str, new: str) -> bool:
    """Whether a text has become the beginning of what it was."""
    return new != old and old.startswith(new)


def may_be_half(old: WebConfig, new: WebConfig) -> bool:
    """Whether something is missing and nothing is new: that may be what was meant, or the first half of a file."""
    old_tls, new_tls = old.tls or TlsConfig(), new.tls or TlsConfig()
    return (
        {name for name, _ in new.users} < {name for name, _ in old.users}
        or {*new_tls.ciphers} < {*old_tls.ciphers}
        or (new_tls.allowed_sans or frozenset()) < (old_tls.allowed_sans or frozenset())
        or new.burst < old.burst
    )
