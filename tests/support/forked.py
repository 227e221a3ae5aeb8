"""Runs many commands of the exporter, each in a process of its own that has imported everything already.

To start Python and to import takes half a second for each command, and to fork takes none.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

_PROGRAM = """
import importlib, json, os, pkgutil, sys, traceback
import exporter
for one in pkgutil.walk_packages(exporter.__path__, "exporter."):
    importlib.import_module(one.name)
from exporter.cli.main import main

def run(order):
    os.chdir(order["directory"])
    os.environ.update(order["environment"])
    for number, name in ((1, "output"), (2, "errors")):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        main(order["words"], prog_name="docker-storage-exporter")
        return 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()

for line in sys.stdin:
    child = os.fork()
    if not child:
        os._exit(run(json.loads(line)))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forked:
    """The process that forks; use it as a context manager."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()

    def run(
        self, words: Sequence[str], environment: Mapping[str, str], output: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one command in the scratch directory, with its output in a file there if one is given."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        said, errors = self._scratch / (output or ".output"), self._scratch / ".errors"
        order = {"words": [*words], "environment": {**environment}, "directory": str(self._scratch)}
        self._process.stdin.write(json.dumps({**order, "output": str(said), "errors": str(errors)}) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return subprocess.CompletedProcess([*words], status, said.read_text(), errors.read_text())
