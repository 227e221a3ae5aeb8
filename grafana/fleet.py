"""The dashboard of all hosts."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as board

from exporter.figures.needs import Figure
from exporter.figures.prunes import Category
from grafana import parts
from grafana.host_now import not_filling, time_to_full, used
from grafana.panels import BYTES, COUNT, RATE, SHARE, TIME, Column, figure, graph, listing
from grafana.queries import known, metric, not_known, plain, total


def _fleet(expression: str) -> str:
    """The expression for all hosts of the job."""
    return expression.replace(',instance=~"$instance"', "")


def _link() -> board.DynamicConfigValue:
    target = f"/d/{parts.HOST_UID}?var-datasource=${{datasource}}&var-job=${{job}}&var-instance=${{__value.raw}}"
    links = [{"title": "Show this host", "url": target + "&${__url_time_range}"}]
    return board.DynamicConfigValue(id_val="links", value=links)


def fleet() -> dashboard.Dashboard:
    """Make the dashboard of all hosts."""
    text = "All Docker hosts of a job, the fullest first, from docker-storage-exporter."
    made = parts.new("Docker storage: all hosts", parts.FLEET_UID, text).with_variable(parts.top())
    data, reclaimable = metric("directory_allocated_bytes"), metric("reclaimable_bytes")
    hosts = _fleet(f"count({metric('up')}) or vector(0)")
    made = made.with_panel(figure("Hosts", "Hosts whose exporter answers.", COUNT, hosts, "hosts", size=(5, 4)))
    silent = _fleet(f"count({plain('up')} == 0) or vector(0)")
    text = "Hosts whose exporter does not answer: no other panel shows them. See DockerStorageExporterDown."
    levels = ((1, "red"),)
    made = made.with_panel(figure("Not answering", text, COUNT, silent, "hosts", levels=levels, size=(5, 4)))
    unreadable = _fleet(f"count({metric('up')} == 0) or vector(0)")
    text = "Hosts whose data root cannot be read. See DockerStorageRootUnreadable."
    made = made.with_panel(figure("Unreadable", text, COUNT, unreadable, "hosts", levels=levels, size=(5, 4)))
    text = "Disk blocks below all data roots."
    made = made.with_panel(figure("Docker data", text, BYTES, _fleet(f"sum({data})"), "data", size=(5, 4)))
    text = "What prunes on all hosts would free, without the hosts where that is not known."
    freed = _fleet(f"sum({known(total(reclaimable), *Category)})")
    made = made.with_panel(figure("Reclaimable", text, BYTES, freed, "reclaimable", size=(4, 4)))
    orphaned = metric("layers_allocated_bytes", 'use="orphaned"')
    columns = [
        Column("Disk used", SHARE, f"max by (instance) ({used()})"),
        Column("Time to full", TIME, f"min by (instance) ({time_to_full()})"),
        Column("Docker data", BYTES, total(data)),
        Column("Reclaimable", BYTES, known(total(reclaimable), *Category)),
        Column("Orphaned", BYTES, total(orphaned)),
        Column("Images", COUNT, known(total(metric("images")), Figure.IMAGE_STATES)),
        Column("Containers", COUNT, known(total(metric("containers")), Figure.CONTAINER_STATES)),
        Column("Volumes", COUNT, total(metric("volumes"))),
        Column("Missing layers", COUNT, known(total(metric("missing_layers")), Figure.MISSING_LAYERS)),
        Column("Not known", COUNT, not_known()),
        Column("Age of the figures", TIME, f"max by (instance) (time() - {metric('snapshot_timestamp_seconds')})"),
    ]
    columns = [Column(one.heading, one.unit, _fleet(one.expression)) for one in columns]
    text = "The fullest host is first; its name is a link to its dashboard."
    words = board.DynamicConfigValue(id_val="mappings", value=[not_filling()])
    overrides = {"Host": [_link()], "Time to full": [words]}
    table = listing("Hosts", text, {"instance": "Host"}, columns, size=(24, 12), overrides=overrides)
    made = made.with_panel(table)
    text = "The disks that are fullest at the end of the time range."
    share = f"max by (instance) ({used()})"
    queries = [(_fleet(f"{share} and on (instance) topk($top, {_at_end(share)})"), "{{instance}}")]
    made = made.with_panel(graph("Disk used", text, SHARE, queries, size=(12, 10)))
    text = "The hosts whose data grows most at the end of the time range; slope over an hour."
    grows = total(f"deriv({data}[1h])")
    queries = [(_fleet(f"{grows} and on (instance) topk($top, {total(f'deriv({data}[1h] @ end())')})"), "{{instance}}")]
    return made.with_panel(graph("Growth", text, RATE, queries, size=(12, 10)))


def _at_end(expression: str) -> str:
    """An expression of plain selectors, evaluated at the end of the time range."""
    return expression.replace("}", "} @ end()")
