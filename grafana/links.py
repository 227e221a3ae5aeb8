"""Links: from panels to the runbooks that they name, from a row of the fleet to its host."""

import re

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as board

HOST_UID, FLEET_UID = "docker-storage", "docker-storage-fleet"
#: The variable with the address of an exporter that answers: each of them serves all runbooks.
EXPORTER = "exporter"
_NAME = re.compile(r"\bDocker(?:Storage|Container)[A-Z]\w+\b")


def runbook_url(name: str) -> str:
    """Where a runbook is read."""
    return f"http://${{{EXPORTER}}}/runbooks/{name}"


def runbook(text: str) -> list[Builder[board.DashboardLink]]:
    """Links to the runbooks that a panel's description names."""
    names = dict.fromkeys(_NAME.findall(text))
    return [dashboard.DashboardLink(f"Runbook {one}").url(runbook_url(one)).target_blank(True) for one in names]


def to_host() -> board.DynamicConfigValue:
    """From the name of a host to its dashboard."""
    return _data_link("Show this host", _host_url("${__value.raw}", "${cluster:queryparam}"))


def to_host_of_cluster() -> board.DynamicConfigValue:
    """From the cluster of a host, where names of hosts are unique only within a cluster."""
    address = _host_url("${__data.fields.Host}", "var-cluster=${__value.raw}")
    return _data_link("Show this host of this cluster", address)


def to_runbook() -> board.DynamicConfigValue:
    """From the name of an alert to its runbook."""
    return _data_link("Runbook", runbook_url("${__value.raw}"))


def _host_url(instance: str, cluster: str) -> str:
    variables = ("var-datasource=${datasource}", "${job:queryparam}", cluster, f"var-instance={instance}")
    return f"/d/{HOST_UID}?{'&'.join(variables)}&${{__url_time_range}}"


def _data_link(title: str, url: str) -> board.DynamicConfigValue:
    return board.DynamicConfigValue(id_val="links", value=[{"title": title, "url": url}])
