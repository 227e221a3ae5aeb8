"""All commands that the terminal commands print, and what bash makes of them, with recording stubs for all programs."""

import io
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places
from exporter.cli.commands.containers import containers
from exporter.cli.commands.df import df
from exporter.cli.commands.image_tree import tree
from exporter.cli.commands.images import images
from exporter.cli.commands.index import Index
from exporter.cli.commands.layers import layers
from exporter.cli.commands.show import show
from exporter.cli.commands.tables import Answer
from exporter.cli.commands.whose import whose
from exporter.cli.remapped import remapped_line
from exporter.expose.snapshot_api.rows import Document
from exporter.figures.prunes import Category

_STUB = """#!/bin/bash
printf '%s\\0' "${0##*/}" "$@" > "$RECORD/$$"
"""
_PROGRAMS = ("docker", "tar", "gzip", "mountpoint", "rm", "mkdir", "mount", "docker-storage-exporter")
#: Programs that nobody asked for.
_OTHERS = ("touch", "reboot", "id", "sh", "curl", "cat", "ls")
#: In a line of text, a command begins with one of these and ends before one of those.
_IN_TEXT = (
    re.compile(r"removed: (rm -r .*)$"),
    re.compile(r"leads to: (rm .*)  \(or let data-root in daemon\.json be the real place of all\)$"),
    re.compile(r"with the daemon stopped: (rm -r .*)$"),
    re.compile(r"pass (--root .*) for them$"),
    re.compile(r"(docker buildx prune --builder .*?) frees it"),
    re.compile(r"(docker buildx rm .*?) removes it"),
    re.compile(r"(docker restart .*) ends that\.$"),
)
_COMMENT = re.compile(r"# unless a registry has it: (.*)")


def printed(answer: Answer) -> list[str]:
    output = io.StringIO()
    show(answer, output=output)
    return output.getvalue().split("\n")


def printed_commands(document: Document, *, docker: bool = True) -> list[str]:
    """The commands in what all terminal commands print of a document."""
    index = Index(document)
    paths = [f"{document.root}/{one.path}" for one in document.remarks]
    paths += [f"{document.root}/{one.path}" for one in document.temporary]
    paths += [f"{document.root}/{one.directory}" for one in document.volumes if "\0" not in one.directory]
    answers = [
        *(df(document), images(index, intermediate=True), tree(index, full=True), containers(index)),
        *(layers(index, "", orphaned=False), layers(index, "", orphaned=True)),
        *(whose(index, one) for one in paths if "\0" not in one + document.root),
    ]
    lines = [line for one in answers for line in printed(one)]
    lines += [remapped_line(document.root, name) for name in document.nested]
    found = [match[1] for line in lines for pattern in _IN_TEXT if (match := pattern.search(line))]
    found = [f"docker-storage-exporter run {one}" if one.startswith("--root") else one for one in found]
    for row in document.reclaimable:
        if row.category != Category.LAYERS_ORPHANED:
            found += row.commands
    plan = printed(backup(index, Places(), {}, docker=docker))
    saving = plan[len(plan) - 1 - plan[::-1].index("Commands") + 1 :] if "Commands" in plan else []
    for line in saving:
        comment = _COMMENT.fullmatch(line)
        if comment or (line and not line.startswith("#")):
            found.append(comment[1] if comment else line)
    return list(dict.fromkeys(found))


class Shell:
    """Runs commands in bash where no program is real. `made`: the files that redirections have made."""

    def __init__(self, directory: Path) -> None:
        self._programs, self._work, self._record = directory / "bin", directory / "work", directory / "record"
        self._programs.mkdir()
        self._work.mkdir()
        for name in (*_PROGRAMS, *_OTHERS):
            path = self._programs / name
            path.write_text(_STUB)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, commands: list[str]) -> list[list[bytes]]:
        """Run each command; return the arguments of each program that was run, the program first."""
        shutil.rmtree(self._record, ignore_errors=True)
        self._record.mkdir()
        (self._work / "script").write_text("\n".join(commands), encoding="utf-8")
        done = subprocess.run(
            ["/bin/bash", "--norc", str(self._work / "script")],
            cwd=self._work,
            env={"PATH": str(self._programs), "RECORD": str(self._record), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            check=False,
        )
        assert done.stderr == b"", (done.stderr, commands)
        return list(self._recorded())

    def _recorded(self) -> Iterator[list[bytes]]:
        """What each process has recorded in a file of its own: those of a pipe write at the same time."""
        for path in self._record.iterdir():
            yield path.read_bytes().split(b"\0")[:-1]

    @property
    def made(self) -> set[str]:
        return {path.name for path in self._work.iterdir()} - {"script"}
