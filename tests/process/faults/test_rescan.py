"""What a scan that an event has caused opens."""

import re
import signal
import subprocess
from pathlib import Path
from typing import IO

from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.product import descendants, needs
from tests.support.roots import GraphRoot, change, hex_id
from tests.support.waiting import DEADLINE

#: What was made just before the start would be measured once more, at any time from then on.
_NOTHING_IS_YOUNG = """
from exporter.__main__ import main
from exporter.schedule import events
events.FILLED_SECONDS = 0
main()
"""
_AUFS = ("aufs/diff", "aufs/layers", "aufs/mnt")


def _wait_for_attached(said: IO[str], process: int) -> None:
    """Wait for what strace says of a process: that it is attached, or that there is none any more."""
    while not re.search(rf"\b{process}\b", line := said.readline()):
        assert line, process


@needs("strace")
def test_a_rescan_opens_nothing_but_what_it_names(built: GraphRoot, tmp_path: Path) -> None:
    for number in range(20):
        built.image(f"i{number}", parent="base", size=1, files={"x": 1})
    flags = ("--watch.look-interval", "600", "--scan.interval", "600")
    with exporter(built.path, *flags, program=("-c", _NOTHING_IS_YOUNG)) as running:
        becomes_as_fresh(running, built.path)
        trace = tmp_path / "trace"
        (scanner, *workers) = descendants(running.process.pid)
        attached = [f"--attach={process}" for process in (scanner, *workers)]
        tracing = subprocess.Popen(
            ["strace", "-ff", "-y", "-e", "trace=%file,getdents64", "-o", str(trace), *attached],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracing.stderr is not None
        for one in (scanner, *workers):
            _wait_for_attached(tracing.stderr, one)
        change(built)
        figures = running.becomes("layers", 25)
        tracing.send_signal(signal.SIGINT)
        tracing.wait(DEADLINE)
        tracing.stderr.close()
    lines = [line for one in tmp_path.glob("trace.*") for line in one.read_text(errors="replace").splitlines()]
    listed = {found[1] for line in lines if (found := re.search(rf"getdents64\(\d+<({built.path}[^>]*)>", line))}
    named = {hex_id("more"), hex_id("more-c"), hex_id("more-c") + "-init"}
    stores = {str(built.path / store) for store in ("", "aufs", "containers", "graph", "volumes", *_AUFS)} | {
        str(built.path)
    }
    strangers = {one for one in listed - stores if not named & set(Path(one).parts)}
    assert str(built.path / "graph") in listed
    assert not strangers
    assert not any(re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", line) for line in lines if str(built.path) in line)
    assert figures.sum("scan_entries") < 100
