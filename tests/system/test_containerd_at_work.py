"""An engine with containerd's image store that is killed, that builds while it is read, and that is followed."""

import random
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.core.content import ContentStore
from exporter.core.model import Snapshot
from exporter.expose.snapshot_api.rows import ReclaimableRow
from exporter.figures.prunes import Category
from tests.support.containerd_states import promised, settle
from tests.support.exporter import exporter
from tests.support.product import Samples, figures_of, scan
from tests.support.todays_engine import TodaysEngine, todays_engine
from tests.support.waiting import eventually

_BUILD = """
FROM base:1
RUN echo {name} > /name && dd if=/dev/urandom of=/big bs=1k count=200
RUN --mount=type=cache,target=/cache echo {name} > /cache/{name}; rm /big
"""
_QUIET = ("--network", "none")
#: How many builds are killed, and how many are made while the root is read.
_KILLS, _BUILDS = 3, 5
#: So many entries has a layer that is measured once.
_MANY = 2000


@pytest.fixture
def one(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TodaysEngine]:
    """An engine with an image, by default with a containerd of its own."""
    own = getattr(request, "param", "host") == "host"
    scratch = tmp_path / "engine"
    scratch.mkdir()
    with TemporaryDirectory(prefix="e-") as short, todays_engine(scratch, Path(short), own_containerd=own) as started:
        started.base()
        yield started


def _content(snapshot: Snapshot) -> ContentStore:
    assert snapshot.inventory.content is not None
    return snapshot.inventory.content


@pytest.mark.parametrize("one", ["daemon", "host"], indirect=True)
def test_what_is_left_of_killed_builds_is_known_and_pruned(one: TodaysEngine, request: pytest.FixtureRequest) -> None:
    chance = random.Random(request.node.name)
    one.run("run", "-d", *_QUIET, "--name", "stays", "base:1", "sleep", "1000")
    for number in range(_KILLS):
        # Made before the kill: the directory that is left has the next snapshot's id, and so none can be made.
        one.run("create", *_QUIET, "--name", f"goes{number}", "base:1", "true")
        _kill_at_work(one, number, chance.randint(1, 12))
        _leave_next_snapshot(one)
        dead = scan(one.root, orphaned_after=0, containerd=one.further)
        orphaned = {layer.id for layer in dead.inventory.layers if layer.use == "orphaned"}
        blobs = set(_content(dead).orphaned)
        assert not [problem for problem in dead.problems if problem.reason != "vanished"]
        one.start()
        one.run("start", "stays")
        one.run("rm", f"goes{number}")
        eventually(lambda: _is_swept(one, orphaned))  # noqa: B023 - called at once
        assert not blobs & set(one.ctr("moby", "content", "ls", "-q").split())
    figures = figures_of(one.root, containerd=one.further, intermediate=True)
    for image in one.ask("/images/json?all=1"):
        name = image["Id"].removeprefix("sha256:")[:12]
        assert figures("image_virtual_size_bytes", image_id=name) == image["Size"], image
    _prune_all(one)


def _kill_at_work(one: TodaysEngine, number: int, changes: int) -> None:
    """Kill the daemons when so many snapshots and blobs have come or gone since a build has begun."""

    def entries() -> set[Path]:
        return {*one.store.glob("*.snapshotter.*/snapshots/*"), *one.store.glob("*.content.*/blobs/sha256/*")}

    before = entries()
    work = threading.Thread(target=_churn, args=(one, f"k{number}"))
    work.start()
    eventually(lambda: len(entries() ^ before) >= changes or not work.is_alive())
    one.kill()
    work.join()


def _is_swept(one: TodaysEngine, orphaned: Collection[str]) -> bool:
    """Whether these directories are gone. containerd looks for such ones when something is removed.

    A directory that is still mounted stays until it looks again.
    """
    one.run("run", "--rm", *_QUIET, "base:1", "true", check=False)
    return _directories(one).isdisjoint(orphaned)


def _leave_next_snapshot(one: TodaysEngine) -> None:
    """Leave what a kill leaves between the rename of a new snapshot's directory and the commit of its row."""
    (top,) = one.store.glob("*.snapshotter.v1.overlayfs/snapshots")
    following = top / str(max(int(name) for name in _directories(one) if name.isdigit()) + 1)
    for part in ("fs", "work"):
        (following / part).mkdir(parents=True, exist_ok=True)


def _churn(one: TodaysEngine, name: str) -> None:
    for builder in ("1", "0"):
        dockerfile = _BUILD if builder == "1" else _BUILD.replace("--mount=type=cache,target=/cache", "mkdir /cache;")
        one.build(f"{name}:{builder}", dockerfile.format(name=name), builder=builder, check=False)
        one.run("run", *_QUIET, f"{name}:{builder}", "sh", "-c", "echo 1 > /1", check=False)


def _directories(one: TodaysEngine) -> set[str]:
    """The directories of the snapshots that are there."""
    return {path.name for path in one.store.glob("*.snapshotter.v1.overlayfs/snapshots/*")}


def _prune_all(one: TodaysEngine) -> None:
    """Compare what the prunes free with what was promised. An engine that has just started removes by itself, too.

    A record of a step that was cut off goes when BuildKit asks for its size, which it does a second after its start, or
    when it is asked for its usage (buildkit v0.25 cache/manager.go, DiskUsage).
    """

    def is_clean() -> bool:
        one.ask("/system/df")
        before = one.held()
        figures = figures_of(one.root, containerd=one.further, orphaned_after=0)
        left = figures("content_blobs", use="orphaned") or figures.sum("layers", use="orphaned")
        if left:  # a lease has ended by itself, which has nothing collected
            one.collect()
        return not left and before == one.held()

    eventually(is_clean)
    for row in promised(one):
        (command,) = row.commands
        eventually(is_clean)  # of the prune before, containerd removes some directories later
        before = one.held()
        one.run(*command.split()[1:], *(() if "history" in command else ("--force",)))
        eventually(lambda: before - one.held() == row.bytes, otherwise=lambda: (row, before - one.held()))  # noqa: B023


def test_what_does_not_change_has_its_figures_while_the_engine_builds(one: TodaysEngine) -> None:
    one.build("kit:1", "FROM base:1\nRUN echo kit > /kit\n", builder="1")
    one.run("run", "-d", *_QUIET, "--name", "stays", "kit:1", "sleep", "1000")
    sizes = {image["Id"][7:19]: image["Size"] for image in one.ask("/images/json")}
    flags = ("--containerd.root", one.further, "--layers.orphaned-after", str(_GRACE_SECONDS))
    with exporter(one.root, *flags) as running:
        running.until(lambda figures: len(figures.all("image_virtual_size_bytes")) == len(sizes))
        work = threading.Thread(target=_build_and_remove, args=(one,))
        work.start()
        reads = 0
        while work.is_alive():
            _check(running.figures(), sizes)
            _check(figures_of(one.root, orphaned_after=_GRACE_SECONDS, containerd=one.further), sizes)
            reads += 1
        work.join()
        assert reads > 1
    eventually(lambda: _nothing_is_left(one))


def _nothing_is_left(one: TodaysEngine) -> bool:
    """Whether nothing is orphaned, without a time of grace. Leases end by themselves, which has nothing collected."""
    figures = figures_of(one.root, orphaned_after=0, containerd=one.further)
    left = figures("content_blobs", use="orphaned") or figures.sum("layers", use="orphaned")
    if left:
        one.collect()
    return not left and not figures.sum("scan_errors_total")


def _build_and_remove(one: TodaysEngine) -> None:
    for number in range(_BUILDS):
        name = f"work{number % 3}"
        one.build(f"{name}:1", _BUILD.format(name=f"{name}-{number}"), builder="1")
        one.run("run", *_QUIET, "--rm", f"{name}:1", "sh", "-c", "echo 1 > /1")
        if number % 2:
            one.run("rmi", "-f", f"{name}:1")
            one.run("builder", "prune", "--force")


#: So long may an engine on a slow disk take from the removal of a name to that of what it named.
_GRACE_SECONDS = 60
#: dockerd makes the directory of a container some time before its configuration.
_BEING_MADE = ("containers", "decode")


def _check(figures: Samples, sizes: dict[str, int]) -> None:
    for name, size in sizes.items():
        assert figures("image_virtual_size_bytes", image_id=name) == size
    assert figures.all("container_info", name="stays")
    assert figures.sum("layers", use="orphaned") == 0
    assert figures("content_blobs", use="orphaned") == 0
    assert figures.sum("missing_layers") == 0
    unread = {(labels["collector"], labels["reason"]) for labels, count in figures.all("scan_errors_total") if count}
    assert {one for one in unread if one[1] != "vanished"} <= {_BEING_MADE}


def test_events_tell_of_what_an_engine_does(one: TodaysEngine) -> None:
    """Nothing is found by looking: the next look is an hour away. What has been measured is not measured again."""
    many = one.scratch / "many"
    many.mkdir()
    for number in range(_MANY):
        (many / f"{number}").touch()
    packed = subprocess.run(["tar", "-C", str(many), "-c", "."], capture_output=True, check=True).stdout
    with exporter(one.root, "--containerd.root", one.further, "--watch.look-interval", "3600") as running:
        running.until(lambda figures: bool(figures.all("image_virtual_size_bytes")))
        one.run("import", "-", "many:1", stdin=packed)
        # The scan that finds the image need not be the one that measured its layer: that is there before the image is.
        # It has its name before it is unpacked, and what is unpacked then is no layer of an image, and measured again.
        running.until(lambda f: _has("many")(f) and f.sum("layers_inodes", use="image") > _MANY)
        steps: list[tuple[Callable[[], object], Callable[[Samples], bool]]] = [
            (lambda: one.run("tag", "many:1", "other:1"), _has("other")),
            (lambda: one.build("kit:1", _BUILD.format(name="kit"), builder="1"), _has("kit")),
            (
                lambda: one.run("run", *_QUIET, "--name", "ended", "kit:1", "sh", "-c", ":"),
                _counts("containers", 1, "exited"),
            ),
            (lambda: one.run("rm", "ended"), _counts("containers", 0, "exited")),
            (lambda: one.run("rmi", "other:1"), _has_not("other")),
            (lambda: one.run("rmi", "kit:1"), _has_not("kit")),
            (lambda: one.run("builder", "prune", "--all", "--force"), lambda f: f("build_cache_records") == 0),
        ]
        for step, becomes in steps:
            step()
            figures = running.until(becomes)
            assert figures("scan_entries", collector="images") < _MANY
        settle(one)
        running.until(lambda f: f("build_history_records") == one.builds)


def _has(repository: str) -> Callable[[Samples], bool]:
    return lambda figures: bool(figures.all("image_tag_info", repository=repository))


def _has_not(repository: str) -> Callable[[Samples], bool]:
    return lambda figures: not figures.all("image_tag_info", repository=repository)


def _counts(name: str, value: float, state: str) -> Callable[[Samples], bool]:
    return lambda figures: figures.sum(name, state=state) == value


def test_builds_of_a_former_history_are_freed_by_no_command(one: TodaysEngine) -> None:
    """Docker 28 begins a new history, with the leases of the one of Docker 27 beside it."""
    one.build("kit:1", _BUILD.format(name="kit"), builder="1")
    settle(one)
    one.stop()
    (one.root / "buildkit/history_c8d.db").unlink()
    one.start()

    def told() -> ReclaimableRow | None:
        (row,) = (row for row in promised(one) if row.category == Category.BUILD_HISTORY)
        return row if row.bytes is not None else None  # the engine may be making its database just now

    row = eventually(told)
    assert (row.bytes, row.objects) == (0, 0)
    figures = _figures(one)
    assert figures("build_history_records") == 0
    before = figures("content_allocated_bytes", use="build_history")
    one.run("buildx", "history", "rm", "--all")
    one.collect()
    assert _figures(one)("content_allocated_bytes", use="build_history") == before > 0


def _figures(one: TodaysEngine) -> Samples:
    return figures_of(one.root, containerd=one.further)
