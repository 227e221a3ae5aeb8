"""A real engine at work, sick hosts beside it, real exporters, a real Prometheus: queries answer, alerts fire."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.demo.layerdb import LayerdbWriter
from exporter.rules import Settings, Thresholds, rules
from tests.support.engine import Engine, engine
from tests.support.live import DASHBOARDS, Live, Prometheus, Query, annotations, dashboard, interpolated, queries
from tests.support.product import needs, scanning
from tests.support.roots import GraphRoot, hex_id
from tests.support.waiting import eventually

pytestmark = [pytest.mark.xdist_group("prometheus of an engine"), needs("prometheus")]

_QUIET = ("--network", "none")
#: Addresses as Prometheus shows them: regular expressions must take them as they are. Both read the same root.
_BUSY, _TWIN = "10.1.0.1:9588", "host+x [twin]"
#: One has nearly everything wrong; one images of containerd's, one no root at all; one does not answer.
_SICK, _NEW, _GONE, _DOWN = "sick", "new", "gone", "down"
#: Small enough for what is really written here; how fast the clock runs, the rules' own way.
_THRESHOLDS = Thresholds(orphaned=100_000, scan_age=10)
_SETTINGS = Settings(thresholds=_THRESHOLDS, speed=2400, shortest=8)
#: Of the whole machine's disk, and so not this test's to say.
_OF_THE_DISK = {
    "DockerStorageFilesystemFillingUp",
    "DockerStorageFilesystemAlmostFull",
    "DockerStorageFilesystemFullSoon",
    "DockerStorageInodesFillingUp",
    "DockerStorageReclaimableHigh",
}
#: Played in tests/support/alerts only: a clock cannot be set here, nor a discovery lost.
_NOT_HERE = {
    "DockerStorageClockWrong",
    "DockerStorageFiguresMissing",
    "DockerStorageHostLost",
    "DockerStorageFilesystemReadOnly",
    "DockerStorageNoExporters",
    "DockerStorageScrapedSeldom",
}
_MUST_FIRE = {
    ("DockerStorageFilesystemFillingUp", _SICK),
    ("DockerStorageFilesystemAlmostFull", _SICK),
    ("DockerStorageFilesystemFullSoon", _SICK),
    ("DockerStorageInodesFillingUp", _SICK),
    ("DockerStorageInodesAlmostExhausted", _SICK),
    ("DockerStorageGrowthHigh", _SICK),
    ("DockerContainerLogRunaway", _SICK),
    ("DockerContainerLogUnbounded", _SICK),
    ("DockerContainerWritableLayerLarge", _SICK),
    ("DockerContainerWritableLayerNearLimit", _SICK),
    ("DockerStorageOrphanedLayers", _SICK),
    ("DockerStorageMissingLayers", _SICK),
    ("DockerStorageReclaimableHigh", _SICK),
    ("DockerStorageRootUnreadable", _GONE),
    ("DockerStorageScanStale", _SICK),
    ("DockerStorageScanErrors", _SICK),
    ("DockerStorageNotKnown", _SICK),
    ("DockerStorageWatchDegraded", _TWIN),
    ("DockerStorageImageStoreUnsupported", _NEW),
    ("DockerStorageExporterDown", _DOWN),
    ("DockerStorageScannerDown", _GONE),
    ("DockerStorageSeriesDropped", _SICK),
}
#: The panels of containerd's image store, which one host here has.
_STORE = (
    "Blobs by use",
    "Build history",
    "Builds in the history",
    "Content and snapshots of images",
    "Content by use",
    "Namespaces",
)
#: Rightly empty, and why.
_EMPTY = {
    "docker-storage.json: Large drops": "nobody prunes 2 % of this machine's disk",
    "docker-storage.json: Exporter restarts": "none restarts before the test that makes one do so",
}


class Sick:
    """A host with a small disk on which everything is wrong. Its Docker was upgraded: it has images of both layouts."""

    def __init__(self, scratch: Path) -> None:
        self.disk = scratch / "sick"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,nr_inodes=16000", "none", self.disk], check=True)
        self.root = self.disk / "docker"
        self._built = GraphRoot(self.root, "aufs")
        self._built.image("base", tag="base:1").image("top", parent="base", tag="top:1")
        self._built.container("loud", image="base").container("fat", image="base")
        self._built.writer.file(f"aufs/diff/{hex_id('fat')}/fat", 11 * 1024**3)
        new = LayerdbWriter(self.root, "overlay2").layer("base", 10).image("base", "base", ["base:1"])
        new.container("loud", "base", "base", log=10)
        limited = {"StorageOpt": {"size": "256k"}}
        new.container("full", "base", "base", host=limited, writable={"f": os.urandom(250_000)})
        self._log = self.root / "containers" / hex_id("loud") / f"{hex_id('loud')}-json.log"
        os.truncate(self._log, 2 * 1024**3)
        # A prune of containers is what is known here: the engine does not load those of the other driver.
        self._built.writer.file(f"aufs/diff/{hex_id('fat')}/fill", os.urandom(24 * 1024**2))
        self._built.writer.volume(hex_id("left"), {"fill": b"left"})

    def fall_ill(self) -> None:
        """Lose a layer, leave one over, damage a file, and take nearly all inodes."""
        for store in ("layers", "diff", "mnt"):
            path = self.root / "aufs" / store / hex_id("top")
            path.unlink() if path.is_file() else path.rmdir()
        self._built.writer.file(f"aufs/diff/{hex_id('left over')}/file", os.urandom(200_000))
        self._built.writer.file(f"volumes/{hex_id('torn')}/config.json", b"{")
        home = self.root / "aufs/diff" / hex_id("loud")
        while (free := os.statvfs(self.disk)).f_ffree > 0.04 * free.f_files:
            (home / f"{free.f_ffree}").touch()

    def step(self) -> None:
        """Let the log run away, and the disk fill as far as it goes: to the last hundredth."""
        os.truncate(self._log, self._log.stat().st_size + 32 * 1024**2)
        free = os.statvfs(self.disk)
        if free.f_bavail > 0.02 * free.f_blocks:
            name = f"volumes/{hex_id(str(free.f_bavail))}/_data/fill"
            self._built.writer.file(name, os.urandom(free.f_blocks * free.f_frsize // 200))

    def clean(self) -> None:
        subprocess.run(["umount", "-l", self.disk], check=True)


@dataclass
class Hosts:
    prometheus: Prometheus
    engine: Engine
    restart: Callable[[], None]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Start all of it, and live on until every alert that must fire does."""
    scratch = tmp_path_factory.mktemp("engine")
    with ExitStack() as stack:
        short = Path(stack.enter_context(TemporaryDirectory(prefix="e-")))
        one = stack.enter_context(engine(scratch, short, "overlay2"))
        sick = Sick(scratch)
        stack.callback(sick.clean)
        live = Live(scratch)
        stack.callback(live.close)
        _fill(one)
        ended = threading.Event()
        worker = threading.Thread(target=_work, args=(one, ended))
        stack.callback(worker.join)
        stack.callback(ended.set)
        worker.start()
        yield from _watched(live, sick, one)


def _store(root: Path) -> None:
    """Write a containerd image store with snapshots that are no directories."""
    writer = ContainerdWriter(root, "devmapper")
    writer.image("docker.io/library/base:1", [oci.layer({"bin/sh": b"#"})])
    writer.history("first", {"log": b"step 1"})
    writer.write()


def _watched(live: Live, sick: Sick, one: Engine) -> Iterator[Hosts]:
    few = live.exporter(sick.root, "--collector.volumes.max-series", "4")
    targets = {_BUSY: live.exporter(one.root)[1], _SICK: few[1], _DOWN: "127.0.0.1:1"}
    _store(live.scratch / "new")
    targets[_NEW] = live.exporter(live.scratch / "new")[1]
    lost, targets[_GONE] = live.exporter(live.scratch / "nothing")
    twin, targets[_TWIN] = live.exporter(one.root, "--no-watch")
    prometheus = live.prometheus(targets, _SETTINGS)
    eventually(lambda: prometheus.instant('docker_storage_scan_success{instance="sick"}'))
    sick.fall_ill()

    fired: set[tuple[str, str]] = set()

    def all_have_fired() -> bool:
        sick.step()
        for scanner in scanning(lost.pid):
            os.kill(scanner, signal.SIGKILL)
        # Some fire for seconds only.
        found = prometheus.instant('last_over_time(ALERTS{alertstate="firing"}[1h])')
        fired.update((one["metric"]["alertname"], one["metric"].get("instance", "")) for one in found)
        return fired >= _MUST_FIRE

    eventually(all_have_fired, otherwise=lambda: _MUST_FIRE - fired)

    def restart() -> None:
        twin.kill()
        twin.wait()
        live.exporter(one.root, "--no-watch", "--web.listen-address", targets[_TWIN])

    yield Hosts(prometheus, one, restart)


def _fill(one: Engine) -> None:
    """Images of both builders, containers in several states, volumes, bind mounts, logs with and without a limit."""
    one.base()
    stages = "FROM base:1 AS build\nRUN dd if=/dev/zero of=/big bs=1k count=300\n"
    stages += "FROM base:1\nCOPY --from=build /big /\n"
    one.build("kit:1", stages + "VOLUME /data\n", builder="1")
    one.build("classic:1", stages)
    write = "dd if=/dev/zero of=/w bs=1k count=90; dd if=/dev/zero of=/v/f bs=1k count=70; "
    one.run("run", "-d", *_QUIET, "--name", "writes", "-v", "named:/v", "kit:1", "sh", "-c", f"{write}sleep 1000")
    talk = "while :; do echo a line of the log; sleep 0.1; done"
    one.run("run", "-d", *_QUIET, "--name", "talks", "-v", "/tmp:/t:ro", "--tmpfs", "/m", "base:1", "sh", "-c", talk)
    limit = ("--log-opt", "max-size=1m", "--log-opt", "max-file=3")
    compose = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=db")
    one.run("run", *_QUIET, *limit, *compose, "--name", "ended", "-v", "other:/v", "classic:1", "sh", "-c", write)
    one.run("run", *_QUIET, "--name", "mute", "--log-driver", "none", "base:1", "sh", "-c", f"mkdir /v; {write}")
    one.run("create", *_QUIET, "--name", "made", "--log-driver", "local", "kit:1", "sh")
    one.run("volume", "create", "--label", "com.docker.compose.project=shop", "lonely")


def _work(one: Engine, ended: threading.Event) -> None:
    """Build with both builders, run, prune, until ended."""
    number = 0
    while not ended.is_set():
        number += 1
        lines = f"FROM base:1\nRUN echo {number} > /n && dd if=/dev/zero of=/b bs=1k count=200\n"
        one.build(f"ci:{number}", lines, builder=str(number % 2), check=False)
        one.run("run", "--rm", *_QUIET, f"ci:{number}", "sh", "-c", "echo 1 > /1", check=False)
        one.run("rmi", "-f", f"ci:{number - 2}", check=False)
        if number % 5 == 0:
            one.run("builder", "prune", "-f", "--keep-storage", "1MB", check=False)


def _all(name: str) -> list[Query]:
    return [*queries(name), *annotations(name)]


@pytest.mark.parametrize("chosen", [(), (_BUSY,), (_TWIN,), (_BUSY, _TWIN)], ids=["all", "busy", "twin", "two"])
def test_every_query_is_answered_with_the_labels_that_it_shows(hosts: Hosts, chosen: tuple[str, ...]) -> None:
    """A busy engine has moments in which a figure is not known: then its query is asked again."""
    empty = dict(_EMPTY)
    if chosen == (_TWIN,):
        empty["docker-storage.json: Age of events and audits B"] = "it looks and hears of no event"
    for query in (query for name in DASHBOARDS for query in _all(name)):
        eventually(
            lambda: _answers_rightly(hosts, query, chosen, empty.keys()),  # noqa: B023 - called at once
            otherwise=lambda: (query, hosts.prometheus.answer(query, chosen)),  # noqa: B023
        )


def _answers_rightly(hosts: Hosts, query: Query, chosen: tuple[str, ...], empty: Container[str]) -> bool:
    series = hosts.prometheus.answer(query, chosen)  # raises where Prometheus refuses it
    if chosen and "$instance" in query.expression:
        assert {found["metric"]["instance"] for found in series} <= set(chosen), query.where
    # Whether a healthy host has an alert is for this machine's disk to say.
    if not series and chosen and query.where.endswith((": Alerts", ": Alerts A")):
        return True
    if query.where in empty or (chosen and query.where.partition(": ")[2].startswith(_STORE)):
        return not series
    lost = {one for one in query.labels if not any(one in found["metric"] for found in series)}
    # A development version has no revision, what was not made by compose no project, and only containerd the rest.
    rightly = {"revision", "compose_project", "root", "namespace", "pod"}
    # There is one cluster without a name, and not every alert is one on a disk or on a container.
    rightly |= {"cluster", "mountpoint", "name"}
    return bool(series) and lost <= rightly


def test_no_object_is_lost_by_a_join_and_none_shown_twice(hosts: Hosts) -> None:
    """What the engine itself lists is in the tables, and each row of a table has one figure.

    A scrape that takes longer than its second leaves a table empty for a moment: it is asked again.
    """
    expected: dict[str, tuple[tuple[str, ...], set[tuple[str, ...]]]] = {
        "Volumes A": (("volume",), {(one["Name"],) for one in hosts.engine.ask("/volumes")["Volumes"]}),
        "Bind mounts and volumes by container A": (("name", "destination"), _MOUNTED),
        "Bind mounts and volumes by container B": (("name", "source"), {("writes", "named"), ("ended", "other")}),
        "Images A": (("image",), {("base:1",), ("kit:1",), ("classic:1",)}),
    }
    for table in ("Containers A", "Containers B", "Containers E", "Containers G", "Stopped but holding space A"):
        expected[table] = (("name",), {("writes",), ("talks",), ("ended",), ("mute",), ("made",)})

    def is_right(query: Query) -> bool:
        found = [one["metric"] for one in hosts.prometheus.answer(query, (_BUSY,))]
        table = query.where.partition(": ")[2]
        labels, rows = expected.get(table, ((), set()))
        here = {tuple(one[label] for label in labels) for one in found}
        # A range that begins before the first evaluation of the rules has what they record twice: worked out as well.
        return _distinct(query, found) and (here == rows if table == "Volumes A" else here >= rows)

    tables = {query.where.partition(": ")[2]: query for query in queries(DASHBOARDS[0])}
    assert expected.keys() <= tables.keys()
    for query in tables.values():
        eventually(partial(is_right, query), otherwise=partial(str, query.where))


_MOUNTED: set[tuple[str, ...]] = {
    ("writes", "/v"),
    ("writes", "/data"),
    ("talks", "/t"),
    ("talks", "/m"),
    ("ended", "/v"),
}


def _distinct(query: Query, found: list[dict[str, str]]) -> bool:
    """Whether no two series have the same labels of those that are shown."""
    shown = [json.dumps({label: one.get(label) for label in query.labels}, sort_keys=True) for one in found]
    return len(set(shown)) == len(shown)


def test_two_layouts_and_three_drivers_in_one_root_are_told_apart(hosts: Hosts) -> None:
    tables = {one.where.removeprefix("docker-storage.json: "): one for one in _all(DASHBOARDS[0])}

    def drivers(table: str, **labels: str) -> list[str]:
        found = [one["metric"] for one in hosts.prometheus.answer(tables[table], (_SICK,))]
        return sorted(one["driver"] for one in found if labels.items() <= one.items())

    # An old Docker keeps its volumes in vfs.
    eventually(lambda: {*drivers("Layers by use A")} == {"aufs", "overlay2", "vfs"})
    eventually(lambda: drivers("Tags C", tag="1") == ["aufs", "aufs", "overlay2"])
    eventually(lambda: drivers("Containers A") == ["aufs", "aufs", "overlay2", "overlay2"])


def test_variables_list_what_there_is(hosts: Hosts) -> None:
    found = {}
    for one in dashboard(DASHBOARDS[0])["templating"]["list"]:
        if one["type"] == "query":
            series, label = one["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            found[one["name"]] = hosts.prometheus.ask(f"label/{label}/values", **{"match[]": interpolated(series)})
    hosts_here = sorted([_BUSY, _TWIN, _SICK, _NEW, _GONE])
    assert found == {"job": ["docker-storage"], "cluster": [], "instance": hosts_here, "exporter": hosts_here}


#: While Prometheus stands still, there is no target at all.
_OF_NO_HOST = {"DockerStorageNoExporters"}


def test_every_alert_that_must_fire_does_and_says_of_what(hosts: Hosts) -> None:
    """The fixture has waited until they do. None lasts for the healthy host."""
    assert {name for name, _ in _MUST_FIRE} | _NOT_HERE == set(re.findall(r"alert: (\w+)", rules(Settings())))

    def healthy() -> set[str]:
        return {name for name, instance in hosts.prometheus.firing() if instance == _BUSY} - _OF_THE_DISK

    eventually(lambda: not healthy(), otherwise=healthy)  # a quarter of an hour is less than a second here
    for one in hosts.prometheus.ask("alerts")["alerts"]:
        text = one["annotations"]["summary"] + one["annotations"]["description"]
        if one["labels"]["alertname"] not in _OF_NO_HOST:
            assert one["labels"]["instance"] in text
        assert "<no value>" not in text
        if one["labels"]["alertname"].startswith("DockerContainer"):
            assert one["labels"]["name"] in text


def test_a_restart_is_annotated(hosts: Hosts) -> None:
    (restarts,) = (one for one in annotations(DASHBOARDS[0]) if one.where.endswith("Exporter restarts"))
    hosts.restart()
    eventually(lambda: {one["metric"]["instance"] for one in hosts.prometheus.answer(restarts)} == {_TWIN})
