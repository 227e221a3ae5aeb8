"""Gets a `Document`: by a scan of the disk, or from a running exporter."""

import contextlib
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import click
import msgspec

from exporter.cli.commands.stranger import StrangeError, checked
from exporter.config.settings import Config
from exporter.core.log import printable
from exporter.core.model import Progress, Snapshot
from exporter.expose.snapshot_api import rows
from exporter.expose.snapshot_api.encode import describe
from exporter.expose.snapshot_api.pieces import ending, space
from exporter.expose.snapshot_api.rows import Document
from exporter.figures.figures import Figures
from exporter.measure.pool.pool import pool_of
from exporter.scan.one_shot import scan_once, with_space
from exporter.scan.scanner import Scanner

_TIMEOUT_SECONDS = 30
#: A document of 100,000 objects has a tenth of this size.
_LARGEST_BYTES = 512 * 1024 * 1024
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Remote:
    """A running exporter and the credentials for it. `url` is its address, with or without a path."""

    url: str
    user: str = ""
    password: str = ""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


#: Shows how far a scan is, and the document of what is known until now, which is made when it is called.
Turn = Callable[[Progress, Callable[[], Document]], object]
#: Gets a document. A disk calls what it is given while it is scanned.
Source = Callable[[Turn | None], Document]


def from_disk(config: Config, turn: Turn | None = None) -> Document:
    """Scan a data root. The document contains the problems. `turn` is called while it is scanned."""
    settings = config.scan
    with pool_of(settings.workers, settings.tree_timeout) as pool:
        pool.warm()
        scanner = Scanner(
            config.root, settings.orphaned_after, pool, network=settings.network, containerd=config.containerd_root
        )
        early = None if turn is None else partial(_show, turn)
        return _described(scan_once(scanner, settings.tree_timeout, turn=early))


def _show(turn: Turn, scanner: Scanner) -> None:
    turn(scanner.progress, lambda: _described(scanner.snapshot()))


def _described(snapshot: Snapshot) -> Document:
    snapshot, spaces = with_space(snapshot)
    filesystems = [space(one, status) for one, status in spaces]
    taken = snapshot.taken if snapshot.complete else None
    return parse(describe(Figures(snapshot)).finish(ending(taken, filesystems)))


def from_exporter(remote: Remote) -> Document:
    """Get the snapshot of a running exporter; raises click.ClickException with the reason and advice."""
    parts = _split(remote.url if "://" in remote.url else f"http://{remote.url}")
    netloc = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/")
    address = urllib.parse.urlunsplit((parts.scheme, netloc, path.removesuffix(rows.PATH) + rows.PATH, "", ""))
    request = urllib.request.Request(address, headers={"accept-encoding": "gzip"})  # noqa: S310 - checked above
    user, password = remote.user or parts.username or "", remote.password or parts.password or ""
    if user:
        request.add_header(
            "authorization", "Basic " + b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()
        )
    context = _context(remote) if parts.scheme == "https" else None
    try:
        raw = b"".join(_receive(request, context))
    except urllib.error.HTTPError as error:
        advice = _STATUS_ADVICE.get(error.code, "")
        error.close()
        raise click.ClickException(printable(f"{address} answers {error.code} {error.reason}{advice}")) from None
    except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise click.ClickException(
            printable(f"{address} cannot be read: {_said(reason, encrypted=context is not None)}")
        ) from None
    try:
        return checked(parse(raw))
    except StrangeError as error:
        raise click.ClickException(printable(f"{address} sends what no exporter sends: {error}")) from None


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


def _split(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # an invalid port or IPv6 address
        pass
    raise click.ClickException("--from must be the http or https address of an exporter")


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
        total = 0
        while chunk := answer.read(_CHUNK_BYTES):
            piece = unpacker.decompress(chunk, _LARGEST_BYTES) if packed else chunk
            total += len(piece)
            if total > _LARGEST_BYTES or unpacker.unconsumed_tail:
                raise ValueError("the answer is too large")
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
        raise click.ClickException(f"--from.ca-file {remote.ca_file}: {_useless(error)}") from None
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
        raise click.ClickException(f"--from.cert-file {files}: {_useless(error)}") from None
    return context


def _useless(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "no PEM certificate with its key" if error.reason is None else error.reason.replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)


def parse(raw: bytes) -> Document:
    """Decode a document; raises click.ClickException if it is none, or has another schema version."""
    try:
        schema = msgspec.json.decode(raw, type=_Head).schema
        if schema != rows.SCHEMA:
            raise click.ClickException(f"the snapshot has schema {schema}, this program knows {rows.SCHEMA}")
        return msgspec.json.decode(raw, type=Document)
    except msgspec.MsgspecError as error:
        raise click.ClickException(f"this is no snapshot of an exporter: {error}") from None


class _Head(msgspec.Struct):
    schema: int
