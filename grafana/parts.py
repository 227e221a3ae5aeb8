"""The parts that both dashboards share: variables, annotations, links, and the encoding as a file."""

import json

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as board

from grafana.panels import SOURCE
from grafana.queries import metric, plain

HOST_UID, FLEET_UID = "docker-storage", "docker-storage-fleet"
#: Fields that the SDK writes and that Grafana's schema of this kind of dashboard does not have.
_FOREIGN = ("auto", "auto_count", "auto_min", "placement")
_JOBS = "label_values(docker_storage_build_info, job)"
_INSTANCES = 'label_values(docker_storage_build_info{job="$job"}, instance)'


def new(title: str, uid: str, text: str) -> dashboard.Dashboard:
    """Start a dashboard with the variables for datasource and job."""
    made = dashboard.Dashboard(title).uid(uid).description(text).tags(["docker", "storage", "prometheus"]).editable()
    made = made.timezone("browser").time("now-6h", "now").refresh("1m").tooltip(board.DashboardCursorSync.CROSSHAIR)
    source = dashboard.DatasourceVariable("datasource").label("Datasource").type("prometheus")
    return made.with_variable(source).with_variable(_query("job", "Job", _JOBS))


def instance() -> dashboard.QueryVariable:
    """The variable for the hosts to show: any number, all by default."""
    everything = board.VariableOption(text="All", value="$__all", selected=True)
    variable = _query("instance", "Host", _INSTANCES).multi(True).include_all(True).all_value(".+")
    return variable.current(everything)


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
    now, before = (f"sum by (job, instance) ({used}{at})" for at in ("", " offset 10m"))
    expression = f"{now} - {before} < on (job, instance) -0.02 * sum by (job, instance) ({size})"
    return _annotation("Large drops", "green", expression, "Much was deleted on {{instance}}")


def encoded(made: dashboard.Dashboard) -> str:
    """A dashboard as the JSON text that Grafana reads."""
    content = json.loads(JSONEncoder().encode(made.build()))
    for part in (*content["templating"]["list"], *content.get("links", ()), *content["annotations"].get("list", ())):
        for name in _FOREIGN:
            part.pop(name, None)
    return json.dumps(content, sort_keys=True, indent=2) + "\n"


def _query(name: str, label: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).query(query).datasource(SOURCE)
    return variable.refresh(board.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(board.VariableSort.ALPHABETICAL_ASC)


def _annotation(name: str, colour: str, expression: str, title: str) -> dashboard.AnnotationQuery:
    made = dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour)
    return made.expr(expression).title_format(title)
