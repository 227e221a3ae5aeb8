"""What the documentation tells to type, to deploy and to query: it parses, and what it names exists."""

import ast
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from exporter.cli.main import main
from exporter.expose.metrics.catalogue import CATALOGUE
from exporter.web.app import make_app
from tests.support.documents import PAGES, fences, shown
from tests.support.paths import TOP

_NAME = re.compile(r"`([a-z]+(?:_[a-z]+)+)(?:\{[^`]*\})?`")

#: A file of this project in a text, with a name that is defined in it where one is given: `core/log.py:Logger.info`.
_FILE = re.compile(r"`((?:[\w.-]+/)+[\w-]+\.(?:py|md|lock|toml|yml|json))(?::([\w.]+))?`")


def commands() -> list[tuple[str, tuple[str, ...]]]:
    every = [one for page in PAGES for one in shown(page)]
    return [(one.page, one.words) for one in every if one.words[0] == "docker-storage-exporter"]


def parses(words: list[str]) -> None:
    command = main.commands[words[0]]
    command.make_context(words[0], words[1:], parent=click.Context(main))


@pytest.mark.parametrize(("page", "words"), commands())
def test_a_command_that_is_shown_can_be_given(page: str, words: tuple[str, ...]) -> None:
    assert page
    parses([*words[1:]])


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


def defined(path: Path) -> set[str]:
    """The classes, functions, methods and constants of a module, by qualified name."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found.add(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign):
                found.update(prefix + target.id for target in node.targets if isinstance(target, ast.Name))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(prefix + node.target.id)

    visit(ast.parse(path.read_text()).body, "")
    return found


def untrue(text: str) -> list[str]:
    """The files and names in a text that are not there; paths are those of the project or of its package."""
    bad = []
    for name, inside in _FILE.findall(text):
        places = [place for place in (TOP / name, TOP / "exporter" / name) if place.is_file()]
        if not places or (inside and inside not in defined(places[0])):
            bad.append(f"{name}:{inside}")
    return bad


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_file_that_is_named_exists_with_what_is_named_in_it(page: Path) -> None:
    assert untrue(page.read_text()) == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_a_directory_or_target_that_is_named_for_developers_exists(name: str) -> None:
    text = (TOP / name).read_text()
    for directory in {*re.findall(r"`((?:[\w.-]+/)+)`", text)} - {"dist/"}:
        assert (TOP / directory).is_dir() or (TOP / "exporter" / directory).is_dir(), directory
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    for words in re.findall(r"`make ([a-z -]+)`", text):
        assert set(words.split()) <= targets, words


def test_a_file_or_name_that_is_not_there_is_noticed() -> None:
    good = "`core/log.py:Logger.info` `tests/support/paths.py:TOP` `docs/metrics.md`"
    assert untrue(good) == []
    assert untrue("`core/log.py:Logger.shout` `core/logs.py`") == ["core/log.py:Logger.shout", "core/logs.py:"]


def test_sizes_are_decimal_in_all_texts() -> None:
    """As in `docker` itself, in the dashboards and on the pages: two units for one figure are a riddle."""
    pages = [*PAGES, *(TOP / "docs/runbooks").glob("*.md"), *(TOP / "prometheus").rglob("*.yml")]
    found = [page.name for page in pages if re.search(r"[KMGT]iB|humanize1024", page.read_text())]
    assert found == []


def test_a_link_leads_to_a_file_and_a_heading() -> None:
    for page in [*PAGES, *(TOP / "docs" / "runbooks").glob("*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" in link:
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), (page.name, link)
            assert not anchor or anchor in headings(target), (page.name, link)


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


def test_an_event_of_the_log_that_is_named_is_one() -> None:
    modules = "put_off.py"  # it has the names of modules
    source = "".join(path.read_text() for path in (TOP / "exporter").rglob("*.py") if path.name != modules)
    events = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)?)"', source))
    kinds = {event.partition(".")[0] for event in events if "." in event} - {"config"}
    named = set()
    for page in [*PAGES, *(TOP / "docs" / "runbooks").glob("*.md")]:
        text = page.read_text()
        named |= set(re.findall(r"event=([a-z_.]+)", text))
        named |= {
            f"{kind}.{name}" for kind, name in re.findall(r"`(\w+)\.([a-z_]+)`", text) if kind in kinds - {"config"}
        }
    named = {one for one in named if one.rpartition(".")[2] not in {"py", "json", "yml", "md", "file"}}
    assert len(named) > 4
    assert named - events == set()


def test_the_page_on_architecture_names_the_steps_of_an_event() -> None:
    text = (TOP / "docs" / "architecture.md").read_text()
    way = text.split("## The way of one event")[1].split("\n## ")[0]
    assert len(_FILE.findall(way)) > 20
    assert len([line for line in way.splitlines() if line]) < 50, "it fits on one screen"
