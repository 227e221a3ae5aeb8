"""The process that reads the flags of `run`, and ends then: what may become of it meanwhile."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.product import descendants
from tests.support.waiting import DEADLINE, eventually


def test_a_process_that_is_killed_while_it_reads_the_flags_is_told_of(tmp_path: Path) -> None:
    settings = tmp_path / "settings"
    os.mkfifo(settings)  # whoever reads it waits
    command = [sys.executable, "-m", "exporter", "run", "--root", str(tmp_path), "--config.file", str(settings)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            with settings.open("w"):  # once somebody reads it
                os.kill(eventually(lambda: _reader(process.pid, settings)), signal.SIGKILL)
                said = process.communicate(timeout=DEADLINE)[1]
        finally:
            process.kill()
    assert process.returncode == 1
    assert said == "Error: the process that reads the flags was ended by signal 9\n"


def _reader(pid: int, file: Path) -> int:
    """The one of the processes that has a file open."""
    for one in descendants(pid):
        with contextlib.suppress(FileNotFoundError):  # a descriptor that is closed meanwhile
            if any(descriptor.readlink() == file for descriptor in Path(f"/proc/{one}/fd").iterdir()):
                return one
    return 0
