"""The commands for people. Importing this must stay cheap: `run` imports it too, and loads nothing that it needs."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from exporter.config.settings import DEFAULT_ROOT, Config

if TYPE_CHECKING:
    from exporter.cli.commands.tables import Answer
    from exporter.expose.snapshot_api.rows import Document

_ENVIRONMENT = "DOCKER_STORAGE_EXPORTER_"
_Function = Callable[..., "Answer"]


def _option(flag: str, name: str, **settings: Any) -> Callable[[Any], Any]:
    variable = _ENVIRONMENT + flag.removeprefix("--").replace(".", "_").replace("-", "_").upper()
    return click.option(flag, name, envvar=variable, show_envvar=True, **settings)


_SOURCE = (
    _option(
        "--root",
        "root",
        default=DEFAULT_ROOT,
        show_default=True,
        metavar="DIRECTORY",
        help="The Docker data root to scan, here and now.",
    ),
    _option("--from", "url", default="", metavar="URL", help="Ask this running exporter instead of scanning."),
    _option("--from.user", "user", default="", metavar="NAME", help="The user for an exporter that asks for one."),
    _option(
        "--from.password-file",
        "password_file",
        default=None,
        metavar="FILE",
        type=click.File(errors="surrogateescape"),
        help="Its first line is the password.",
    ),
    _option("--from.ca-file", "ca_file", default=None, metavar="FILE", help="Who signed the exporter's certificate."),
    _option("--from.cert-file", "cert_file", default=None, metavar="FILE", help="A client certificate, PEM."),
    _option("--from.key-file", "key_file", default=None, metavar="FILE", help="Its key, where that is another file."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON for programs (docs/terminal.md)."),
    click.option("--bytes", "exact", is_flag=True, help="Print sizes in bytes."),
)


def _command(function: _Function) -> click.Command:
    """Make a command of a function from a `Document` and its own flags to an `Answer`."""

    @wraps(function)
    def run(as_json: bool, exact: bool, **settings: Any) -> None:
        source = ("root", "url", "user", "password_file", "ca_file", "cert_file", "key_file")
        document = _document(**{name: settings.pop(name) for name in source})
        answer = function(document, **settings)
        try:
            _print(document, answer, function.__name__.strip("_"), as_json=as_json, exact=exact)
            sys.stdout.flush()
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complained = _complain(document, objects=function.__name__ != "df")
        sys.exit(1 if complained or answer.failed else 0)

    command: Any = run
    for option in reversed(_SOURCE):
        command = option(command)
    return click.command(name=function.__name__.strip("_"))(command)


def _document(  # noqa: PLR0913 - one parameter for each flag
    root: str,
    url: str,
    user: str,
    password_file: Any,
    ca_file: str | None,
    cert_file: str | None,
    key_file: str | None,
) -> "Document":
    from exporter.cli.commands.source import Remote, from_disk, from_exporter  # noqa: PLC0415 - see above

    if not url:
        return from_disk(Config(root=root))
    password = password_file.readline().rstrip("\r\n") if password_file else ""
    return from_exporter(Remote(url, user, password, ca_file, cert_file, key_file))


def _print(document: "Document", answer: "Answer", name: str, *, as_json: bool, exact: bool) -> None:
    from exporter.cli.commands.tables import show  # noqa: PLC0415 - see above

    unseen = bool(document.error) or document.taken is None
    if as_json:
        import json  # noqa: PLC0415 - see above

        head = {"schema": document.schema, "command": name, "root": document.root, "error": document.error}
        data = {} if unseen else answer.data
        click.echo(json.dumps({**head, "taken": document.taken, **data}, indent=2))
    elif not unseen:
        show(answer, exact=exact)


def _complain(document: "Document", *, objects: bool) -> bool:
    """Say on standard error what could not be read, for a list of objects or not; return whether there was anything."""
    from exporter.core.log import printable  # noqa: PLC0415
    from exporter.expose.advice import ADVICE  # noqa: PLC0415 - see above

    if document.error or document.taken is None:
        click.echo(printable(f"{document.root}: {document.error or 'the first scan is not finished'}"), err=True)
        return True
    unlisted = document.unmeasured if objects else ()
    for name in unlisted:
        said = f"{document.root}: the layout {name} is measured by directory only: its images and layers are not listed"
        click.echo(printable(said), err=True)
    problems = [one for one in document.problems if one.reason != "vanished"]
    for one in problems:
        click.echo(printable(f"{document.root}/{one.path}: {one.reason} {one.detail}".rstrip()), err=True)
    for reason, advice in ADVICE.items():
        if any(one.reason == reason for one in problems):
            click.echo(f"{reason}: {advice}", err=True)
    return bool(problems or unlisted)


@_command
def df(document: "Document") -> "Answer":
    """Show what the parts of the data root take, as du does, and what of it can be freed."""
    from exporter.cli.commands.df import df  # noqa: PLC0415 - see above

    return df(document)


def _images(document: "Document", tree: bool, full: bool, intermediate: bool) -> "Answer":
    """List the images as docker images does, with what each has alone and its share of what is shared.

    SHARE adds up to the layers on disk. With --tree, draw them with the layers that they stand on.
    """
    from exporter.cli.commands.images import images as listed  # noqa: PLC0415 - see above
    from exporter.cli.commands.images import tree as drawn  # noqa: PLC0415
    from exporter.cli.commands.index import Index  # noqa: PLC0415

    index = Index(document)
    return drawn(index, full=full) if tree else listed(index, intermediate=intermediate)


images = _command(
    click.option("--tree", is_flag=True, help="Draw the tree, as docker images -tree of Docker 1.x did.")(
        click.option("--no-trunc", "full", is_flag=True, help="Print ids in full (in the tree).")(
            click.option("--all", "-a", "intermediate", is_flag=True, help="List intermediate images, too.")(_images)
        )
    )
)


@_command
def containers(document: "Document") -> "Answer":
    """List the containers: what each wrote, its log and what bounds that, and its state."""
    from exporter.cli.commands.containers import containers  # noqa: PLC0415 - see above
    from exporter.cli.commands.index import Index  # noqa: PLC0415

    return containers(Index(document))


def _layers(document: "Document", wanted: str, orphaned: bool) -> "Answer":
    """Show which image or container each layer belongs to, and its directory.

    ID is the beginning of the id of a layer (its own or its chain id), an image or a container, or a name.
    """
    from exporter.cli.commands.index import Index  # noqa: PLC0415 - see above
    from exporter.cli.commands.layers import layers  # noqa: PLC0415

    return layers(Index(document), wanted, orphaned=orphaned)


layers = _command(
    click.argument("wanted", metavar="[ID]", default="")(
        click.option("--orphaned", is_flag=True, help="Only those that nothing refers to.")(_layers)
    )
)


def _whose(document: "Document", path: str) -> "Answer":
    """Say whose a file or directory below the data root is.

    PATH is absolute, or relative to the data root.
    """
    from exporter.cli.commands.index import Index  # noqa: PLC0415 - see above
    from exporter.cli.commands.layers import whose  # noqa: PLC0415

    return whose(Index(document), path)


whose = _command(click.argument("path")(_whose))


def _backup(document: "Document", host_root: str, prefix: str, measure: bool, docker: bool) -> "Answer":
    """Plan a backup: for each container its mounts with their host paths, and what only its layer holds.

    What lies in a writable layer is lost without docker export or commit; images that nothing names need docker
    save. The commands are printed last, quoted for bash.
    """
    from exporter.cli.commands.backup import Places, backup, measure_binds  # noqa: PLC0415 - see above
    from exporter.cli.commands.index import Index  # noqa: PLC0415

    index, places = Index(document), Places(host_root, prefix)
    return backup(index, places, measure_binds(index, places) if measure else {}, docker=docker)


backup = _command(
    click.option("--host-root", default="", metavar="DIR", help="Where the data root is on the host, if elsewhere.")(
        click.option("--prefix", default="", metavar="DIR", help="Where the host's / is mounted: goes before binds.")(
            click.option("--measure-binds", "measure", is_flag=True, help="Measure the bind mounts' sources here.")(
                click.option(
                    "--docker/--no-docker",
                    "docker",
                    default=True,
                    help="Save with Docker's own commands; without, as files: where no daemon starts.",
                )(_backup)
            )
        )
    )
)

COMMANDS: tuple[click.Command, ...] = (df, images, containers, layers, whose, backup)
