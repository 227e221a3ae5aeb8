"""The commands for people at a terminal. `run` imports this module too, so it imports little itself."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from exporter.cli import options, served_options, terminal_options
from exporter.cli.habit_options import AskedFor, asked, with_habits
from exporter.config.settings import Config, ScanSettings

if TYPE_CHECKING:
    from exporter.cli.commands.habits import Habits
    from exporter.cli.commands.source import Source
    from exporter.cli.commands.tables import Answer
    from exporter.expose.snapshot_api.rows import Document

_Function = Callable[..., "Answer"]
#: The flags of all these commands, in the order of --help.
_SOURCE = (
    options.root,
    options.containerd_root,
    served_options.network,
    terminal_options.from_url,
    terminal_options.from_user,
    terminal_options.from_password_file,
    terminal_options.from_ca_file,
    terminal_options.from_cert_file,
    terminal_options.from_key_file,
)
#: The names of these flags as parameters.
_PLACE = ("root", "containerd_root", "network")
_FROM = (*_PLACE, "url", "user", "password_file", "ca_file", "cert_file", "key_file")
#: The parameters of `habit_options`.
_HABITS = ("names", "filters", "sort", "reverse", "limit", "quiet", "form", "as_json", "exact", "si", "iec", "full")


def _command(function: _Function) -> click.Command:
    """Make a command from a function. It is called with a `Document` and its own flags; it returns an `Answer`."""
    return _made(function, listed=False)


def _listing(function: _Function) -> click.Command:
    """The same for a function that lists rows: it is called with the `Habits` that are asked for as well."""
    return _made(function, listed=True)


def _made(function: _Function, *, listed: bool) -> click.Command:
    name = function.__name__.replace("_", "-")

    @wraps(function)
    def run(**flags: Any) -> None:
        of_habits = {one: flags.pop(one) for one in (*_HABITS, "watch") if one in flags}
        wanted = asked(name, of_habits)
        if flags.get("tree") and not wanted.output.is_whole:
            raise click.UsageError("--tree has no rows: leave out --quiet, and of --format all but table and json")
        place = {one: flags.pop(one) for one in _FROM}
        disk = None if place["url"] else _disk(*(place[one] for one in _PLACE))
        source = _source(disk, **{one: value for one, value in place.items() if one not in _PLACE})
        flags |= {"habits": replace(wanted.habits, disk=disk)} if listed else {}

        def answer(document: "Document") -> "Answer":
            return function(document, **flags)

        def answered() -> "tuple[Document, Answer]":
            if listed and wanted.watch is None:
                from exporter.cli.commands.filling import filled  # noqa: PLC0415 - see above

                document = filled(source, answer, name, wanted.output)
            else:
                document = source(None)
            return document, answer(document)

        print_answers(name, wanted, answered, lambda document, _: report_problems(document, objects=name != "df"))

    flagged: Any = run
    for option in reversed(_SOURCE):
        flagged = option(flagged)
    command = click.command(name=name)(with_habits(flagged, listed=listed))
    options.config_file(command)
    return command


def print_answers(
    name: str,
    wanted: "AskedFor",
    answered: "Callable[[], tuple[Document, Answer]]",
    report: "Callable[[Document, Answer], bool]",
) -> NoReturn:
    """Print what is answered as the flags want it, once or again and again, and exit.

    `report` writes to standard error what is wrong, and says whether anything is: the exit status is 1 then.
    """
    from exporter.cli.commands.output import print_answer  # noqa: PLC0415 - see above
    from exporter.cli.commands.plain_text import make_safe  # noqa: PLC0415
    from exporter.cli.commands.watching import watch  # noqa: PLC0415
    from exporter.core.hang_probe import HANG_PROBE  # noqa: PLC0415
    from exporter.core.units import written_in  # noqa: PLC0415

    for one in (sys.stdout, sys.stderr):
        make_safe(one)
    if wanted.watch is not None and not sys.stdout.isatty():
        raise click.UsageError("--watch draws on a terminal, and the output is none")

    def draw(output: TextIO) -> bool:
        document, answer = answered()
        print_answer(document, answer, name, wanted.output, output)
        output.flush()
        return report(document, answer) or answer.failed

    with written_in(wanted.units), HANG_PROBE.outside():
        if wanted.watch is not None:
            watch(draw, wanted.watch, sys.stdout)
        failed = _printed(draw)
    sys.exit(1 if failed else 0)


def _printed(draw: Callable[[TextIO], bool]) -> bool:
    """Print once. Where the reader, such as `head`, has closed the pipe, the rest is left out."""
    try:
        return draw(sys.stdout)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False


def _disk(root: str, containerd_root: str, network: bool) -> Config:
    """The data root that is to be read."""
    options.say_why_this_root(root)
    return Config(root=root, containerd_root=containerd_root, scan=ScanSettings(network=network))


def _source(  # noqa: PLR0913 - one parameter for each flag
    disk: Config | None,
    url: str,
    user: str,
    password_file: Any,
    ca_file: str | None,
    cert_file: str | None,
    key_file: str | None,
) -> "Source":
    """Where documents come from: each call scans the disk, or asks the exporter where there is none, anew."""
    from exporter.cli.commands.remote import Remote  # noqa: PLC0415 - see above
    from exporter.cli.commands.source import from_disk, from_exporter  # noqa: PLC0415

    if disk is not None:
        return partial(from_disk, disk)
    password = password_file.readline().rstrip("\r\n") if password_file else ""
    remote = Remote(url, user, password, ca_file, cert_file, key_file)
    return lambda _: from_exporter(remote)


def report_problems(document: "Document", *, objects: bool) -> bool:
    """Write the problems of a document to standard error; return whether there were any.

    With `objects`, layouts whose objects are not listed are problems as well.
    """
    from exporter.cli.gap_lines import gap_lines  # noqa: PLC0415
    from exporter.cli.remapped import remapped_line  # noqa: PLC0415
    from exporter.core.log import printable  # noqa: PLC0415
    from exporter.expose.advice import ADVICE  # noqa: PLC0415 - see above

    if document.error or document.taken is None:
        said = document.error or "the first scan is not finished"
        if document.progress is not None:
            said += f": {document.progress.trees_done:,} of {document.progress.trees:,} directory trees are measured"
        _complain(printable(f"{document.root}: {said}"))
        return True
    for name in document.nested:
        _complain(remapped_line(document.root, name))
    unlisted = document.unmeasured if objects else ()
    for name in unlisted:
        said = f"{document.root}: the layout {name} is measured by directory only: its images and layers are not listed"
        _complain(printable(said))
    problems = [one for one in document.problems if one.reason != "vanished"]
    for one in problems:
        _complain(printable(f"{os.path.join(document.root, one.path)}: {one.reason} {one.detail}".rstrip()))
    for reason, advice in ADVICE.items():
        if any(one.reason == reason for one in problems):
            _complain(f"{reason}: {advice}")
    gaps = [(one.input, one.path, one.why) for one in document.gaps]
    for line in gap_lines(document.root, gaps, {one.path for one in problems}):
        _complain(line)
    return bool(problems or document.unmeasured or gaps)


def _complain(line: str) -> None:
    """Write a line to standard error. On a terminal it goes on in the next line, and breaks between words."""
    from exporter.cli.commands.fit import wrapped  # noqa: PLC0415 - see above

    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else len(line) + 1
    for one in wrapped(line, width) if len(line) > width else (line,):
        click.echo(one, err=True)


@_listing
def df(document: "Document", habits: "Habits") -> "Answer":
    """Show what objects and the parts of the data root take, as du does, and what of it can be freed.

    A NAME is that of a part: df volumes.
    """
    from exporter.cli.commands.df import df  # noqa: PLC0415 - see above

    return df(document, habits)


@_listing
@terminal_options.tree
@terminal_options.all_images
def images(document: "Document", habits: "Habits", tree: bool, intermediate: bool) -> "Answer":
    """List the images as docker images does, with each image's own size and its share of what images share.

    SHARE adds up to the layers on disk. With --tree, draw the images with the layers that they stand on.
    """
    from exporter.cli.commands.image_tree import tree as drawn  # noqa: PLC0415 - see above
    from exporter.cli.commands.images import images as listed  # noqa: PLC0415
    from exporter.cli.commands.index import Index  # noqa: PLC0415

    index = Index(document)
    return drawn(index, full=habits.full) if tree else listed(index, intermediate=intermediate, habits=habits)


@_listing
@terminal_options.all_containers
def containers(document: "Document", habits: "Habits", every: bool) -> "Answer":  # noqa: ARG001 - as docker ps -a
    """List the containers: what each wrote, its log and what bounds that, and its state."""
    from exporter.cli.commands.containers import containers  # noqa: PLC0415 - see above
    from exporter.cli.commands.index import Index  # noqa: PLC0415

    return containers(Index(document), habits)


@_listing
def volumes(document: "Document", habits: "Habits") -> "Answer":
    """List the volumes: what each holds, the containers that mount it, its Compose project, options and age."""
    from exporter.cli.commands.index import Index  # noqa: PLC0415 - see above
    from exporter.cli.commands.volumes import volumes  # noqa: PLC0415

    return volumes(Index(document), habits)


@_listing
def build_cache(document: "Document", habits: "Habits") -> "Answer":
    """List the records of the build cache by size and last use, and the build history."""
    from exporter.cli.commands.build_cache import build_cache  # noqa: PLC0415 - see above
    from exporter.cli.commands.index import Index  # noqa: PLC0415

    return build_cache(Index(document), habits)


@_listing
@terminal_options.orphaned
def layers(document: "Document", habits: "Habits", orphaned: bool) -> "Answer":
    """Show which image or container each layer belongs to, and its directory.

    ID is the beginning of the id of a layer (its own or its chain id), an image or a container; NAME is that of an
    image or a container.
    """
    from exporter.cli.commands.index import Index  # noqa: PLC0415 - see above
    from exporter.cli.commands.layers import layers  # noqa: PLC0415

    return layers(Index(document), orphaned=orphaned, habits=habits)


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
@terminal_options.host_root
@terminal_options.prefix
@terminal_options.measure_binds
@terminal_options.docker
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
@terminal_options.size_to_free
@terminal_options.until
@terminal_options.filesystem
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


@_command
def snapshot(document: "Document") -> "Answer":
    """Print all that is known of the root as one line of JSON, as /api/v1/snapshot of an exporter: for diff."""
    import json  # noqa: PLC0415
    from dataclasses import asdict  # noqa: PLC0415

    from exporter.cli.commands.tables import Answer, Lines  # noqa: PLC0415 - see above

    data = asdict(document)
    return Answer(data, [Lines("", [json.dumps(data)])])


COMMANDS: tuple[click.Command, ...] = (
    df,
    images,
    containers,
    volumes,
    build_cache,
    layers,
    whose,
    backup,
    free,
    snapshot,
)
