"""A host of today: Docker 28 with the containerd image store, and two pods of a Kubernetes node in the same store.

Sizes are a tenth of what such images have, and their blocks are really there: recorded and walked sizes agree.
"""

import functools
import os
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter.demo import oci, pods
from exporter.demo.collect import collect
from exporter.demo.containerd import SECOND
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.demo.layerdb import digest
from exporter.demo.place import require_empty
from exporter.demo.writer import Content

_MEGABYTE = 1_000_000
_DAY = 86_400 * SECOND
_KEPT_IMAGES = 2
_KEPT_BUILDS = 6
_DEBIAN, _PYTHON, _POSTGRES = (f"docker.io/library/{name}" for name in ("debian:12", "python:3.12", "postgres:16"))
_SHOP, _APP = "registry.example/shop/web", "registry.example/ci/app"
_AGENT = "registry.example/monitoring/agent:1.9"
_PAUSE = "registry.k8s.io/pause:3.10"
_RUNS = {"Running": True, "Pid": 2**22 - 5}
_BOUNDED = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "5"}}}


_SIZES = {"debian": 12 * _MEGABYTE, "python-deps": 5 * _MEGABYTE, "python": 6 * _MEGABYTE}
_SIZES |= {f"shop-{version}": 2 * _MEGABYTE + version * 10_000 for version in (5, 6, 7)}


@functools.cache
def _of(name: str) -> oci.OciLayer:
    """A layer that several images have, by its name."""
    return _layer(name, _SIZES[name])


def _layer(name: str, size: int) -> oci.OciLayer:
    return oci.layer({f"usr/lib/{name}": size})


def _python() -> list[oci.OciLayer]:
    return [_of("debian"), _of("python-deps"), _of("python")]


def build_containerd_host(directory: Path) -> ContainerdWriter:
    """Build the host's root in a directory that is new or empty; raises FileExistsError otherwise, or OSError.

    Returns the writer, for further changes; what these change is in the databases after its `write`.
    """
    require_empty(directory)
    writer = ContainerdWriter(directory)
    writer.store.now = time.time_ns() - 40 * _DAY
    debian = writer.image(_DEBIAN, _pulled([_of("debian")]))
    python = writer.image(_PYTHON, _pulled(_python()))
    writer.moby.name_image("docker.io/library/python:3", python)
    postgres = writer.image(_POSTGRES, _pulled([_of("debian"), _layer("postgres", 30 * _MEGABYTE // 10)]))
    writer.store.now = time.time_ns() - 2 * _DAY
    shop = _shop(writer)
    _containers(writer, postgres, python, shop)
    _builds(writer, python, shop[7])
    _pods(writer, debian)
    writer.moby.ingest("layer-sha256:" + digest("node")[:12], 3 * _MEGABYTE, 9 * _MEGABYTE)
    collect(writer.store)
    writer.write()
    return writer


class ContainerdHost:
    """The host, with builds and containers that come and go. One step is about one second."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.writer = build_containerd_host(root)
        self.steps = 0
        self._images: deque[str] = deque()
        self._builds: deque[str] = deque()
        self._jobs: deque[str] = deque()

    def step(self) -> None:
        """Make the changes of one step."""
        self.steps += 1
        self.writer.store.now = time.time_ns()
        _lengthen(self.writer.log(digest("containerworker")), _MEGABYTE // 10)
        if self.steps % 6 == 1:
            self._build()
        if self.steps % 9 == 2:
            self._job()
        if self.steps % 120 == 0:
            self.prune()
        self.writer.write()

    def prune(self) -> None:
        """Remove ended jobs, old images, and what old builds have left in the cache and in the history."""
        while self._jobs:
            self.writer.remove_container(self._jobs.popleft())
        while len(self._images) > _KEPT_IMAGES:
            self.writer.moby.remove_image(self._images.popleft())
        while len(self._builds) > _KEPT_BUILDS:
            name = self._builds.popleft()
            self.writer.remove_record(name)
            self.writer.remove_history(name)
        collect(self.writer.store)
        _lengthen(self.writer.log(digest("containerworker")), -12 * _MEGABYTE)

    def _build(self) -> None:
        name = f"{_APP}:{self.steps}"
        step = _layer(f"app-{self.steps}", _MEGABYTE // 2)
        made = _made([*_python(), step], 0)
        target = self.writer.image(name, oci.index([made, oci.attestation(made)]))
        _step(self.writer, name, step, "python", target)
        self._images.append(name)
        self._builds.append(name)

    def _job(self) -> None:
        image = self._images[-1]
        target = self.writer.target(image)
        state = {"ExitCode": self.steps % 2}
        written = {"root/.cache": 4 * _MEGABYTE // 10}
        name = f"ci-job-{self.steps}"
        self._jobs.append(self.writer.container(name, image, target, state=state, writable=written, log=20_000))


def _pulled(layers: list[oci.OciLayer]) -> oci.OciManifest:
    """An image that was pulled: its index names a further platform, of which nothing is here."""
    absent = oci.manifest([_layer("another platform", 100)], "linux/arm64", here=False)
    return oci.index([_made(layers, 40), absent])


def _made(layers: list[oci.OciLayer], days_ago: int) -> oci.OciManifest:
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    return oci.manifest(layers, created=moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _shop(writer: ContainerdWriter) -> dict[int, oci.OciManifest]:
    """Write the three versions of an image that is built here: the first is gone, the second dangling."""
    made = {}
    for version in (5, 6, 7):
        host = _made([*_python(), _of(f"shop-{version}")], 2)
        manifests = [host, oci.attestation(host)]
        if version == 7:  # for two platforms
            other = oci.manifest([_layer("debian-arm64", 11 * _MEGABYTE), _layer("shop-arm64", 9)], "linux/arm64")
            manifests.insert(1, other)
        made[version] = writer.image(f"{_SHOP}:{version}", oci.index(manifests))
    return made


def _containers(
    writer: ContainerdWriter, postgres: oci.OciManifest, python: oci.OciManifest, shop: Mapping[int, oci.OciManifest]
) -> None:
    label = {"com.docker.compose.project": "shop"}
    anonymous = digest("left by docker run without --rm")
    writer.volume("shop_db", {"base/16384": 9 * _MEGABYTE}, label)
    writer.volume("old_db", {"base/16384": 4 * _MEGABYTE}, {"com.docker.compose.project": "shop-2022"})
    writer.volume(anonymous, {"dump.sql": 2 * _MEGABYTE}, {"com.docker.volume.anonymous": ""})
    at = {"/var/lib/postgresql/data": "shop_db"}
    pid: dict[str, Content] = {"run/postgresql.pid": b"1\n"}
    service = {name: {"Labels": label | {"com.docker.compose.service": name}} for name in ("db", "web", "worker")}
    writer.container(
        "db", "postgres:16", postgres, writable=pid, state=_RUNS, host=_BOUNDED, config=service["db"], mounts=at, log=9
    )
    used = f"{_SHOP}:7"
    writer.container("web", used, shop[7], state=_RUNS, host=_BOUNDED, config=service["web"], log=_MEGABYTE)
    writer.container("worker", used, shop[7], state=_RUNS, config=service["worker"], log=13 * _MEGABYTE)
    work: dict[str, Content] = {"work.tar": 8 * _MEGABYTE}
    runner = writer.container("runner", "python:3.12", python, writable=work, state=_RUNS, log=20_000)
    cache: dict[str, Content] = {"root/.npm": 3 * _MEGABYTE}
    writer.container("web-before-upgrade", f"{_SHOP}:6", shop[6], writable=cache, log=70_000)
    writer.container("first-try", f"{_SHOP}:5", shop[5], state={"ExitCode": 1}, log=9_000)
    host = python.manifests[0]
    writer.commit(runner, "docker.io/library/runner-debug:1", host, {"usr/bin/strace": _MEGABYTE})
    writer.moby.remove_image(f"{_SHOP}:5")  # as a build with its tag does: the container keeps its layers only
    writer.moby.remove_image(f"{_SHOP}:6")
    writer.moby.dangling(shop[6])  # as a load over its tag does


def _builds(writer: ContainerdWriter, python: oci.OciManifest, shop: oci.OciManifest) -> None:
    """Write the build cache: of the shop's last version, and steps and contexts that no image has."""
    below = ""
    for name, layer, chain in zip(_SIZES, _python(), python.manifests[0].chains, strict=False):
        writer.build_record(name, parent=below, layer=layer, chain=chain, description="pulled from docker.io")
        below = name
    _step(writer, f"{_SHOP}:7", _of("shop-7"), "python", shop)
    tests = _layer("test-deps", 4 * _MEGABYTE)
    writer.build_record("tests", files=tests.files, parent="python", layer=tests, description="RUN pip install pytest")
    writer.build_record("pip", files={"wheels": 3 * _MEGABYTE}, mutable=True, kind="exec.cachemount")
    writer.build_record("context", files={"src.tar": _MEGABYTE}, mutable=True, kind="source.local")
    writer.twin("context, read only", "context")
    for at in range(_KEPT_BUILDS):
        writer.history(f"build {at}", {"log": 900_000, "trace": 200_000})
    writer.temporary_lease("150604897-XJbL", content=[python.digest])


def _step(
    writer: ContainerdWriter, name: str, layer: oci.OciLayer, parent: str, target: oci.OciManifest | None
) -> None:
    """Write what the last step of a build leaves: a record with a snapshot of its own, and the build's history."""
    writer.build_record(name, files=layer.files, parent=parent, layer=layer, description="COPY . /srv", view=True)
    writer.history(name, {"log": 60_000, "trace": 90_000, "provenance": 9_000}, target)


def _pods(writer: ContainerdWriter, debian: oci.OciManifest) -> None:
    """Write two pods in the namespace of Kubernetes. One image is Docker's as well: its blobs are there once."""
    node = writer.store.namespace("k8s.io")
    pause = _made([_layer("pause", 300_000)], 300)
    agent = _made([_of("debian"), _layer("agent", 2 * _MEGABYTE)], 9)
    pods.image(node, _PAUSE, pause)
    pods.image(node, _DEBIAN, debian)
    pods.image(node, "registry.example/monitoring/agent:1.9", agent)
    for pod, image, of in (
        ("agent-x7k2p", "registry.example/monitoring/agent:1.9", agent),
        ("cron-1", _DEBIAN, debian),
    ):
        sandbox, made = digest(f"sandbox of {pod}"), digest(f"container of {pod}")
        runs, space = pod != "cron-1", "monitoring" if pod != "cron-1" else "default"
        pods.container(node, sandbox, _PAUSE, pause.chains[-1], pod=pod, pod_namespace=space, running=runs)
        pods.container(
            node,
            made,
            image,
            writer.top(of),
            pod=pod,
            pod_namespace=space,
            name=pod.partition("-")[0],
            sandbox=sandbox,
            writable={"var/spool/queue": _MEGABYTE // 2},
            running=runs,
        )


def _lengthen(path: Path, amount: int) -> None:
    size = path.stat().st_size
    os.truncate(path, max(size + amount, 0))
    if amount > 0:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), size, amount)
