"""The figures of a real engine's root beside the engine's own answers."""

import os
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from exporter.core.model import LayerKey
from exporter.expose.snapshot_api.rows import ReclaimableRow
from exporter.figures.figures import Figures
from exporter.figures.prunes import Category
from tests.support.engine import Engine, engine
from tests.support.product import Samples, document_of, figures_of, runs, scan
from tests.support.todays_engine import todays_engine
from tests.support.waiting import eventually, often

_MULTI_STAGE = """
FROM base:1 AS build
RUN dd if=/dev/zero of=/big bs=1k count=300
RUN echo hi > /x && rm /big && ln /one /three && truncate -s 5M /sparse
FROM base:1
COPY --from=build /x /y
RUN rm /two && mkdir /deep && dd if=/dev/zero of=/deep/f bs=1k count=100
VOLUME /data
LABEL made=here
CMD ["sh"]
"""


#: So often in a row a root has to be the same, to be at rest: an engine looks at its build cache a second after
#: its start, and removes what nothing needs some time later.
_LOOKS = 10
_OPTIONS = {"memory": ("type=tmpfs", "device=tmpfs"), "bound": ("type=none", "o=bind", "device=/tmp")}
#: From this version on the engine's SharedSize counts intermediate images as sharers.
_INTERMEDIATE_SHARE = (26, 0)


#: This machine's engine, and that of Debian testing.
_ENGINES: dict[str, Callable[[Path, Path], AbstractContextManager[Engine]]] = {
    "overlay2": partial(engine, driver="overlay2"),
    "vfs": partial(engine, driver="vfs"),
    "today's overlay2": partial(todays_engine, driver="overlay2", own_containerd=True),
}


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.xdist_group(f"engine {name}")) for name in _ENGINES], scope="module"
)
def busy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with images of both builders, shared layers, containers in all states, and volumes."""
    with (
        TemporaryDirectory(prefix="e-") as short,
        _ENGINES[request.param](tmp_path_factory.mktemp("engine"), Path(short)) as one,
    ):
        _fill(one)
        yield one


def _fill(one: Engine) -> None:
    one.base()
    one.build("kit:1", _MULTI_STAGE, builder="1")
    one.build("classic:1", _MULTI_STAGE)
    one.run("tag", "classic:1", "registry.example:5000/team/classic:v2")
    one.build("kit:2", f"{_MULTI_STAGE}RUN echo more > /more\n", builder="1")
    many = "\n".join(f"RUN echo {number} > /f{number}" for number in range(56 if one.driver == "overlay2" else 6))
    one.build("many:1", f"FROM base:1\n{many}\n")
    one.run("import", "-", stdin=b"\0" * 10240)
    one.base("gone:1")
    one.build("child:1", "FROM gone:1\nRUN echo 1 > /child\n")
    one.run("rmi", "-f", "gone:1")
    write = "echo w > /w; dd if=/dev/zero of=/v/f bs=1k count=70; rm /one; ln /w /w2; echo a line of the log"
    quiet = ("--network", "none")
    one.run("run", "-d", *quiet, "--name", "runs", "-v", "named:/v", "kit:1", "sh", "-c", f"{write}; sleep 1000")
    one.run("run", *quiet, "--name", "ended", "-v", "other:/v", "classic:1", "sh", "-c", write)
    one.run("run", *quiet, "--name", "bound", "-v", "/tmp:/t:ro", "--tmpfs", "/m", "-v", "/anon", "many:1", "sh")
    one.run("create", *quiet, "--name", "made", "--log-driver", "local", "child:1", "sh")
    labels = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=db")
    logs = ("--log-opt", "max-size=1m", "--log-opt", "max-file=3")
    one.run("run", "-d", *quiet, *labels, *logs, "--name", "held", "kit:2", "sh", "-c", "sleep 1000")
    one.run("pause", "held")
    one.run("volume", "create", "--label", "com.docker.compose.project=shop", "lonely")
    one.run("volume", "create")
    for name, options in _OPTIONS.items():
        one.run("volume", "create", *(word for option in options for word in ("--opt", option)), name)
    one.run("rmi", "-f", "many:1")
    one.ask(
        "/system/df"
    )  # BuildKit works the sizes of its records out, and writes them down, when it is asked for them
    one.build("spare:1", "FROM base:1\nRUN dd if=/dev/zero of=/spare bs=1k count=40\nRUN rm /spare\n")


def _figures(one: Engine) -> Samples:
    return figures_of(one.root, each_layer=True)


def test_every_image_is_as_large_as_the_engine_says(busy: Engine) -> None:
    figures = _figures(busy)
    told = busy.ask("/images/json?all=1")
    everything = figures_of(busy.root, intermediate=True)
    for image in told:
        name = image["Id"].removeprefix("sha256:")[:12]
        assert everything("image_virtual_size_bytes", image_id=name) == image["Size"], image
        assert everything("image_created_timestamp_seconds", image_id=name) // 1 == image["Created"]
        assert everything.all("image_info", image_id=name, digest=image["Id"])
    listed = {image["Id"].removeprefix("sha256:")[:12] for image in busy.ask("/images/json")}
    assert {labels["image_id"] for labels, _ in figures.all("image_virtual_size_bytes")} == listed
    dangling = busy.ask('/images/json?filters={"dangling":["true"]}')
    used = {container["ImageID"] for container in busy.ask("/containers/json?all=1")}
    assert figures("images", driver=busy.driver, state="dangling") == sum(one["Id"] not in used for one in dangling)
    assert figures("images", driver=busy.driver, state="intermediate") == len(told) - len(listed)
    tags = {f"{labels['repository']}:{labels['tag']}" for labels, _ in figures.all("image_tag_info")}
    assert tags == {tag for image in told for tag in image["RepoTags"] or () if tag != "<none>:<none>"}


def _unique_as_the_engine_counts(one: Engine) -> dict[str, int]:
    """What only one image has, by short id. From Docker 26 on an intermediate image shares, too."""
    snapshot = scan(one.root)
    figures = Figures(snapshot)
    if one.version < _INTERMEDIATE_SHARE:
        return {image[:12]: found.unique or 0 for (_, _, image), found in figures.images.items()}
    users = Counter(layer for image in snapshot.inventory.images for layer in image.layers)
    return {
        image.id[:12]: sum(
            figures.layer_sizes[LayerKey(image.driver, layer)] for layer in image.layers if users[layer] == 1
        )
        for image in snapshot.inventory.images
    }


def test_images_share_what_the_engine_says_they_share(busy: Engine) -> None:
    figures, told = _figures(busy), busy.ask("/system/df")
    unique = _unique_as_the_engine_counts(busy)
    for image in told["Images"]:
        name = image["Id"].removeprefix("sha256:")[:12]
        assert unique[name] == image["Size"] - image["SharedSize"], image
        assert figures("image_containers", image_id=name) == max(0, image["Containers"])
    assert figures("layers_size_bytes", driver=busy.driver, use="image") == told["LayersSize"]
    shares = figures.sum("image_proportional_size_bytes")
    assert shares == pytest.approx(told["LayersSize"])
    assert figures("missing_layers", driver=busy.driver) == 0


def test_every_container_is_as_the_engine_says(busy: Engine) -> None:
    figures = _figures(busy)
    for container in busy.ask("/containers/json?all=1&size=1"):
        name = container["Id"][:12]
        about = busy.ask(f"/containers/{container['Id']}/json?size=1")
        assert figures("container_writable_size_bytes", container_id=name) == about["SizeRw"], about["Name"]
        assert figures("container_virtual_size_bytes", container_id=name) == about["SizeRootFs"]
        assert figures("container_running", container_id=name) == about["State"]["Running"]
        mounts = {(one["Destination"], one.get("Name") or one["Source"]) for one in about["Mounts"]}
        ours = figures.all("container_mount_info", container_id=name)
        assert {(labels["destination"], labels["source"]) for labels, _ in ours if labels["kind"] != "tmpfs"} == mounts
        assert figures.all("container_info", container_id=name, name=about["Name"][1:])
    states = [container["State"] for container in busy.ask("/containers/json?all=1")]
    for state in ("running", "paused", "exited", "created"):
        assert figures("containers", driver=busy.driver, state=state) == states.count(state)
    held = busy.run("inspect", "held", "--format", "{{.Id}}")[:12]
    assert figures("container_log_limit_bytes", container_id=held) == 3_000_000
    assert figures.all("container_info", container_id=held, compose_project="shop", compose_service="db")
    assert figures.all("volume_info", volume="lonely", compose_project="shop")


def test_volumes_and_build_cache_are_as_the_engine_says(busy: Engine) -> None:
    figures, told = _figures(busy), busy.ask("/system/df")
    listed = {one["Name"] for one in busy.ask("/volumes")["Volumes"]}
    assert {labels["volume"] for labels, _ in figures.all("volume_info")} == listed
    assert listed - {one["Name"] for one in told["Volumes"]} == {*_OPTIONS}, "those with driver options are left out"
    for volume in told["Volumes"]:
        assert figures("volume_size_bytes", volume=volume["Name"]) == volume["UsageData"]["Size"]
        assert figures("volume_containers", volume=volume["Name"]) == volume["UsageData"]["RefCount"]
    cache = told["BuildCache"]
    assert figures("build_cache_records") == len(cache)
    assert figures("build_cache_size_bytes") == sum(one["Size"] for one in cache if not one["Shared"])
    for record in cache:
        name = record["ID"][:12]
        assert figures("build_cache_record_size_bytes", record_id=name) == record["Size"]
        assert figures("build_cache_record_uses", record_id=name) == record["UsageCount"]
        shared = "true" if record["Shared"] else "false"
        assert figures.all("build_cache_record_info", record_id=name, type=record["Type"], shared=shared)


def test_nothing_of_a_healthy_engine_is_orphaned_or_pending(busy: Engine) -> None:
    subprocess.run(["sync", "--file-system", str(busy.root)], check=True)  # only then a file has its blocks
    figures = figures_of(busy.root, orphaned_after=0)
    assert figures("layers", driver=busy.driver, use="orphaned") == 0
    assert figures("layers", driver=busy.driver, use="pending") == 0
    assert figures.sum("scan_errors_total") == 0
    assert figures.sum("directory_allocated_bytes") == busy.du()


def test_each_command_frees_what_was_promised(busy: Engine) -> None:
    """The last of this engine's tests: nothing that it pruned is there for another."""
    rows = [row for row in document_of(busy.root).reclaimable if row.category != Category.BUILD_HISTORY]
    promised = {row.category: (row.bytes, row.objects) for row in rows}
    assert promised.pop("layers_orphaned") == (0, 0)
    assert all(size and objects for size, objects in promised.values()), promised
    freed: dict[str, tuple[int, int]] = {}
    for row in rows[:-1]:
        (command,) = row.commands  # the version of a real engine is known
        before, objects = _without_its_own(busy), _objects(busy)[row.category]
        busy.run(*command.split()[1:], "--force")
        freed[row.category] = before - _without_its_own(busy), objects - _objects(busy)[row.category]
    assert freed == promised, busy.run("volume", "ls")
    left = {row.category: row.objects for row in document_of(busy.root).reclaimable}
    assert not any(left.values()), "the history of builds is not read here, and has no number"
    assert {one["Name"] for one in busy.ask("/volumes")["Volumes"]} >= {"memory", "bound", "named"}


def _objects(one: Engine) -> dict[str, int]:
    """How many objects the engine lists for each category."""
    images = len(one.ask("/images/json"))
    return {
        "containers_stopped": len(one.ask("/containers/json?all=1")),
        "images_dangling": images,
        "images_unused": images,
        "volumes_unused": len(one.ask("/volumes")["Volumes"]),
        "build_cache": len(one.ask("/system/df")["BuildCache"] or ()),
    }


def _without_its_own(one: Engine) -> int:
    """The disk blocks of the root in bytes, without the engine's own databases and directories, which do not shrink.

    A database is written through memory: the kernel gives it blocks at any time.
    """
    below = ("*", "vfs/*", "overlay2/*", "image/*", "image/*/*", "image/*/*db/*", "image/*/*db/*/*")
    stores = [path for pattern in below for path in one.root.glob(pattern)]
    own = {path for path in stores if path.is_dir() and not path.is_symlink() and len(path.name) < 20}
    own |= {*one.root.glob("image/*/repositories.json")}
    device, seen, total = one.root.stat().st_dev, set(), 0
    for home, directories, files in os.walk(one.root):
        status = {name: os.lstat(f"{home}/{name}") for name in (*directories, *files)}
        directories[:] = [name for name in directories if status[name].st_dev == device]
        for name, found in status.items():
            path = Path(home, name)
            if found.st_dev == device and found.st_ino not in seen and path not in own and path.suffix != ".db":
                seen.add(found.st_ino)
                total += found.st_blocks * 512
    return total


@pytest.mark.parametrize("driver", ["overlay2", "vfs"])
def test_an_engine_that_is_killed_leaves_nothing_live_that_is_called_orphaned(tmp_path: Path, driver: str) -> None:
    chance = random.Random(driver)
    with TemporaryDirectory(prefix="e-") as short, engine(tmp_path, Path(short), driver) as one:
        one.base()
        one.run("run", "-d", "--network", "none", "--name", "stays", "-v", "data:/v", "base:1", "sleep", "1000")
        for number in range(3):
            process = _kill_at_work(one, number, chance.randint(1, 9))
            os.kill(process, signal.SIGKILL)
            eventually(lambda: not runs(process))  # noqa: B023 - called at once
            dead = scan(one.root, orphaned_after=0)
            orphaned = {layer.id for layer in dead.inventory.layers if layer.use == "orphaned"}
            states = {container.name: container.state for container in dead.inventory.containers}
            assert states["stays"] == _WITHOUT_PROCESS
            one.start()
            assert not orphaned & _live(one), "the engine still has a use for it"
            one.run("start", "stays")
        _check_prunes_after_kills(one)


def _check_prunes_after_kills(one: Engine) -> None:
    """Compare what each command frees with what was promised, as far as the engine itself knows its build cache.

    Docker 20.10 keeps the record of a step that was cut off, and neither tells the usage nor prunes when the record's
    snapshot is gone.
    """
    if "BuildCache" not in one.ask("/system/df"):
        return
    for row in eventually(lambda: _rows_at_rest(one)):
        if row.category in (Category.BUILD_HISTORY, Category.LAYERS_ORPHANED) or row.bytes is None:
            continue
        (command,) = row.commands
        before = _without_its_own(one)
        one.run(*command.split()[1:], "--force")
        assert before - _without_its_own(one) == row.bytes, row


def _rows_at_rest(one: Engine) -> Sequence[ReclaimableRow]:
    """What can be freed, when the engine does not change its root any more; it removes some by itself at its start."""
    seen = [(_without_its_own(one), document_of(one.root).reclaimable) for _ in range(_LOOKS)]
    return seen[-1][1] if all(look == seen[-1] for look in seen) else ()


#: In a pid namespace of its own, as in a container, an exporter does not see all processes and cannot tell.
_WITHOUT_PROCESS = "stale" if os.readlink("/proc/self/ns/pid") == "pid:[4026531836]" else "unknown"


def _kill_at_work(one: Engine, number: int, changes: int) -> int:
    """Kill the engine when so much has changed since a build has begun; the process of the container that runs."""
    before = _entries(one)
    work = threading.Thread(target=_churn, args=(one, number))
    work.start()
    often(lambda: len(_entries(one) ^ before) >= changes or not work.is_alive())
    process = int(one.run("inspect", "stays", "--format", "{{.State.Pid}}"))
    assert process, "it runs"
    one.kill()
    work.join()
    return process


def _entries(one: Engine) -> set[str]:
    """What the driver and the builder have at this moment: it changes with each step of a build."""
    stores = (one.driver, f"{one.driver}/dir", f"image/{one.driver}/layerdb/tmp", f"image/{one.driver}/layerdb/sha256")
    return {str(path) for store in stores for path in (one.root / store).glob("*")}


def _churn(one: Engine, number: int) -> None:
    for builder in ("1", "0"):
        one.build(f"b{number}:{builder}", f"{_MULTI_STAGE}RUN echo {number} > /n\n", builder=builder, check=False)
        one.run("run", "--network", "none", f"b{number}:{builder}", "sh", "-c", "echo 1 > /1", check=False)
        one.run("container", "prune", "-f", check=False)


def _live(one: Engine) -> set[str]:
    """The driver's directories that the engine itself names."""
    names: set[str] = set()
    for kind, path in (("images", "/images/json?all=1"), ("containers", "/containers/json?all=1")):
        for each in one.ask(path):
            about: Any = one.ask(f"/{kind}/{each['Id']}/json")
            data = about["GraphDriver"]["Data"] or {}
            for value in data.values():
                names.update(part.split("/")[-2] for part in value.split(":") if "/" in part)
    return names
