"""The dashboard of one host: how full, when full, which part and object grows, what can be freed."""

from grafana_foundation_sdk.builders import dashboard

from grafana import parts
from grafana.host_exporter import exporter_panels
from grafana.host_now import growth, now
from grafana.host_objects import clean_up, containers, images, layers, store, volumes
from grafana.links import FLEET_UID, HOST_UID


def host() -> dashboard.Dashboard:
    """Make the dashboard of one host. Its first two rows are open; what the others show is asked when they are."""
    text = "What fills the disk of a Docker host, from docker-storage-exporter."
    made = parts.new("Docker storage", HOST_UID, text).with_variable(parts.instance())
    made = made.with_variable(parts.exporter(chosen=True)).with_variable(parts.top())
    made = made.annotation(parts.restarts()).annotation(parts.drops()).annotation(parts.alerting(parts.firing()))
    made = made.link(dashboard.DashboardLink("All hosts").url(f"/d/{FLEET_UID}").include_vars(True).keep_time(True))
    for title, panels in {"Now": now(), "Growth": growth()}.items():
        made = made.with_row(dashboard.Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    closed = {
        "Layers": layers(),
        "Images": images(),
        "Image store of containerd": store(),
        "Containers": containers(),
        "Volumes and mounts": volumes(),
        "Clean-up": clean_up(),
        "Exporter": exporter_panels(),
    }
    for title, panels in closed.items():
        row = dashboard.Row(title).collapsed(True)
        for panel in panels:
            row = row.with_panel(panel)
        made = made.with_row(row)
    return made
