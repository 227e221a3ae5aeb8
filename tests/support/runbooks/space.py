"""Hosts whose disk fills, and what the runbooks free there."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.exporter import exporter
from tests.support.runbooks.host import MB, Done, Host
from tests.support.runbooks.pages import fences, inline
from tests.support.waiting import eventually

_ALL_FREED = (12000 + 11000 + 10000) * 1024
_MANY_FILES = "mkdir /many && cd /many && seq 1 3000 | while read n; do : > $n; done"
_PRUNE_IMAGES, _PRUNE_BUILDS = "docker image prune", "docker builder prune"
_HISTORY = "docker buildx history rm --all"


def _reclaimable(host: Host) -> None:
    """A stopped container that keeps an image, an image that keeps build cache, and one that nothing needs."""
    host.image("kept", "dd if=/dev/zero of=/big bs=1k count=12000")
    host.image("unused", "dd if=/dev/zero of=/big bs=1k count=11000")
    host.stopped("ended", 10000, image="kept:1")


def _listed_before(host: Host) -> None:
    """The runbook says to look at the list, and what a prune leaves without `--all`."""
    assert "ended" in host.inline("docker ps -a").said
    for prune in (_PRUNE_IMAGES, _PRUNE_BUILDS):
        assert host.inline(prune).freed < MB
    assert {"kept:1", "unused:1"} <= set(host.engine.run("images", "--format", "{{.Repository}}:{{.Tag}}").split())


def _without_prune(host: Host) -> None:
    """What Docker before 1.13 has in place of prunes."""
    host.engine.base("base:1")
    host.stopped("old", 4000)
    host.engine.build("again:1", "FROM base:1\nRUN dd if=/dev/zero of=/f bs=1k count=3000\n")
    host.engine.build("again:1", "FROM base:1\nRUN echo > /f\n")
    assert host.inline("docker rm $(docker ps -aqf status=exited)").freed >= 4000 * 1024
    assert host.inline("docker rmi $(docker images -qf dangling=true)").freed >= 3000 * 1024
    host.engine.run("rmi", "again:1")


def _history(host: Host) -> None:
    """What prunes leave of builds with containerd's image store."""
    assert len(host.engine.run("buildx", "history", "ls").splitlines()) > 1
    assert host.inline(_HISTORY).status == 0
    assert len(host.engine.run("buildx", "history", "ls").splitlines()) == 1


def _pruned(host: Host, pruned: Done) -> None:
    assert pruned.freed > _ALL_FREED
    if not host.today:
        _without_prune(host)
    elif _HISTORY in inline(host.page):
        _history(host)


def almost_full(host: Host) -> None:
    host.loud()
    _reclaimable(host)
    with (host.disk / "deleted").open("wb") as file:
        file.write(bytes(7_654_321))
        file.flush()
        (host.disk / "deleted").unlink()
        _listed_before(host)
        found, other, emptied, pruned = host.follow({"NAME": "loud"})
    assert "docker container prune" in found.said
    assert "docker container prune" in host.inline("docker-storage-exporter df").said
    assert "container loud" in host.inline("docker-storage-exporter whose PATH", {"PATH": str(_layer(host))}).said
    assert str(host.disk) in found.said.splitlines()[-1]
    assert re.search(rf"^\S+\s{re.escape(str(host.engine.root))}$", other.said, re.MULTILINE)
    assert re.search(r"^7654321 /proc/", other.said, re.MULTILINE)
    assert emptied.freed > 8 * MB
    _pruned(host, pruned)


def _layer(host: Host) -> str:
    """The directory of the layer of the container `loud`."""
    of = "docker-storage-exporter layers loud | awk '$2 == \"container\" {print $NF; exit}'"
    return host.run(of, {}).said.strip()


def filling_up(host: Host) -> None:
    _reclaimable(host)
    _listed_before(host)
    with exporter(host.engine.root, "--containerd.root", host.containerd) as running:
        running.until(lambda figures: bool(figures.all("reclaimable_bytes", category="build_cache")))
        asked = "docker-storage-exporter df {}"
        told = host.inline("--from http://HOST:9588", {"HOST:9588": f"127.0.0.1:{running.port}"}, within=asked)
    found, other, pruned = host.follow()
    for said in ("docker container prune", "ended", "kept"):
        assert said in found.said
    assert "docker container prune" in told.said
    assert str(host.engine.root) in other.said
    _pruned(host, pruned)


def full_soon(host: Host) -> None:
    """While an archive is loaded that never ends."""
    host.loud()
    _reclaimable(host)
    environment = {**os.environ, "DOCKER_HOST": host.engine.address}
    load = ["docker", "load"]
    if host.today:
        load = [str(host.elsewhere / "bin/docker"), "load"]
    with subprocess.Popen(load, stdin=subprocess.PIPE, env=environment) as copying:
        busy = eventually(lambda: "docker load" in host.run(_ps(host), {}).said)
        found, builds, other, emptied, pruned = host.follow({"NAME": "loud"})
        copying.kill()
    assert busy
    assert re.search(r"^loud .* none ", found.said, re.MULTILINE)
    assert "docker container prune" in found.said
    assert re.search(rf"^ *{copying.pid} .*docker load$", builds.said, re.MULTILINE)
    assert str(host.engine.root) in other.said
    assert emptied.freed > 8 * MB
    assert pruned.freed > _ALL_FREED


def _ps(host: Host) -> str:
    return next(text for text in fences(host.page) if text.lstrip().startswith("ps "))


def growth(host: Host) -> None:
    host.stopped("grown", 5000)
    made = re.compile(r"container create .*name=grown")
    # The client leaves out the events of the second that goes on.
    (found,) = eventually(lambda: [one for one in host.follow() if made.search(one.said)])
    assert "ON DISK" in found.said


def reclaimable(host: Host) -> None:
    _reclaimable(host)
    host.engine.run("volume", "create", "lonely")
    host.engine.run("create", "--network", "none", "-v", "/data", "base:1", "true")
    _listed_before(host)
    kept = "docker container prune {}"
    assert host.inline("--filter until=168h", within=kept).freed < MB
    found, pruned, volumes = host.follow()
    assert "images without a container" in found.said
    assert "lonely" in volumes.said
    assert len(volumes.said.splitlines()) == 3
    _pruned(host, pruned)
    left = host.inline("docker volume prune").said and host.engine.run("volume", "ls", "-q")
    assert left == ("lonely" if host.today else ""), "from Docker 23 on it takes anonymous ones"
    if host.today:
        host.inline("docker volume prune --all")
        assert host.engine.run("volume", "ls", "-q") == ""


def inodes(host: Host) -> None:
    host.image("many", _MANY_FILES)
    host.stopped("ended", 10)
    layer = host.run(
        "docker-storage-exporter layers | awk '$NF ~ \"^/\" && /image many:1  / {print $NF; exit}'", {}
    ).said.strip()
    found, _ = _pruned_inodes(host, {"DIRECTORY": layer})
    assert re.search(rf"^3\d\d\d\s{re.escape(layer)}$", found.said, re.MULTILINE)
    assert "many:1" in found.said
    assert _inodes_of(host, "mkfs.ext4 -i", "{} 8192") > _inodes_by_default(host)


def inodes_filling(host: Host) -> None:
    host.image("many", _MANY_FILES)
    host.stopped("ended", 10)
    found, _ = _pruned_inodes(host, {})
    assert re.search(r"^300\d\s\S+/many$", found.said, re.MULTILINE)
    assert _inodes_of(host, "mkfs.ext4 -i 8192", "{}") > _inodes_by_default(host)


def _pruned_inodes(host: Host, names: dict[str, str]) -> tuple[Done, Done]:
    assert "ended" in host.inline("docker ps -a").said
    for prune in {_PRUNE_IMAGES, _PRUNE_BUILDS} & inline(host.page):
        assert host.inline(prune).inodes < 100
    found, pruned = host.follow(names)
    assert "40000" in found.said.replace("40K", "40000")
    assert pruned.inodes > 3000
    return found, pruned


def _inodes_of(host: Host, command: str, within: str) -> int:
    """How many inodes a filesystem gets that is not a small one."""
    make = f"rm -f {_image(host)}; truncate -s 600M {_image(host)}; {within} -q -F {_image(host)}"
    done = host.inline(command, within=make)
    assert done.status == 0, done.said
    return _count(host)


def _inodes_by_default(host: Host) -> int:
    assert host.run(f"mkfs.ext4 -q -F {_image(host)}", {}).status == 0
    return _count(host)


def _image(host: Host) -> Path:
    return host.elsewhere / "ext4"


def _count(host: Host) -> int:
    """The first field of the superblock, which is at 1024 bytes (Linux fs/ext4/ext4.h, s_inodes_count)."""
    with _image(host).open("rb") as file:
        file.seek(1024)
        return int.from_bytes(file.read(4), "little")


def series(host: Host) -> None:
    host.stopped("job", 3000)
    host.engine.build("again:1", "FROM base:1\nRUN dd if=/dev/zero of=/old bs=1k count=2000\n")
    host.engine.build("again:1", "FROM base:1\nRUN dd if=/dev/zero of=/new bs=1k count=2000\n")
    listed, pruned = host.follow()
    assert "<none>" in listed.said
    assert re.search(r"^job ", listed.said, re.MULTILINE)
    assert pruned.freed > 4.5 * MB
    assert host.inline("docker rmi NAME:TAG", {"NAME:TAG": "again:1"}).freed > MB
    limit = "docker-storage-exporter once {}"
    assert host.inline("--collector.images.max-series 50000", within=limit).status == 0


FOLLOWED: dict[str, Callable[[Host], None]] = {
    "DockerStorageFilesystemAlmostFull": almost_full,
    "DockerStorageFilesystemFillingUp": filling_up,
    "DockerStorageFilesystemFullSoon": full_soon,
    "DockerStorageGrowthHigh": growth,
    "DockerStorageInodesAlmostExhausted": inodes,
    "DockerStorageInodesFillingUp": inodes_filling,
    "DockerStorageReclaimableHigh": reclaimable,
    "DockerStorageSeriesDropped": series,
}
