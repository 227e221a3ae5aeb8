"""The commands of each runbook, as they are printed, on the host of a real engine that has the trouble.

What they say is compared with what is there, and what they free with the free space of the disk.
"""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.engine import Engine, engine, require_engine
from tests.support.exporter import exporter
from tests.support.mounts import mounted
from tests.support.paths import TOP
from tests.support.roots import GraphRoot, hex_id
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("runbooks")

_FENCE = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MB = 1_000_000
_QUIET = ("--network", "none")
_MANY_FILES = "mkdir /many && cd /many && seq 1 3000 | while read n; do : > $n; done"


def fences(name: str) -> list[str]:
    """The commands of a runbook, one text for each fence."""
    return [text for _, text in _FENCE.findall((TOP / "docs/runbooks" / f"{name}.md").read_text())]


@dataclass(frozen=True)
class Done:
    """What the commands of one fence did."""

    said: str
    freed: int
    inodes: int
    status: int


@dataclass
class Host:
    """A small disk with an engine's data root on it, and another one for what is saved."""

    disk: Path
    elsewhere: Path
    engine: Engine

    def follow(self, runbook: str, names: dict[str, str] | None = None) -> Iterator[Done]:
        """Run the fences of a runbook one after the other, as somebody does who types `y` where he is asked."""
        for text in fences(runbook):
            yield self.run(text, names or {})

    def run(self, text: str, names: dict[str, str], **more: str) -> Done:
        """Run commands with the names of this host put in, and with more variables of the environment."""
        changes = {"/var/lib/docker": str(self.engine.root), "/elsewhere": str(self.elsewhere), **names}
        for word, value in changes.items():
            text = re.sub(rf"(?<![A-Za-z_]){re.escape(word)}(?![A-Za-z_0-9])", value.replace("\\", r"\\"), text)
        environment = {**os.environ, "DOCKER_HOST": self.engine.address, "DOCKER_CONFIG": str(self.disk / "config")}
        environment["DOCKER_STORAGE_EXPORTER_ROOT"] = names.get("/var/lib/docker", str(self.engine.root))
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        environment |= more
        before = os.statvfs(self.disk)
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as agrees:
            done = subprocess.run(
                ["bash", "-c", text],
                stdin=agrees.stdout,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                env=environment,
                timeout=120,
            )
            agrees.kill()
        after = os.statvfs(self.disk)
        freed = (after.f_bfree - before.f_bfree) * after.f_frsize
        return Done(done.stdout.decode(errors="replace"), freed, after.f_ffree - before.f_ffree, done.returncode)

    def image(self, name: str, command: str, *, base: str = "base:1") -> str:
        """Build an image with BuildKit, which keeps its steps in the build cache; return its name."""
        self.engine.build(f"{name}:1", f"FROM {base}\nRUN {command}\n", builder="1")
        return f"{name}:1"

    def start(self, name: str, *command: str, image: str = "base:1") -> None:
        """Start a container that stays."""
        self.engine.run("run", "-d", *_QUIET, "--stop-timeout", "1", "--name", name, image, *command)

    def stopped(self, name: str, kilobytes: int, *, image: str = "base:1") -> None:
        """A container that has written and ended."""
        write = f"dd if=/dev/zero of=/written bs=1k count={kilobytes}"
        self.engine.run("run", *_QUIET, "--name", name, image, "sh", "-c", write)

    def remove(self, *containers: str) -> None:
        """Remove containers."""
        if containers:
            self.engine.run("rm", "-f", *containers)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    require_engine()
    disk, elsewhere = tmp_path_factory.mktemp("disk"), tmp_path_factory.mktemp("elsewhere")
    tmpfs = ("-t", "tmpfs", "-o", "size=400m,nr_inodes=40000", "none")
    with mounted(disk, *tmpfs), TemporaryDirectory(prefix="e-") as short, engine(disk, Path(short), "overlay2") as one:
        yield Host(disk, elsewhere, one)


@pytest.fixture
def host(small: Host) -> Host:
    """The host without containers, and with its base image, which the prunes of the runbook before have removed."""
    small.remove(*small.engine.run("ps", "-aq").split())
    small.engine.base()
    return small


def _loud(host: Host) -> None:
    """A container that has logged eight megabytes and goes on."""
    host.start("loud", "sh", "-c", "echo it begins; seq -s , 1 1200000; sleep 1000")
    log = Path(host.engine.run("inspect", "-f", "{{.LogPath}}", "loud"))
    eventually(lambda: log.stat().st_size > 8 * _MB)


def log_runaway(host: Host) -> None:
    _loud(host)
    found, saved, emptied, stopped = host.follow("DockerContainerLogRunaway", {"NAME": "loud"})
    assert re.search(r"^loud .* none ", found.said, re.MULTILINE)
    assert "1199998,1199999,1200000" in found.said
    assert saved.status == 0
    assert (host.elsewhere / "loud.log").stat().st_size > 8 * _MB
    assert emptied.freed > 8 * _MB
    assert stopped.said.strip() == "loud"


def log_unbounded(host: Host) -> None:
    _loud(host)
    found, emptied = host.follow("DockerContainerLogUnbounded", {"NAME": "loud"})
    assert re.search(r"^loud .* none ", found.said, re.MULTILINE)
    assert "{json-file map[]}" in found.said
    assert emptied.freed > 8 * _MB


def _writes(host: Host) -> None:
    """A container of an image without `du` that has written into its own layer."""
    write = "mkdir -p /srv/cache; dd if=/dev/zero of=/srv/cache/f bs=1k count=9000; echo done; sleep 1000"
    host.start("fat", "sh", "-c", write)
    eventually(lambda: "done" in host.engine.run("logs", "fat"))
    assert host.engine.run("exec", "fat", "du", "-xh", "/", check=False).startswith("OCI runtime exec failed")


def writable_large(host: Host) -> None:
    _writes(host)
    found, saved, deleted = host.follow("DockerContainerWritableLayerLarge", {"NAME": "fat", "PATH": "srv/cache"})
    assert "A /srv/cache/f" in found.said
    assert re.search(r"^8.8M\s\S+/diff/srv$", found.said, re.MULTILINE)
    assert saved.status == 0
    assert (host.elsewhere / "cache/f").stat().st_size == 9000 * 1024
    assert deleted.freed > 8 * _MB


def writable_limit(host: Host) -> None:
    """Without the limit: no filesystem here has the quotas that it needs."""
    _writes(host)
    found, saved, deleted = host.follow("DockerContainerWritableLayerNearLimit", {"NAME": "fat", "PATH": "srv/cache"})
    assert found.said.startswith("map[]")
    assert "A /srv/cache/f" in found.said
    assert re.search(r"^8.8M\s\S+/diff/srv$", found.said, re.MULTILINE)
    assert saved.status == 0
    assert deleted.freed > 8 * _MB


def exporter_down(host: Host) -> None:
    asked, looked = host.follow("DockerStorageExporterDown", {"HOST:9588": "127.0.0.1:1"})
    assert "Failed to connect" in asked.said
    assert asked.status == 7
    assert "400M" in looked.said
    assert "overlay2" in looked.said


def _reclaimable(host: Host) -> None:
    """A stopped container that keeps an image, an image that keeps build cache, and one that nothing needs."""
    host.image("kept", "dd if=/dev/zero of=/big bs=1k count=12000")
    host.image("unused", "dd if=/dev/zero of=/big bs=1k count=11000")
    host.stopped("ended", 10000, image="kept:1")


_ALL_FREED = (12000 + 11000 + 10000) * 1024


def almost_full(host: Host) -> None:
    _loud(host)
    _reclaimable(host)
    with (host.disk / "deleted").open("wb") as file:
        file.write(bytes(7_654_321))
        file.flush()
        (host.disk / "deleted").unlink()
        found, other, emptied, pruned = host.follow("DockerStorageFilesystemAlmostFull", {"NAME": "loud"})
    assert "docker container prune" in found.said
    assert str(host.disk) in found.said.splitlines()[-1]
    assert re.search(rf"^\S+\s{re.escape(str(host.engine.root))}$", other.said, re.MULTILINE)
    assert re.search(r"^7654321 /proc/", other.said, re.MULTILINE)
    assert emptied.freed > 8 * _MB
    assert pruned.freed > _ALL_FREED


def filling_up(host: Host) -> None:
    _reclaimable(host)
    found, other, pruned = host.follow("DockerStorageFilesystemFillingUp")
    for said in ("docker container prune", "ended", "kept"):
        assert said in found.said
    assert str(host.engine.root) in other.said
    assert pruned.freed > _ALL_FREED


def growth(host: Host) -> None:
    host.stopped("grown", 5000)
    made = re.compile(r"container create .*name=grown")
    # The client leaves out the events of the second that goes on.
    (found,) = eventually(lambda: [one for one in host.follow("DockerStorageGrowthHigh") if made.search(one.said)])
    assert "overlay2" in found.said


def unsupported(host: Host) -> None:
    (found,) = host.follow("DockerStorageImageStoreUnsupported")
    assert found.said.splitlines()[-1] == "overlay2"


def inodes(host: Host) -> None:
    host.image("many", _MANY_FILES)
    layer = max((host.engine.root / "overlay2").glob("*/diff/many"), key=lambda path: len(os.listdir(path))).parents[1]
    found, pruned = host.follow("DockerStorageInodesAlmostExhausted", {"DIRECTORY": str(layer)})
    assert "40000" in found.said.replace("40K", "40000")
    assert re.search(rf"^3\d\d\d\s{re.escape(str(layer))}$", found.said, re.MULTILINE)
    assert "many:1" in found.said
    assert pruned.inodes > 3000


def missing(host: Host) -> None:
    host.engine.build("broken:1", "FROM base:1\nRUN echo 1 > /1\n")
    data = host.engine.run("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "broken:1")
    subprocess.run(["rm", "-rf", str(Path(data).parent)], check=True)
    found, removed = host.follow("DockerStorageMissingLayers", {"IMAGE": "broken:1"})
    assert re.search(r"^broken .* \? ", found.said, re.MULTILINE)
    assert found.status == 1
    assert "image broken:1" in found.said
    assert removed.status == 0
    assert "broken" not in host.engine.run("images")


def _torn(host: Host) -> Path:
    """A container whose configuration was half written."""
    home = host.engine.root / "containers" / secrets.token_hex(32)
    home.mkdir()
    (home / "config.v2.json").write_text("{")
    return home


def not_known(host: Host) -> None:
    home = _torn(host)
    (found,) = host.follow("DockerStorageNotKnown")
    assert home.name in found.said
    subprocess.run(["rm", "-r", str(home)], check=True)


def scan_errors(host: Host) -> None:
    home = _torn(host)
    (found,) = host.follow("DockerStorageScanErrors", {"DIRECTORY": str(home)})
    assert len(re.findall(home.name[:12], found.said)) >= 2
    subprocess.run(["rm", "-r", str(home)], check=True)


def orphaned(host: Host) -> None:
    """The daemon is stopped between the second fence and the third, and started before the last but one."""
    layer = host.engine.root / "overlay2" / secrets.token_hex(32)
    link = host.engine.root / "overlay2/l" / secrets.token_hex(13).upper()
    (layer / "diff").mkdir(parents=True)
    (layer / "diff/file").write_bytes(bytes(6 * _MB))
    (layer / "link").write_text(link.name)
    link.symlink_to(f"../{layer.name}/diff")
    for path in (layer / "diff/file", layer / "diff", layer / "link", layer):
        os.utime(path, (1, 1))
    host.start("other", "sleep", "1000")
    look, move, delete, links = fences("DockerStorageOrphanedLayers")
    names = {"DIRECTORY": str(layer)}
    # A layer is not called orphaned before the time of a pull has passed, which is a second for this exporter.
    with exporter(host.engine.root, "--layers.orphaned-after", "1") as running:
        asks = {"DOCKER_STORAGE_EXPORTER_FROM": f"http://127.0.0.1:{running.port}"}
        said = eventually(
            lambda: next((text for text in [host.run(look, names, **asks).said] if str(layer) in text), "")
        )
    assert "6 MB" in said
    host.engine.stop()
    assert host.run(move, names).status == 0
    host.engine.start()
    host.engine.run("start", "other")
    assert host.run(delete, names).freed > 5 * _MB
    assert host.run(links, names).status == 0
    assert not link.is_symlink()
    assert list(link.parent.iterdir()), "those of other layers stay"
    assert host.engine.run("exec", "other", "echo", "well") == "well"


def reclaimable(host: Host) -> None:
    _reclaimable(host)
    host.engine.run("volume", "create", "lonely")
    found, pruned, volumes = host.follow("DockerStorageReclaimableHigh")
    assert "images without a container" in found.said
    assert pruned.freed > _ALL_FREED
    assert "lonely" in volumes.said
    host.engine.run("volume", "rm", "lonely")


def unreadable(host: Host) -> None:
    absent = str(host.disk / "absent")
    found, told = host.follow("DockerStorageRootUnreadable", {"/var/lib/docker": absent})
    assert found.said.count("No such file") >= 1
    assert absent in found.said.splitlines()[-1] or absent in found.said
    assert told.said.strip() == str(host.engine.root)


def stale(host: Host) -> None:
    """A mount below the root, which is no mount point itself."""
    below = host.engine.root / "volumes" / "mounted"
    below.mkdir()
    with mounted(below, "-t", "tmpfs", "-o", "size=1m", "none"):
        (found,) = host.follow("DockerStorageScanStale", {"DIRECTORY": str(below)})
    assert f"{below} tmpfs none" in found.said
    assert found.status == 0
    below.rmdir()


def series(host: Host) -> None:
    host.stopped("job", 3000)
    host.engine.build("again:1", "FROM base:1\nRUN dd if=/dev/zero of=/old bs=1k count=2000\n")
    host.engine.build("again:1", "FROM base:1\nRUN dd if=/dev/zero of=/new bs=1k count=2000\n")
    listed, pruned = host.follow("DockerStorageSeriesDropped")
    assert "<none>" in listed.said
    assert re.search(r"^job ", listed.said, re.MULTILINE)
    assert pruned.freed > 4.5 * _MB
    host.engine.run("rmi", "again:1")


def watches(host: Host) -> None:
    (found,) = host.follow("DockerStorageWatchDegraded")
    assert "fs.inotify.max_user_watches = " in found.said


def full_soon(host: Host) -> None:
    _loud(host)
    _reclaimable(host)
    found, builds, other, emptied, pruned = host.follow("DockerStorageFilesystemFullSoon", {"NAME": "loud"})
    assert re.search(r"^loud .* none ", found.said, re.MULTILINE)
    assert "docker container prune" in found.said
    assert builds.said == ""
    assert str(host.engine.root) in other.said
    assert emptied.freed > 8 * _MB
    assert pruned.freed > _ALL_FREED


def inodes_filling(host: Host) -> None:
    host.image("many", _MANY_FILES)
    found, pruned = host.follow("DockerStorageInodesFillingUp")
    assert re.search(r"^300\d\s\S+/diff/many$", found.said, re.MULTILINE)
    assert pruned.inodes > 3000


def read_only(host: Host) -> None:
    """Another disk with a root of its own: an engine does not go on on a disk that is read-only."""
    sick = host.elsewhere / "sick"
    sick.mkdir()
    with mounted(sick, "-t", "tmpfs", "-o", "size=9m", "none"):
        root = GraphRoot(sick / "docker", "aufs").image("base", tag="base:1").container("precious", image="base")
        root.writer.file(f"aufs/diff/{hex_id('precious')}/ledger", b"not in any volume")
        subprocess.run(["mount", "-o", "remount,ro", str(sick)], check=True)
        names = {"/var/lib/docker": str(root.path), "MOUNTPOINT": str(sick)}
        found, saved, mended = host.follow("DockerStorageFilesystemReadOnly", names)
        assert f"none {sick} tmpfs ro" in found.said
        assert f"{sick} ro," in found.said
        assert "docker export" in saved.said
        assert mended.status == 0
        (sick / "written").touch()


def figures_missing(host: Host) -> None:
    with exporter(host.engine.root) as running:
        running.until(lambda figures: bool(figures.all("filesystem_size_bytes")))
        (found,) = host.follow("DockerStorageFiguresMissing", {"HOST:9588": f"127.0.0.1:{running.port}"})
    assert str(host.disk) in found.said


#: How each runbook is followed. One without commands in fences is not here.
FOLLOWED: dict[str, Callable[[Host], None]] = {
    "DockerContainerLogRunaway": log_runaway,
    "DockerContainerLogUnbounded": log_unbounded,
    "DockerContainerWritableLayerLarge": writable_large,
    "DockerContainerWritableLayerNearLimit": writable_limit,
    "DockerStorageExporterDown": exporter_down,
    "DockerStorageFilesystemAlmostFull": almost_full,
    "DockerStorageFilesystemFillingUp": filling_up,
    "DockerStorageGrowthHigh": growth,
    "DockerStorageImageStoreUnsupported": unsupported,
    "DockerStorageInodesAlmostExhausted": inodes,
    "DockerStorageMissingLayers": missing,
    "DockerStorageNotKnown": not_known,
    "DockerStorageOrphanedLayers": orphaned,
    "DockerStorageReclaimableHigh": reclaimable,
    "DockerStorageRootUnreadable": unreadable,
    "DockerStorageScanErrors": scan_errors,
    "DockerStorageScanStale": stale,
    "DockerStorageSeriesDropped": series,
    "DockerStorageWatchDegraded": watches,
    "DockerStorageFilesystemFullSoon": full_soon,
    "DockerStorageFilesystemReadOnly": read_only,
    "DockerStorageInodesFillingUp": inodes_filling,
    "DockerStorageFiguresMissing": figures_missing,
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_the_commands_of_a_runbook_do_what_it_says(host: Host, name: str) -> None:
    FOLLOWED[name](host)


def test_every_runbook_with_commands_is_followed() -> None:
    written = {path.stem for path in (TOP / "docs/runbooks").glob("*.md") if fences(path.stem)}
    assert written == FOLLOWED.keys()
