"""The commit that `build_info` tells, from a file of the build or from a checkout."""

import importlib.metadata
from pathlib import Path

import pytest

from exporter.core.version import VERSION, installed_version, read_revision

_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "checkout/exporter/core").mkdir(parents=True)
    return tmp_path / "checkout/exporter"


@pytest.fixture
def git(package: Path) -> Path:
    directory = package.parent / ".git"
    (directory / "refs/heads").mkdir(parents=True)
    (directory / "HEAD").write_text("ref: refs/heads/main\n")
    return directory


def test_a_build_tells_what_it_was_built_of_whatever_it_lies_in(package: Path, git: Path) -> None:
    (git / "refs/heads/main").write_text(_COMMIT + "\n")
    (package / "core/revision.txt").write_text("fedcba987654-dirty\n")
    assert read_revision(str(package)) == "fedcba987654-dirty"


def test_a_checkout_tells_its_branch_s_commit(package: Path, git: Path) -> None:
    (git / "refs/heads/main").write_text(_COMMIT + "\n")
    assert read_revision(str(package)) == "0123456789ab"


def test_a_branch_may_be_packed(package: Path, git: Path) -> None:
    (git / "packed-refs").write_text(f"# pack-refs\n{'f' * 40} refs/heads/other\n{_COMMIT} refs/heads/main\n")
    assert read_revision(str(package)) == "0123456789ab"


def test_a_commit_may_be_checked_out_by_itself(package: Path, git: Path) -> None:
    (git / "HEAD").write_text(_COMMIT + "\n")
    assert read_revision(str(package)) == "0123456789ab"


def test_a_worktree_has_its_head_elsewhere(package: Path, tmp_path: Path) -> None:
    own = tmp_path / "main/.git/worktrees/other"
    own.mkdir(parents=True)
    (package.parent / ".git").write_text(f"gitdir: {own}\n")
    (own / "HEAD").write_text("ref: refs/heads/topic/one\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "main/.git/refs/heads/topic").mkdir(parents=True)
    (tmp_path / "main/.git/refs/heads/topic/one").write_text(_COMMIT + "\n")
    assert read_revision(str(package)) == "0123456789ab"


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "ref: ../../../etc/passwd", "no commit", _COMMIT[:-1]])
def test_what_is_no_commit_is_not_told(package: Path, git: Path, head: str) -> None:
    (git / "HEAD").write_text(head)
    assert read_revision(str(package)) == ""


def test_without_both_there_is_none(package: Path) -> None:
    assert read_revision(str(package)) == ""


def test_the_version_is_the_one_that_is_installed(tmp_path: Path) -> None:
    assert importlib.metadata.version("docker-storage-exporter") == VERSION
    assert installed_version([str(tmp_path), str(tmp_path / "nothing")]) == "0.0.0"
    for version in ("1.2.3rc1", "1.0", "1.1"):
        (tmp_path / f"docker_storage_exporter-{version}.dist-info").mkdir()
    assert installed_version([str(tmp_path)]) == "0.0.0", "older versions have left directories behind"
    (tmp_path / "docker_storage_exporter-1.2.3rc1.dist-info" / "METADATA").touch()
    assert installed_version([str(tmp_path / "nothing"), str(tmp_path)]) == "1.2.3rc1"
