"""Gets a `Document`: by a scan of the disk, or from a running exporter."""

from collections.abc import Callable
from functools import partial

import click
import msgspec

from exporter.cli.commands.remote import Remote, get
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
    answer = get(remote, rows.PATH)
    try:
        return checked(parse(answer.body))
    except StrangeError as error:
        raise click.ClickException(printable(f"{answer.address} sends what no exporter sends: {error}")) from None


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
