"""Asks a server by HTTP: an exporter for its snapshot, a Prometheus for its series. Bounded in time and size."""

import contextlib
import http.client
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import click
from msgspec import Struct

from exporter.core.log import printable

_TIMEOUT_SECONDS = 30
#: An answer that comes in small pieces takes no longer than this, in all.
_LONGEST_SECONDS = 600
#: A document of 100,000 objects has a tenth of this size.
LARGEST_BYTES = 512 * 1024 * 1024
_CHUNK_BYTES = 1 << 16
_ERROR_BYTES = 4096
_NOT_FOUND = 404


class Remote(Struct, frozen=True):
    """A running exporter and the credentials for it. `url` is its address, with or without a path.

    It may be another server: `what`. `option` has its address, and the names of the other flags begin with `flags`.
    """

    url: str
    user: str = ""
    password: str = ""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    option: str = "--from"
    flags: str = "--from"
    what: str = "an exporter"


class Got(NamedTuple):
    """What was sent, from which address."""

    address: str
    body: bytes


def get(remote: Remote, at: str, query: Mapping[str, str] | None = None) -> Got:
    """Ask for a path, below that of the remote's address. Raises click.ClickException with the reason and advice."""
    parts = _split(remote)
    netloc, path = parts.netloc.rpartition("@")[2], parts.path.rstrip("/").removesuffix(at) + at
    address = urllib.parse.urlunsplit((parts.scheme, netloc, path, "", ""))
    asked = f"{address}?{urllib.parse.urlencode(query)}" if query else address
    request = urllib.request.Request(asked, headers={"accept-encoding": "gzip"})  # noqa: S310 - checked above
    user, password = remote.user or parts.username or "", remote.password or parts.password or ""
    if user:
        request.add_header(
            "authorization", "Basic " + b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()
        )
    context = _context(remote) if parts.scheme == "https" else None
    try:
        return Got(address, b"".join(_receive(request, context)))
    except urllib.error.HTTPError as error:
        advice = "" if remote.flags != "--from" and error.code == _NOT_FOUND else _STATUS_ADVICE.get(error.code, "")
        told = _told(error)
        error.close()
        said = f"{address} answers {error.code} {error.reason}{advice}{told}"
    except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        said = f"{address} cannot be read: {_said(reason, encrypted=context is not None)}"
    raise click.ClickException(printable(said.replace("--from.", f"{remote.flags}.")))


def _told(error: urllib.error.HTTPError) -> str:
    """What a Prometheus says of an error (its HTTP API: the field `error`); "" for nothing."""
    try:
        told = json.loads(error.read(_ERROR_BYTES))["error"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f": {told}" if isinstance(told, str) else ""


_STATUS_ADVICE = {
    400: ": does it speak https?",
    401: ": give --from.user and --from.password-file, or others",
    404: ": is it an older exporter, or none?",
}
#: Advice by the reason that OpenSSL gives.
_TLS_ADVICE = {
    "CERTIFICATE_VERIFY_FAILED": "is it signed by --from.ca-file, for this name?",
    "WRONG_VERSION_NUMBER": "does it speak http?",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a client certificate: --from.cert-file",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it may want a client certificate: --from.cert-file",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know who signed --from.cert-file",
}
#: The errors of strict verification, X509_V_ERR_* (openssl/x509_vfy.h of OpenSSL 3).
_STRICT = range(79, 95)
_STRICT_ADVICE = "name the authority's file with --from.ca-file: an authority that is named is not verified strictly"
_REFUSED = "it may want another client certificate: --from.cert-file"


def _split(remote: Remote) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(remote.url if "://" in remote.url else f"http://{remote.url}")
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # an invalid port or IPv6 address
        pass
    raise click.ClickException(f"{remote.option} must be the http or https address of {remote.what}")


def _said(reason: object, *, encrypted: bool) -> str:
    """An error in one line, with advice."""
    if isinstance(reason, ssl.SSLError) and not isinstance(reason, ssl.SSLEOFError):
        why = getattr(reason, "verify_message", "") or (reason.reason or "").replace("_", " ").lower()
        advice = _TLS_ADVICE.get(reason.reason or "", "")
        if getattr(reason, "verify_code", 0) in _STRICT:
            advice = _STRICT_ADVICE
        return f"TLS: {why or reason}{f'; {advice}' if advice else ''}"
    said = str(reason) or type(reason).__name__
    # In TLS 1.3 the client may send its request before the server has verified its certificate. If the server then
    # refuses it, the connection ends while the client writes or reads.
    ended = isinstance(reason, (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError))
    return f"{said}; {_REFUSED}" if encrypted and ended else said


def _receive(request: urllib.request.Request, context: ssl.SSLContext | None) -> Iterator[bytes]:
    """Yield the body of the response, decompressed; raises ValueError if it is too large or incomplete."""
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirect())
    with contextlib.closing(opener.open(request, timeout=_TIMEOUT_SECONDS)) as answer:
        packed = answer.headers.get("content-encoding") == "gzip"
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        total, until = 0, time.monotonic() + _LONGEST_SECONDS
        while chunk := answer.read1(_CHUNK_BYTES):
            piece = unpacker.decompress(chunk, LARGEST_BYTES) if packed else chunk
            total += len(piece)
            if total > LARGEST_BYTES or unpacker.unconsumed_tail:
                raise ValueError("the answer is too large")
            if time.monotonic() > until:
                raise TimeoutError(f"the answer takes longer than {_LONGEST_SECONDS} s")
            yield piece
        if packed and not unpacker.eof:
            raise ValueError("the answer is cut off")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the password must not be sent to another server."""

    def redirect_request(self, *_: object) -> None:
        """Return None: the redirection is then raised as an HTTPError."""


def _context(remote: Remote) -> ssl.SSLContext:
    """Make the TLS context; raises click.ClickException with the file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=remote.ca_file)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{remote.flags}.ca-file {remote.ca_file}: {_useless(error)}") from None
    if remote.ca_file:
        # A named authority is trusted as curl and Prometheus trust it. Python 3.13 by default refuses one without the
        # extensions that RFC 5280 requires (keyUsage) and trusts a listed intermediate; older ones do neither.
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        if remote.cert_file:
            context.load_cert_chain(remote.cert_file, remote.key_file)
    except (OSError, ValueError) as error:
        files = " and ".join(one for one in (remote.cert_file, remote.key_file) if one)
        raise click.ClickException(f"{remote.flags}.cert-file {files}: {_useless(error)}") from None
    return context


def _useless(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "no PEM certificate with its key" if error.reason is None else error.reason.replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)
