"""Exporters that start without a cache: no alert begins or ends because something is not measured yet."""

from collections.abc import Iterator

from tests.support.alerts.health import MISSING, STALE
from tests.support.alerts.logs import LAYER, LIMIT, ORPHANED
from tests.support.alerts.playing import GB, HOUR, ROOT, Course, Host, fires, silent, steady
from tests.support.alerts.space import GROWTH, RECLAIM

_PLACE = {"device": "/dev/sda1", "mountpoint": ROOT, "fstype": "ext4"}
_KEY = {"driver": "overlay2", "container_id": "aaaaaaaaaaaa"}


def situations() -> Iterator[Host]:
    """All of them."""
    yield from _sums()
    yield from _containers()
    yield from _growth()
    host = scanning(Host("a first scan of three hours").disk(60 * GB, 100 * GB).placed(), 0, 180)
    host.add("scan_last_success_timestamp_seconds", without(lambda at: at * 60, 0, 180), collector="images")
    host.add("initial_scan_entries", lambda at: min(at, 180) * 1e4)
    yield host.expect(silent(STALE, 5 * HOUR), silent(MISSING, 5 * HOUR))
    host = scanning(Host("a first scan with one large tree"), 0, 4 * HOUR)
    host.add("initial_scan_trees", 1).add("initial_scan_trees_done", lambda at: float(at >= 4 * HOUR))
    host.add("initial_scan_entries", lambda at: min(at, 4 * HOUR) * 1e4)
    yield host.expect(silent(STALE, 5 * HOUR))
    host = Host("a first scan that hangs").add("initial_scan_trees", 100)
    host.add("initial_scan_trees_done", lambda at: min(at, 30)).add(
        "initial_scan_entries", lambda at: min(at, 40) * 1e4
    )
    yield host.expect(silent(STALE, 80), fires(STALE, 100), steady(STALE, 100, 5 * HOUR))


def without(value: Course | float, begin: int, end: int) -> Course:
    """A figure that is not known for some time."""
    course: Course = value if callable(value) else lambda _: float(value)
    return lambda at: None if begin <= at < end else course(at)


def scanning(host: Host, begin: int, end: int) -> Host:
    """Add a first scan of a hundred trees between two minutes."""

    def done(at: float) -> float:
        return 100.0 * (at - begin) // (end - begin) if begin <= at < end else 100.0

    return host.add("initial_scan_trees", 100).add("initial_scan_trees_done", done)


def _sums() -> Iterator[Host]:
    host = scanning(Host("orphaned layers over a first scan").disk(90 * GB).placed(), 500, 590)
    host.add("layers_allocated_bytes", without(5 * GB, 500, 590), driver="overlay2", use="orphaned")
    yield host.expect(fires(ORPHANED, 400), steady(ORPHANED, 420, 800))
    host = scanning(Host("orphaned layers that are removed in a first scan").disk(90 * GB).placed(), 500, 590)
    host.add(
        "layers_allocated_bytes",
        without(lambda at: 5 * GB * (at < 500), 500, 590),
        driver="overlay2",
        use="orphaned",
    )
    yield host.expect(steady(ORPHANED, 420, 570), fires(ORPHANED, 610, 0))
    host = scanning(Host("much to prune over a first scan").disk(20 * GB).placed(), 800, 890)
    host.add("filesystem_allocated_bytes", without(100 * GB, 800, 890), **_PLACE)
    host.add("filesystem_reclaimable_bytes", without(60 * GB, 800, 890), **_PLACE)
    host.add("directory_allocated_bytes", without(100 * GB, 800, 880), directory="overlay2")
    host.add("reclaimable_bytes", without(60 * GB, 800, 830), category="images_unused")
    yield host.expect(fires(RECLAIM, 760), steady(RECLAIM, 760, 1000))


def _containers() -> Iterator[Host]:
    def host(name: str, end: int) -> Host:
        return scanning(Host(f"{name} a first scan").disk(90 * GB).placed().placed("containers"), 200, end)

    large = host("a large writable layer over", 280).container("aaaaaaaaaaaa", "web")
    large.add("container_writable_size_bytes", without(20 * GB, 200, 260), **_KEY)
    yield large.expect(fires(LAYER, 100), steady(LAYER, 100, 400))
    small = host("a writable layer that is small after a part of", 380).container("aaaaaaaaaaaa", "web")
    small.add("container_writable_size_bytes", without(lambda at: (20 if at < 200 else 1) * GB, 200, 250), **_KEY)
    yield small.expect(steady(LAYER, 100, 225), fires(LAYER, 300, 0))
    gone = host("a container that is removed before", 380).container("aaaaaaaaaaaa", "web", lambda at: at < 200)
    gone.add("container_writable_size_bytes", without(20 * GB, 200, 900), **_KEY)
    yield gone.expect(fires(LAYER, 100), fires(LAYER, 260, 0))
    near = host("a writable layer near its limit over", 280).container("aaaaaaaaaaaa", "web")
    near.add("container_writable_allocated_bytes", without(9.5 * GB, 200, 260), **_KEY)
    near.add("container_writable_limit_bytes", 10 * GB, **_KEY)
    yield near.expect(fires(LIMIT, 100), steady(LIMIT, 100, 400))


def _growth() -> Iterator[Host]:
    """Directories come one by one, the filesystem's sum at the end; older exporters do not have the latter."""
    for begin in (0, 300):
        for sums in (True, False):
            name = f"a first scan from minute {begin}, {'with' if sums else 'without'} sums of filesystems"
            host = scanning(Host(name).disk(60 * GB, 100 * GB).placed(), begin, begin + 120)
            if sums:
                host.add("filesystem_allocated_bytes", without(40 * GB, begin, begin + 120), **_PLACE)
            for directory, size, after in (("overlay2", 20, 110), ("volumes", 15, 50), ("containers", 5, 2)):
                host.add("directory_allocated_bytes", without(size * GB, begin, begin + after), directory=directory)
            yield host.expect(silent(GROWTH, 700))
