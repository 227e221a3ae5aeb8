"""What the documentation tells to type, to deploy and to query: it parses, and what it names exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from exporter.cli.main import main
from exporter.expose.metrics.catalogue import CATALOGUE
from exporter.web.app import make_app
from tests.support.paths import TOP

_PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"`([a-z]+(?:_[a-z]+)+)(?:\{[^`]*\})?`")


def fences(page: Path, language: str) -> list[str]:
    return [text for kind, text in _FENCE.findall(page.read_text()) if kind == language]


def commands() -> list[tuple[str, str]]:
    found = []
    for page in _PAGES:
        for text in fences(page, ""):
            lines = text.replace("\\\n", " ").splitlines()
            found += [(page.name, line) for line in lines if line.startswith("docker-storage-exporter ")]
    return found


def parses(words: list[str]) -> None:
    command = main.commands[words[0]]
    command.make_context(words[0], words[1:], parent=click.Context(main))


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_that_is_shown_can_be_given(page: str, line: str) -> None:
    assert page
    parses(shlex.split(line, comments=True)[1:])


def test_there_are_such_commands() -> None:
    assert len(commands()) > 5


def daemon_set() -> Any:
    (text,) = fences(TOP / "docs" / "operations.md", "yaml")
    return yaml.safe_load(text)


def test_the_daemon_set_is_one_that_a_cluster_takes() -> None:
    made = daemon_set()
    assert (made["apiVersion"], made["kind"]) == ("apps/v1", "DaemonSet")
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert made["spec"]["selector"]["matchLabels"].items() <= labels.items()
    pod = made["spec"]["template"]["spec"]
    assert pod["hostPID"] is True
    (container,) = pod["containers"]
    parses(container["args"])
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    assert mounts.keys() == {one["name"] for one in pod["volumes"]}
    assert (mounts["root"]["readOnly"], mounts["root"]["mountPropagation"]) == (True, "HostToContainer")
    (root,) = (one["hostPath"] for one in pod["volumes"] if one["name"] == "root")
    assert f"--root={mounts['root']['mountPath']}" in container["args"]
    assert root["path"] == "/var/lib/docker"
    security = container["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": ["DAC_READ_SEARCH"]}
    assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
    ports = {one["name"] for one in container["ports"]}
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports


def test_its_probes_are_pages_of_the_exporter() -> None:
    (container,) = daemon_set()["spec"]["template"]["spec"]["containers"]
    source = Path(make_app.__code__.co_filename).read_text()
    for probe in ("readinessProbe", "livenessProbe"):
        assert f'"{container[probe]["httpGet"]["path"]}"' in source


def test_every_metric_in_the_tables_exists() -> None:
    """Those tables leave the prefix out; in theirs the first column is that of another exporter."""
    known = {one.name.removeprefix("docker_storage_") for one in CATALOGUE}
    text = (TOP / "docs" / "operations.md").read_text().split("## Coming from other exporters")[1]
    rows = [line.split("|")[2] for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    named = {name for row in rows for name in _NAME.findall(row)}
    assert len(named) > 10
    assert named - known - {"container_id"} == set()
    first = (TOP / "docs" / "accuracy.md").read_text().split("## Two measures")[0]
    rows = [line.split("|")[1] for line in first.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in _NAME.findall(row)} - known == set()
