"""Containers that come and go while the exporter is scraped."""

import re
import shutil
import subprocess
import sys

from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.roots import GraphRoot, hex_id
from tests.support.waiting import DEADLINE, eventually


def test_containers_that_come_and_go_while_it_is_scraped(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        for number in range(60):
            built.container(f"c{number}", image="base", writable={"w": number})
            figures = running.figures()
            assert figures("up") == 1
            assert all(value >= 0 for _, _, value in figures.samples)
            if number % 3:
                for store in ("containers", "aufs/diff", "aufs/layers", "aufs/mnt"):
                    for name in (built.path / store).glob(hex_id(f"c{number}") + "*"):
                        shutil.rmtree(name) if name.is_dir() else name.unlink()
        becomes_as_fresh(running, built.path)


_MANY = """
import pathlib, shutil, sys
root, names = pathlib.Path(sys.argv[1]), sys.stdin.readline().split()
config = '{"ID": "%s", "Driver": "aufs", "State": {"Running": true, "StartedAt": "2015-01-01T00:00:00Z"}}'
for name in names:
    (root / "aufs/layers" / name).touch()
    (root / "aufs/diff" / name).mkdir()
    (root / "aufs/diff" / name / "w").write_text("x")
    (root / "containers" / name).mkdir()
    (root / "containers" / name / "config.json").write_text(config % name)
sys.stdin.readline()
for number, name in enumerate(names):
    if number % 1000:
        shutil.rmtree(root / "containers" / name)
        shutil.rmtree(root / "aufs/diff" / name)
        (root / "aufs/layers" / name).unlink()
"""


def test_ten_thousand_containers_that_come_and_go_while_it_is_scraped(built: GraphRoot) -> None:
    names = [hex_id(f"many{number}") for number in range(10_000)]
    found = 0.0
    with (
        exporter(built.path, "--scan.duty-cycle", "1") as running,
        subprocess.Popen([sys.executable, "-c", _MANY, str(built.path)], stdin=subprocess.PIPE, text=True) as busy,
    ):
        running.wait_for("up", 1)
        assert busy.stdin is not None
        go = busy.stdin
        go.write(" ".join(names) + "\n")
        go.flush()

        def ended() -> bool:
            nonlocal found
            text = running.get()[2].decode()
            assert "\ndocker_storage_up 1" in text
            assert not re.search(r" -[0-9.e+]+$", text, re.MULTILINE)
            lines = re.findall(r"^docker_storage_containers\{.*\} (\S+)$", text, re.MULTILINE)
            found = max(found, sum(map(float, lines)))
            if found == len(names) + 1 and not go.closed:
                go.close()
            return busy.poll() is not None

        eventually(ended, otherwise=lambda: found, seconds=5 * DEADLINE)
        figures = becomes_as_fresh(running, built.path)
        assert found == len(names) + 1
        assert figures.sum("containers") == 11
        assert figures.sum("watch_events_total") + figures("watch_overflows_total") > 1000
