"""The dashboards in the schema of Grafana 12 and later: a resource with elements and a layout of rows.

It is made of the content in the older schema, so that there is one description of each panel. The models of the SDK
check it: `dashboard.grafana.app/v2beta1`, which Grafana 12.2 and later read.
"""

import json
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboardv2beta1 as models

_API = "dashboard.grafana.app/v2beta1"
_CURSORS = {0: "Off", 1: "Crosshair", 2: "Tooltip"}
_HIDE = {0: "dontHide", 1: "hideLabel", 2: "hideVariable"}
_REFRESH = {0: "never", 1: "onDashboardLoad", 2: "onTimeRangeChanged"}
_SORT = {0: "disabled", 1: "alphabeticalAsc"}
_KINDS = {"datasource": "DatasourceVariable", "query": "QueryVariable", "custom": "CustomVariable"}
#: The number of a query `label_values(...)` in the datasource's editor of variables.
_LABEL_VALUES = 1
_SOURCE = {"name": "${datasource}"}

Content = dict[str, Any]


class Encoder(JSONEncoder):
    """`VizConfigKind.from_json` of SDK 0.0.21 makes sets of one word of what are words."""

    def default(self, o: object) -> object:
        """Write such a set as its word."""
        return next(iter(o)) if isinstance(o, set) else super().default(o)


def resource(content: Content) -> Content:
    """The resource of a dashboard's content; raises KeyError or TypeError where the SDK does not know a part."""
    spec = {
        "title": content["title"],
        "description": content["description"],
        "tags": content["tags"],
        "editable": content["editable"],
        "cursorSync": _CURSORS[content["graphTooltip"]],
        "preload": False,
        "links": content.get("links", []),
        "timeSettings": _time(content),
        "variables": [_variable(one) for one in content["templating"]["list"]],
        "annotations": [_annotation(one) for one in content["annotations"]["list"]],
        "elements": {_name(one): _panel(one) for one in _panels(content)},
        "layout": _layout(content["panels"]),
    }
    checked = json.loads(Encoder().encode(models.Dashboard.from_json(spec)))
    _as_grafana_12(checked)
    return {"apiVersion": _API, "kind": "Dashboard", "metadata": {"name": content["uid"]}, "spec": checked}


def _as_grafana_12(spec: Content) -> None:
    """Change what the SDK writes and the types of Grafana 12.2 (npm's @grafana/schema) do not have.

    The first step of thresholds has no lower bound, whatever its value is; null is no number there.
    """
    for one in spec["variables"]:
        one["spec"].pop("regexApplyTo", None)
    for panel in spec["elements"].values():
        config = panel["spec"]["vizConfig"]["spec"]["fieldConfig"]
        properties = [made for override in config["overrides"] for made in override["properties"]]
        found = [
            config["defaults"].get("thresholds"),
            *(one["value"] for one in properties if one["id"] == "thresholds"),
        ]
        for thresholds in filter(None, found):
            first = thresholds["steps"][0]
            first["value"] = first["value"] or 0


def _panels(content: Content) -> Iterator[Content]:
    for panel in content["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", ())
        else:
            yield panel


def _name(panel: Content) -> str:
    return f"panel-{panel['id']}"


def _time(content: Content) -> Content:
    made = {"from": content["time"]["from"], "to": content["time"]["to"], "autoRefresh": content["refresh"]}
    intervals = ["30s", "1m", "5m", "15m", "1h"]
    more = {"autoRefreshIntervals": intervals, "hideTimepicker": False, "fiscalYearStartMonth": 0}
    return {**made, **more, "timezone": content["timezone"]}


def _query(spec: Content) -> Content:
    return {"kind": "DataQuery", "group": "prometheus", "version": "v0", "datasource": _SOURCE, "spec": spec}


def _variable(one: Content) -> Content:
    made = {
        "name": one["name"],
        "label": one["label"],
        "hide": _HIDE[one.get("hide", 0)],
        "current": one.get("current") or {"text": "", "value": ""},
        "options": [],
        "multi": one.get("multi", False),
        "includeAll": one.get("includeAll", False),
        "skipUrlSync": False,
        "allowCustomValue": True,
    }
    if "allValue" in one:
        made["allValue"] = one["allValue"]
    if one["type"] == "query":
        asked = {
            "qryType": _LABEL_VALUES,
            "query": one["query"],
            "refId": "PrometheusVariableQueryEditor-VariableQuery",
        }
        made |= {"query": _query(asked), "definition": one["query"], "regex": ""}
        made |= {"refresh": _REFRESH[one["refresh"]], "sort": _SORT[one["sort"]]}
    elif one["type"] == "datasource":
        # There is no page here that asks for the datasource: the first of this kind is chosen.
        made |= {
            "pluginId": one["query"],
            "regex": "",
            "refresh": "onDashboardLoad",
            "current": {"text": "", "value": ""},
        }
    else:
        made["query"] = one["query"]
    return {"kind": _KINDS[one["type"]], "spec": made}


def _annotation(one: Content) -> Content:
    fields = ("expr", "titleFormat", "textFormat", "tagKeys")
    options = {name: one[name] for name in fields if name in one}
    spec = {"name": one["name"], "enable": one["enable"], "hide": False, "iconColor": one["iconColor"]}
    query = _query({"expr": one["expr"], "refId": "Anno"})
    return {"kind": "AnnotationQuery", "spec": {**spec, "builtIn": False, "query": query, "legacyOptions": options}}


def _panel(one: Content) -> Content:
    options = {"interval": one["interval"]} if "interval" in one else {}
    group = {
        "queries": [_target(target) for target in one["targets"]],
        "transformations": [{"kind": made["id"], "spec": made} for made in one.get("transformations", ())],
        "queryOptions": options,
    }
    shown = {"options": one.get("options", {}), "fieldConfig": one["fieldConfig"]}
    spec = {
        "id": one["id"],
        "title": one["title"],
        "description": one["description"],
        "links": [{"title": link["title"], "url": link["url"], "targetBlank": True} for link in one.get("links") or ()],
        "data": {"kind": "QueryGroup", "spec": group},
        "vizConfig": {"kind": "VizConfig", "group": one["type"], "version": "", "spec": shown},
    }
    return {"kind": "Panel", "spec": spec}


def _target(target: Content) -> Content:
    spec = {key: value for key, value in target.items() if key not in ("refId", "datasource")}
    return {"kind": "PanelQuery", "spec": {"query": _query(spec), "refId": target["refId"], "hidden": False}}


def _layout(panels: list[Content]) -> Content:
    """Rows where the dashboard has some, and one grid otherwise."""
    if not any(one["type"] == "row" for one in panels):
        return _grid(panels)
    rows: list[Content] = []
    inside: list[list[Content]] = []
    for one in panels:
        if one["type"] == "row":
            rows.append(one)
            inside.append(list(one.get("panels", ())))
        else:
            inside[-1].append(one)
    made = [
        {"title": row["title"], "collapse": row["collapsed"], "hideHeader": False, "layout": _grid(own)}
        for row, own in zip(rows, inside, strict=True)
    ]
    return {"kind": "RowsLayout", "spec": {"rows": [{"kind": "RowsLayoutRow", "spec": one} for one in made]}}


def _grid(panels: list[Content]) -> Content:
    top = min(one["gridPos"]["y"] for one in panels)
    return {"kind": "GridLayout", "spec": {"items": [_item(one, top) for one in panels]}}


def _item(panel: Content, top: int) -> Content:
    at = panel["gridPos"]
    place = {"x": at["x"], "y": at["y"] - top, "width": at["w"], "height": at["h"]}
    element = {"kind": "ElementReference", "name": _name(panel)}
    return {"kind": "GridLayoutItem", "spec": {**place, "element": element}}
