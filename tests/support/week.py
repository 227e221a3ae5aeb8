"""An ordinary week of two build hosts as series for promtool, a sample every five minutes.

`ci-1` has room, is built on from Monday to Friday, and pruned each night. `ci-2` breathes around four fifths of its
disk; it is rebooted on Tuesday, its daemon restarted on Wednesday, its disk made larger on Thursday. Exporters are
updated, scrapes fail, images are pulled, logs turn, jobs come and go. A day before the week lets Prometheus know
both hosts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

#: promtool takes the groups in a random order otherwise, and alerts would miss what is recorded at the same time.
GROUPS = [f"docker-storage-{name}" for name in ("recording", "disk", "history", "objects", "exporter")]

_STEP = 300
_HOUR = 3600 // _STEP
_DAY = 24 * _HOUR
_SAMPLES = 8 * _DAY
_GB = 1e9
_COLLECTORS = ("images", "containers", "volumes", "directories")

#: What a series is at a sample: the day (0 is the Sunday before the week) and the sample of that day; None is a gap.
Course = Callable[[int, int], float | None]


@dataclass(frozen=True)
class Host:
    """What differs between the hosts."""

    name: str
    disk: Callable[[int, int], float]
    used: Callable[[int, int], float]
    gone: Callable[[int, int], bool]
    starts: Callable[[int], int]


def _works(day: int) -> bool:
    return 1 <= day <= 5


def _roomy(day: int, at: int) -> float:
    """By day 10 GB an hour of builds come, a pull now and then brings 15 GB at once; a prune at two in the morning."""
    hour = at / _HOUR
    built = 100 * _GB * min(max((hour - 8) / 10, 0), 1) if _works(day) else 0
    kept = 100 * _GB if hour < 2 and _works(day - 1) else 0
    pulled = 15 * _GB if at % 60 < 6 and _works(day) and hour > 2 else 0
    return 200 * _GB + built + kept + pulled


def _breathing(day: int, at: int) -> float:
    """Four fifths of 500 GB, 30 GB more by evening; builds that take 12 GB and give them back, a large pull."""
    hour = at / _HOUR
    tide = 30 * _GB * math.sin((hour - 9) / 24 * 2 * math.pi)
    builds = 12 * _GB * (at % 9) / 9 if 8 <= hour < 19 else 0
    pulled = 20 * _GB if day == 5 and 10 <= hour < 16 else 0
    return 390 * _GB + tide + builds + pulled + (day + hour / 24) * 0.5 * _GB


_HOSTS = (
    Host(
        "ci-1",
        disk=lambda _, __: 500 * _GB,
        used=_roomy,
        gone=lambda day, at: at == 100 + day or (day == 6 and at == 31),
        starts=lambda day: 100 + day,
    ),
    Host(
        "ci-2",
        disk=lambda day, at: (750 if (day, at) >= (4, 120) else 500) * _GB,
        used=_breathing,
        # A reboot; single scrapes that time out; the exporter's update late in the evening.
        gone=lambda day, at: (day == 2 and at == 50) or (day == 3 and at in (10, 77, 79, 200)) or at == 280,
        starts=lambda day: 51 if day == 2 else 281,
    ),
)


def _series(host: Host, ordinary: bool) -> dict[str, Course]:
    job = f'job="docker-storage",instance="{host.name}:9588"'

    def gauge(name: str, labels: str = "") -> str:
        return f"docker_storage_{name}{{{','.join(filter(None, (job, labels)))}}}"

    def since(day: int, at: int) -> int:
        """Samples since the exporter has started."""
        start = host.starts(day)
        return at - start if at >= start else at + _DAY - host.starts(day - 1)

    filesystem = 'device="/dev/sda1",mountpoint="/var/lib/docker",fstype="ext4"'
    image = 'device="/dev/loop0",mountpoint="/var/lib/docker/volumes/tools/_data",fstype="squashfs"'
    made: dict[str, Course] = {
        gauge("filesystem_size_bytes", filesystem): host.disk,
        gauge("filesystem_avail_bytes", filesystem): lambda day, at: host.disk(day, at) - host.used(day, at),
        gauge("filesystem_files", filesystem): lambda _, __: 32e6,
        gauge("filesystem_files_free", filesystem): lambda day, at: 31e6 - host.used(day, at) / 20000,
        gauge("filesystem_readonly", filesystem): lambda _, __: 0,
        gauge("filesystem_size_bytes", image): lambda _, __: _GB,
        gauge("filesystem_avail_bytes", image): lambda _, __: 0,
        gauge("filesystem_readonly", image): lambda _, __: 1,
        gauge("directory_allocated_bytes", 'directory="overlay2"'): lambda day, at: host.used(day, at) - 20 * _GB,
        gauge("directory_allocated_bytes", 'directory="volumes"'): lambda day, _: 10 * _GB + day * _GB,
        gauge("initial_scan_trees"): lambda _, __: 5000,
        gauge("initial_scan_trees_done"): lambda day, at: 5000 if since(day, at) > 1 else 1000,
        # A crash of the daemon leaves what its next start removes; an image is pulled while another goes.
        gauge("layers_allocated_bytes", 'driver="overlay2",use="orphaned"'): lambda day, at: (
            2 * _GB if day == 3 and 150 < at < 200 else 0.1 * _GB
        ),
        gauge("missing_layers", 'driver="overlay2"'): lambda day, at: float(day == 4 and at in (130, 131)),
        gauge("reclaimable_bytes", 'category="build_cache"'): lambda day, at: 0.4 * (host.used(day, at) - 150 * _GB),
        gauge("reclaimable_bytes", 'category="images_unused"'): lambda _, at: (20 + at / _HOUR) * _GB,
        gauge("up"): lambda day, at: float(not (day == 5 and at == 60)),
        gauge("scanner_up"): lambda day, at: float(not (day == 5 and at == 60)),
        gauge("root_info", 'root="/var/lib/docker",layout="layerdb"'): lambda _, __: 1,
        gauge("watch_mode", 'mode="polling"'): lambda day, at: float(since(day, at) <= 1),
        gauge("watches"): lambda day, at: 900 + host.used(day, at) / _GB,
        gauge("watches_limit"): lambda _, __: 8192,
        gauge("watch_overflows_total"): lambda day, at: float(since(day, at) // 40),
        gauge("audit_oldest_timestamp_seconds", 'area="volumes"'): lambda day, at: _now(day, at) - at % 12 * _STEP,
        f"up{{{job}}}": lambda day, at: float(not host.gone(day, at)),
    }
    for collector in _COLLECTORS:
        label = f'collector="{collector}"'
        made[gauge("scan_last_success_timestamp_seconds", label)] = lambda day, at: _now(day, at) - at % 3 * _STEP
        made[gauge("scan_success", label)] = lambda _, at: float(at % 97 != 0)
        made[gauge("scan_errors_total", f'{label},reason="vanished"')] = lambda day, at: 3.0 * since(day, at)
        made[gauge("scan_errors_total", f'{label},reason="decode"')] = lambda day, at: since(day, at) // 97
    made |= _containers(gauge, ordinary)
    return {name: _with_gaps(name, course, host) for name, course in made.items()}


def _containers(gauge: Callable[..., str], ordinary: bool) -> dict[str, Course]:
    def runaway(day: int, at: int) -> float:
        return 0.2 * _GB if ordinary or day < 4 else at * 3 * _GB

    made: dict[str, Course] = {}
    logs: dict[str, tuple[str, float | None, Course]] = {
        # Docker turns one at 100 MB, the host's logrotate the other each night; the third may grow to 5 GB and does.
        "aaaaaaaaaaaa": ("shop", 3e8, lambda _, at: (200 + at % 20 * 5) * 1e6),
        "bbbbbbbbbbbb": ("syslog", None, lambda _, at: 0.1 * _GB + at * 3e6),
        "dddddddddddd": ("trace", 5 * _GB, lambda _, at: (4 + at % 6 / 6) * _GB),
        "cccccccccccc": ("worker", None, runaway),
    }
    for key, (name, limit, size) in logs.items():
        labels = f'driver="overlay2",container_id="{key}"'
        made[gauge("container_info", f'{labels},name="{name}",image="{name}:1"')] = lambda _, __: 1
        made[gauge("container_log_size_bytes", labels)] = size
        made[gauge("container_log_bounded", labels)] = lambda _, __, limit=limit: float(limit is not None)  # type: ignore[misc]
        if limit is not None:
            made[gauge("container_log_limit_bytes", labels)] = lambda _, __, limit=limit: limit  # type: ignore[misc]
        made[gauge("container_writable_size_bytes", labels)] = lambda _, at: at * 1e7
    for hour in range(9, 18):  # each hour a build that runs for forty minutes, logs half a gigabyte and writes 14

        def job(what: Course, hour: int = hour) -> Course:
            first = hour * _HOUR
            return lambda day, at: what(day, at - first) if first <= at < first + 8 and _works(day) else None

        labels = f'driver="overlay2",container_id="{hour:012d}"'
        made[gauge("container_info", f'{labels},name="build-{hour}",image="ci:1"')] = job(lambda _, __: 1)
        made[gauge("container_log_size_bytes", labels)] = job(lambda _, at: at * 0.06 * _GB)
        made[gauge("container_log_bounded", labels)] = job(lambda _, __: 0)
        made[gauge("container_writable_size_bytes", labels)] = job(lambda _, at: at * 2 * _GB)
    return made


def _now(day: int, at: int) -> float:
    return (day * _DAY + at) * _STEP


def _with_gaps(name: str, course: Course, host: Host) -> Course:
    if name.startswith("up{"):
        return course
    return lambda day, at: None if host.gone(day, at) else course(day, at)


def _values(course: Course, samples: int) -> str:
    """The samples as promtool reads them; what ends is marked stale, as Prometheus does when a scrape lacks it."""
    values: list[str] = []
    for sample in range(samples):
        value = course(*divmod(sample, _DAY))
        missing = "stale" if values and values[-1] not in ("_", "stale") else "_"
        values.append(missing if value is None else f"{value:.10g}")
    return " ".join(values)


def week(*, ordinary: bool) -> dict[str, object]:
    """Make promtool's test: nothing fires. When it is not `ordinary`, a log runs away on Thursday."""
    hosts = _HOSTS if ordinary else _HOSTS[:1]
    series = {name: course for host in hosts for name, course in _series(host, ordinary).items()}
    samples = _SAMPLES if ordinary else 5 * _DAY
    inputs = [{"series": name, "values": _values(course, samples)} for name, course in series.items()]
    fired = 'count by (alertname, instance) (count_over_time(ALERTS{alertstate="firing"}[7d]))'
    expectation = {"expr": fired, "eval_time": f"{samples // _HOUR - 1}h", "exp_samples": []}
    test = {"interval": "5m", "input_series": inputs, "promql_expr_test": [expectation]}
    return {"rule_files": ["rules.yml"], "group_eval_order": GROUPS, "evaluation_interval": "10m", "tests": [test]}
