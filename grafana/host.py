"""The dashboard of one host: how full, when full, which part and object grows, what can be freed."""

from grafana_foundation_sdk.builders import dashboard

from grafana import parts
from grafana.host_exporter import exporter_row
from grafana.host_now import growth, now
from grafana.host_objects import clean_up, containers, images, layers, store, volumes


def host() -> dashboard.Dashboard:
    """Make the dashboard of one host."""
    text = "What fills the disk of a Docker host, from docker-storage-exporter."
    made = parts.new("Docker storage", parts.HOST_UID, text).with_variable(parts.instance()).with_variable(parts.top())
    made = made.annotation(parts.restarts()).annotation(parts.drops())
    link = dashboard.DashboardLink("All hosts").url(f"/d/{parts.FLEET_UID}").include_vars(True).keep_time(True)
    made = made.link(link)
    rows = {
        "Now": now(),
        "Growth": growth(),
        "Layers": layers(),
        "Images": images(),
        "Image store of containerd": store(),
        "Containers": containers(),
        "Volumes and mounts": volumes(),
        "Clean-up": clean_up(),
    }
    for title, panels in rows.items():
        made = made.with_row(dashboard.Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    return made.with_row(exporter_row())
