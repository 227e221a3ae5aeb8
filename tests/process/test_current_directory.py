"""No module is loaded from the current directory: it may be a volume, in which a container writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.exporter import exporter
from tests.support.roots import graph_root

_HOSTILE = "open({!r}, 'a').close()\nraise ImportError('from the current directory')\n"
#: Modules of the standard library that are loaded late, and the exporter itself.
_MODULES = ("exporter/__init__.py", "array.py", "json.py", "socket.py", "struct.py", "selectors.py", "runpy.py")
_INSTALLED = ("-P", "-m", "exporter")  # as the command that pip installs: without the current directory


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory with hostile modules the current one; return the file that appears when one is loaded."""
    mark, volume = tmp_path / "mark", tmp_path / "volume"
    for name in _MODULES:
        (volume / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / name).write_text(_HOSTILE.format(str(mark)))
    monkeypatch.chdir(volume)
    return mark


def test_run_loads_nothing_from_the_current_directory(mark: Path, tmp_path: Path) -> None:
    built = graph_root(tmp_path / "root").image("app", size=7, files={"a": 1})
    with exporter(built.path, program=_INSTALLED) as running:
        running.wait_for("image_virtual_size_bytes", 7)
    assert not mark.exists()


def test_once_loads_nothing_from_the_current_directory(mark: Path, tmp_path: Path) -> None:
    built = graph_root(tmp_path / "root").image("app", size=7, files={"a": 1})
    command = [sys.executable, *_INSTALLED, "once", "--root", str(built.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (0, "")
    assert not mark.exists()
