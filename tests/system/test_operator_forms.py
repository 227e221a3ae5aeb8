"""The forms of those who run Prometheus: monitors of its operator, scrape configurations, a mixin for jsonnet."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.expose.metrics.catalogue import CATALOGUE
from exporter.rules import Settings, rules
from tests.support.paths import TOP
from tests.support.product import needs
from tests.support.waiting import DEADLINE, eventually

_KUBERNETES = TOP / "packaging/kubernetes"
#: What the operator adds to a target, and what Kubernetes says of it.
_TARGET = {
    "__meta_kubernetes_pod_node_name": "node-7",
    "__meta_kubernetes_pod_label_app": "docker-storage-exporter",
    "__meta_kubernetes_pod_container_port_name": "metrics",
}
_OPERATOR = {
    "job": "monitoring/docker-storage-exporter",
    "namespace": "monitoring",
    "pod": "docker-storage-exporter-x7w",
    "container": "exporter",
    "endpoint": "metrics",
    "service": "docker-storage-exporter",
}


def _objects(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((_KUBERNETES / name).read_text()))


def _endpoint(name: str) -> dict[str, Any]:
    spec = _objects(name)[-1]["spec"]
    (endpoint,) = spec.get("podMetricsEndpoints") or spec["endpoints"]
    return dict(endpoint)


def _snake(key: str) -> str:
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), key)


def _labels(scratch: Path, relabelled: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, str]:
    """The labels of a target after relabelling, as Prometheus works them out."""
    job = {"job_name": "docker-storage", "relabel_configs": relabelled}
    job["static_configs"] = [{"targets": ["10.1.0.1:9588"], "labels": {**_TARGET, **labels}}]
    file = scratch / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    command = ["promtool", "check", "service-discovery", "--timeout=1s", str(file), "docker-storage"]

    def targets() -> list[dict[str, Any]]:
        """No targets where it took longer than its second."""
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE)
        return list(json.loads(done.stdout[done.stdout.index("[") :]))

    (target,) = eventually(targets)
    return {key: value for key, value in target["labels"].items() if not key.startswith("__")}


@needs("kubectl")
@pytest.mark.parametrize("name", ["kubernetes", "kubernetes-containerd"])
def test_kustomize_itself_builds_what_is_here(name: str) -> None:
    command = ["kubectl", "kustomize", str(TOP / "packaging" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {one["kind"] for one in yaml.safe_load_all(done.stdout)} == {"DaemonSet", "Service"}


@needs("promtool")
@pytest.mark.parametrize("name", ["podmonitor.yaml", "servicemonitor.yaml"])
def test_a_monitor_gives_the_job_of_the_rules_and_no_label_of_the_exporters_own(tmp_path: Path, name: str) -> None:
    endpoint = _endpoint(name)
    relabelled = [{_snake(key): value for key, value in one.items()} for one in endpoint["relabelings"]]
    assert _labels(tmp_path, relabelled, _OPERATOR) == {"job": "docker-storage", "instance": "node-7"}
    assert endpoint["port"] == "metrics"


@pytest.mark.parametrize("name", ["podmonitor.yaml", "servicemonitor.yaml"])
def test_a_monitor_selects_the_pods_of_the_daemon_set(name: str) -> None:
    (daemons,) = _objects("daemonset.yaml")
    pod = daemons["spec"]["template"]
    assert f"```yaml\n{yaml_of('daemonset.yaml')}```" in (TOP / "docs/operations.md").read_text()
    made = _objects(name)
    monitor = made[-1]
    selected = monitor["spec"]["selector"]["matchLabels"].items()
    assert (
        selected <= (pod["metadata"]["labels"] if name == "podmonitor.yaml" else made[0]["metadata"]["labels"]).items()
    )
    assert all(one["metadata"]["namespace"] == daemons["metadata"]["namespace"] for one in made)
    if name == "servicemonitor.yaml":
        assert made[0]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        (port,) = made[0]["spec"]["ports"]
        assert (port["name"], port["targetPort"]) == ("metrics", "metrics")
    assert "metrics" in {one["name"] for one in pod["spec"]["containers"][0]["ports"]}


def test_the_runbooks_have_one_address_where_an_instance_is_the_name_of_a_node() -> None:
    (service,), (daemons,) = _objects("runbooks.yaml"), _objects("daemonset.yaml")
    pod = daemons["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] in {one["name"] for one in pod["spec"]["containers"][0]["ports"]}
    about = service["metadata"]
    address = f"http://{about['name']}.{about['namespace']}:{port['port']}/runbooks"
    assert address in (_KUBERNETES / "runbooks.yaml").read_text()
    assert f"--runbooks {address} | kubectl apply" in (TOP / "docs/operations.md").read_text()
    assert f"runbook_url: {address}/DockerStorageScanStale\n" in rules(Settings(runbooks=address))


def yaml_of(name: str) -> str:
    """A manifest without the comment at its beginning."""
    return (_KUBERNETES / name).read_text().split("\n", 1)[1]


@needs("promtool")
def test_the_scrape_configuration_for_pods_finds_them_by_their_labels(tmp_path: Path) -> None:
    """Debian's Prometheus has no discovery for Kubernetes: the target comes from a file here."""
    (job,) = yaml.safe_load((_KUBERNETES / "prometheus.yml").read_text())["scrape_configs"]
    assert (job["job_name"], job["kubernetes_sd_configs"][0]["role"]) == ("docker-storage", "pod")
    labels = _labels(tmp_path, job["relabel_configs"], {})
    assert labels == {"job": "docker-storage", "instance": "node-7"}


@needs("promtool")
def test_the_example_for_many_hosts_is_valid() -> None:
    command = ["promtool", "check", "config", "--lint=all", str(TOP / "prometheus/fleet.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def _dropped() -> list[str]:
    (fleet,) = yaml.safe_load((TOP / "prometheus/fleet.yml").read_text())["scrape_configs"]
    found = fleet["metric_relabel_configs"]
    for name in ("podmonitor.yaml", "servicemonitor.yaml"):
        found += [{_snake(key): value for key, value in one.items()} for one in _endpoint(name)["metricRelabelings"]]
    assert {one["action"] for one in found} == {"drop"}
    return [str(one["regex"]) for one in found]


def test_no_rule_reads_what_the_examples_drop() -> None:
    named = set(re.findall(r"docker_storage_[a-z_]+", rules(Settings())))
    families = {one.name for one in CATALOGUE}
    for pattern in _dropped():
        assert {one for one in families if re.fullmatch(pattern, one)}, f"{pattern} drops nothing"
        assert not {one for one in named if re.fullmatch(pattern, one)}, pattern


@needs("jsonnet")
def test_the_mixin_has_all_dashboards_and_rules(tmp_path: Path) -> None:
    names = ("grafanaDashboards", "prometheusAlerts", "prometheusRules")
    fields = ", ".join(f"{one}: mixin.{one}" for one in names)
    asked = f"local mixin = import 'mixin.libsonnet'; {{{fields}}}"
    command = ["jsonnet", "-J", str(TOP / "prometheus"), "-e", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    files = {path.name: json.loads(path.read_text()) for path in (TOP / "grafana").glob("docker-storage*.json")}
    assert made["grafanaDashboards"].items() <= files.items()
    assert len(made["grafanaDashboards"]) == 2
    ours = [rule for group in yaml.safe_load(rules(Settings()))["groups"] for rule in group["rules"]]
    theirs = [rule for kind in names[1:] for group in made[kind]["groups"] for rule in group["rules"]]
    assert _sorted(theirs) == _sorted(ours)
    assert all("alert" in rule for group in made["prometheusAlerts"]["groups"] for rule in group["rules"])


def _sorted(found: list[Any]) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in found)


@needs("jsonnet")
def test_the_mixin_takes_other_rules(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(rules(Settings("mine"), "json"))
    asked = "((import 'mixin.libsonnet') { _rules:: import 'mine.json' }).prometheusAlerts"
    command = ["jsonnet", "-J", str(TOP / "prometheus"), "-J", str(tmp_path), "-e", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert 'job=\\"mine\\"' in done.stdout
    assert 'job=\\"docker-storage\\"' not in done.stdout
