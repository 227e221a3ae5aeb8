"""A real engine that works through symbolic links in its root: nothing of it is called unused, missing or gone."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Lines
from tests.support.engine import engine
from tests.support.product import document_of, figures_of

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="an engine needs root"),
    pytest.mark.xdist_group("engine overlay2"),
]

_LINKED = ("volumes", "containers", "image")


def test_an_engine_works_through_links_and_the_exporter_says_that_it_does_not_know(tmp_path: Path) -> None:
    root, disk = tmp_path / "root", tmp_path / "disk"
    root.mkdir()
    for name in _LINKED:
        (disk / name).mkdir(parents=True)
        (root / name).symlink_to(disk / name)
    with TemporaryDirectory(prefix="e-") as short, engine(tmp_path, Path(short), "overlay2") as one:
        one.base()
        write = "dd if=/dev/zero of=/v/f bs=1k count=70"
        one.run("run", "--network", "none", "--name", "ended", "-v", "data:/v", "base:1", "sh", "-c", write)
        assert len(one.ask("/containers/json?all=1")) == len(one.ask("/volumes")["Volumes"]) == 1
        document, figures = document_of(one.root, orphaned_after=0), figures_of(one.root, orphaned_after=0)
    assert document.layouts == ("layerdb",)
    assert {one.path: one.where for one in document.remarks} == {name: str(disk / name) for name in _LINKED}
    for name in ("images", "volumes", "missing_layers", "reclaimable_bytes", "reclaimable_objects"):
        assert not figures.all(name), name
    assert figures.sum("layers", use="orphaned") == 0
    commands = backup(Index(document), Places(), {}, docker=True).parts[-1]
    assert isinstance(commands, Lines)
    (everything,) = [line for line in commands.lines if "volumes.tar.gz" in line]
    plain = everything.replace(" --acls --xattrs --xattrs-include='*'", "")
    subprocess.run(["bash", "-ec", f"cd {tmp_path} && {plain}"], check=True)
    done = subprocess.run(["tar", "-tzf", tmp_path / "volumes.tar.gz"], capture_output=True, text=True, check=True)
    assert "./volumes/./data/_data/f" in done.stdout.split()
