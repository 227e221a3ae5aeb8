"""PromQL of the dashboards: selectors with the variables, and joins with the info metrics."""

from collections.abc import Sequence

from exporter.figures.needs import Figure, inputs_of
from exporter.figures.prunes import Category

PREFIX = "docker_storage_"
HOST = ("job", "instance")
IMAGE = ("job", "instance", "driver", "namespace", "image_id")
CONTAINER = ("job", "instance", "driver", "namespace", "container_id")
VOLUME = ("job", "instance", "volume")
RECORD = ("job", "instance", "namespace", "record_id")


def metric(name: str, *matchers: str) -> str:
    """Select a family of the exporter by its name without prefix, for the chosen hosts."""
    return plain(PREFIX + name, *matchers)


def plain(name: str, *matchers: str) -> str:
    """Select any series of the exporter's job."""
    return name + "{" + ",".join(('job="$job"', 'instance=~"$instance"', *matchers)) + "}"


def total(expression: str, *by: str) -> str:
    """Sum by host and further labels."""
    return f"sum by ({', '.join(('instance', *by))}) ({expression})"


def known(expression: str, *figures: Figure | Category) -> str:
    """Leave out the hosts where an input of these figures was not read whole: a sum without it would be too small."""
    inputs = "|".join(sorted({source for figure in figures for source in inputs_of(figure)}))
    unread = metric("known", f'input=~"{inputs}"')
    return f"({expression}) unless on (instance) ({unread} == 0)"


def not_known() -> str:
    """How many inputs of each host were not read whole."""
    return f"count by (instance) ({metric('known')} == 0) or on (instance) 0 * {total(metric('up'))}"


def named(expression: str, on: Sequence[str], info: str, *names: str) -> str:
    """Add the labels of an object's info metric to an expression."""
    return f"{expression} * on ({', '.join(on)}) group_left ({', '.join(names)}) {metric(info)}"


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
    services = f"({of_none} or {of_swarm})"
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
    return f"{expression} * on ({', '.join(on)}) group_left () ({condition})"


def top(expression: str) -> str:
    """The largest values now."""
    return f"topk($top, {expression})"


def lasting_top(expression: str, on: Sequence[str], ranking: str) -> str:
    """The series that are largest at the end of the time range: the same ones at each point."""
    return f"{expression} and on ({', '.join(on)}) topk($top, {ranking} @ end())"
