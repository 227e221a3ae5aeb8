"""A build host of today: Docker 20.10 with overlay2, BuildKit, a compose project, and older layers of vfs.

Only a hundredth of each file has disk blocks: gigabytes take some ten megabytes, and a prune frees most of them.
"""

import os
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.demo.layerdb import LayerdbWriter, digest
from exporter.demo.place import require_empty
from exporter.demo.writer import Content

_MEGABYTE = 1_000_000
_KEPT_IMAGES = 2
_KEPT_RECORDS = 6
_SHORT_ID = 25
_ORPHANS = 5
_SPARSE = 100
_APP = "registry.example/ci/app"
_BASE, _PYTHON, _SHOP = "debian:12", "python:3.12", "registry.example/shop/web:7"
_BOUNDED = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "5"}}}


class _Writer(LayerdbWriter):
    def put(self, top: Path, files: Mapping[str, Content]) -> None:
        super().put(top, files)
        for name, content in files.items():
            if isinstance(content, int):
                _allocate(top / name, 0, content)


def build_host(directory: Path) -> LayerdbWriter:
    """Build the host's root in a directory that is new or empty; raises FileExistsError otherwise, or OSError.

    Returns the writer, for further changes.
    """
    require_empty(directory)
    _left_by_vfs(directory)
    writer = _Writer(directory, "overlay2")
    writer.used = int(time.time()) - 86400
    writer.created = _ago(timedelta(days=40))
    writer.layer("debian", 124 * _MEGABYTE).image(_BASE, "debian", [_BASE])
    writer.layer("python-deps", 47 * _MEGABYTE, "debian").layer("python", 61 * _MEGABYTE, "python-deps")
    writer.image(_PYTHON, "python", [_PYTHON, "python:3"])
    writer.layer("postgres", 305 * _MEGABYTE, "debian").image("postgres:16", "postgres", ["postgres:16"])
    writer.created = _ago(timedelta(days=9))
    writer.layer("shop-6", 88 * _MEGABYTE, "python").image("shop:6", "shop-6")  # its tag went to the next
    writer.created = _ago(timedelta(days=2))
    writer.layer("shop-7", 91 * _MEGABYTE, "python").image(_SHOP, "shop-7", [_SHOP])
    _containers(writer)
    for at in range(_KEPT_RECORDS):
        _record(writer, f"cache {at}", (at + 1) * 37 * _MEGABYTE)
    return writer


class BusyHost:
    """A host with builds that come and go. One step is about one second."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.writer = build_host(root)
        self.steps = 0
        self._builds: deque[str] = deque()
        self._jobs: deque[str] = deque()
        self._records: deque[str] = deque(f"cache {at}" for at in range(_KEPT_RECORDS))

    def step(self) -> None:
        """Make the changes of one step."""
        self.steps += 1
        self.writer.created, self.writer.used = _ago(timedelta()), int(time.time())
        self._grow()
        if self.steps % 6 == 1:
            self._build()
        if self.steps % 9 == 2:
            self._job()
        if self.steps % 40 == 3 and self.steps < 40 * _ORPHANS:  # a crash leaves a layer behind
            self.writer.directory(digest(f"left over {self.steps}"), {"usr/lib/app.so": 30 * _MEGABYTE})
        if self.steps == 20:  # an administrator deleted a directory
            self.writer.layer("lost", _MEGABYTE, "debian").image("lost:1", "lost", ["registry.example/lost:1"])
            self.writer.forget_directory(self.writer.cache("lost"))
        if self.steps % 120 == 0:
            self.prune()

    def prune(self) -> None:
        """Remove old builds, ended jobs and old build records, as a nightly prune does."""
        while self._jobs:
            self.writer.remove_container(self._jobs.popleft())
        while len(self._builds) > _KEPT_IMAGES:
            name = self._builds.popleft()
            self.writer.remove_image(name)
            self.writer.remove_layer(name)
        while len(self._records) > _KEPT_RECORDS:
            self.writer.remove_build(_record_id(self._records.popleft()))

    def _grow(self) -> None:
        _lengthen(self.writer.log("worker"), 2 * _MEGABYTE)
        web = self.writer.log("web")
        _lengthen(web, -60 * _MEGABYTE if web.stat().st_size > 80 * _MEGABYTE else _MEGABYTE)
        _lengthen(self.writer.writable("runner") / "work.tar", 4 * _MEGABYTE)
        _lengthen(self.root / "volumes/shop_db/_data/f", 3 * _MEGABYTE)

    def _build(self) -> None:
        name = f"build {self.steps}"
        self.writer.layer(name, 38 * _MEGABYTE, "python").image(name, name, [f"{_APP}:{self.steps}"])
        self._builds.append(name)
        record = f"cache of {name}"
        _record(self.writer, record, 26 * _MEGABYTE)
        self._records.append(record)

    def _job(self) -> None:
        name = f"ci-job-{self.steps}"
        image = self._builds[-1]
        config = {"Config": {"Image": f"{_APP}:{image.partition(' ')[2]}", "Labels": {}}}
        state = {"ExitCode": self.steps % 2}
        written = {"root/.cache": 45 * _MEGABYTE}
        self.writer.container(
            name, image, image, state=state, writable=written, host=_BOUNDED, config=config, log=3 * _MEGABYTE
        )
        self._jobs.append(name)


def _containers(writer: LayerdbWriter) -> None:
    runs = {"Running": True, "Pid": 2**22 - 5}
    writer.volume("shop_db", 640 * _MEGABYTE).volume("old_db", 410 * _MEGABYTE)
    anonymous = digest("left by docker run without --rm")
    writer.volume(anonymous, 150 * _MEGABYTE)
    shop = {"com.docker.compose.project": "shop"}
    writer.volume_labels({"shop_db": shop, "old_db": {"com.docker.compose.project": "shop-2022"}, anonymous: {}})
    writer.container(
        "db",
        "postgres:16",
        "postgres",
        writable={"run/postgresql.pid": 5},
        state=runs,
        host=_BOUNDED,
        config=_config("postgres:16", "db", {"/var/lib/postgresql/data": ("shop_db", "volume")}),
        log=12 * _MEGABYTE,
    )
    binds = {"/etc/shop": ("/srv/shop/etc", "bind")}
    configs = {name: _config(_SHOP, name, binds) for name in ("web", "worker")}
    size = 30 * _MEGABYTE
    writer.container("web", _SHOP, "shop-7", state=runs, host=_BOUNDED, config=configs["web"], log=size)
    writer.container("worker", _SHOP, "shop-7", state=runs, config=configs["worker"], log=900 * _MEGABYTE)
    work = {"work.tar": 700 * _MEGABYTE}
    writer.container("runner", _PYTHON, "python", writable=work, state=runs, log=2 * _MEGABYTE)
    cache = {"root/.npm": 260 * _MEGABYTE}
    writer.container("web-before-upgrade", "shop:6", "shop-6", writable=cache, log=70 * _MEGABYTE)


def _config(image: str, service: str, mounts: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": service}
    points = {
        at: {"Source": source, "Destination": at, "RW": True, "Type": kind}
        | ({"Name": source, "Driver": "local"} if kind == "volume" else {})
        for at, (source, kind) in mounts.items()
    }
    return {"Config": {"Image": image, "Labels": labels}, "MountPoints": points}


def _left_by_vfs(directory: Path) -> None:
    """Write an image of vfs, which Docker used before overlay2 was available here."""
    writer = _Writer(directory, "vfs")
    writer.layer("old base", 118 * _MEGABYTE).image("old", "old base", ["debian:11"])


def _record(writer: LayerdbWriter, name: str, size: int) -> None:
    writer.build(_record_id(name), size=size)


def _record_id(name: str) -> str:
    return digest(name)[:_SHORT_ID]


def _ago(time_ago: timedelta) -> str:
    return (datetime.now(UTC) - time_ago).strftime("%Y-%m-%dT%H:%M:%SZ")


def _lengthen(path: Path, amount: int) -> None:
    size = path.stat().st_size
    os.truncate(path, size + amount)
    _allocate(path, size, amount)


def _allocate(path: Path, start: int, amount: int) -> None:
    """Allocate disk blocks for a hundredth of a range."""
    if amount >= _SPARSE:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), start, amount // _SPARSE)
