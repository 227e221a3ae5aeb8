"""What a wheel and a source distribution tell of the commit that they were built of."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from exporter.core.version import VERSION
from tests.support.paths import TOP
from tests.support.product import needs

pytestmark = needs("git")
_FILE = "exporter/core/revision.txt"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The files of a build, without a repository."""
    source = tmp_path / "source"
    (source / "exporter").mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, source)
    shutil.copytree(TOP / "packaging", source / "packaging", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TOP / "docs/runbooks", source / "docs/runbooks")
    (source / "exporter/__init__.py").touch()
    (source / "exporter/core").mkdir()
    return source


def git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    done = subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(directory: Path) -> str:
    git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "one")
    return git(directory, "rev-parse", "--short=12", "HEAD")


def build(directory: Path, kind: str, **environment: str) -> Path:
    """Build a distribution in dist/; return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, env={**os.environ, **environment})
    (made,) = (directory / "dist").glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


def revision(wheel: Path) -> str:
    """The revision in a wheel; "" where it has none."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(_FILE).decode().strip() if _FILE in archive.namelist() else ""


def test_a_build_of_a_checkout_tells_the_commit(source: Path) -> None:
    expected = commit(source)
    wheel = build(source, "wheel")
    assert revision(wheel) == expected
    assert f"-{VERSION}-" in wheel.name
    assert not (source / _FILE).exists(), "a build leaves nothing in the checkout"


def test_it_says_when_files_were_changed(source: Path) -> None:
    expected = commit(source)
    (source / "README.md").write_text("changed\n")
    assert revision(build(source, "wheel")) == f"{expected}-dirty"


def test_without_a_repository_it_can_be_built_and_told_the_commit(source: Path) -> None:
    assert revision(build(source, "wheel")) == ""
    assert revision(build(source, "wheel", REVISION="0123456789ab")) == "0123456789ab"


def test_the_commit_of_a_repository_around_it_is_not_its_own(source: Path) -> None:
    commit(source.parent)
    assert revision(build(source, "wheel")) == ""


def test_a_source_distribution_passes_the_commit_on(source: Path, tmp_path: Path) -> None:
    expected = commit(source)
    with tarfile.open(build(source, "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert revision(build(unpacked, "wheel")) == expected


def test_a_wheel_has_what_is_beside_the_program(source: Path) -> None:
    there = ("docs/install.md", "docs/runbooks/DockerStorageRootUnreadable.md", "prometheus/rules.yml")
    for name in (*there, "prometheus/tests/alerts.yml", "grafana/a.json", "grafana/a.py", "docs/notes.txt"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    with zipfile.ZipFile(build(source, "wheel")) as archive:
        share = f"docker_storage_exporter-{VERSION}.data/data/share/docker-storage-exporter/"
        found = {one.removeprefix(share) for one in archive.namelist() if one.startswith(share)}
    assert {*there, "grafana/a.json", "README.md", "packaging/docker-storage-exporter.service"} <= found
    assert not {"prometheus/tests/alerts.yml", "grafana/a.py", "docs/notes.txt"} & found
    assert not [one for one in found if "debian" in one]
