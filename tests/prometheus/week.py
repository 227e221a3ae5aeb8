"""An ordinary week of a build host as series for promtool: a sample every five minutes, one day like the other."""

from collections.abc import Callable

#: promtool takes the groups in a random order otherwise, and alerts would miss what is recorded at the same time.
GROUPS = [f"docker-storage-{name}" for name in ("recording", "disk", "objects", "exporter")]

_STEP = 300
_DAY = 86400 // _STEP
_SAMPLES = 7 * _DAY
_GB = 1e9
_DISK = 500 * _GB
_JOB = 'job="docker-storage",instance="ci-1:9588"'
_FILESYSTEM = 'device="/dev/sda1",mountpoint="/var/lib/docker",fstype="ext4"'
_SERVICE = 'driver="overlay2",container_id="aaaaaaaaaaaa"'
_SYSLOG = 'driver="overlay2",container_id="bbbbbbbbbbbb"'

Course = Callable[[int, int], float | None]


def _used(day: int, at: int) -> float:
    """By day 10 GB an hour of builds come, a pull now and then brings 15 GB at once; a prune at two in the morning."""
    hour = at * _STEP / 3600
    built = 100 * _GB * min(max((hour - 8) / 10, 0), 1) if day < 5 else 0
    kept = 100 * _GB if hour < 2 and 0 < day < 6 else 0
    pulled = 15 * _GB if at % 60 < 6 and day < 5 and hour > 2 else 0
    return 200 * _GB + built + kept + pulled


def _restarting(day: int, at: int) -> bool:
    """The exporter is updated once a day."""
    return at == 100 + day


def _since_restart(day: int, at: int) -> int:
    start = 100 + day
    return at - start if at > start else at + (_DAY - 99 - day if day else 0)


def _series(ordinary: bool) -> dict[str, Course]:
    def gauge(name: str, labels: str = "") -> str:
        return f"docker_storage_{name}{{{','.join(filter(None, (_JOB, labels)))}}}"

    def now(day: int, at: int) -> float:
        return (day * _DAY + at) * _STEP

    def runaway(day: int, at: int) -> float:
        return 0.2 * _GB if ordinary or day < 3 else at * 3 * _GB

    made: dict[str, Course] = {
        gauge("filesystem_size_bytes", _FILESYSTEM): lambda _, __: _DISK,
        gauge("filesystem_avail_bytes", _FILESYSTEM): lambda day, at: _DISK - _used(day, at),
        gauge("filesystem_files", _FILESYSTEM): lambda _, __: 32e6,
        gauge("filesystem_files_free", _FILESYSTEM): lambda day, at: 30e6 - _used(day, at) / 20000,
        gauge("filesystem_readonly", _FILESYSTEM): lambda _, __: 0,
        gauge("directory_allocated_bytes", 'directory="overlay2"'): lambda day, at: _used(day, at) - 20 * _GB,
        gauge("directory_allocated_bytes", 'directory="volumes"'): lambda day, _: 10 * _GB + day * _GB,
        gauge("layers_allocated_bytes", 'driver="overlay2",use="orphaned"'): lambda day, at: (
            2 * _GB if day == 2 and 150 < at < 200 else 0.1 * _GB
        ),
        gauge("missing_layers", 'driver="overlay2"'): lambda day, at: float(day == 3 and at in (130, 131)),
        gauge("reclaimable_bytes", 'category="build_cache"'): lambda day, at: 0.7 * (_used(day, at) - 150 * _GB),
        gauge("up"): lambda day, at: float(not (day == 4 and at == 60)),
        gauge("root_info", 'root="/var/lib/docker",layout="layerdb"'): lambda _, __: 1,
        gauge("watch_mode", 'mode="polling"'): lambda day, at: float(_since_restart(day, at) == 1),
        gauge("watches"): lambda day, at: 900 + _used(day, at) / _GB,
        gauge("watches_limit"): lambda _, __: 8192,
        gauge("watch_overflows_total"): lambda day, at: float(_since_restart(day, at) // 40),
        gauge("audit_oldest_timestamp_seconds", 'area="volumes"'): lambda day, at: now(day, at) - at % 12 * _STEP,
        f"up{{{_JOB}}}": lambda day, at: float(not _restarting(day, at)),
    }
    for collector in ("images", "containers", "volumes", "directories"):
        label = f'collector="{collector}"'
        made[gauge("scan_last_success_timestamp_seconds", label)] = lambda day, at: now(day, at) - at % 3 * _STEP
        made[gauge("scan_success", label)] = lambda _, at: float(at % 97 != 0)
        errors = gauge("scan_errors_total", f'{label},reason="vanished"')
        made[errors] = lambda day, at: 3.0 * _since_restart(day, at)
        made[gauge("scan_errors_total", f'{label},reason="decode"')] = lambda day, at: _since_restart(day, at) // 97
    logs: dict[str, tuple[str, int, Course]] = {
        _SERVICE: ("shop", 1, lambda _, at: (80 + at % 20) * 1e6),
        _SYSLOG: ("syslog", 0, lambda _, at: 0.1 * _GB + at * 3e6),
        'driver="overlay2",container_id="cccccccccccc"': ("worker", 0, runaway),
    }
    for labels, (name, bounded, size) in logs.items():
        made[gauge("container_info", f'{labels},name="{name}",image="{name}:1"')] = lambda _, __: 1
        made[gauge("container_log_size_bytes", labels)] = size
        made[gauge("container_log_bounded", labels)] = lambda _, __, bounded=bounded: bounded  # type: ignore[misc]
        made[gauge("container_writable_size_bytes", labels)] = lambda _, at: at * 1e7
    for hour in range(9, 18):  # each hour a build that runs for forty minutes and logs half a gigabyte

        def job(what: Course, hour: int = hour) -> Course:
            return lambda day, at: what(day, at - hour * 12) if hour * 12 <= at < hour * 12 + 8 and day < 5 else None

        labels = f'driver="overlay2",container_id="{hour:012d}"'
        made[gauge("container_info", f'{labels},name="build-{hour}",image="ci:1"')] = job(lambda _, __: 1)
        made[gauge("container_log_size_bytes", labels)] = job(lambda _, at: at * 0.06 * _GB)
        made[gauge("container_log_bounded", labels)] = job(lambda _, __: 0)
        made[gauge("container_writable_size_bytes", labels)] = job(lambda _, at: at * 2 * _GB)
    return made


def _values(series: str, course: Course) -> str:
    values = []
    for sample in range(_SAMPLES):
        day, at = divmod(sample, _DAY)
        gone = _restarting(day, at) and not series.startswith("up{")
        value = None if gone else course(day, at)
        values.append("_" if value is None else f"{value:.10g}")
    return " ".join(values)


def week(*, ordinary: bool) -> dict[str, object]:
    """Make promtool's test: nothing fires. When it is not `ordinary`, a log runs away on Thursday."""
    inputs = [{"series": name, "values": _values(name, course)} for name, course in _series(ordinary).items()]
    fired = 'count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[8d]))'
    expectation = {"expr": fired, "eval_time": "166h", "exp_samples": []}
    test = {"interval": "5m", "input_series": inputs, "promql_expr_test": [expectation]}
    return {"rule_files": ["rules.yml"], "group_eval_order": GROUPS, "evaluation_interval": "5m", "tests": [test]}
