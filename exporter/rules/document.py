"""Writes the rules as the YAML that Prometheus reads, as JSON, or as the object that the operator reads."""

import json
from typing import Literal

import yaml

from exporter.rules.alert import Group, Select
from exporter.rules.containers import container_alerts, container_records
from exporter.rules.disk import disk_alerts
from exporter.rules.filesystems import filesystem_records
from exporter.rules.health import health_alerts
from exporter.rules.history import history_records
from exporter.rules.objects import object_alerts, object_records
from exporter.rules.presence import presence_alerts, presence_records
from exporter.rules.recording import recording_rules, used_record
from exporter.rules.settings import Settings

_HEAD = """\
# Recording and alert rules for docker-storage-exporter, job {job}.
# Made by `docker-storage-exporter rules`; change thresholds there (--threshold), not here.
"""


#: A file of rules, the same as JSON (for jsonnet, of which older versions read no YAML with strings of several lines),
#: or a PrometheusRule of monitoring.coreos.com.
Form = Literal["prometheus", "json", "prometheus-rule"]

_NAME = "docker-storage-exporter"


class _Dumper(yaml.SafeDumper):
    """Writes multi-line strings as block scalars."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def rules(settings: Settings, form: Form = "prometheus") -> str:
    """The text of the rules file."""
    content: dict[str, object] = {"groups": [one.as_group(settings) for one in groups_of(settings)]}
    if form == "json":
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    if form == "prometheus-rule":
        content = _resource(content)
    body = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    return _HEAD.format(job=settings.job) + body


def groups_of(settings: Settings) -> list[Group]:
    """All rules. An alert and what it reads are in one group, but for the past week, which changes slowly."""
    select = Select(settings)
    minute = 60.0
    return [
        Group("docker-storage-recording", minute, recording_rules(select)),
        Group(
            "docker-storage-disk", minute, [*filesystem_records(select), used_record(select), *disk_alerts(settings)]
        ),
        Group("docker-storage-history", 10 * minute, history_records(select)),
        Group(
            "docker-storage-objects",
            minute,
            [
                *container_records(settings),
                *object_records(settings),
                *container_alerts(settings),
                *object_alerts(settings),
            ],
        ),
        Group(
            "docker-storage-exporter",
            minute,
            [*presence_records(settings), *health_alerts(settings), *presence_alerts(settings)],
        ),
    ]


def _resource(spec: dict[str, object]) -> dict[str, object]:
    """The PrometheusRule of these groups (prometheus-operator, pkg/apis/monitoring/v1, version 0.60 and later)."""
    labels = {"app.kubernetes.io/name": _NAME}
    metadata = {"name": _NAME, "labels": labels}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": metadata, "spec": spec}
