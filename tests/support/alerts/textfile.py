"""Situations of hosts whose figures come once an hour, by node_exporter's textfile collector."""

from collections.abc import Iterator

from tests.support.alerts.health import DOWN, LOST, MISSING, STALE
from tests.support.alerts.logs import RUNAWAY
from tests.support.alerts.playing import DAY, GB, HOUR, Course, Host, fires, silent, steady
from tests.support.alerts.space import CRITICAL, FILLING, FULL, WARNING, filling, ramp

JOB = "node"


def hourly(course: Course, until: int = 10**6) -> Course:
    """What was true when `once` ran last."""
    return lambda at: course(min(at, until) // HOUR * HOUR)


def _host(name: str, until: int = 10**6) -> Host:
    host = Host(name, job=JOB).add("up", 1)
    host.add("scan_last_success_timestamp_seconds", hourly(lambda at: at * 60.0, until), collector="images")
    return host.add("snapshot_timestamp_seconds", hourly(lambda at: at * 60.0, until)).add(
        "scan_success", 1, collector="images"
    )


def situations() -> Iterator[Host]:
    """All of them."""
    yield (
        _host("once runs each hour")
        .disk(90 * GB)
        .expect(
            silent(STALE, 12 * HOUR), silent(MISSING, 12 * HOUR), silent(DOWN, 12 * HOUR), silent(FILLING, 12 * HOUR)
        )
    )
    yield (
        _host("once does not run any more", 3 * HOUR)
        .disk(90 * GB)
        .expect(silent(STALE, 5 * HOUR), fires(STALE, 6 * HOUR + 20))
    )
    yield Host("a host without Docker", job=JOB).expect(silent(MISSING, 4 * HOUR))
    yield Host("a host without Docker that is down", job=JOB, up=lambda _: 0.0).expect(silent(DOWN, 4 * HOUR))
    yield (
        Host("a file that is gone", job=JOB)
        .add("up", lambda at: 1.0 if at < 100 else None)
        .disk(lambda at: 90 * GB if at < 100 else None)
        .expect(fires(MISSING, 140), silent(MISSING, 100))
    )
    yield (
        _host("a log that runs away")
        .disk(50 * GB)
        .log("aaaaaaaaaaaa", hourly(lambda at: (2 + 12 * at / HOUR) * GB))
        .expect(fires(RUNAWAY, 7 * HOUR))
    )
    yield (
        _host("a TB of which 200 GB fill in 12 h")
        .disk(hourly(filling(12)), 1000 * GB)
        .expect(fires(FILLING, 6 * HOUR, severity=WARNING))
    )
    yield _host("4 % free").disk(8 * GB).expect(fires(FULL, 20, severity=CRITICAL))
    yield (
        _host("a restore from 45 % to 15 %")
        .disk(hourly(ramp(90 * GB, 30 * GB, DAY, 30)))
        .expect(silent(FILLING, DAY + 8 * HOUR, CRITICAL))
    )


def of_roots() -> Iterator[Host]:
    """Hosts with two roots, whose figures have a label that node_exporter itself has not."""

    def host(name: str, until: float = 10**6, up: Course = lambda _: 1.0) -> Host:
        """The file of the second root is gone after some minutes."""
        both = Host(name, job=JOB, up=up)
        for root, last in (("/a", 10**6), ("/b", until)):
            there: Course = lambda at, last=last: 1.0 if at < last else None  # type: ignore[misc] # noqa: E731
            one = Host(name).disk(lambda at, there=there: there(at) and 90 * GB).add("up", there)  # type: ignore[misc]
            both.series |= one.labelled(root=root).series
        return both

    later = DAY + 14 * HOUR
    well = host("two roots, and nothing wrong")
    yield well.expect(silent(DOWN, later), silent(MISSING, later), silent(LOST, later))
    yield host("one file of two is gone", until=100).expect(fires(MISSING, 140, root="/b"), steady(MISSING, 150, DAY))
    down = host("a host with two roots that is down", up=lambda at: float(at < 100))
    yield down.expect(silent(DOWN, 100), fires(DOWN, 125), steady(DOWN, 130, DAY), silent(MISSING, DAY))
    lost = host("a host with two roots that is lost", up=lambda at: 1.0 if at < DAY + 30 else None)
    yield lost.expect(silent(LOST, DAY + 30), fires(LOST, DAY + 70, 2), silent(DOWN, later))
    yield Host("a host without Docker that is down", job=JOB, up=lambda _: 0.0).expect(silent(DOWN, later))
