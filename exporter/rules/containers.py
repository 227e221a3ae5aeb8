"""Alerts on containers: their logs and their writable layers."""

from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import Alert, Record, Select, enclosed, indented, joined
from exporter.rules.filesystems import root_of
from exporter.rules.naming import NAMES, SAME_NAME, SERVICES, by_service, lately, naming_records, summed
from exporter.rules.settings import Settings, duration
from exporter.rules.thresholds import number

#: What may be over a threshold: all that is over a small one, whatever disk it is on.
SOME_LOG = "container:docker_storage_container_log_size_bytes:some"
SOME_LAYER = "container:docker_storage_container_writable_size_bytes:some"
#: No disk of a data root is smaller. So many bytes.
_SMALLEST_DISK = 640e6
#: What is over a threshold. All else is decided among these few: a join with the names of all containers is dear.
LARGE_LOG = "container:docker_storage_container_log_size_bytes:large"
UNBOUNDED_LOG = "container:docker_storage_container_log_size_bytes:unbounded"
LARGE_LAYER = "container:docker_storage_container_writable_size_bytes:large"
NEAR_LIMIT = "container:docker_storage_container_writable_limit:near"
#: The sum of the logs of all containers with such a name.
SERVICE_LOG = "service:docker_storage_container_log_size_bytes:sum"
#: The filesystem of the logs: the space that is available, and its size; and the size of that of the root.
LOGS_AVAIL = "instance:docker_storage_container_logs_avail_bytes:min"
LOGS_SIZE = "instance:docker_storage_container_logs_size_bytes:max"
ROOT_SIZE = "instance:docker_storage_root_size_bytes:max"

_POD = "{{ with $labels.pod }} of the pod {{ . }}{{ end }}"
_CONTAINER = f"{{{{ $labels.name }}}} ({{{{ $labels.image }}}}){_POD} on {{{{ $labels.instance }}}}"
_SERVICE = f"{{{{ $labels.name }}}}{_POD} on {{{{ $labels.instance }}}}"
_SIZE = "{{ $value | humanize }}B"
_MINUTES = 60


def container_records(settings: Settings) -> list[Record]:
    """The series that the alerts on containers read."""
    select, limits = Select(settings), settings.thresholds
    logs = f"min by ({select.host}) ({select.last(c.FILESYSTEM_AVAIL)})"
    sizes, some = select.last(c.CONTAINER_WRITABLE_SIZE), _some(limits.writable, limits.writable_share)
    layers = select.last(c.CONTAINER_WRITABLE_ALLOCATED)
    allowed = f"{layers} / ({select.last(c.CONTAINER_WRITABLE_LIMIT)} > 0)"
    return [
        Record(LOGS_AVAIL, joined("or", _of_host(select, "min", c.FILESYSTEM_AVAIL, "containers"), logs)),
        Record(LOGS_SIZE, _of_host(select, "max", c.FILESYSTEM_SIZE, "containers")),
        Record(ROOT_SIZE, _of_host(select, "max", c.FILESYSTEM_SIZE, ".")),
        Record(SOME_LOG, f"{select.last(c.CONTAINER_LOG_SIZE)} > {_some(limits.log, limits.log_share)}"),
        Record(LARGE_LOG, over(select, select(SOME_LOG), limits.log, limits.log_share, LOGS_SIZE)),
        Record(UNBOUNDED_LOG, f"{select(LARGE_LOG)} and {lately(select, c.CONTAINER_LOG_BOUNDED)} == 0"),
        Record(SOME_LAYER, f"{enclosed(select.held(SOME_LAYER, sizes))} > {some}"),
        Record(LARGE_LAYER, over(select, select(SOME_LAYER), limits.writable, limits.writable_share, ROOT_SIZE)),
        Record(NEAR_LIMIT, f"{enclosed(select.held(NEAR_LIMIT, allowed))} > {number(limits.writable_limit)}"),
        *naming_records(select, (SOME_LOG, LARGE_LAYER, NEAR_LIMIT)),
        Record(SERVICE_LOG, summed(select, select(SOME_LOG))),
    ]


def _some(absolute: float, share: float) -> str:
    return number(min(absolute, share * _SMALLEST_DISK))


def _of_host(select: Select, aggregate: str, metric: c.Metric, directory: str) -> str:
    return f"{aggregate} by ({select.host}) (\n{indented(root_of(select, metric, directory))}\n)"


def over(select: Select, value: str, absolute: float, share: float, size: str) -> str:
    """What is over an absolute threshold, or over a share of the disk: a small disk is full before the former."""
    relative = f"{value} > on ({select.host}) group_left () ({number(share)} * {select(size)})"
    return f"{value} > {number(absolute)}\nor\n  {relative}"


def container_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts: logs that run away or have no limit, large writable layers, layers near their limit."""
    select, limits = Select(settings), settings.thresholds
    return [
        Alert(
            "DockerContainerLogRunaway",
            "critical",
            max(15 * _MINUTES, 1.5 * settings.textfile),
            _runaway(select),
            "The log of {{ $labels.name }} on {{ $labels.instance }} fills the disk",
            f"The log of {_SERVICE} is {_SIZE} and, at its present rate, fills the disk within"
            f" {duration(limits.log_fills)}.",
        ),
        Alert(
            "DockerContainerLogUnbounded",
            "warning",
            3600,
            _by_name(select, UNBOUNDED_LOG),
            "The log of {{ $labels.name }} on {{ $labels.instance }} has no limit",
            f"The log of {_SERVICE} is {_SIZE} and has no limit: set max-size and max-file for its log driver.",
        ),
        Alert(
            "DockerContainerWritableLayerLarge",
            "warning",
            3600,
            _by_name(select, LARGE_LAYER),
            "The writable layer of {{ $labels.name }} on {{ $labels.instance }} is large",
            f"{_SERVICE} has written {_SIZE} into its writable layer: that data is lost with the container, and is in"
            " no backup of volumes.",
        ),
        Alert(
            "DockerContainerWritableLayerNearLimit",
            "warning",
            15 * _MINUTES,
            _named(select, select(NEAR_LIMIT)),
            "The writable layer of {{ $labels.name }} on {{ $labels.instance }} is almost full",
            f"The writable layer of {_CONTAINER} has reached {{{{ $value | humanizePercentage }}}} of the size that"
            " --storage-opt allows it. When it is full the container cannot write, whatever space the disk has.",
        ),
    ]


def _named(select: Select, expression: str) -> str:
    """Add the labels `name`, `image` and `pod` to an expression on containers."""
    joins = f"* on ({select.container}) group_left (name, image, pod) {select(NAMES)}"
    return f"{enclosed(expression)}\n{joins}"


def _by_name(select: Select, large: str) -> str:
    """The largest of the containers of a name, those included that were replaced within half an hour.

    The id of a container changes with each deployment, and the name of one of a swarm: there the service counts. What
    is gone and was not replaced does not count.
    """
    here = select.last(c.CONTAINER_WRITABLE_SIZE if large == LARGE_LAYER else c.CONTAINER_LOG_SIZE)
    replaced = f"{lately(select, large)} unless {here}"
    sizes = f"{select(large)}\nor\n  ({replaced})"
    infos = f"topk by ({select.container}) (1, {lately(select, SERVICES)})"
    named = f"{enclosed(sizes)}\n* on ({select.container}) group_left (name, pod) {infos}"
    return (
        f"max by ({by_service(select)}) (\n{indented(named)}\n)\nand on ({by_service(select)})\n  {select(SAME_NAME)}"
    )


def _runaway(select: Select) -> str:
    """Logs of one name that are large and fill their disk within the threshold, unless they reach their limits first.

    What was cut within six hours may grow to its former size again, if the disk has room for that: something rotates
    it, or deploys the container anew. What was cut several times may grow to half more, if there is room: a service
    may log more with each deployment.
    """
    log, past, limits = select(SERVICE_LOG), 6 * 3600, select.settings.thresholds
    available = f"on ({select.host}) group_left () {select(LOGS_AVAIL)}"
    rate = summed(select, f"deriv({select(c.CONTAINER_LOG_SIZE)}{select.trend(10 * _MINUTES)})")
    cut = f"resets({log}{select.window(past)})"
    before = f"max_over_time({log}{select.window(past)} {select.offset(15 * _MINUTES)})"
    again = f"{before} * (1 + 0.5 * ({cut} > bool 1))"
    rotated = joined("and", f"{cut} > 0", f"  {log} <= {again}", f"  {again} - {log} < {available}")
    limit = select.last(c.CONTAINER_LOG_LIMIT)
    limited = joined(
        "unless",
        f"{summed(select, f'({limit} - {select(SOME_LOG)})')} < {available}",
        f"  {summed(select, f'({select(SOME_LOG)} unless {limit})')}",
    )
    return joined(
        "unless",
        f"{enclosed(over(select, log, limits.log, limits.log_share, LOGS_SIZE))}\n"
        f"and\n  {rate} * {number(limits.log_fills)} > {available}",
        enclosed(limited),
        enclosed(rotated),
    )
