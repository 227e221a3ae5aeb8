"""Hosts on which something of the root is damaged, missing, or nobody's; and what their runbooks do there."""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.exporter import exporter
from tests.support.roots.linked import root_with_volume
from tests.support.runbooks.host import MB, Followed, Host
from tests.support.runbooks.pages import fences
from tests.support.waiting import eventually


def missing(host: Host) -> None:
    """The directory of an image's layer is gone, and a container of another image runs."""
    before = _layers(host)
    host.engine.build("broken:1", "FROM base:1\nRUN echo 1 > /1\n")
    (top,) = (one for one in _layers(host) - before if (one / ("fs/1" if host.today else "diff/1")).exists())
    subprocess.run(["rm", "-rf", str(top)], check=True)
    host.start("other", "sleep", "1000")
    names = {"IMAGE": "broken:1"}
    steps = host.follow(names)
    found = next(steps)
    assert re.search(r"^broken\s.*\s\?\s", found.said, re.MULTILINE)
    assert found.status == 1
    assert "image broken:1" in found.said or "not on disk" in found.said
    failed = host.said("docker run --rm IMAGE true", names)
    assert failed.status != 0
    assert re.search("layer does not exist|no such file or directory", failed.said)
    assert host.said("docker rmi", within="{} base:1").status != 0, "a running container keeps its image"
    assert "base" in host.engine.run("images")
    if not host.today:
        assert "broken:1" in host.said("docker-storage-exporter backup").said
        host.said("dmesg")
    (removed,) = steps
    assert removed.status == 0
    assert "broken" not in host.engine.run("images")


def _layers(host: Host) -> set[Path]:
    if host.today:
        return set(host.today.store.glob("*.snapshotter.v1.*/snapshots/*"))
    return set((host.engine.root / "overlay2").iterdir())


def _torn(host: Host) -> Path:
    """A container whose configuration was half written."""
    home = host.engine.root / "containers" / secrets.token_hex(32)
    home.mkdir()
    (home / "config.v2.json").write_text("{")
    return home


def torn(host: Host) -> None:
    """What a container is, is not known where its configuration cannot be read."""
    home = _torn(host)
    assert home.name in host.block(fences(_NOT_KNOWN)[0]).said
    (found,) = host.follow({"DIRECTORY": str(home)}, page="DockerStorageScanErrors")
    assert len(re.findall(home.name[:12], found.said)) >= 2
    host.said("dmesg")
    subprocess.run(["rm", "-r", str(home)], check=True)
    _link(host)


def store_not_given(host: Host) -> None:
    """containerd is of the host, and the exporter does not know where its root is."""
    host.stopped("ended", 100)
    (found,) = host.follow(DOCKER_STORAGE_EXPORTER_CONTAINERD_ROOT="none")
    assert re.search(r"^\s*\?\s+\?\s+stopped containers", found.said, re.MULTILINE)
    (given,) = host.follow(DOCKER_STORAGE_EXPORTER_CONTAINERD_ROOT=host.containerd)
    assert re.search(r"^\s*\S+ kB\s+1\s+stopped containers", given.said, re.MULTILINE)


def _link(host: Host) -> None:
    """The volumes are on another disk, by a link first and then by a mount."""
    home = host.elsewhere / "linked"
    root = root_with_volume(home / "docker")
    volumes = root / "volumes"
    shutil.move(volumes, home / "moved")
    volumes.symlink_to(home / "moved")
    names = {"/var/lib/docker": str(root)}
    (linked,) = host.follow(names)
    assert "mount --bind" in linked.said
    volumes.unlink()
    volumes.mkdir()
    try:
        assert host.said("mount --bind", within=f"{{}} {home / 'moved'} {volumes}").status == 0
        (mended,) = host.follow(names)
    finally:
        subprocess.run(["umount", str(volumes)], check=False)
    assert "mount --bind" not in mended.said
    assert mended.status == 0


@contextlib.contextmanager
def _exporter(host: Host) -> Iterator[dict[str, str]]:
    """An exporter that calls what nothing refers to orphaned after a second, not after the time of a pull."""
    flags = ("--containerd.root", host.containerd, "--layers.orphaned-after", "1")
    with exporter(host.engine.root, *flags) as running:
        asks = {"DOCKER_STORAGE_EXPORTER_FROM": f"http://127.0.0.1:{running.port}"}
        running.becomes("layers_allocated_bytes", 5 * MB, use="orphaned")
        yield asks


def orphaned_directory(host: Host) -> None:
    """What describes images is of an older backup than the layers.

    The daemon is stopped between the first block and the second, and started before the last but one.
    """
    host.start("other", "sleep", "1000")
    described, backup = host.engine.root / "image", host.disk / "backup"
    shutil.copytree(described, backup)
    before = _layers(host)
    host.engine.build("lost:1", "FROM base:1\nRUN dd if=/dev/zero of=/f bs=1k count=6000\n")
    (layer,) = _layers(host) - before
    shutil.rmtree(described)
    shutil.copytree(backup, described)
    (link,) = (one for one in (host.engine.root / "overlay2/l").iterdir() if layer.name in os.readlink(one))
    look, move, delete, links = fences(host.pages[0])
    names = {"DIRECTORY": str(layer)}
    with _exporter(host) as asks:
        said = host.block(look, names, **asks).said
        assert len(re.findall(layer.name, said)) >= 1
        assert "6.1" in said
    host.engine.stop()
    assert host.block(move, names).status == 0
    host.engine.start()
    host.engine.run("start", "other")
    assert host.block(delete, names).freed > 5 * MB
    assert host.block(links, names).status == 0
    assert not link.is_symlink()
    assert list(link.parent.iterdir()), "those of other layers stay"
    assert host.engine.run("exec", "other", "echo", "well") == "well"


def orphaned_snapshots(host: Host) -> None:
    """A directory that containerd does not list, as one that was killed leaves it, and a snapshot that it does."""
    assert host.today is not None
    stray = host.today.store / "io.containerd.snapshotter.v1.overlayfs/snapshots/999999"
    (stray / "fs").mkdir(parents=True)
    (stray / "fs/file").write_bytes(bytes(6 * MB))
    with _exporter(host) as asks:
        said = host.block(fences(host.pages[0])[0], {"DIRECTORY": str(stray)}, **asks).said
        assert str(stray) in said
        assert "layer: 999999, " in said
        host.today.ctr("moby", "snapshots", "prepare", "listed")
        names = {"NAMESPACE": "moby", "KEY": "listed"}
        assert host.said("ctr --namespace NAMESPACE snapshots rm KEY", names).status == 0
    eventually(lambda: not stray.exists())  # which is what the next removal of anything does
    assert "listed" not in host.today.ctr("moby", "snapshots", "ls")


def unreadable(host: Host) -> None:
    absent = str(host.disk / "absent")
    found, told = host.follow({"/var/lib/docker": absent})
    assert found.said.count("No such file") >= 1
    assert absent in found.said.splitlines()[-1] or absent in found.said
    assert told.said.strip() == str(host.engine.root)


def read_only(host: Host) -> None:
    """The engine is stopped: none goes on on a disk that is read-only. Then it is as it was."""
    write = "echo not in any volume > /ledger; echo done; sleep 1000"
    host.start("precious", "sh", "-c", write)
    eventually(lambda: "done" in host.engine.run("logs", "precious"))
    host.engine.stop()
    remount = ["mount", "-o", "remount,ro", str(host.disk)]  # what ends may still have a file open
    eventually(lambda: subprocess.run(remount, check=False, capture_output=True).returncode == 0)
    found, saved, mended = host.follow({"MOUNTPOINT": str(host.disk)})
    assert f"none {host.disk} tmpfs ro" in found.said
    assert f"{host.disk} ro," in found.said
    assert "docker export" in saved.said
    assert mended.status == 0
    assert "grep:" not in host.said("dmesg | grep -iE 'remount|I/O error|ext4-fs error|xfs'").said
    image = host.elsewhere / "disk"
    checked = f"truncate -s 8M {image} && mkfs.ext4 -q -F {image} && {{}} -n {image}"
    assert host.said("fsck", within=checked).status == 0
    host.engine.start()
    host.engine.run("start", "precious")


def unsupported(host: Host) -> None:
    """With a snapshotter of which nobody has written down what blocks its snapshots share."""
    host.image("big", "dd if=/dev/zero of=/big bs=1k count=9000")
    host.stopped("ended", 3000)
    (found,) = host.follow()
    assert found.said.splitlines()[-1] == "btrfs"
    assert re.search(r"^\s*\?\s+\d\s+snapshots of images", found.said, re.MULTILINE)
    assert re.search(r"btrfs +linux\S+ +ok", host.said("ctr plugins ls").said)
    disk = {"btrfs filesystem du": f"btrfs filesystem du -s {host.disk}"}
    assert "Exclusive" in host.said("btrfs filesystem du", disk).said
    host.remove("ended")
    for command in ("docker image prune --all", "docker builder prune --all", "docker buildx history rm --all"):
        assert host.said(command).status == 0
    assert host.engine.run("images", "-q") == ""
    assert len(host.engine.run("buildx", "history", "ls").splitlines()) == 1


_NOT_KNOWN = "DockerStorageNotKnown"
FOLLOWED: Followed = {
    ("DockerStorageFilesystemReadOnly",): read_only,
    ("DockerStorageMissingLayers",): missing,
    (_NOT_KNOWN, "DockerStorageScanErrors"): torn,
    ("DockerStorageOrphanedLayers",): orphaned_directory,
    ("DockerStorageRootUnreadable",): unreadable,
}
#: The same with today's engine: layers and their store are something else there.
TODAY: Followed = {
    ("DockerStorageMissingLayers",): missing,
    (_NOT_KNOWN,): store_not_given,
    ("DockerStorageFilesystemReadOnly",): read_only,
    ("DockerStorageRootUnreadable",): unreadable,
    ("DockerStorageOrphanedLayers",): orphaned_snapshots,
}
UNSUPPORTED: Followed = {("DockerStorageImageStoreUnsupported",): unsupported}
