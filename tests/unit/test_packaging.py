import re
import tomllib

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
    named = set(re.findall(r"\b[a-z_]+\.py\b|\b[a-z_]+/(?= )", picture))
    exporter = TOP / "exporter"
    real = {path.name for path in exporter.rglob("*.py") if not path.name.startswith("__")}
    real |= {path.name + "/" for path in exporter.rglob("*") if path.is_dir() and path.name != "__pycache__"}
    assert real <= named
    apart = {"exporter/", "tests/", "scripts/", "benchmarks/", "packaging/", "grafana/", "prometheus/", "preview/"}
    assert named <= real | apart


def test_help_lists_every_target() -> None:
    makefile = (TOP / "Makefile").read_text()
    declared = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert declared is not None
    shown = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert shown == set(declared[1].replace("\\", "").split()) - {"apt-test"}
