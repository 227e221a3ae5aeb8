"""Hosts whose disk fills, and what the runbooks free there."""

import os
import re
import subprocess
from pathlib import Path

from tests.support.exporter import exporter
from tests.support.runbooks.host import MB, Followed, Host
from tests.support.runbooks.pages import fences
from tests.support.waiting import eventually

_ALL_FREED = (12000 + 11000 + 10000) * 1024
_MANY = 3000
_FULL, _FILLING, _RECLAIMABLE = (
    f"DockerStorage{name}" for name in ("FilesystemAlmostFull", "FilesystemFillingUp", "ReclaimableHigh")
)
_INODES, _INODES_FILLING = "DockerStorageInodesAlmostExhausted", "DockerStorageInodesFillingUp"


def _reclaimable(host: Host) -> None:
    """A stopped container that keeps an image, an image that keeps build cache, and one that nothing needs."""
    host.image("kept", "dd if=/dev/zero of=/big bs=1k count=12000")
    many = f"mkdir /many && cd /many && seq 1 {_MANY} | while read n; do : > $n; done"
    host.image("unused", f"dd if=/dev/zero of=/big bs=1k count=11000; {many}")
    host.stopped("ended", 10000, image="kept:1")


def full(host: Host) -> None:
    """A disk that five alerts are about: space and inodes are used up, and more than half can be freed."""
    log = host.loud()
    _reclaimable(host)
    host.engine.run("volume", "create", "lonely")
    host.engine.run("create", "--network", "none", "-v", "/data", "base:1", "true")
    _listed_before(host)
    _what_has_the_inodes(host)
    _what_fills_it(host, log)
    _what_can_be_freed(host)
    if _FILLING in host.pages:
        _what_grows(host)
    emptied, pruned = (host.block(text, {"NAME": "loud"}) for text in fences(_FULL)[2:])
    assert emptied.freed > 8 * MB
    assert pruned.freed > _ALL_FREED
    assert pruned.inodes > _MANY
    _volumes(host)
    if host.today:
        _history(host)
    else:
        _without_prune(host)
        _more_inodes(host)


def _listed_before(host: Host) -> None:
    """The runbooks say to look at the list, and what prunes leave."""
    assert "ended" in host.said("docker ps -a").said
    assert host.said("docker image prune").freed < MB
    assert host.said("docker builder prune").freed < MB
    assert host.said("--filter until=168h", within="docker container prune {}").freed < MB
    assert {"kept:1", "unused:1"} <= set(host.engine.run("images", "--format", "{{.Repository}}:{{.Tag}}").split())


def _what_has_the_inodes(host: Host) -> None:
    below = host.today.store if host.today else host.engine.root
    found = below.glob("*.overlayfs/snapshots/*/fs/many" if host.today else "overlay2/*/diff/many")
    layer = str(max(found, key=lambda many: (len(many.parents[1].name), many.parents[1].name)).parents[1])
    by_directory = host.block(fences(_INODES)[0], {"DIRECTORY": layer}).said
    assert re.search(rf"^3\d\d\d\s{re.escape(layer)}$", by_directory, re.MULTILINE)
    assert "unused:1" in by_directory.splitlines()[-1]
    alone = host.block(fences(_INODES_FILLING)[0]).said
    assert re.search(r"^300\d\s\S+/many$", alone, re.MULTILINE)
    for said in (by_directory, alone):
        assert "40000" in said.replace("40K", "40000")


def _what_fills_it(host: Host, log: Path) -> None:
    with (host.disk / "deleted").open("wb") as file:
        file.truncate(987_654_321_012)  # without a block, and larger than what others on this machine have deleted
        (host.disk / "deleted").unlink()
        found, other = (host.block(text) for text in fences(_FULL)[:2])
    for said in ("docker container prune", "loud", str(host.disk)):
        assert said in found.said
    assert re.search(rf"^\S+\s{re.escape(str(host.engine.root))}$", other.said, re.MULTILINE)
    assert re.search(r"^987654321012 /proc/", other.said, re.MULTILINE)
    assert "loud" in host.said("docker-storage-exporter whose PATH", {"PATH": str(log.parent)}).said


def _what_can_be_freed(host: Host) -> None:
    found = host.block(fences(_RECLAIMABLE)[0]).said
    assert "docker container prune" in found
    assert "images without a container" in found


def _what_grows(host: Host) -> None:
    found, other = (host.block(text) for text in fences(_FILLING)[:2])
    for said in ("docker container prune", "ended", "kept"):
        assert said in found.said
    assert str(host.engine.root) in other.said
    with exporter(host.engine.root, "--containerd.root", host.containerd) as running:
        running.until(lambda figures: bool(figures.all("reclaimable_bytes", category="build_cache")))
        asked = {"HOST:9588": f"127.0.0.1:{running.port}"}
        told = host.said("--from http://HOST:9588", asked, within="docker-storage-exporter df {}").said
    assert "docker container prune" in told


def _volumes(host: Host) -> None:
    """From Docker 23 on a prune takes anonymous volumes only."""
    listed = host.block(fences(_RECLAIMABLE)[2])
    assert "lonely" in listed.said
    assert len(listed.said.splitlines()) == 3
    host.said("docker volume prune")
    assert host.engine.run("volume", "ls", "-q") == ("lonely" if host.today else "")
    if host.today:
        host.said("docker volume prune --all")
        assert host.engine.run("volume", "ls", "-q") == ""


def _history(host: Host) -> None:
    """What prunes leave of builds with containerd's image store."""
    assert len(host.engine.run("buildx", "history", "ls").splitlines()) > 1
    assert host.said("docker buildx history rm --all").status == 0
    assert len(host.engine.run("buildx", "history", "ls").splitlines()) == 1


def _without_prune(host: Host) -> None:
    """What Docker before 1.13 has in place of prunes."""
    host.engine.base()
    host.stopped("old", 4000)
    host.engine.build("again:1", "FROM base:1\nRUN dd if=/dev/zero of=/f bs=1k count=3000\n")
    host.engine.base("again:1")
    assert host.said("docker rm $(docker ps -aqf status=exited)").freed >= 4000 * 1024
    assert host.said("docker rmi $(docker images -qf dangling=true)").freed >= 3000 * 1024
    host.engine.run("rmi", "again:1")


def _more_inodes(host: Host) -> None:
    by_default = _inodes(host, "mkfs.ext4")
    assert _inodes(host, "mkfs.ext4 -i", "{} 8192") > by_default
    assert _inodes(host, "mkfs.ext4 -i 8192") > by_default


def _inodes(host: Host, command: str, within: str = "{}") -> int:
    """How many inodes a filesystem gets that is not a small one.

    It is the first field of the superblock, which is at 1024 bytes (Linux fs/ext4/ext4.h, s_inodes_count).
    """
    image = host.elsewhere / "ext4"
    make = f"rm -f {image}; truncate -s 600M {image}; {within} -q -F {image}"
    done = host.said(command, within=make) if " " in command else host.run(make.replace("{}", command), {})
    assert done.status == 0, done.said
    with image.open("rb") as file:
        file.seek(1024)
        return int.from_bytes(file.read(4), "little")


def full_soon(host: Host) -> None:
    """While an archive is loaded that never ends."""
    host.loud()
    _reclaimable(host)
    environment = {**os.environ, "DOCKER_HOST": host.engine.address}
    found, builds, other, emptied, pruned = fences(host.pages[0])
    assert "docker container prune" in host.block(found).said
    with subprocess.Popen(["docker", "load"], stdin=subprocess.PIPE, env=environment) as copying:
        listed = re.compile(rf"^ *{copying.pid} .*docker load$", re.MULTILINE)
        eventually(lambda: listed.search(host.block(builds).said))
        copying.kill()
    assert str(host.engine.root) in host.block(other).said
    assert host.block(emptied, {"NAME": "loud"}).freed > 8 * MB
    assert host.block(pruned).freed > _ALL_FREED
    earlier = "docker-storage-exporter rules {}"
    assert "< 0.2" in host.said("--threshold almost-full=20%", within=earlier).said


def grown(host: Host) -> None:
    """What was made of late, old tags, and containers of ended jobs."""
    host.stopped("job", 3000)
    for name in ("old", "new"):
        host.engine.build("again:1", f"FROM base:1\nRUN dd if=/dev/zero of=/{name} bs=1k count=2000\n")
    made = re.compile(r"container create .*name=job")
    # The client leaves out the events of the second that goes on.
    eventually(lambda: made.search(host.run("docker events --since 2h --until 0s", {}).said))
    (found,) = host.follow()
    assert "ON DISK" in found.said
    assert made.search(found.said)
    listed, pruned = host.follow(page="DockerStorageSeriesDropped")
    assert "<none>" in listed.said
    assert re.search(r"^job\s", listed.said, re.MULTILINE)
    assert pruned.freed > 4.5 * MB
    assert host.said("docker rmi NAME:TAG", {"NAME:TAG": "again:1"}).freed > MB
    limit = "docker-storage-exporter once {}"
    served = host.said("--collector.images.max-series 50000", within=limit)
    assert served.status == 0, served.said[-2000:]


FOLLOWED: Followed = {
    (_FULL, _FILLING, _RECLAIMABLE, _INODES, _INODES_FILLING): full,
    ("DockerStorageFilesystemFullSoon",): full_soon,
    ("DockerStorageGrowthHigh", "DockerStorageSeriesDropped"): grown,
}
#: The same with today's engine: what a prune takes, and where images are, is something else there.
TODAY: Followed = {
    (_FULL, _RECLAIMABLE, _INODES, _INODES_FILLING): full,
    ("DockerStorageFilesystemFullSoon",): full_soon,
    ("DockerStorageGrowthHigh", "DockerStorageSeriesDropped"): grown,
}
