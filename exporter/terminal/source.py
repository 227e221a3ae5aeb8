"""Where a `Document` comes from: a scan of the disk, here and now, or a running exporter."""

import contextlib
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
import zlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

import click
import msgspec

from exporter import document
from exporter.account import Account
from exporter.config import Config
from exporter.describe import describe, ending, space
from exporter.document import Document
from exporter.once import scan, statvfs
from exporter.scanner import Scanner
from exporter.usage.pool import Pool, default_workers

_TIMEOUT_SECONDS = 30
#: A document of 100,000 objects has a tenth of this.
_LARGEST_BYTES = 512 * 1024 * 1024
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Remote:
    """A running exporter and how to be let in. `url` is its address, with or without a path."""

    url: str
    user: str = ""
    password: str = ""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


def from_disk(config: Config) -> Document:
    """Scan a data root; what could not be read is in the document."""
    with Pool(config.workers or default_workers(), config.tree_timeout) as pool:
        pool.warm()
        snapshot = scan(Scanner(config.root, config.orphaned_after, pool), config.tree_timeout)
    filesystems = [space(one, statvfs(one)) for one in snapshot.filesystems]
    taken = snapshot.taken if snapshot.measured else None
    return parse(describe(Account(snapshot)).finish(ending(taken, filesystems)))


def from_exporter(remote: Remote) -> Document:
    """Ask a running exporter for its snapshot; raises click.ClickException with what went wrong."""
    parts = urllib.parse.urlsplit(remote.url if "://" in remote.url else f"http://{remote.url}")
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise click.ClickException("--from must be the http or https address of an exporter")
    netloc = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/")
    address = urllib.parse.urlunsplit((parts.scheme, netloc, path.removesuffix(document.PATH) + document.PATH, "", ""))
    request = urllib.request.Request(address, headers={"accept-encoding": "gzip"})  # noqa: S310 - checked above
    user, password = remote.user or parts.username or "", remote.password or parts.password or ""
    if user:
        request.add_header("authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())
    try:
        raw = b"".join(_receive(request, _context(remote)))
    except urllib.error.HTTPError as error:
        advice = {401: ": give --from.user and the password", 404: ": is it an older exporter?"}.get(error.code, "")
        error.close()
        raise click.ClickException(f"{address} answers {error.code} {error.reason}{advice}") from None
    except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise click.ClickException(f"{address} cannot be read: {reason}") from None
    return parse(raw)


def _receive(request: urllib.request.Request, context: ssl.SSLContext | None) -> Iterator[bytes]:
    """The answer, unpacked; raises ValueError when there is no end to it."""
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
    """A password must not follow a redirection to someone else."""

    def redirect_request(self, *_: object) -> None:
        """Follow none: it is answered as the error that it is."""


def _context(remote: Remote) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=remote.ca_file)
    if remote.cert_file:
        context.load_cert_chain(remote.cert_file, remote.key_file)
    return context


def parse(raw: bytes) -> Document:
    """Read a document; raises click.ClickException when this is none that this program understands."""
    try:
        schema = msgspec.json.decode(raw, type=_Head).schema
        if schema != document.SCHEMA:
            raise click.ClickException(f"the snapshot has schema {schema}, this program knows {document.SCHEMA}")
        return msgspec.json.decode(raw, type=Document)
    except msgspec.MsgspecError as error:
        raise click.ClickException(f"this is no snapshot of an exporter: {error}") from None


class _Head(msgspec.Struct):
    schema: int
