"""The names of containers, and what stays of them when a container is replaced by one of the same kind."""

import json

from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import Record, Select, indented, joined

#: The names of the containers that alerts may be about.
NAMES = "container:docker_storage_container_info:named"
#: The same with the name that stays when a container is replaced.
SERVICES = "container:docker_storage_container_info:service"
#: All containers with such a name of one that was in these of late.
SAME_NAME = "container:docker_storage_container_info:same_name"

#: A container that was replaced within this time by one of the same name goes on.
_REPLACED = 1800
#: The characters of the random parts of names that Kubernetes gives (apimachinery 0.30, pkg/util/rand/rand.go).
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_POD_SUFFIX = f"(-{_RANDOM}{{6,10}})?-{_RANDOM}{{5}}"
#: Names that the kubelet gives to containers of Docker: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT (cri-dockerd 0.3,
#: core/naming.go).
_KUBELET = 'name=~"k8s_.+"'
#: What of the names stays when a container is replaced, as arguments of label_replace. A task of a swarm has the name
#: of its service, and a pod of a Deployment or DaemonSet that of these.
_STAYING = (
    ("name", "$1", "swarm_service", "(.+)"),
    ("name", "${1}_$4", "name", f"(k8s_[^_]+_[^_]+?)({_POD_SUFFIX})?_([^_]+)_[^_]+_[0-9]+"),
    ("pod", "$1-*", "pod", f"(.+?){_POD_SUFFIX}"),
)


def naming_records(select: Select, reported: tuple[str, ...]) -> list[Record]:
    """The series of the names, for the containers in one of these series."""
    return [
        Record(NAMES, _names(select, reported)),
        Record(SERVICES, _services(select)),
        Record(SAME_NAME, _same_name(select)),
    ]


def _names(select: Select, reported: tuple[str, ...]) -> str:
    """One series for each container, whatever else there is: a second one would fail the alerts of all hosts."""
    any_of = " or ".join(map(select, reported))
    infos = f"{select.last(c.CONTAINER_INFO)}\nand on ({select.container}) ({any_of})"
    return f"topk by ({select.container}) (\n  1,\n{indented(infos)}\n)"


def _services(select: Select) -> str:
    """The names with what stays of them; the id where a container of containerd has none."""
    with_name, without = (select(NAMES, f'name{operator}""') for operator in ("!=", "="))
    return f'{_staying(with_name)}\nor\nlabel_replace({without}, "name", "$1", "container_id", "(.{{1,12}}).*")'


def _staying(infos: str) -> str:
    for one in _STAYING:
        infos = f"label_replace({infos}, {', '.join(map(json.dumps, one))})"
    return infos


def _same_name(select: Select) -> str:
    swarm = 'swarm_service!=""'
    by_name = f"on ({select.host}, namespace, name) {lately(select, NAMES)}"
    by_service = f"on ({select.host}, namespace, swarm_service) {lately(select, NAMES, swarm)}"
    by_pod = f"on ({select.host}, namespace, name) {lately(select, SERVICES, _KUBELET)}"
    named = joined(
        "or",
        f"{select.last(c.CONTAINER_INFO)} and {by_name}",
        f"{select.last(c.CONTAINER_INFO, swarm)} and {by_service}",
    )
    return joined(
        "or",
        _staying(f"\n{indented(named)}\n"),
        f"{_staying(select.last(c.CONTAINER_INFO, _KUBELET))} and {by_pod}",
        select(SERVICES),
    )


def lately(select: Select, metric: c.Metric | str, *matchers: str) -> str:
    """The last value, also of what was replaced within half an hour."""
    return f"last_over_time({select(metric, *matchers)}{select.window(_REPLACED)})"


def by_service(select: Select) -> str:
    """The labels that tell names apart."""
    return f"{select.host}, namespace, name, pod"


def summed(select: Select, expression: str) -> str:
    """The sum of an expression on containers by name."""
    named = f"{expression} * on ({select.container}) group_left (name, pod) {select(SERVICES)}"
    return f"sum by ({by_service(select)}) ({named})"
