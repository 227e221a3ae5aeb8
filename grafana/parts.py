"""The parts that both dashboards share: variables, annotations, links, and the encoding as a file."""

import itertools
import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as board

from exporter.rules.recording import USED
from grafana.links import EXPORTER
from grafana.panels import SOURCE
from grafana.queries import HOST, alerts, metric, plain, recorded, total, whole

#: Fields that the SDK writes and that Grafana's schema of this kind of dashboard does not have.
_FOREIGN = ("auto", "auto_count", "auto_min", "placement")
_INFO = "docker_storage_build_info"
_OF_JOBS = f'{_INFO}{{job=~"$job"}}'
_OF_CLUSTERS = f'{_INFO}{{job=~"$job",cluster=~"$cluster"}}'
#: What the page for importing by hand asks for; Grafana puts the choice in where `${DS_PROMETHEUS}` stands.
_INPUT = {
    "name": "DS_PROMETHEUS",
    "label": "Prometheus",
    "description": "The Prometheus that scrapes docker-storage-exporter",
    "type": "datasource",
    "pluginId": "prometheus",
    "pluginName": "Prometheus",
}
_REQUIRED = (("grafana", "grafana", "Grafana", "10.0.0"), ("datasource", "prometheus", "Prometheus", "1.0.0"))


def new(title: str, uid: str, text: str) -> dashboard.Dashboard:
    """Start a dashboard with the variables for datasource, job and cluster."""
    made = dashboard.Dashboard(title).uid(uid).description(text).tags(["docker", "storage", "prometheus"]).editable()
    made = made.timezone("browser").time("now-6h", "now").refresh("1m").tooltip(board.DashboardCursorSync.CROSSHAIR)
    chosen = board.VariableOption(text="${DS_PROMETHEUS}", value="${DS_PROMETHEUS}", selected=False)
    source = dashboard.DatasourceVariable("datasource").label("Datasource").type("prometheus").current(chosen)
    made = made.with_variable(source).with_variable(_several("job", "Job", f"label_values({_INFO}, job)", ".+"))
    return made.with_variable(_several("cluster", "Cluster", f"label_values({_OF_JOBS}, cluster)", ".*"))


def instance() -> dashboard.QueryVariable:
    """The variable for the hosts to show: the first at the start, several where they are compared."""
    return _query("instance", "Host", f"label_values({_OF_CLUSTERS}, instance)").multi(True)


def exporter(*, chosen: bool) -> dashboard.QueryVariable:
    """The variable, which is not shown, with the address of an exporter: of a chosen host, or of any."""
    of = _OF_CLUSTERS.replace("}", ',instance=~"$instance"}') if chosen else _OF_CLUSTERS
    made = _query(EXPORTER, "Runbooks of", f"label_values({of}, instance)")
    return made.hide(board.VariableHide.HIDE_VARIABLE)


def top() -> dashboard.CustomVariable:
    """The variable for the number of largest objects to show."""
    ten = board.VariableOption(text="10", value="10", selected=True)
    return dashboard.CustomVariable("top").label("Top").values("5,10,20,50").current(ten)


def restarts() -> dashboard.AnnotationQuery:
    """An annotation at each start of an exporter: just before it figures may be missing."""
    started = plain("process_start_time_seconds")
    expression = f"changes({started}[10m]) > 0 or changes({started}[$__rate_interval]) > 0"
    return _annotation(
        "Exporter restarts", "blue", expression, "The exporter on {{instance}} started within ten minutes before"
    )


def drops() -> dashboard.AnnotationQuery:
    """An annotation where much was deleted, as by a prune."""
    used, size = metric("directory_allocated_bytes"), metric("filesystem_size_bytes")
    now = recorded(USED, whole(total(used)))
    before = f"({plain(USED)} offset 10m or on ({', '.join(HOST)}) {total(used + ' offset 10m')})"
    hosts = ", ".join(HOST)
    least = f"sum by ({hosts}) ({size})"
    expression = f"sum by ({hosts}) ({now}) - sum by ({hosts}) ({before}) < on ({hosts}) -0.02 * {least}"
    return _annotation("Large drops", "green", expression, "Much was deleted on {{instance}}")


def alerting(expression: str) -> dashboard.AnnotationQuery:
    """An annotation for as long as an alert fires."""
    made = _annotation("Alerts", "red", expression, "{{alertname}} ({{severity}})")
    return made.text_format("{{instance}} {{mountpoint}} {{name}}").tag_keys("alertname,severity")


def firing() -> str:
    """The alerts that fire on the chosen hosts."""
    return alerts('alertstate="firing"')


def encoded(made: dashboard.Dashboard) -> str:
    """A dashboard as the JSON text that Grafana reads."""
    return text_of(content_of(made))


def content_of(made: dashboard.Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana's older schema has it, with what an import by hand needs."""
    content: dict[str, Any] = json.loads(JSONEncoder().encode(made.build()))
    panels = [panel for row in content["panels"] for panel in (row, *row.get("panels", ()))]
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
        panel.get("options", {}).pop("footer", None)  # of tables: none is shown, and since Grafana 12.2 there is none
    parts = [content["templating"]["list"], content.get("links", ()), content["annotations"].get("list", ())]
    for part in itertools.chain(*parts, *(panel.get("links", ()) for panel in panels)):
        for name in _FOREIGN:
            part.pop(name, None)
    kinds = sorted({panel["type"] for panel in panels} - {"row"})
    needed = [dict(zip(("type", "id", "name", "version"), one, strict=True)) for one in _REQUIRED]
    needed += [{"type": "panel", "id": kind, "name": kind, "version": ""} for kind in kinds]
    return {"__inputs": [_INPUT], "__requires": needed, **content}


def text_of(content: dict[str, Any]) -> str:
    """JSON as it is written into files."""
    return json.dumps(content, sort_keys=True, indent=2) + "\n"


def _several(name: str, label: str, query: str, everything: str) -> dashboard.QueryVariable:
    chosen = board.VariableOption(text="All", value="$__all", selected=True)
    return _query(name, label, query).multi(True).include_all(True).all_value(everything).current(chosen)


def _query(name: str, label: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).query(query).datasource(SOURCE)
    return variable.refresh(board.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(board.VariableSort.ALPHABETICAL_ASC)


def _annotation(name: str, colour: str, expression: str, title: str) -> dashboard.AnnotationQuery:
    made = dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour)
    return made.expr(expression).title_format(title)
