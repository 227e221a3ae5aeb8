"""Changes the example root all the time: images are built, logs and volumes grow, an orphan appears, a prune runs.

Most files are sparse. The written data stays below 100 MB, and a prune removes it.
"""

import os
import shutil
from collections import deque
from pathlib import Path

from exporter.demo.host import APPLICATION, LOUD, build_demo, full_id
from exporter.demo.writer import GraphWriter, State

_MEGABYTE = 1_000_000
_HOURS_TO_FULL = 3600
_LOG_TURNS_AT = 64_000 * _MEGABYTE
_KEPT_IMAGES = 2
_ORPHANS = 5
#: A volume of which only a torn file was written.
_TORN = full_id("7041aa5e0000")
_REAL = os.urandom(256 * 1024)
_REAL_LIMIT = 256 * len(_REAL)


class Busy:
    """A host with a build server and a service that logs without limit. One step is about one second."""

    def __init__(self, root: Path) -> None:
        self.writer: GraphWriter = build_demo(root)
        self.root = root
        self.steps = 0
        self._images: deque[tuple[str, str, str]] = deque()
        self._jobs: deque[str] = deque()
        self._orphans = 0
        self._volume = root / "vfs/dir" / full_id("ab5500c1d2e3")
        self.writer.volume(self._volume.name, {"artifacts.tar": _MEGABYTE})

    def step(self) -> None:
        """Make the changes of one step."""
        self.steps += 1
        self._grow()
        if self.steps % 5 == 1:
            self._build()
        if self.steps % 7 == 2:
            self._job()
        if self.steps == 30:  # the disk was full for a moment
            self.writer.file(f"volumes/{_TORN}/config.json", b'{"ID":')
        if self.steps == 45:  # somebody has seen the error
            shutil.rmtree(self.root / "volumes" / _TORN)
        if self.steps % 40 == 3 and self._orphans < _ORPHANS:
            self._orphan()
        if self.steps % 120 == 0:
            self.prune()

    def prune(self) -> None:
        """Remove old builds, ended jobs and temporary files. Orphaned layers stay."""
        while self._jobs:
            self.writer.remove_container(self._jobs.popleft())
        while len(self._images) > _KEPT_IMAGES:
            base, image, tag = self._images.popleft()
            self.writer.untag("ci/app", tag)
            self.writer.remove_image(image)
            self.writer.remove_image(base)
        (self.root / "tmp/scratch").unlink(missing_ok=True)

    def _grow(self) -> None:
        free = os.statvfs(self.root)
        pace = max(free.f_bavail * free.f_frsize // _HOURS_TO_FULL, 32 * _MEGABYTE)
        log = self.root / "containers" / LOUD / f"{LOUD}-json.log"
        _lengthen(log, -log.stat().st_size if log.stat().st_size > _LOG_TURNS_AT else pace)
        _lengthen(self.root / "aufs/diff" / LOUD / "var/log/nginx/access.log", 3 * _MEGABYTE)
        _lengthen(self._volume / "artifacts.tar", 5 * _MEGABYTE)
        scratch = self.root / "tmp/scratch"
        if not scratch.exists() or scratch.stat().st_size < _REAL_LIMIT:
            with scratch.open("ab") as file:
                file.write(_REAL)

    def _build(self) -> None:
        tag = str(self.steps)
        base, image = full_id(f"{self.steps:04x}ba5e0000"), full_id(f"{self.steps:04x}abcd1234")
        self.writer.image(base, APPLICATION, files={"usr/lib/app.so": 40 * _MEGABYTE}, layersize=40 * _MEGABYTE)
        self.writer.image(image, base, files={"srv/app": 8 * _MEGABYTE}, layersize=8 * _MEGABYTE)
        self.writer.tag("ci/app", tag, image)
        self._images.append((base, image, tag))

    def _job(self) -> None:
        job = full_id(f"{self.steps:04x}0b0b0b0b")
        volume = self.writer.volume(full_id(f"{self.steps:04x}0f0f0f0f"), {"results.xml": 3 * _MEGABYTE})
        self.writer.container(
            job,
            APPLICATION,
            name=f"ci-job-{self.steps}",
            image_name="nickstenning/mediawiki",
            state=State(exit_code=self.steps % 2),
            writable={"root/.cache/build": 60 * _MEGABYTE},
            log=2 * _MEGABYTE,
            volumes={"/results": volume},
            log_config={"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        )
        self._jobs.append(job)

    def _orphan(self) -> None:
        self._orphans += 1
        name = full_id(f"{self.steps:04x}dead0000")
        self.writer.file(f"aufs/diff/{name}/usr/leftover", _REAL)
        self.writer.file(f"aufs/layers/{name}", b"")
        (self.root / "aufs/mnt" / name).mkdir()


def _lengthen(path: Path, amount: int) -> None:
    os.truncate(path, path.stat().st_size + amount)
