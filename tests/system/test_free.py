"""The plan of `free`, followed on real engines: each step frees what was said, after the steps before it."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.cli.commands.free import free
from exporter.cli.commands.source import from_disk
from exporter.cli.commands.tables import Answer
from exporter.config.settings import Config
from tests.support.containerd_states import promised, settle
from tests.support.engine import Engine, engine
from tests.support.todays_engine import TodaysEngine, todays_engine
from tests.support.waiting import eventually

_BUILD = "FROM {base}\nRUN echo {name} > /{name} && dd if=/dev/urandom of=/b{name} bs=1k count={size}\n"
_QUIET = ("--network", "none")
#: More than any disk holds: the plan has all steps.
_EVERYTHING = 2**62


@pytest.fixture(params=["old", "today"])
def one(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with TemporaryDirectory(prefix="e-") as short:
        if request.param == "old":
            with engine(tmp_path, Path(short), "overlay2") as started:
                yield started
        else:
            with todays_engine(tmp_path, Path(short), own_containerd=True) as started:
                yield started


def _further(one: Engine) -> str:
    return one.further if isinstance(one, TodaysEngine) else "none"


def _plan(one: Engine) -> Answer:
    return free(from_disk(Config(root=str(one.root), containerd_root=_further(one))), _EVERYTHING, None)


def _fill(one: Engine) -> None:
    """Images on each other and with layers in common, containers of some of them, a build cache, nameless images."""
    one.base()
    for name, base, builder, size in (
        ("lib", "base:1", "0", 100),
        ("app", "lib:1", "0", 200),
        ("kit", "base:1", "1", 300),
        ("top", "kit:1", "1", 50),
        ("lib", "base:1", "1", 70),
        ("used", "base:1", "1", 30),
    ):
        one.build(f"{name}:1", _BUILD.format(base=base, name=name, size=size), builder=builder)
    one.run("tag", "app:1", "other:2")
    write = "dd if=/dev/urandom of=/w bs=1k count=90"
    one.run("run", *_QUIET, "--name", "first", "app:1", "sh", "-c", write)
    one.run("run", *_QUIET, "--name", "second", "top:1", "sh", "-c", write)
    one.build("top:1", _BUILD.format(base="kit:1", name="newer", size=60), builder="0")
    one.run("run", "-d", *_QUIET, "--name", "stays", "used:1", "sh", "-c", "sleep 1000")


def _held(one: Engine) -> int:
    if isinstance(one, TodaysEngine):
        return one.held()
    stores = (one.root / "overlay2", one.root / "containers", one.root / "image")
    paths = (path for store in stores for path in (store, *store.rglob("*")))
    inodes = {status.st_ino: status.st_blocks for path in paths if (status := path.lstat()).st_nlink}
    return 512 * (sum(inodes.values()) - (one.root / "image/overlay2/repositories.json").lstat().st_blocks)


def test_each_step_of_a_plan_frees_what_it_says(one: Engine) -> None:
    _fill(one)
    if isinstance(one, TodaysEngine):
        settle(one)
        promised(one)
    said = _plan(one)
    steps = said.data["steps"]
    kinds = [step["kind"] for step in steps]
    assert kinds == sorted(kinds, key=["build_cache", "build_history", "images_dangling", "container", "image"].index)
    assert {"build_cache", "container", "image"} <= {*kinds}
    for step in steps:
        before = _held(one)
        _follow(one, step["commands"])
        eventually(lambda: before - _held(one) == step["freed"], otherwise=lambda: (step, before - _held(one)))  # noqa: B023
    left = _plan(one)
    assert [step for step in left.data["steps"] if step["freed"]] == []
    assert one.run("ps", "-a", "--format", "{{.Names}} {{.Image}}") == "stays used:1"


def _follow(one: Engine, commands: list[str]) -> None:
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "docker", command
        forced = ("--force",) if "prune" in words else ()
        one.run(*words[1:], *forced)
