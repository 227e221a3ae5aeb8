"""Situations of filesystems that fill, shrink, or only seem to."""

from collections.abc import Iterator

from tests.support.alerts.playing import DAY, GB, HOUR, ROOT, Course, Host, fires, silent, steady

FILLING = "DockerStorageFilesystemFillingUp"
FULL = "DockerStorageFilesystemAlmostFull"
SOON = "DockerStorageFilesystemFullSoon"
FILES = "DockerStorageInodesFillingUp"
NO_FILES = "DockerStorageInodesAlmostExhausted"
READONLY = "DockerStorageFilesystemReadOnly"
GROWTH = "DockerStorageGrowthHigh"
RECLAIM = "DockerStorageReclaimableHigh"
VOLUME = f"{ROOT}/volumes/db/_data"

END = 5 * HOUR
LATER = DAY + 7 * HOUR
CRITICAL = "critical"
WARNING = "warning"


def ramp(before: float, after: float, begin: int, minutes: int) -> Course:
    """One value, a steady change, and another value."""

    def course(at: float) -> float:
        return before + (after - before) * min(max((at - begin) / minutes, 0), 1)

    return course


def filling(hours: float, of: float = 200 * GB, begin: int = 0) -> Course:
    """Full after so many hours."""
    return ramp(of, 0, begin, round(hours * HOUR))


def except_each(course: Course, minutes: int, gap: int = 1) -> Course:
    """Without the samples of the first minutes of each time so long."""
    return lambda at: None if at % minutes < gap and at >= minutes else course(at)


def situations() -> Iterator[Host]:
    """All of them."""
    yield from _in_twelve_hours()
    yield from _levels()
    yield from _no_false_critical()
    yield from _in_time()
    yield from _inodes()


def _in_twelve_hours() -> Iterator[Host]:
    lost = except_each(filling(12), 50)
    yield (
        Host("200 GB of a TB fill in 12 h, one scrape lost each 50 minutes")
        .disk(lost, 1000 * GB)
        .expect(silent(FILLING, 55), fires(FILLING, 65, severity=WARNING), steady(FILLING, 66, 11 * HOUR, WARNING))
    )
    yield (
        Host("the same without losses")
        .disk(filling(12), 1000 * GB)
        .expect(silent(FILLING, 55), fires(FILLING, 65, severity=WARNING))
    )
    yield (
        Host("the same of 200 GB")
        .disk(lost)
        .expect(
            silent(FILLING, 7 * HOUR),
            fires(FILLING, 8 * HOUR + 20, severity=WARNING),
            fires(FULL, 705, severity=CRITICAL),
        )
    )
    yield (
        Host("the same with two of three scrapes lost")
        .disk(lambda at: filling(12)(at) if at % 3 == 0 else None, 1000 * GB)
        .expect(fires(FILLING, 70, severity=WARNING), steady(FILLING, 75, 11 * HOUR, WARNING))
    )
    after = filling(12, begin=DAY)
    yield (
        Host("the same after a day")
        .disk(except_each(after, 50))
        .expect(
            silent(FILLING, DAY + 7 * HOUR),
            fires(FILLING, DAY + 8 * HOUR + 20, severity=WARNING),
            silent(FILLING, DAY + 9 * HOUR + 30, CRITICAL),
        )
    )


def _levels() -> Iterator[Host]:
    gap = except_each(lambda _: 8 * GB, HOUR, 2)
    yield (
        Host("4 % free with a gap of two minutes each hour")
        .disk(gap)
        .expect(
            fires(FULL, 10, severity=CRITICAL),
            steady(FULL, 10, END, CRITICAL),
            steady(FULL, 35, END, WARNING),
            silent(SOON, END),
        )
    )
    yield Host("9 % free").disk(18 * GB).expect(fires(FULL, HOUR, severity=WARNING), silent(FULL, END, CRITICAL))
    yield Host("11 % free").disk(22 * GB).expect(silent(FULL, END), silent(FILLING, END))
    yield (
        Host("9 % free for twenty minutes")
        .disk(lambda at: (18 if 100 <= at < 120 else 60) * GB)
        .expect(silent(FULL, END))
    )
    swinging: Course = lambda at: (9.6 if at % 30 < 15 else 10.4) * GB  # noqa: E731 - short
    yield Host("about 5 % free, up and down").disk(swinging).expect(steady(FULL, 20, END, CRITICAL))
    yield (
        Host("almost full, and pruned")
        .disk(lambda at: (8 if 60 <= at < 300 else 90) * GB)
        .expect(fires(FULL, 100, severity=CRITICAL), fires(FULL, 312, 0))
    )
    yield Host("a TB with 4 GB left").disk(4 * GB, 1000 * GB).expect(fires(FULL, 10, severity=CRITICAL))


def _no_false_critical() -> Iterator[Host]:
    for minutes in (1, 15, 40):
        restored = ramp(90 * GB, 30 * GB, DAY, minutes)
        yield (
            Host(f"a restore of {minutes} minutes from 45 % to 15 %, and nothing more")
            .disk(restored)
            .expect(silent(FILLING, LATER, CRITICAL), silent(SOON, LATER), silent(FULL, LATER))
        )
    shrunk: Course = lambda at: (90 if at < DAY else 30) * GB  # noqa: E731 - short
    yield (
        Host("a volume that is made smaller")
        .disk(shrunk, lambda at: (200 if at < DAY else 140) * GB)
        .expect(silent(FILLING, LATER), silent(SOON, LATER))
    )
    yield (
        Host("a disk that is made larger")
        .disk(lambda at: (20 if at < DAY else 300) * GB, lambda at: (200 if at < DAY else 500) * GB)
        .expect(silent(FILLING, LATER, since=DAY))
    )
    yield (
        Host("a first day of pulls, from 60 % to 12 % within ten hours")
        .disk(ramp(120 * GB, 24 * GB, 0, 10 * HOUR))
        .expect(silent(FILLING, 13 * HOUR, CRITICAL), silent(SOON, 13 * HOUR))
    )
    yield (
        Host("a first hour of pulls, from 60 % to 12 %")
        .disk(ramp(120 * GB, 24 * GB, 0, HOUR))
        .expect(silent(FILLING, END, CRITICAL), silent(SOON, END))
    )

    def pruned(at: float) -> float:
        hour = at / HOUR % 24
        return (90 - 64 * min(max((hour - 8) / 10, 0), 1) * (hour < 22)) * GB

    yield (
        Host("a CI host that is at 13 % each evening, and pruned each night")
        .disk(pruned)
        .expect(silent(FILLING, LATER, CRITICAL), silent(FULL, LATER, CRITICAL), silent(SOON, LATER))
    )
    yield (
        Host("a log of 6 GB that is rotated each half hour on a disk with 15 %")
        .disk(lambda at: (30 - 6 * (at % 30) / 30) * GB)
        .expect(silent(FILLING, END, CRITICAL), silent(SOON, END))
    )
    yield (
        Host("builds of 10 GB each 40 minutes, given back")
        .disk(lambda at: (50 - 10 * (at % 40) / 40) * GB)
        .expect(silent(FILLING, END, CRITICAL), silent(SOON, END))
    )
    yield Host("a disk that fills slower than a day").disk(filling(90, 70 * GB)).expect(silent(FILLING, 12 * HOUR))


def _in_time() -> Iterator[Host]:
    for minutes in (45, 90, 150):
        full = 3 * HOUR + minutes
        quick = ramp(120 * GB, 0, 3 * HOUR, minutes)
        yield (
            Host(f"full within {minutes} minutes", every=1)
            .disk(quick)
            .expect(fires(SOON, full - 1, severity=CRITICAL), silent(SOON, 3 * HOUR + minutes // 2))
        )
    for minutes in (24, 10):
        full = 3 * HOUR + minutes
        # What takes less than four minutes for its last tenth is told when it is full.
        yield (
            Host(f"full within {minutes} minutes, from 60 %", every=1)
            .disk(ramp(120 * GB, 0, 3 * HOUR, minutes))
            .expect(fires(SOON, full - 1 if minutes == 24 else full + 2, severity=CRITICAL))
        )
    yield (
        Host("a host of half an hour, full within 45 minutes", every=1)
        .disk(ramp(120 * GB, 0, 30, 45))
        .expect(fires(SOON, 74, severity=CRITICAL))
    )
    yield (
        Host("a pull of 5 GB on a disk with 18 GB of 200", every=1)
        .disk(ramp(18 * GB, 13 * GB, 60, 2))
        .expect(silent(SOON, 200), silent(FILLING, 200, CRITICAL), silent(FULL, 200, CRITICAL))
    )
    yield (
        Host("builds of 6 GB on a CI host that has 9 % each day")
        .disk(lambda at: (19 - 6 * min(at % 30, 8) / 8) * GB)
        .expect(silent(SOON, LATER, since=DAY), silent(FILLING, LATER, CRITICAL))
    )
    yield (
        Host("full within 45 minutes after a quiet day", every=2)
        .disk(ramp(200 * GB, 0, DAY, 45))
        .expect(fires(SOON, DAY + 44, severity=CRITICAL))
    )
    yield (
        Host("full within five hours after a quiet day")
        .disk(ramp(150 * GB, 0, DAY, 300))
        .expect(fires(FILLING, DAY + 299, severity=CRITICAL), silent(SOON, DAY + 180))
    )
    burst: Course = lambda at: max(160 - 5 * (max(at - DAY, 0) // 15), 0) * GB  # noqa: E731 - short
    yield (
        Host("filled by bursts of 5 GB each quarter of an hour")
        .disk(burst)
        .expect(fires(FILLING, DAY + 450, severity=WARNING), fires(FILLING, DAY + 470, severity=CRITICAL))
    )
    yield (
        Host("a disk that stops filling at 15 %")
        .disk(ramp(100 * GB, 30 * GB, DAY, 240))
        .expect(fires(FILLING, DAY + 300, 0, CRITICAL))
    )


def _inodes() -> Iterator[Host]:
    yield (
        Host("inodes that run out in two hours")
        .disk(90 * GB, files_free=ramp(9e6, 0, HOUR, 120))
        .expect(fires(SOON, 178, severity=CRITICAL, resource="inodes"), silent(SOON, 200, resource="space"))
    )
    yield (
        Host("inodes that run out in ten hours")
        .disk(90 * GB, files_free=ramp(9e6, 0, DAY, 600))
        .expect(
            fires(FILES, DAY + 560, severity=WARNING),
            fires(FILES, DAY + 540, severity=CRITICAL),
            silent(FILLING, LATER),
        )
    )
    yield (
        Host("inodes that run out in ten minutes")
        .disk(90 * GB, files_free=ramp(9e6, 0, HOUR, 10))
        .expect(fires(NO_FILES, HOUR + 17, severity=CRITICAL))
    )
    yield (
        Host("4 % of the inodes, with a gap each hour")
        .disk(90 * GB, files_free=except_each(lambda _: 4e5, HOUR, 3))
        .expect(steady(NO_FILES, 12, END, CRITICAL))
    )
    yield Host("6 % of the inodes").disk(90 * GB, files_free=6e5).expect(silent(NO_FILES, END))
    yield (
        Host("a filesystem that counts no inodes")
        .disk(90 * GB, files_free=0.0, files=0.0)
        .expect(silent(NO_FILES, END), silent(FILES, END), silent(SOON, END))
    )
    yield (
        Host("a million inodes that one build takes")
        .disk(90 * GB, files_free=ramp(4e6, 3e6, DAY, 20))
        .expect(silent(FILES, LATER), silent(NO_FILES, LATER))
    )
