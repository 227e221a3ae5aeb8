"""The commands for people at a terminal. `run` imports this module too, so it imports little itself."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from exporter.cli import options
from exporter.config.settings import Config, ScanSettings

if TYPE_CHECKING:
    from exporter.cli.commands.tables import Answer
    from exporter.expose.snapshot_api.rows import Document

_Function = Callable[..., "Answer"]
#: The flags of all these commands, in the order of --help.
_SOURCE = (
    options.root,
    options.containerd_root,
    options.network,
    options.from_url,
    options.from_user,
    options.from_password_file,
    options.from_ca_file,
    options.from_cert_file,
    options.from_key_file,
    options.as_json,
    options.exact,
)


def _command(function: _Function) -> click.Command:
    """Make a command from a function. It is called with a `Document` and its own flags; it returns an `Answer`."""

    @wraps(function)
    def run(as_json: bool, exact: bool, **settings: Any) -> None:
        from exporter.core.hang_probe import HANG_PROBE  # noqa: PLC0415 - see above

        place = ("root", "containerd_root", "network")
        source = (*place, "url", "user", "password_file", "ca_file", "cert_file", "key_file")
        with HANG_PROBE.outside():
            document = _document(**{name: settings.pop(name) for name in source})
            answer = function(document, **settings)
        try:
            _print(document, answer, function.__name__, as_json=as_json, exact=exact)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        incomplete = _report_problems(document, objects=function.__name__ != "df")
        sys.exit(1 if incomplete or answer.failed else 0)

    flagged: Any = run
    for option in reversed(_SOURCE):
        flagged = option(flagged)
    command = click.command(name=function.__name__)(flagged)
    options.config_file(command)
    return command


def _document(  # noqa: PLR0913 - one parameter for each flag
    root: str,
    containerd_root: str,
    network: bool,
    url: str,
    user: str,
    password_file: Any,
    ca_file: str | None,
    cert_file: str | None,
    key_file: str | None,
) -> "Document":
    from exporter.cli.commands.source import Remote, from_disk, from_exporter  # noqa: PLC0415 - see above

    if not url:
        return from_disk(Config(root=root, containerd_root=containerd_root, scan=ScanSettings(network=network)))
    password = password_file.readline().rstrip("\r\n") if password_file else ""
    return from_exporter(Remote(url, user, password, ca_file, cert_file, key_file))


def _print(document: "Document", answer: "Answer", name: str, *, as_json: bool, exact: bool) -> None:
    from exporter.cli.commands.tables import show  # noqa: PLC0415 - see above

    empty = bool(document.error) or document.taken is None
    if as_json:
        import json  # noqa: PLC0415 - see above

        head = {"schema": document.schema, "command": name, "root": document.root, "error": document.error}
        data = {} if empty else answer.data
        click.echo(json.dumps({**head, "taken": document.taken, **data}, indent=2))
    elif not empty:
        show(answer, exact=exact)


def _report_problems(document: "Document", *, objects: bool) -> bool:
    """Write the problems of a document to standard error; return whether there were any.

    With `objects`, layouts whose objects are not listed are problems as well.
    """
    from exporter.cli.gap_lines import gap_lines  # noqa: PLC0415
    from exporter.cli.remapped import remapped_line  # noqa: PLC0415
    from exporter.core.log import printable  # noqa: PLC0415
    from exporter.expose.advice import ADVICE  # noqa: PLC0415 - see above

    if document.error or document.taken is None:
        click.echo(printable(f"{document.root}: {document.error or 'the first scan is not finished'}"), err=True)
        return True
    for name in document.nested:
        click.echo(remapped_line(document.root, name), err=True)
    unlisted = document.unmeasured if objects else ()
    for name in unlisted:
        said = f"{document.root}: the layout {name} is measured by directory only: its images and layers are not listed"
        click.echo(printable(said), err=True)
    problems = [one for one in document.problems if one.reason != "vanished"]
    for one in problems:
        click.echo(printable(f"{os.path.join(document.root, one.path)}: {one.reason} {one.detail}".rstrip()), err=True)
    for reason, advice in ADVICE.items():
        if any(one.reason == reason for one in problems):
            click.echo(f"{reason}: {advice}", err=True)
    gaps = [(one.input, one.path, one.why) for one in document.gaps]
    for line in gap_lines(document.root, gaps, {one.path for one in problems}):
        click.echo(line, err=True)
    return bool(problems or document.unmeasured or gaps)


@_command
def df(document: "Document") -> "Answer":
    """Show what the parts of the data root take, as du does, and what of it can be freed."""
    from exporter.cli.commands.df import df  # noqa: PLC0415 - see above

    return df(document)


@_command
@options.tree
@options.full_ids
@options.all_images
def images(document: "Document", tree: bool, full: bool, intermediate: bool) -> "Answer":
    """List the images as docker images does, with each image's own size and its share of what images share.

    SHARE adds up to the layers on disk. With --tree, draw the images with the layers that they stand on.
    """
    from exporter.cli.commands.images import images as listed  # noqa: PLC0415 - see above
    from exporter.cli.commands.images import tree as drawn  # noqa: PLC0415
    from exporter.cli.commands.index import Index  # noqa: PLC0415

    index = Index(document)
    return drawn(index, full=full) if tree else listed(index, intermediate=intermediate)


@_command
def containers(document: "Document") -> "Answer":
    """List the containers: what each wrote, its log and what bounds that, and its state."""
    from exporter.cli.commands.containers import containers  # noqa: PLC0415 - see above
    from exporter.cli.commands.index import Index  # noqa: PLC0415

    return containers(Index(document))


@_command
@click.argument("wanted", metavar="[ID]", default="")
@options.orphaned
def layers(document: "Document", wanted: str, orphaned: bool) -> "Answer":
    """Show which image or container each layer belongs to, and its directory.

    ID is the beginning of the id of a layer (its own or its chain id), an image or a container, or a name.
    """
    from exporter.cli.commands.index import Index  # noqa: PLC0415 - see above
    from exporter.cli.commands.layers import layers  # noqa: PLC0415

    return layers(Index(document), wanted, orphaned=orphaned)


@_command
@click.argument("path")
def whose(document: "Document", path: str) -> "Answer":
    """Say whose a file or directory below the data root is.

    PATH is absolute, or relative to the data root.
    """
    from exporter.cli.commands.index import Index  # noqa: PLC0415 - see above
    from exporter.cli.commands.whose import whose  # noqa: PLC0415

    return whose(Index(document), path)


@_command
@options.host_root
@options.prefix
@options.measure_binds
@options.docker
def backup(document: "Document", host_root: str, prefix: str, measure: bool, docker: bool) -> "Answer":
    """Plan a backup: for each container its mounts with their host paths, and the files that only its layer has.

    Files in a writable layer are lost without docker export or commit; images that nothing names need docker
    save. The commands are printed last, quoted for bash.
    """
    from exporter.cli.commands.backup import backup  # noqa: PLC0415 - see above
    from exporter.cli.commands.backup_plan import Places, measure_binds  # noqa: PLC0415
    from exporter.cli.commands.index import Index  # noqa: PLC0415

    index, places = Index(document), Places(host_root, prefix)
    return backup(index, places, measure_binds(index, places) if measure else {}, docker=docker)


@_command
@options.size_to_free
@options.until
@options.filesystem
def free(document: "Document", wanted: int | None, until: float | None, mountpoint: str) -> "Answer":
    """Plan what to remove to free SIZE (such as 20GB), or until a share of the filesystem is used. Nothing is removed.

    The easiest to lose comes first: the build cache, images without a name, stopped containers, images that no
    container uses, logs without a limit, leftovers. Each step says what it frees after those before it. Volumes
    are never in the plan. The exit status is 1 if all steps do not free enough.
    """
    from exporter.cli.commands.free import free  # noqa: PLC0415 - see above

    if (wanted is None) == (until is None):
        raise click.UsageError("give a SIZE to free, such as 20GB, or --until with a share, such as --until 80%")
    return free(document, wanted, until, mountpoint)


COMMANDS: tuple[click.Command, ...] = (df, images, containers, layers, whose, backup, free)
