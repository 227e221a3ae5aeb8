"""The dashboard of all hosts."""

import re
from collections.abc import Iterator
from dataclasses import replace

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as board

from exporter.figures.needs import Figure
from exporter.rules.recording import USED
from grafana import parts
from grafana.host_now import (
    AGE,
    ANY,
    FULL,
    MUCH,
    WHEN_FULL,
    alert_list,
    data,
    orphaned,
    reclaimable,
    silent,
    time_to_full,
    used,
)
from grafana.links import FLEET_UID, to_host, to_host_of_cluster
from grafana.panels import BYTES, COUNT, RATE, SHARE, TIME, Column, figure, graph, listing
from grafana.queries import ALERTS, FLEET, HOST, every_host, known, metric, not_known, plain, total, whole
from grafana.words import NOW, not_filling

_HOSTS = ", ".join(HOST)
_MUST_ACT = ((1, NOW),)
#: No more points than this in a course: it is worked out for all hosts, to show the first few.
_PAUSE = "5m"


def fleet() -> dashboard.Dashboard:
    """Make the dashboard of all hosts: what it asks is of one instant, or has a point every few minutes."""
    text = "All Docker hosts, the fullest first, from docker-storage-exporter."
    made = parts.new("Docker storage: all hosts", FLEET_UID, text).with_variable(parts.exporter(chosen=False))
    made = made.with_variable(parts.top()).annotation(parts.alerting(_alerts('severity="critical"', _FIRES)))
    for panel in (*_totals(), _hosts(), alert_list(_alerts(), (24, 7)), *_courses()):
        made = made.with_panel(panel)
    return made


_FIRES = 'alertstate="firing"'


def _alerts(*matchers: str) -> str:
    """The alerts of all hosts, and those that name no host."""
    return "ALERTS{" + ",".join((*FLEET, *ALERTS, *matchers)) + "}"


def _totals() -> Iterator[Builder[board.Panel]]:
    up = every_host(metric("up"))
    answering = f"count({up}) or vector(0)"
    yield figure("Answering", "Hosts whose exporter answers.", COUNT, answering, "hosts", size=(4, 4), course=False)
    counts = {
        "Not answering": (
            every_host(silent()),
            "Hosts whose exporter does not answer: no other panel shows them. See DockerStorageExporterDown.",
        ),
        "Unreadable": (f"{up} == 0", "Hosts whose data root cannot be read. See DockerStorageRootUnreadable."),
        "Not known": (
            f"count by ({_HOSTS}) ({every_host(metric('known'))} == 0)",
            "Hosts of which a part was not read whole. See DockerStorageNotKnown.",
        ),
    }
    for title, (expression, text) in counts.items():
        levels = ANY if title == "Not known" else _MUST_ACT
        counted = f"count({expression}) or vector(0)"
        yield figure(title, text, COUNT, counted, "hosts", levels=levels, size=(4, 4), course=False)
    text = "Disk blocks below all data roots, without the hosts whose first scan goes on."
    yield figure("Docker data", text, BYTES, f"sum({every_host(data())})", "data", size=(4, 4), course=False)
    text = "What prunes on all hosts would free, without the hosts where that is not known."
    freed = every_host(f"sum({reclaimable()})")
    yield figure("Reclaimable", text, BYTES, freed, "reclaimable", size=(4, 4), course=False)


def _of_hosts(aggregate: str, expression: str) -> str:
    return f"{aggregate} by ({_HOSTS}) ({expression})"


def _hosts() -> Builder[board.Panel]:
    columns = [
        Column("Disk used", SHARE, _of_hosts("max", used()), FULL),
        Column("Time to full", TIME, _of_hosts("min", time_to_full()), WHEN_FULL, not_filling()),
        Column("Docker data", BYTES, total(data())),
        Column("Reclaimable", BYTES, reclaimable()),
        Column("Orphaned", BYTES, orphaned(), MUCH),
        Column("Images", COUNT, known(total(metric("images")), Figure.IMAGE_STATES)),
        Column("Containers", COUNT, known(total(metric("containers")), Figure.CONTAINER_STATES)),
        Column("Volumes", COUNT, total(metric("volumes"))),
        Column("Missing layers", COUNT, known(total(metric("missing_layers")), Figure.MISSING_LAYERS), _MUST_ACT),
        Column("Not known", COUNT, not_known(), ANY),
        Column("Age of the figures", TIME, _of_hosts("max", f"time() - {metric('snapshot_timestamp_seconds')}"), AGE),
    ]
    columns = [replace(one, expression=every_host(one.expression)) for one in columns]
    text = "The fullest host is first; its name is a link to its dashboard. What is not known is empty."
    names = {"cluster": "Cluster", "job": "Job", "instance": "Host"}
    links = {"Host": [to_host()], "Cluster": [to_host_of_cluster()]}
    return listing("Hosts", text, names, columns, size=(24, 12), overrides=links, absent="No host answers.")


def _courses() -> Iterator[Builder[board.Panel]]:
    text = "The disks that are fullest at the end of the time range. See DockerStorageFilesystemAlmostFull."
    share = every_host(_of_hosts("max", used()))
    queries = [(f"{share} and on ({_HOSTS}) topk($top, {_at_end(share)})", "{{instance}}")]
    yield graph("Disk used", text, SHARE, queries, size=(12, 10), levels=FULL).interval(_PAUSE)
    text = "The hosts whose data grows most at the end of the time range, over an hour. See DockerStorageGrowthHigh."
    grows = every_host(_growth())
    queries = [(f"{grows} and on ({_HOSTS}) topk($top, {_at_end(grows)})", "{{instance}}")]
    yield graph("Growth", text, RATE, queries, size=(12, 10)).interval(_PAUSE)


def _growth() -> str:
    """The growth of each host over the last hour, in bytes a second; without the rules it is that of two moments."""
    raw = metric("directory_allocated_bytes")
    now, before = whole(total(raw)), whole(total(f"{raw} offset 1h"), " offset 1h")
    return f"(deriv({plain(USED)}[1h]) or on ({_HOSTS}) (({now}) - ({before})) / 3600)"


def _at_end(expression: str) -> str:
    """An expression of plain selectors, evaluated at the end of the time range."""
    return re.sub(r"(\}(?:\[\w+\])?)( offset \w+)?", r"\1 @ end()\2", expression)
