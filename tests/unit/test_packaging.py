import importlib.util
import os
import re
import tomllib
from pathlib import Path

from tests.support.paths import TOP

_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


def _project() -> dict[str, object]:
    project: dict[str, object] = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    return project


def test_what_is_needed_is_locked_at_one_version_and_no_host_is_named() -> None:
    run, develop = (
        dict(_PIN.findall((TOP / name).read_text())) for name in ("requirements.lock", "requirements-dev.lock")
    )
    dependencies = _project()["dependencies"]
    assert isinstance(dependencies, list)
    assert {re.split("[<>=]", one)[0] for one in dependencies} <= run.keys()
    assert run.items() <= develop.items()
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (TOP / name).read_text()


def test_the_map_of_the_house_is_true() -> None:
    readme = (TOP / "README.md").read_text()
    picture = readme.split("## How it is built")[1].split("```")[1]
    assert len(picture.splitlines()) < 40, "it is read on one screen"
    packages, rest = picture.split("exporter/\n")[1].split("\ntests/")
    named: set[Path] = set()
    above: list[Path] = [TOP / "exporter"]
    for indent, name in re.findall(r"^( +)(\w+)/ ", packages, re.MULTILINE):
        above[len(indent) // 2 :] = [above[len(indent) // 2 - 1] / name]
        named.add(above[-1])
    assert named == {path.parent for path in (TOP / "exporter").glob("*/**/*.py")}
    for name in re.findall(r"\b(\w+)/ ", "\ntests/" + rest):
        assert (TOP / name).is_dir() or (TOP / "tests" / name).is_dir(), name


def test_help_lists_every_target() -> None:
    makefile = (TOP / "Makefile").read_text()
    declared = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert declared is not None
    shown = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert shown == set(declared[1].replace("\\", "").split()) - {"apt-test"}


def test_the_newest_release_in_the_changelog_is_the_version() -> None:
    released = re.findall(r"^## ([0-9.]+) - \d{4}-\d\d-\d\d$", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == _project()["version"]


def test_links_between_what_is_shared_hold_where_it_is_installed() -> None:
    found = importlib.util.spec_from_file_location("revision", TOP / "packaging/revision.py")
    assert found is not None
    assert found.loader is not None
    hook = importlib.util.module_from_spec(found)
    found.loader.exec_module(hook)
    files = {*hook.shared(str(TOP))}
    there = files | {str(parent) for one in files for parent in Path(one).parents}
    assert "docs/runbooks/DockerStorageRootUnreadable.md" in files
    for page in (one for one in files if one.endswith(".md")):
        links = re.findall(r"\]\(([^)\s#]+)", (TOP / page).read_text())
        targets = {os.path.normpath(os.path.join(os.path.dirname(page), one)) for one in links if "://" not in one}
        assert targets <= there, page
