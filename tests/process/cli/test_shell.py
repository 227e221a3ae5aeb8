"""What a shell makes of the commands that the terminal is given."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places, measure_binds
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Lines
from exporter.core.shell import quote
from exporter.core.text import escape
from tests.support.product import document_of
from tests.support.roots import graph_root

_NAMES = [
    "-rf",
    "it's",
    "$(touch owned)",
    "a\nb",
    "esc\x1b]0;x\x07",
    "caf\udce9",
    "\u202egpj.exe",
    "`id`",
    "a b;c",
    "\\x41\\nb",
]


@pytest.mark.parametrize("name", _NAMES)
def test_the_commands_save_just_what_they_name_and_run_nothing_else(tmp_path: Path, name: str) -> None:
    source = tmp_path / "srv" / name
    source.mkdir(parents=True)
    (source / "file").write_bytes(b"12345")
    built = graph_root(tmp_path).image("app", tag="app:1")
    built.container("web", image="app", volumes={"/data": str(source)}, writable={"w": 3})
    index = Index(document_of(built.path))
    answer = backup(index, Places(), measure_binds(index, Places()), docker=False)
    parts = answer.parts[-1]
    assert isinstance(parts, Lines)
    assert answer.data["totals"]["binds"] == 5
    work = tmp_path / "work"
    work.mkdir()
    lines = [line for line in parts.lines if "docker" not in line.split()[:1]]
    assert all(line.isprintable() for line in lines)
    script = "\n".join(line for line in lines if not line.startswith("#"))
    subprocess.run(["bash", "-euc", script], cwd=work, check=True)
    made = sorted(path.name for path in work.iterdir())
    assert [one.partition("-")[0] for one in made] == ["bind", "containers.tar.gz", "images.tar.gz", "writable"]
    (bind,) = (path for path in work.iterdir() if path.name.startswith("bind-"))
    with tarfile.open(bind) as archive:
        assert [Path(one.name).name for one in archive.getmembers()] == [name, "file"]


def test_bash_reads_quoted_names_as_they_are() -> None:
    names = [b"a b", b"it's", b"$(id)", b"a\nb", b"\xff\xfe", "\u202ex".encode(), b"\x1b[31m", b"back\\slash", b"-n"]
    quoted = [quote(escape(os.fsdecode(name))) for name in names]
    assert all(one.isprintable() for one in quoted)
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {' '.join(quoted)}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == names
