"""Makers of panels: each has the datasource variable, a legend, a unit and a description."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, gauge, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as board
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.links import runbook
from grafana.words import Levels, steps

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
#: Powers of ten, as Docker and the makers of disks count: a limit of 100 MB is shown as 100 MB.
BYTES, RATE, SHARE, TIME, COUNT = "decbytes", "Bps", "percentunit", "dtdurations", "short"

_Panel = TypeVar("_Panel", timeseries.Panel, stat.Panel, gauge.Panel, table.Panel, bargauge.Panel)


@dataclass(frozen=True)
class Column:
    """A figure of a table: its heading, unit and query; with levels or words its cells have colours."""

    heading: str
    unit: str
    expression: str
    levels: Levels = ()
    words: Sequence[board.ValueMapping] = ()


def _query(expression: str, legend: str, letter: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter).datasource(SOURCE)


def _dressed(panel: _Panel, title: str, text: str, size: tuple[int, int]) -> _Panel:
    return panel.title(title).description(text).datasource(SOURCE).span(size[0]).height(size[1]).links(runbook(text))


def _letters(queries: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(expression, legend, chr(ord("A") + index)) for index, (expression, legend) in enumerate(queries)]


def graph(  # noqa: PLR0913 - a panel has that many sides
    title: str,
    text: str,
    unit: str,
    queries: Sequence[tuple[str, str]],
    *,
    stacked: bool = False,
    size: tuple[int, int] = (12, 9),
    levels: Levels = (),
    words: Sequence[board.ValueMapping] = (),
) -> timeseries.Panel:
    """Lines over time, with a legend of names and last values; `levels` are drawn as dashed lines."""
    legend = common.VizLegendOptions().show_legend(True).display_mode(models.LegendDisplayMode.TABLE)
    beside = models.LegendPlacement.RIGHT if size[0] >= 12 else models.LegendPlacement.BOTTOM
    legend = legend.placement(beside).calcs(["lastNotNull", "max"])
    tooltip = common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING)
    panel = _dressed(timeseries.Panel(), title, text, size).unit(unit).legend(legend).tooltip(tooltip)
    panel = panel.fill_opacity(30 if stacked else 0).show_points(models.VisibilityMode.NEVER).mappings(list(words))
    if levels:
        dashed = common.GraphThresholdsStyleConfig().mode(models.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(steps(levels)).thresholds_style(dashed)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL).group("A"))
    if unit == SHARE:
        panel = panel.min(0).max(1)
    elif unit in (BYTES, COUNT, TIME) and len(queries) == 1:
        panel = panel.axis_soft_min(0)
    for expression, name, letter in _letters(queries):
        panel = panel.with_target(_query(expression, name, letter).range())
    return panel


def figure(  # noqa: PLR0913 - a panel has that many sides
    title: str,
    text: str,
    unit: str,
    expression: str,
    legend: str = "{{instance}}",
    *,
    levels: Levels = (),
    size: tuple[int, int] = (4, 4),
    mappings: Sequence[board.ValueMapping] = (),
    absent: str = "no data",
    course: bool = True,
) -> stat.Panel:
    """The current number for each host; `absent` is shown where there is none. `course` adds a sparkline."""
    panel = _dressed(stat.Panel(), title, text, size).unit(unit).thresholds(steps(levels)).mappings(list(mappings))
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).decimals(
        0 if unit in (COUNT, TIME) else 1
    )
    behind = models.BigValueGraphMode.AREA if course and not mappings else models.BigValueGraphMode.NONE
    panel = panel.graph_mode(behind).color_mode(models.BigValueColorMode.VALUE).no_value(absent)
    query = _query(expression, legend, "A")
    return panel.with_target(query.range() if course else query.instant())


def dial(title: str, text: str, expression: str, legend: str, levels: Levels) -> gauge.Panel:
    """A share of a whole."""
    panel = _dressed(gauge.Panel(), title, text, (4, 4)).unit(SHARE).min(0).max(1).thresholds(steps(levels))
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).decimals(1).no_value("not known")
    return panel.with_target(_query(expression, legend, "A").instant())


def bars(title: str, text: str, unit: str, expression: str, legend: str) -> bargauge.Panel:
    """The current values of a few objects as bars."""
    panel = _dressed(bargauge.Panel(), title, text, (12, 9)).unit(unit).min(0).thresholds(steps(()))
    panel = panel.orientation(models.VizOrientation.HORIZONTAL).display_mode(models.BarGaugeDisplayMode.GRADIENT)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.with_target(_query(expression, legend, "A").instant())


def listing(  # noqa: PLR0913 - a panel has that many sides
    title: str,
    text: str,
    names: Mapping[str, str],
    columns: Sequence[Column],
    *,
    size: tuple[int, int] = (24, 9),
    overrides: Mapping[str, Sequence[board.DynamicConfigValue]] | None = None,
    absent: str = "none",
) -> table.Panel:
    """A row for each object: `names` are its labels with their headings; sorted by the first column.

    Every column's query must have the labels in `names`; other labels are left out.
    """
    panel = _dressed(table.Panel(), title, text, size).filterable(True).show_header(True).no_value(absent)
    by = common.TableSortByFieldState().display_name(columns[0].heading).desc(True)
    panel = panel.sort_by([by]).cell_height(models.TableCellHeight.SM)
    order = {label: index for index, label in enumerate(names)}
    headings = dict(names)
    for index, column in enumerate(columns):
        letter = chr(ord("A") + index)
        value = f"Value #{letter}" if len(columns) > 1 else "Value"
        panel = panel.with_target(_query(column.expression, "", letter).instant().format(PromQueryFormat.TABLE))
        order[value], headings[value] = len(names) + index, column.heading
        panel = panel.override_by_name(column.heading, _cells(column))
    for heading, properties in (overrides or {}).items():
        panel = panel.override_by_name(heading, list(properties))
    if len(columns) > 1:
        panel = panel.with_transformation(board.DataTransformerConfig(id_val="merge", options={}))
    kept = {"include": {"names": list(order)}}
    panel = panel.with_transformation(board.DataTransformerConfig(id_val="filterFieldsByName", options=kept))
    arranged = {"excludeByName": {}, "indexByName": order, "renameByName": headings}
    return panel.with_transformation(board.DataTransformerConfig(id_val="organize", options=arranged))


def _cells(column: Column) -> list[board.DynamicConfigValue]:
    properties: list[tuple[str, object]] = [("unit", column.unit)]
    if column.words:
        properties.append(("mappings", list(column.words)))
    if column.levels:
        properties.append(("thresholds", steps(column.levels).build()))
    if column.words or column.levels:
        properties.append(("custom.cellOptions", {"type": "color-text"}))
    return [board.DynamicConfigValue(id_val=name, value=value) for name, value in properties]
