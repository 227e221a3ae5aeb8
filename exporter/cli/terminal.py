"""The commands for people at a terminal. `run` imports this module too, so it imports little itself."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from exporter.cli import options, terminal_options
from exporter.cli.answers import print_answers
from exporter.cli.habit_options import asked, with_habits
from exporter.cli.problems import report_problems
from exporter.cli.sources import source_of, with_source

if TYPE_CHECKING:
    from exporter.cli.commands.habits import Habits
    from exporter.cli.commands.tables import Answer
    from exporter.expose.snapshot_api.rows import Document

_Function = Callable[..., "Answer"]
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
        disk, source = source_of(flags)
        if disk is not None:
            options.say_why_this_root(disk.root)
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

    flagged: Any = with_habits(with_source(run), listed=listed)
    if listed:
        flagged = click.argument("names", nargs=-1, metavar="[NAME|ID]...")(flagged)
    command = click.command(name=name)(flagged)
    options.config_file(command)
    return command


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

    from msgspec import to_builtins  # noqa: PLC0415

    from exporter.cli.commands.tables import Answer, Lines  # noqa: PLC0415 - see above

    data = to_builtins(document)
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
