"""Situations of hosts with several filesystems, and of filesystems that are read-only."""

from collections.abc import Iterator

from tests.support.alerts.playing import GB, HOUR, ROOT, Host, fires, silent, steady
from tests.support.alerts.space import (
    CRITICAL,
    FILLING,
    FULL,
    GROWTH,
    READONLY,
    RECLAIM,
    VOLUME,
    WARNING,
    filling,
    ramp,
)

RUNAWAY = "DockerContainerLogRunaway"
END = 5 * HOUR
_POOL = {"fstype": "zfs", "size": 200 * GB}


def situations() -> Iterator[Host]:
    """All of them."""
    yield from _logs()
    yield from _pools()
    yield from _growth()
    yield from _readonly()


def _growing(host: Host, gigabytes_an_hour: float = 3) -> Host:
    """A log that fills 20 GB in six hours, and not 800 GB."""
    return host.log("aaaaaaaaaaaa", lambda at: (2 + gigabytes_an_hour * at / HOUR) * GB)


def _volume(host: Host, avail: float, size: float, **more: object) -> Host:
    return host.disk(avail, size, mountpoint=VOLUME, device="/dev/sdb1", **more)  # type: ignore[arg-type]


def _logs() -> Iterator[Host]:
    host = _growing(_volume(Host("800 GB free and a volume of 5 GB"), 5 * GB, 5 * GB).disk(800 * GB, 1000 * GB))
    yield host.placed().placed("containers").expect(silent(RUNAWAY, END))
    host = _growing(_volume(Host("the same volume of an exporter that tells no places"), 5 * GB, 5 * GB))
    yield host.disk(800 * GB, 1000 * GB).expect(silent(RUNAWAY, END))
    host = _volume(Host("15 GB free and a volume of 2 TB"), 2000 * GB, 2000 * GB).disk(15 * GB, 100 * GB)
    yield _growing(host).placed().placed("containers").expect(fires(RUNAWAY, 40))
    host = _volume(Host("the same of an older exporter"), 2000 * GB, 2000 * GB).disk(15 * GB, 100 * GB)
    yield _growing(host).expect(fires(RUNAWAY, 40))
    logs = {"mountpoint": f"{ROOT}/containers", "device": "/dev/sdc1"}
    host = _growing(Host("logs on a disk of their own").disk(800 * GB, 1000 * GB).disk(12 * GB, 40 * GB, **logs))  # type: ignore[arg-type]
    yield host.placed().placed("containers", **logs).expect(fires(RUNAWAY, 40))
    host = _growing(Host("much room for logs on a disk of their own").disk(12 * GB, 40 * GB).disk(800 * GB, **logs))  # type: ignore[arg-type]
    yield host.placed().placed("containers", **logs).expect(silent(RUNAWAY, END))
    host = Host("an image that is mounted is no place for logs").disk(300 * GB, 500 * GB)
    host.disk(0.0, GB, mountpoint=VOLUME, device="/dev/loop0", fstype="squashfs", readonly=1.0)
    yield _growing(host, 0.06).expect(silent(RUNAWAY, END), silent(FULL, END), silent(READONLY, END))


def _pools() -> Iterator[Host]:
    host = Host("two datasets of a pool at 4 %")
    host.disk(8 * GB, device="tank/docker", **_POOL)  # type: ignore[arg-type]
    host.disk(8 * GB, device="tank/volumes", mountpoint=f"{ROOT}/volumes", **_POOL)  # type: ignore[arg-type]
    yield host.expect(fires(FULL, HOUR, severity=CRITICAL), fires(FULL, HOUR, severity=WARNING), steady(FULL, 10, END))
    host = Host("datasets of different sizes")
    host.disk(20 * GB, 920 * GB, device="tank/docker", fstype="zfs")
    host.disk(20 * GB, 30 * GB, device="tank/volumes", fstype="zfs", mountpoint=f"{ROOT}/volumes")
    yield host.expect(fires(FULL, HOUR, severity=CRITICAL), fires(FULL, HOUR, severity=WARNING, device="tank"))
    host = Host("a pool that fills")
    host.disk(filling(12), 1000 * GB, device="tank/docker", fstype="zfs")
    host.disk(filling(12), 1000 * GB, device="tank/volumes", fstype="zfs", mountpoint=f"{ROOT}/volumes")
    yield host.expect(fires(FILLING, 70, severity=WARNING), silent(FILLING, 50))
    host = Host("a dataset with a quota that is nearly full, in a pool with room")
    host.disk(500 * GB, 920 * GB, device="tank/docker", fstype="zfs")
    host.disk(0.3 * GB, 10 * GB, device="tank/db", fstype="zfs", mountpoint=VOLUME)
    yield host.expect(fires(FULL, HOUR, severity=CRITICAL, mountpoint=VOLUME), fires(FULL, HOUR, 0, device="tank"))
    host = Host("two pools at 4 %")
    host.disk(8 * GB, device="tank/docker", **_POOL)  # type: ignore[arg-type]
    host.disk(8 * GB, device="fast/docker", mountpoint=f"{ROOT}/overlay2", **_POOL)  # type: ignore[arg-type]
    yield host.expect(fires(FULL, HOUR, 2, CRITICAL))
    host = _volume(Host("a disk and a volume, both at 4 %"), 4 * GB, 100 * GB).disk(8 * GB)
    yield host.expect(fires(FULL, HOUR, 2, CRITICAL))


def _growth() -> Iterator[Host]:
    root = {"device": "/dev/sda1", "mountpoint": ROOT, "fstype": "ext4"}
    volume = {"device": "/dev/sdb1", "mountpoint": VOLUME, "fstype": "ext4"}
    grows = ramp(5 * GB, 25 * GB, 3 * HOUR, 60)
    host = _volume(Host("20 GB an hour on a disk of 100 GB beside 5 TB"), 4000 * GB, 5000 * GB).disk(60 * GB, 100 * GB)
    host.add("filesystem_allocated_bytes", grows, **root).add("filesystem_allocated_bytes", GB, **volume)
    host.add("directory_allocated_bytes", grows, directory="overlay2")
    yield host.expect(silent(GROWTH, 3 * HOUR), fires(GROWTH, 4 * HOUR + 10, mountpoint=ROOT))
    host = _volume(Host("the same of an exporter that does not add up"), 4000 * GB, 5000 * GB).disk(60 * GB, 100 * GB)
    yield host.add("directory_allocated_bytes", grows, directory="overlay2").expect(fires(GROWTH, 4 * HOUR + 10))
    host = _volume(Host("20 GB an hour on a disk of 5 TB beside 100 GB"), 4000 * GB, 5000 * GB).disk(60 * GB, 100 * GB)
    host.add("filesystem_allocated_bytes", 5 * GB, **root).add("filesystem_allocated_bytes", grows, **volume)
    yield host.expect(silent(GROWTH, END))
    host = Host("a prune, and the same images again").disk(60 * GB, 100 * GB)
    again = ramp(5 * GB, 25 * GB, 4 * HOUR, 60)
    host.add("filesystem_allocated_bytes", lambda at: 25 * GB if at < 2 * HOUR else again(at), **root)
    yield host.expect(silent(GROWTH, END))
    host = _volume(Host("much to prune on a full disk, beside an empty one"), 4000 * GB, 5000 * GB).disk(20 * GB)
    host.add("filesystem_allocated_bytes", 150 * GB, **root).add("filesystem_allocated_bytes", 500 * GB, **volume)
    host.add("filesystem_reclaimable_bytes", 100 * GB, **root).add("filesystem_reclaimable_bytes", 0.0, **volume)
    yield host.expect(fires(RECLAIM, 730, mountpoint=ROOT), silent(RECLAIM, 11 * HOUR))
    host = _volume(Host("much to prune on an empty disk, beside a full one"), 500 * GB, 5000 * GB).disk(150 * GB)
    host.add("filesystem_allocated_bytes", 40 * GB, **root).add("filesystem_allocated_bytes", 4000 * GB, **volume)
    host.add("filesystem_reclaimable_bytes", 35 * GB, **root).add("filesystem_reclaimable_bytes", 0.0, **volume)
    yield host.expect(silent(RECLAIM, 13 * HOUR))
    for name, done, check in (
        ("a first scan of a day has measured the volumes alone, and unused ones are most of these", 1000, silent),
        ("unused volumes are most of what there is", 5000, fires),
    ):
        host = Host(name).disk(20 * GB).placed().add("initial_scan_trees", 5000).add("initial_scan_trees_done", done)
        host.add("directory_allocated_bytes", 20 * GB, directory="volumes")
        host.add("reclaimable_bytes", 15 * GB, category="volumes_unused")
        yield host.expect(check(RECLAIM, 13 * HOUR))


def _readonly() -> Iterator[Host]:
    yield (
        Host("a root that becomes read-only")
        .disk(100 * GB, readonly=lambda at: float(at >= 100))
        .placed()
        .expect(silent(READONLY, 100), fires(READONLY, 110, severity=CRITICAL), steady(READONLY, 110, END))
    )
    yield (
        Host("the same of an exporter that tells no places")
        .disk(100 * GB, readonly=1.0)
        .expect(fires(READONLY, 20, severity=CRITICAL))
    )
    yield (
        Host("a read-only root at 4 %")
        .disk(8 * GB, readonly=1.0)
        .placed()
        .expect(
            fires(READONLY, 20, severity=CRITICAL),
            fires(FULL, 20, severity=CRITICAL),
            fires(FULL, 60, severity=WARNING),
        )
    )
    yield (
        Host("a root that the exporter sees as read-only, and that fills")
        .disk(filling(12), 1000 * GB, readonly=1.0)
        .placed()
        .expect(fires(FILLING, 70, severity=WARNING))
    )
    host = _volume(Host("a volume that becomes read-only"), 90 * GB, 100 * GB, readonly=lambda at: float(at >= 100))
    yield (
        host.disk(100 * GB)
        .placed()
        .expect(fires(READONLY, 130, severity=WARNING, mountpoint=VOLUME), silent(READONLY, END, CRITICAL))
    )
    host = Host("an image in a volume").disk(100 * GB).placed()
    host.disk(0.0, GB, mountpoint=VOLUME, device="/dev/loop0", fstype="squashfs", readonly=1.0)
    yield host.expect(silent(READONLY, END), silent(FULL, END))
