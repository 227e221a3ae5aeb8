"""The commands of a backup plan for volumes behind symbolic links, run."""

import subprocess
from pathlib import Path

import pytest

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Lines
from tests.support.product import document_of
from tests.support.roots.linked import put_behind_link, root_with_volume


@pytest.mark.parametrize("below", ["volumes", "volumes/data", "volumes/data/_data"])
@pytest.mark.parametrize("docker", [True, False])
def test_the_plan_copies_a_volume_behind_a_link(tmp_path: Path, below: str, docker: bool) -> None:
    root = root_with_volume(tmp_path)
    put_behind_link(root, below)
    answer = backup(Index(document_of(root)), Places(), {}, docker=docker)
    (web,) = answer.data["containers"]
    (mount,) = web["mounts"]
    assert mount["path"] == f"{root}/volumes/data/_data"
    assert answer.data["totals"]["volumes"] is None
    work = tmp_path / "work"
    work.mkdir()
    command = mount["command"].replace(" --acls --xattrs --xattrs-include='*'", "")
    subprocess.run(["bash", "-ec", command], cwd=work, check=True)
    listed = subprocess.run(["tar", "-tzf", "volume-data.tar.gz"], cwd=work, capture_output=True, text=True, check=True)
    assert [name for name in listed.stdout.split() if name.endswith("/f")]


def test_where_volumes_are_not_known_the_plan_says_so_and_copies_all(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    put_behind_link(root, "volumes")
    answer = backup(Index(document_of(root)), Places(), {}, docker=True)
    said = [line for part in answer.parts if isinstance(part, Lines) for line in part.lines]
    assert [line for line in said if line.startswith("Which volumes there are is not known (volumes: a link to ")]
    commands = answer.parts[-1]
    assert isinstance(commands, Lines)
    (everything,) = [line for line in commands.lines if "volumes.tar.gz" in line]
    command = everything.replace(" --acls --xattrs --xattrs-include='*'", "")
    subprocess.run(["bash", "-ec", f"cd {tmp_path} && {command}"], check=True)
    done = subprocess.run(["tar", "-tzf", f"{tmp_path}/volumes.tar.gz"], capture_output=True, text=True, check=True)
    assert "plain/_data/f" in done.stdout
