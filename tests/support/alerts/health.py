"""Situations of the exporter itself: what is not there, what is old, and clocks that are wrong."""

from collections.abc import Iterator

from tests.support.alerts.playing import DAY, GB, HOUR, ROOT, Course, Host, fires, silent, steady

DOWN = "DockerStorageExporterDown"
LOST = "DockerStorageHostLost"
MISSING = "DockerStorageFiguresMissing"
STALE = "DockerStorageScanStale"
CLOCK = "DockerStorageClockWrong"
UNKNOWN = "DockerStorageNotKnown"
UNREADABLE = "DockerStorageRootUnreadable"
SCANNER = "DockerStorageScannerDown"
DEGRADED = "DockerStorageWatchDegraded"
DROPPED = "DockerStorageSeriesDropped"
ERRORS = "DockerStorageScanErrors"
UNSUPPORTED = "DockerStorageImageStoreUnsupported"
END = 5 * HOUR
_PLACE = {"device": "/dev/sda1", "mountpoint": ROOT, "fstype": "ext4"}


def situations() -> Iterator[Host]:
    """All of them."""
    yield from _presence()
    yield from _clocks()
    yield from _unknown()
    yield from _service()


def scans(host: Host, ahead: int = 0, *, until: int = 10**6, tells: bool = True) -> Host:
    """A host that scans each ten minutes, whose clock is so many seconds ahead, until it hangs."""

    def last(at: float) -> float:
        return min(at, until) // 10 * 600.0 + ahead

    for collector in ("images", "containers"):
        host.add("scan_last_success_timestamp_seconds", last, collector=collector)
        host.add("scan_success", 1, collector=collector)
    host.add("snapshot_timestamp_seconds", lambda at: min(at, until) * 60.0 + ahead)
    return host.add("time_seconds", lambda at: at * 60.0 + ahead) if tells else host


def stopped(scrape: int) -> Host:
    """A full host whose exporter is stopped for 22 s now and then; what it would have answered is lost."""
    begins = (2, 40, 100, 102)

    def up(at: float) -> float:
        return float(not any(begin <= at < begin + 22 / 60 for begin in begins))

    host = (
        scans(Host(f"stopped, scraped each {scrape} s", scrape=scrape, up=up))
        .disk(7 * GB)
        .placed()
        .placed("containers")
    )
    host.log("aaaaaaaaaaaa", 2 * GB).add("filesystem_allocated_bytes", 150 * GB, **_PLACE)
    host.add("filesystem_reclaimable_bytes", 5 * GB, **_PLACE).add(
        "directory_allocated_bytes", 150 * GB, directory="overlay2"
    )
    host.add("scanner_up", 1).add("up", 1).add("known", 1, input="containers").add("watch_mode", 0, mode="polling")
    host.add("scan_errors_total", 0, collector="images", reason="decode").add("series_dropped", 0, collector="images")
    host.add("layers_allocated_bytes", 1e6, driver="overlay2", use="orphaned").add(
        "missing_layers", 0, driver="overlay2"
    )
    return host.add("initial_scan_trees", 100).add("initial_scan_trees_done", 100)


def _presence() -> Iterator[Host]:
    yield (
        Host("an exporter that is down three minutes of six", up=lambda at: float(at % 6 < 3))
        .disk(90 * GB)
        .expect(fires(DOWN, 30), steady(DOWN, 35, END))
    )
    yield (
        Host("an exporter that is down", up=lambda at: float(at < 60))
        .disk(90 * GB)
        .expect(fires(DOWN, 67), silent(DOWN, 60), steady(DOWN, 68, END))
    )
    yield (
        Host("an exporter that is back", up=lambda at: float(not 60 <= at < 80))
        .disk(90 * GB)
        .expect(fires(DOWN, 70), fires(DOWN, 85, 0), silent(MISSING, END))
    )
    yield (
        Host("an exporter that is down for a minute each hour", up=lambda at: float(at % 60 != 30))
        .disk(90 * GB)
        .expect(silent(DOWN, END))
    )
    yield (
        Host("an exporter that loses one scrape in twenty", every=1, up=lambda at: float(at % 20 != 2))
        .disk(90 * GB)
        .expect(silent(DOWN, END))
    )
    yield (
        Host("an exporter that is down five minutes of ten", up=lambda at: float(at % 10 < 5))
        .disk(90 * GB)
        .expect(fires(DOWN, 40), steady(DOWN, 50, END), fires(MISSING, END, 0))
    )
    yield (
        Host("a host that is lost after a day", up=lambda at: 1.0 if at < DAY + 30 else None)
        .disk(90 * GB)
        .expect(silent(LOST, DAY + 30), fires(LOST, DAY + 60), steady(LOST, DAY + 60, DAY + 300))
    )
    yield (
        Host("a host that was there for six hours", up=lambda at: 1.0 if at < 6 * HOUR else None)
        .disk(90 * GB)
        .expect(silent(LOST, DAY + 300))
    )
    yield Host("up without anything").expect(fires(MISSING, 20), silent(MISSING, 10))
    yield Host("up without filesystems").add("up", 1).add("scanner_up", 1).expect(fires(MISSING, 20))
    yield (
        Host("filesystems that are lost after an hour")
        .disk(lambda at: 90 * GB if at < 60 else None)
        .add("up", 1)
        .expect(fires(MISSING, 90), silent(MISSING, 60))
    )
    yield (
        Host("a root that cannot be read, and so no filesystems")
        .add("up", 0)
        .expect(silent(MISSING, END), fires(UNREADABLE, 10))
    )
    yield (
        Host("filesystems with a gap now and then")
        .disk(lambda at: None if at % 30 < 3 else 90 * GB)
        .expect(silent(MISSING, END))
    )


def _clocks() -> Iterator[Host]:
    for name, ahead in (("behind", -7200), ("ahead", 7200)):
        yield scans(Host(f"a clock that is two hours {name}"), ahead).expect(
            fires(CLOCK, 20), steady(CLOCK, 21, END), silent(STALE, END)
        )
    yield scans(Host("a clock two hours behind, of an older exporter"), -7200, tells=False).expect(
        fires(CLOCK, 40), silent(STALE, END, since=70)
    )
    yield scans(Host("a clock two hours ahead, of an older exporter"), 7200, tells=False).expect(
        fires(CLOCK, 20), silent(STALE, END)
    )
    yield scans(Host("a right clock"), 0).expect(silent(CLOCK, END), silent(STALE, END))
    yield scans(Host("half a minute is no wrong clock"), 30).expect(silent(CLOCK, END))
    yield scans(Host("a scan that hangs"), 0, until=60).expect(
        fires(STALE, 115), silent(STALE, 100), silent(CLOCK, END), steady(STALE, 116, END)
    )
    yield scans(Host("a scan that hangs on a host with a wrong clock"), -7200, until=60, tells=False).expect(
        fires(STALE, 125), fires(CLOCK, 125, 0)
    )
    oldest: Course = lambda at: at // 30 * 1800.0  # noqa: E731 - short
    yield (
        scans(Host("audits each half hour"), 0)
        .add("audit_oldest_timestamp_seconds", oldest, area="volumes")
        .expect(silent(STALE, END))
    )
    yield (
        Host("volumes that are never measured again")
        .add("audit_oldest_timestamp_seconds", 0, area="volumes")
        .expect(fires(STALE, 190), silent(STALE, 180))
    )


def _unknown() -> Iterator[Host]:
    yield (
        Host("containers that are not known")
        .add("known", lambda at: float(at < 60), input="containers")
        .expect(fires(UNKNOWN, 125), silent(UNKNOWN, 115), steady(UNKNOWN, 126, END))
    )
    yield (
        Host("containers that are not known, one scrape in ten lost")
        .add("known", lambda at: None if at % 10 == 4 else 0.0, input="containers")
        .expect(fires(UNKNOWN, 65), steady(UNKNOWN, 66, END))
    )
    yield (
        Host("containers that were not known for half an hour")
        .add("known", lambda at: float(not 60 <= at < 90), input="containers")
        .expect(silent(UNKNOWN, END))
    )


def _service() -> Iterator[Host]:
    lossy: Course = lambda at: None if at % 10 == 4 else 0.0  # noqa: E731 - short
    yield (
        Host("a root that cannot be read, one scrape in ten lost")
        .add("up", lossy)
        .expect(fires(UNREADABLE, 8), steady(UNREADABLE, 9, END))
    )
    yield Host("no scanning process").add("scanner_up", lossy).expect(fires(SCANNER, 8), steady(SCANNER, 9, END))
    yield (
        Host("an exporter that polls")
        .add("watch_mode", lambda at: None if at % 20 == 4 else 1.0, mode="polling")
        .expect(fires(DEGRADED, 33), steady(DEGRADED, 34, END))
    )
    yield Host("nearly all watches in use").add("watches", 7800).add("watches_limit", 8192).expect(fires(DEGRADED, 33))
    yield (
        Host("too many objects")
        .add("series_dropped", lambda at: None if at % 25 == 4 else 3.0, collector="images")
        .expect(fires(DROPPED, 65), steady(DROPPED, 66, END))
    )
    yield (
        Host("a collector that fails")
        .add("scan_success", lambda at: None if at % 25 == 4 else 0.0, collector="images")
        .expect(fires(ERRORS, 65), steady(ERRORS, 66, END))
    )
    yield (
        Host("snapshots that are no directories")
        .add("layers", lambda at: None if at % 9 == 4 else 3.0, driver="devmapper", namespace="moby", use="image")
        .expect(fires(UNSUPPORTED, 18), steady(UNSUPPORTED, 19, END))
    )
    yield from _nearly()


def _nearly() -> Iterator[Host]:
    yield (
        Host("a root that is mounted again")
        .add("up", lambda at: float(not 60 <= at < 63))
        .expect(silent(UNREADABLE, 100))
    )
    yield (
        Host("a scanning process that is killed once")
        .add("scanner_up", lambda at: float(at != 60))
        .expect(silent(SCANNER, 100))
    )
    overflows: Course = lambda at: float(at // 30)  # noqa: E731 - short
    yield (
        Host("two overflows an hour")
        .add("watch_overflows_total", overflows)
        .add("watch_mode", 0, mode="polling")
        .expect(silent(DEGRADED, 3 * HOUR))
    )
    yield (
        Host("as many objects as are allowed").add("series_dropped", 0, collector="images").expect(silent(DROPPED, 100))
    )
    torn: Course = lambda at: float(at >= 60)  # noqa: E731 - short
    yield (
        Host("a file that was torn once")
        .add("scan_errors_total", torn, collector="images", reason="decode")
        .add("scan_errors_total", float, collector="images", reason="vanished")
        .expect(silent(ERRORS, 3 * HOUR))
    )
    yield (
        Host("snapshots that are directories")
        .add("layers", 3, driver="overlayfs", namespace="moby", use="image")
        .expect(silent(UNSUPPORTED, 100))
    )
