"""PromQL of the dashboards: selectors with the variables, joins with the info metrics, and recorded series."""

from collections.abc import Sequence

from exporter.figures.needs import Figure, inputs_of
from exporter.figures.prunes import Category

PREFIX = "docker_storage_"
#: The labels of a host. Where there is no label `cluster`, it is empty on both sides of a join.
HOST = ("cluster", "job", "instance")
IMAGE = (*HOST, "driver", "namespace", "image_id")
CONTAINER = (*HOST, "driver", "namespace", "container_id")
VOLUME = (*HOST, "volume")
RECORD = (*HOST, "namespace", "record_id")
DISK = (*HOST, "mountpoint")

FLEET = ('job=~"$job"', 'cluster=~"$cluster"')
#: Alerts that never name a host, such as the one for a job without targets, are shown too.
ALERTS = ('alertname=~"Docker(Storage|Container).+"',)


def metric(name: str, *matchers: str) -> str:
    """Select a family of the exporter by its name without prefix, for the chosen hosts."""
    return plain(PREFIX + name, *matchers)


def plain(name: str, *matchers: str) -> str:
    """Select any series of the exporter's jobs, of the chosen hosts."""
    return name + "{" + ",".join((*FLEET, 'instance=~"$instance"', *matchers)) + "}"


def every_host(expression: str) -> str:
    """The expression for all hosts of the chosen jobs and clusters."""
    return expression.replace(',instance=~"$instance"', "")


def recorded(rule: str, raw: str, by: Sequence[str] = HOST) -> str:
    """The series of a recording rule; where the rules are not loaded, what they would record."""
    return f"({plain(rule)} or on ({', '.join(by)}) {raw})"


def total(expression: str, *by: str) -> str:
    """Sum by host and further labels."""
    return f"sum by ({', '.join((*HOST, *by))}) ({expression})"


def known(expression: str, *figures: Figure | Category) -> str:
    """Leave out the hosts where an input of these figures was not read whole: a sum without it would be too small."""
    inputs = "|".join(sorted({source for figure in figures for source in inputs_of(figure)}))
    unread = metric("known", f'input=~"{inputs}"')
    return f"({expression}) unless on ({', '.join(HOST)}) ({unread} == 0)"


def whole(expression: str, when: str = "") -> str:
    """Leave out the hosts whose first scan goes on: a sum has only what is measured by then. `when`: an offset."""
    done, trees = (metric(f"initial_scan_{name}") + when for name in ("trees_done", "trees"))
    return f"({expression}) unless on ({', '.join(HOST)}) ({done} < {trees})"


#: What a graph of `bands` says.
BANDS = "While a first scan goes on, a band that is not measured yet stays as it was; on a new host it comes later."


def bands(name: str, *by: str) -> str:
    """Sums of a family that add up to a whole; during a first scan, where one is not measured yet, the last one."""
    measured, hosts = metric(name), ", ".join(HOST)
    before = total(f"last_over_time({measured}[6h])", *by)
    done, trees = (metric(f"initial_scan_{one}") for one in ("trees_done", "trees"))
    return f"{total(measured, *by)} or ({before} and on ({hosts}) ({done} < {trees}))"


def not_known() -> str:
    """How many inputs of each host were not read whole."""
    hosts = ", ".join(HOST)
    return f"count by ({hosts}) ({metric('known')} == 0) or on ({hosts}) 0 * {total(metric('up'))}"


def one(selected: str, on: Sequence[str], *names: str) -> str:
    """The right side of a join: one series for each object and name, also where a series is there twice."""
    return f"max by ({', '.join((*on, *names))}) ({selected})"


def named(expression: str, on: Sequence[str], info: str, *names: str) -> str:
    """Add the labels of an object's info metric to an expression."""
    return f"{expression} * on ({', '.join(on)}) group_left ({', '.join(names)}) {one(metric(info), on, *names)}"


def image(expression: str) -> str:
    """Add the names of images to an expression."""
    return named(expression, IMAGE, "image_info", "image")


def container(expression: str) -> str:
    """Add the names of containers to an expression."""
    return named(expression, CONTAINER, "container_info", "name", "image", "pod")


def by_service(expression: str) -> str:
    """Sum of an expression on containers by service: of a swarm, or of compose as `project/service`."""
    info = metric("container_info", 'swarm_service=""')
    swarm = metric("container_info", 'swarm_service!=""')
    of_compose = f'label_join({info}, "service", "/", "compose_project", "compose_service")'
    of_none = f'label_replace({of_compose}, "service", "no service", "service", "/")'
    of_swarm = f'label_replace({swarm}, "service", "$1", "swarm_service", "(.*)")'
    services = one(f"{of_none} or {of_swarm}", CONTAINER, "service")
    return total(f"{expression} * on ({', '.join(CONTAINER)}) group_left (service) {services}", "service")


def volume(expression: str) -> str:
    """Add the projects of volumes to an expression."""
    return named(expression, VOLUME, "volume_info", "anonymous", "compose_project")


def short_volume(expression: str) -> str:
    """Add a label with the short name of anonymous volumes; the full name stays, since short ones may be equal."""
    return f'label_replace({expression}, "name", "$1$2", "volume", "([0-9a-f]{{12}})[0-9a-f]{{52}}|(.*)")'


def record(expression: str) -> str:
    """Add type and sharing of build cache records to an expression."""
    return named(expression, RECORD, "build_cache_record_info", "type", "shared")


def where(expression: str, on: Sequence[str], condition: str) -> str:
    """The value where a comparison with `bool` is true, and 0 elsewhere, so that the panel is not empty."""
    return f"{expression} * on ({', '.join(on)}) group_left () {one(condition, on)}"


def top(expression: str) -> str:
    """The largest values now."""
    return f"topk($top, {expression})"


def lasting_top(expression: str, on: Sequence[str], ranking: str) -> str:
    """The series that are largest at the end of the time range: the same ones at each point."""
    return f"{expression} and on ({', '.join(on)}) topk($top, {ranking} @ end())"


def alerts(*matchers: str) -> str:
    """The alerts of the rules on the chosen hosts, pending ones included."""
    return plain("ALERTS", *ALERTS, *matchers)
