"""A real exporter, started as a user would, asked over loopback."""

import contextlib
import gzip
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.exporter import exporter
from tests.support.product import Samples, descendants, runs, scanning, workers
from tests.support.roots import graph_root, hex_id
from tests.support.waiting import DEADLINE, eventually


def test_it_serves_the_root_in_every_form(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=7, tag="<script>:1")
    with exporter(built.path) as running:
        running.wait_for("image_virtual_size_bytes", 7)
        figures = running.becomes("filesystem_size_bytes", 1)
        assert figures("process_cpu_seconds_total") > 0
        status, kind, body = running.get(**{"Accept-Encoding": "gzip"})
        assert status == 200
        assert kind.startswith("text/plain; version=")
        assert Samples(gzip.decompress(body).decode())("up") == 1
        _, kind, body = running.get(Accept="application/openmetrics-text; version=1.0.0")
        assert kind.startswith("application/openmetrics-text")
        assert body.endswith(b"# EOF\n")
        eventually(lambda: running.get("/-/ready")[0] == 200)  # figures are there before the end of the first scan
        assert running.get("/-/healthy")[0] == 200
        eventually(lambda: b"&lt;script&gt;:1" in running.get("/")[2])
        page = running.get("/")[2].decode()
        assert "<script" not in page
        assert running.get("/nothing")[0] == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_connections_open(tmp_path: Path, number: int) -> None:
    with exporter(graph_root(tmp_path).path) as running:
        with contextlib.ExitStack() as idle:
            for _ in range(5):
                connection = idle.enter_context(socket.create_connection(("127.0.0.1", running.port)))
                connection.sendall(b"GET /metrics HTTP/1.1\r\n")
            running.stop(number)
        assert not Path(f"/proc/{running.process.pid}").exists()


def test_what_scans_gives_way_to_what_serves(tmp_path: Path) -> None:
    with exporter(graph_root(tmp_path).image("app", size=7).path) as running:
        running.log_line("event=scan.done")
        serving = running.process.pid
        (scanner,) = scanning(serving)
        _gives_way(scanner, serving)
        for worker in workers(serving):
            with contextlib.suppress(ProcessLookupError):  # one without work ends
                _gives_way(worker, serving)


def _gives_way(process: int, serving: int) -> None:
    assert os.getpriority(os.PRIO_PROCESS, process) == 19
    # Between sessions the kernel shares out cores evenly, however nice a process is.
    assert os.getsid(process) == os.getsid(serving)
    assert os.getpgid(process) != os.getpgid(serving), "a Ctrl-C would end it"


def test_a_root_that_comes_and_goes_is_followed_and_told_once(tmp_path: Path) -> None:
    path = tmp_path / "docker"
    with exporter(path) as running:
        assert running.figures()("up") == 0
        assert running.get("/-/ready")[0] == 503
        if not any("root.unreadable" in line for line in running.lines):
            running.log_line("root.unreadable")  # up is 0 also before the first look
        graph_root(tmp_path / "new").image("app", size=7)
        (tmp_path / "new").rename(path)  # an empty directory is told of as well
        figures = running.wait_for("image_virtual_size_bytes", 7)
        assert figures("up") == 1
        path.rename(tmp_path / "away")
        assert not running.wait_for("up", 0).all("image_virtual_size_bytes")
        running.stop()
        assert running.process.stderr is not None
        lines = running.lines + running.process.stderr.readlines()
    assert sum("root.unreadable" in line for line in lines) == 2, lines


def test_a_change_on_the_disk_is_served_soon(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=7)
    with exporter(built.path, "--log.level", "debug") as running:
        running.wait_for("image_virtual_size_bytes", 7)
        built.image("more", parent="app", size=1)
        running.wait_for("image_virtual_size_bytes", 8)
        # No event tells of this. Just after an event, its entry is read once more, which may find the first of them.
        for size in (2, 3, 4):
            (built.path / "graph" / hex_id("more") / "layersize").write_text(str(size))
            figures = running.wait_for("image_virtual_size_bytes", 7 + size)
    assert figures("scans_total", collector="images", trigger="event") >= 1
    assert 1 <= figures("watch_missed_changes_total") <= 3


def test_a_layer_is_orphaned_on_a_quiet_root(tmp_path: Path) -> None:
    """No event tells that its grace time is over, and no look finds anything."""
    built = graph_root(tmp_path).image("app", size=7, tag="app:1")
    (built.path / "aufs/diff" / hex_id("stray")).mkdir()
    with exporter(built.path, "--layers.orphaned-after", "8", "--watch.look-interval", "3600") as running:
        running.becomes("layers", 1, use="orphaned")


def test_a_scanner_that_is_killed_is_started_again_and_counts_on(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=7)
    with exporter(built.path) as running:
        running.wait_for("image_virtual_size_bytes", 7)
        children = scanning(running.process.pid)
        before = running.figures()("scans_total", collector="images", trigger="startup")
        os.kill(children[0], signal.SIGKILL)
        running.log_line("scanner.died")
        figures = running.figures()
        if not scanning(running.process.pid):  # else that answer may be of the next one, which knows nothing yet
            assert figures("image_virtual_size_bytes") == 7
        running.becomes("scans_total", before + 1, collector="images", trigger="startup")


def test_no_counter_goes_back_when_the_scanner_is_killed(tmp_path: Path) -> None:
    """Not the CPU time of its workers either, for which nobody is left to wait."""
    built = graph_root(tmp_path)
    for number in range(20):
        built.image(f"i{number}", size=1, files={f"f{file}": 1 for file in range(500)})
    before: dict[str, float] = {}
    with exporter(built.path) as running:
        running.wait_for("up", 1)
        for _ in range(2):
            scanner = scanning(running.process.pid)[0]
            os.kill(scanner, signal.SIGKILL)

            def another(gone: int = scanner) -> bool:
                nonlocal before
                figures = running.figures()
                counters = {f"{name}{has}": value for name, has, value in figures.samples if name.endswith("_total")}
                assert not {name for name, value in before.items() if counters.get(name, 0) < value}
                before = counters
                now = scanning(running.process.pid)
                return now != [gone] and bool(now) and bool(workers(running.process.pid))

            eventually(another)


def test_the_scanner_ends_when_the_server_is_killed(tmp_path: Path) -> None:
    with exporter(graph_root(tmp_path).path) as running:
        children = descendants(running.process.pid)
        assert len(scanning(running.process.pid)) == 1
        running.process.kill()
        running.process.wait()
        eventually(lambda: not any(map(runs, children)))


def test_an_address_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "exporter", "run", "--root", str(tmp_path), "--web.listen-address", address]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 1
    assert f"cannot listen on {address}" in done.stderr
