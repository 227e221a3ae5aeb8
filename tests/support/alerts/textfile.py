"""Situations of hosts whose figures come once an hour, by node_exporter's textfile collector."""

from collections.abc import Iterator

from tests.support.alerts.health import DOWN, MISSING, STALE
from tests.support.alerts.logs import RUNAWAY
from tests.support.alerts.playing import DAY, GB, HOUR, Course, Host, fires, silent
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
