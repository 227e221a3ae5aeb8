"""Situations in which several things change at once: restarts, disks that are replaced, mounts and hosts that go."""

import random
from collections.abc import Callable, Iterator

from tests.support.alerts.first_scan import scanning, without
from tests.support.alerts.health import CLOCK, DEGRADED, DOWN, ERRORS, LOST, MISSING, STALE, UNREADABLE, scans
from tests.support.alerts.logs import LAYER, ORPHANED, RUNAWAY, UNBOUNDED
from tests.support.alerts.playing import DAY, GB, HOUR, ROOT, Course, Host, fires, silent, steady
from tests.support.alerts.space import (
    CRITICAL,
    FILLING,
    FULL,
    GROWTH,
    READONLY,
    RECLAIM,
    SOON,
    VOLUME,
    WARNING,
    filling,
    ramp,
)

END = 5 * HOUR
#: After all that is looked at.
LATER = 10**6
_KEY = {"driver": "overlay2", "container_id": "aaaaaaaaaaaa"}


def situations() -> Iterator[Host]:
    """All of them."""
    yield from _disks()
    yield from _mounts()
    yield from _pools()
    yield from _restarts()
    yield from _clocks()
    yield from _hosts()


def between(first: float, last: float, course: Course | float) -> Course:
    """A course, by the same time, that is there only for a while."""
    return lambda at: (course(at) if callable(course) else course) if first <= at < last else None


def _place(device: str = "/dev/sda1", mountpoint: str = ROOT) -> dict[str, str]:
    return {"device": device, "mountpoint": mountpoint, "fstype": "ext4"}


def _disks() -> Iterator[Host]:
    host = Host("a disk at 4 % that is replaced by a larger one", up=lambda at: float(not 100 <= at < 120))
    host.disk(between(0, 100, 8 * GB), between(0, 100, 200 * GB))
    host.disk(between(120, LATER, 1850 * GB), between(120, LATER, 2000 * GB), device="/dev/nvme0n1p1")
    host.add("filesystem_allocated_bytes", between(0, 100, 150 * GB), **_place())
    host.add("filesystem_allocated_bytes", between(120, LATER, 150 * GB), **_place("/dev/nvme0n1p1"))
    yield host.expect(
        fires(FULL, 90, severity=CRITICAL),
        fires(FULL, 125, 0),
        silent(GROWTH, END),
        silent(FILLING, END),
        silent(SOON, END),
    )
    host = Host("a disk at 4 % that has another name after a reboot", up=lambda at: float(not 100 <= at < 103))
    host.disk(between(0, 100, 8 * GB), between(0, 100, 200 * GB))
    host.disk(between(103, LATER, 8 * GB), between(103, LATER, 200 * GB), device="/dev/sdb1")
    yield host.expect(steady(FULL, 20, END, CRITICAL), steady(FULL, 40, END, WARNING), silent(SOON, END))
    host = Host("a disk with 50 % that is replaced by a smaller one with 15 %")
    host.disk(between(0, DAY, 100 * GB), between(0, DAY, 200 * GB))
    host.disk(between(DAY, LATER, 15 * GB), between(DAY, LATER, 100 * GB), device="/dev/sdb1")
    yield host.expect(silent(FILLING, DAY + END), silent(SOON, DAY + END), silent(FULL, DAY + END))
    noise = random.Random(5)
    jitter = [noise.uniform(-0.4, 0.4) for _ in range(END)]
    host = Host("full to the brim, up and down by less than a percent", every=1)
    host.disk(lambda at: max(0.0, 0.5 + jitter[int(at) % END]) * GB)
    yield host.expect(steady(FULL, 12, END, CRITICAL))


def _mounted(host: Host, there: Callable[[float], bool], avail: Course | float, size: float) -> Host:
    """Add a volume of its own that is mounted only at times."""

    def seen(course: Course | float) -> Course:
        return lambda at: (course(at) if callable(course) else course) if there(at) else None

    figures = {"readonly": seen(0.0), "files_free": seen(9e6)}
    return host.disk(seen(avail), seen(size), mountpoint=VOLUME, device="/dev/sdb1", **figures)  # type: ignore[arg-type]


def _mounts() -> Iterator[Host]:
    host = Host("a volume at 4 % that is unmounted, and comes back").disk(90 * GB)
    yield _mounted(host, lambda at: not 60 <= at < 120, 4 * GB, 100 * GB).expect(
        fires(FULL, 50, severity=CRITICAL, mountpoint=VOLUME),
        fires(FULL, 75, 0),
        fires(FULL, 130, severity=CRITICAL, mountpoint=VOLUME),
        silent(MISSING, END),
    )
    host = Host("a full volume of a job that runs for two minutes each half hour", every=1).disk(90 * GB)
    yield _mounted(host, lambda at: at % 30 < 2, 0.1 * GB, 5 * GB).expect(
        silent(FULL, END), silent(SOON, END), silent(READONLY, END)
    )
    host = Host("a volume that fills, and is unmounted").disk(90 * GB)
    yield _mounted(host, lambda at: at < 120, ramp(80 * GB, 0, 0, 160), 100 * GB).expect(
        fires(SOON, 150, 0), silent(FULL, END, CRITICAL), fires(FILLING, 150, 0)
    )
    device = {"device": "/dev/sdb1", "mountpoint": VOLUME}
    host = Host("data that moves from the root to a volume of its own").disk(60 * GB, 100 * GB)
    host.add("filesystem_allocated_bytes", lambda at: (40 if at < 120 else 10) * GB, **_place())
    host.add("filesystem_allocated_bytes", between(120, LATER, 30 * GB), **_place("/dev/sdb1", VOLUME))
    host.disk(between(120, LATER, 20 * GB), between(120, LATER, 50 * GB), **device)  # type: ignore[arg-type]
    yield host.expect(silent(GROWTH, END), silent(FILLING, END), silent(FULL, END))
    host = Host("a root that is read-only until it is checked at boot").disk(
        90 * GB, readonly=lambda at: float(60 <= at < 63)
    )
    yield host.placed().expect(silent(READONLY, END))


def _pools() -> Iterator[Host]:
    host = Host("a pool that others fill: the size of the dataset shrinks with it")
    free = filling(12, 450 * GB)
    host.disk(free, lambda at: (free(at) or 0) + 250 * GB, device="tank/docker", fstype="zfs")
    yield host.expect(fires(FILLING, 9 * HOUR, severity=WARNING))
    host = Host("a pool that others fill within five hours after a quiet day")
    quick = ramp(450 * GB, 0, DAY, 300)
    host.disk(quick, lambda at: (quick(at) or 0) + 250 * GB, device="tank/docker", fstype="zfs")
    yield host.expect(fires(FILLING, DAY + 299, severity=CRITICAL))
    host = Host("a dataset whose quota is lowered")
    host.disk(
        lambda at: (90 if at < DAY else 30) * GB,
        lambda at: (200 if at < DAY else 140) * GB,
        device="tank/docker",
        fstype="zfs",
    )
    yield host.expect(silent(FILLING, DAY + 7 * HOUR), silent(SOON, DAY + 7 * HOUR))


def _restarts() -> Iterator[Host]:
    """An exporter that is ended each half hour, and scans for five minutes each time."""

    def scan(at: float) -> bool:
        return at % 30 < 5

    def up(at: float) -> float:
        return float(at % 30 != 0)

    def done(at: float) -> float:
        return at % 30 * 20 if scan(at) else 100.0

    def host(name: str) -> Host:
        made = Host(name, up=up, every=2).disk(7 * GB).placed().placed("containers").add("up", 1).add("scanner_up", 1)
        made.add("initial_scan_trees", 100).add("initial_scan_trees_done", done)
        success: Course = lambda at: None if scan(at) else (at // 30 * 30 + 5) * 60.0  # noqa: E731 - short
        made.add("scan_last_success_timestamp_seconds", success, collector="images")
        return made.add("scan_success", lambda at: None if scan(at) else 1.0, collector="images")

    one = host("an exporter that is restarted each half hour")
    one.add("layers_allocated_bytes", lambda at: None if scan(at) else 5 * GB, driver="overlay2", use="orphaned")
    one.container("aaaaaaaaaaaa", "web").add(
        "container_writable_size_bytes", lambda at: None if scan(at) else 70 * GB, **_KEY
    )
    one.add("filesystem_allocated_bytes", lambda at: None if scan(at) else 150 * GB, **_place())
    one.add("directory_allocated_bytes", lambda at: None if scan(at) else 150 * GB, directory="overlay2")
    yield one.expect(
        steady(FULL, 20, 9 * HOUR, CRITICAL),
        fires(ORPHANED, 6 * HOUR + 20),
        steady(ORPHANED, 6 * HOUR + 20, 9 * HOUR),
        steady(LAYER, 75, 9 * HOUR),
        *(silent(alert, 9 * HOUR) for alert in (DOWN, MISSING, STALE, GROWTH, UNREADABLE, SOON, ERRORS)),
    )
    log = (
        Host("a log that runs away while the exporter is restarted", up=up).disk(50 * GB).placed().placed("containers")
    )
    log.add("initial_scan_trees", 100).add("initial_scan_trees_done", done)
    yield log.log("aaaaaaaaaaaa", lambda at: 10e9 * at / HOUR).expect(
        fires(RUNAWAY, 30), steady(RUNAWAY, 32, END), steady(UNBOUNDED, 80, END)
    )
    overflows: Course = lambda at: at % 30 // 12  # noqa: E731 - short
    lost = Host("overflows that are counted from nothing after each restart", up=up).add(
        "watch_overflows_total", overflows
    )
    yield lost.add("watch_mode", 0, mode="polling").expect(fires(DEGRADED, 2 * HOUR), steady(DEGRADED, 2 * HOUR, END))
    calm = Host("counters that begin again, and count nothing new", up=up).add(
        "scan_errors_total", lambda at: 50.0 if at < 60 else 0.0, collector="images", reason="decode"
    )
    calm.add("watch_overflows_total", lambda at: 50.0 if at < 60 else 0.0)
    yield calm.add("watch_mode", 0, mode="polling").expect(silent(ERRORS, END), silent(DEGRADED, END))
    prune = scanning(
        Host("a prune while a first scan goes on").disk(lambda at: (20 if at < 900 else 120) * GB).placed(), 850, 950
    )
    prune.add("filesystem_allocated_bytes", without(lambda at: (150 if at < 900 else 50) * GB, 850, 950), **_place())
    prune.add("filesystem_reclaimable_bytes", without(lambda at: (100 if at < 900 else 0) * GB, 850, 950), **_place())
    yield prune.expect(fires(RECLAIM, 800), fires(RECLAIM, 965, 0), silent(GROWTH, 1100))


def _clocks() -> Iterator[Host]:
    def wrong(host: Host, ahead: Course) -> Host:
        host.add("time_seconds", lambda at: at * 60.0 + (ahead(at) or 0))
        host.add("snapshot_timestamp_seconds", lambda at: at * 60.0 + (ahead(at) or 0))
        for collector in ("images", "containers"):
            host.add("scan_success", 1, collector=collector).add(
                "scan_last_success_timestamp_seconds",
                lambda at: at // 10 * 600.0 + (ahead(at // 10 * 10) or 0),
                collector=collector,
            )
        return host

    yield wrong(Host("a clock that is wrong in one scrape", every=1), lambda at: 3600.0 * (at == 100)).expect(
        silent(CLOCK, END)
    )
    yield wrong(
        Host("a clock that is an hour ahead for four minutes", every=1), lambda at: 3600.0 * (100 <= at < 104)
    ).expect(silent(CLOCK, END), silent(STALE, END))
    yield wrong(
        Host("a clock that is set back by an hour, and mended after half an hour", every=1),
        lambda at: -3600.0 * (100 <= at < 130),
    ).expect(fires(CLOCK, 120), fires(CLOCK, 145, 0), silent(STALE, END))
    yield wrong(Host("a clock that drifts about the threshold", every=1), lambda at: 55.0 + 10 * (at % 2)).expect(
        fires(CLOCK, 25), steady(CLOCK, 26, END)
    )
    slept: Course = lambda at: float(not 100 <= at < 280)  # noqa: E731 - short
    yield scans(Host("a virtual machine that sleeps for three hours", up=slept).disk(90 * GB)).expect(
        fires(DOWN, 200), fires(DOWN, 290, 0), silent(CLOCK, END + HOUR), silent(FILLING, END + HOUR)
    )


def _hosts() -> Iterator[Host]:
    there: Course = lambda at: 1.0 if at < DAY + 60 else None  # noqa: E731 - short
    yield (
        Host("a full host that leaves the fleet", up=there)
        .disk(8 * GB)
        .expect(
            fires(FULL, DAY + 30, severity=CRITICAL),
            fires(FULL, DAY + 80, 0, CRITICAL),
            fires(LOST, DAY + 100),
            fires(DOWN, DAY + 100, 0),
            fires(DOWN, DAY + 11 * HOUR, 0),
            silent(MISSING, DAY + 12 * HOUR),
        )
    )
    back: Course = lambda at: None if 26 * HOUR <= at < 33 * HOUR else 1.0  # noqa: E731 - short
    host = Host("a host that is away for seven hours and comes back fuller", up=back)
    host.disk(lambda at: (90 if at < 30 * HOUR else 30) * GB)
    host.add("filesystem_allocated_bytes", lambda at: (100 if at < 30 * HOUR else 160) * GB, **_place())
    yield host.expect(
        silent(FILLING, 38 * HOUR, CRITICAL), silent(SOON, 38 * HOUR), silent(GROWTH, 38 * HOUR), fires(LOST, 27 * HOUR)
    )
    noise = random.Random(7)
    lossy = [noise.random() >= 0.3 for _ in range(END + 60)]
    third: Course = lambda at: float(lossy[int(at)])  # noqa: E731 - short
    host = Host("a full host that loses three scrapes of ten", up=third).disk(7 * GB).placed().placed("containers")
    host.log("aaaaaaaaaaaa", lambda at: (1 + 3 * at / HOUR) * GB)
    yield host.expect(
        steady(FULL, 25, END, CRITICAL),
        silent(SOON, END),
        silent(MISSING, END),
        fires(RUNAWAY, 40),
        steady(RUNAWAY, 45, END),
    )
