"""What is killed in the middle of a first scan begins it again: what is known comes first, and nothing else."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from exporter.measure.cache import Cache
from tests.support.exporter import Exporter, exporter
from tests.support.fresh import becomes_as_fresh, fresh, objects
from tests.support.product import Samples, descendants, runs, scanning, state_letter
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.waiting import eventually, often

_IMAGES, _FILES_OF_AN_IMAGE = 20, 50
#: So many that their walk is seen under way, and can be stopped in its middle.
_FILES = 200_000
#: A worker that the test has stopped is not given up on.
_FLAGS = ("--scan.workers", "1", "--scan.tree-timeout", "3600")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> GraphRoot:
    built = graph_root(tmp_path_factory.mktemp("large"))
    for number in range(_IMAGES):
        built.image(
            f"i{number}", size=1, files={f"f{file}": 1 for file in range(_FILES_OF_AN_IMAGE)}, tag=f"i:{number}"
        )
    built.container("web", image="i0", writable={"w": 4})
    _data(built).mkdir(parents=True)
    for number in range(_FILES):
        os.mknod(_data(built) / f"f{number}")
    return built


def _data(built: GraphRoot) -> Path:
    return built.path / "volumes" / "data" / "_data"


def _walker(running: Exporter, directory: Path, gone: int = 0) -> int:
    """Wait until a worker that is not `gone` has a directory open, and stop it there; its process id."""

    def stopped() -> int:
        for process in {*descendants(running.process.pid)} - {gone}:
            with contextlib.suppress(OSError):
                if _has_open(process, directory):
                    os.kill(process, signal.SIGSTOP)
                    eventually(lambda: state_letter(process) in "TZX")  # noqa: B023 - called at once
                    if _has_open(process, directory):
                        return process
                    os.kill(process, signal.SIGCONT)
        return 0

    return often(stopped)


def _has_open(process: int, directory: Path) -> bool:
    return any(os.readlink(one) == str(directory) for one in Path(f"/proc/{process}/fd").iterdir())


def _early(running: Exporter, expected: set[str]) -> Samples:
    """What is served while the volume is walked: what is written down, and nothing that is not so at the end."""
    figures = running.until(lambda figures: bool(figures.all("image_virtual_size_bytes")))
    assert len(figures.all("image_virtual_size_bytes")) == _IMAGES
    assert figures("container_running", container_id=hex_id("web")[:12]) == 0
    assert figures("image_virtual_size_bytes", image_id=hex_id("i0")[:12]) == 1
    assert not figures.all("volume_size_bytes"), "it is not known yet"
    assert not figures.all("reclaimable_bytes", category="volumes_unused")
    assert not figures.all("directory_size_bytes", directory="volumes")
    assert objects(figures.text) - expected == set()
    return figures


def _becomes_whole(running: Exporter, expected: set[str]) -> None:
    """Wait for the figures of a fresh process. Until then each one that is served is one of these."""

    def whole(figures: Samples) -> bool:
        found = objects(figures.text)
        assert found - expected == set()
        return found == expected

    running.until(whole)


def _end_all(running: Exporter) -> None:
    """Kill all processes of the service at once, as a supervisor does that gives up on it."""
    everyone = [running.process.pid, *descendants(running.process.pid)]
    for process in everyone:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    running.process.wait()
    eventually(lambda: not any(map(runs, everyone)))


@pytest.mark.parametrize("cache", [True, False])
def test_the_whole_service_is_killed_and_started_again(large: GraphRoot, tmp_path: Path, cache: bool) -> None:
    expected = fresh(large.path)
    flags = (*_FLAGS, "--cache.file", str(tmp_path / "cache") if cache else "none")
    with exporter(large.path, *flags) as running:
        _walker(running, _data(large))
        _early(running, expected)
        _end_all(running)
    with exporter(large.path, *flags) as running:
        worker = _walker(running, _data(large))
        _early(running, expected)
        os.kill(worker, signal.SIGCONT)
        _becomes_whole(running, expected)
        assert running.get("/-/ready")[0] == 200


def test_the_service_is_stopped_in_order_and_keeps_what_it_knew(large: GraphRoot, tmp_path: Path) -> None:
    flags = (*_FLAGS, "--cache.file", str(tmp_path / "cache"))
    with exporter(large.path, *flags) as running:
        worker = _walker(running, _data(large))
        early = _early(running, fresh(large.path))
        assert early.sum("volumes", state="unused") == 1
        early = running.until(lambda figures: bool(figures.all("layers_allocated_bytes", use="image")))
        assert {labels["directory"] for labels, _ in early.all("directory_allocated_bytes")} >= {"aufs", "graph"}
        assert not early.all("directory_allocated_bytes", directory="volumes")
        # As every few seconds: what gets no core at its end is killed before it has saved anything.
        eventually(lambda: len(Cache(str(tmp_path / "cache"))) == _IMAGES)
        running.stop()
        eventually(lambda: not runs(worker))  # it is not waited for: it was stopped in the middle
    with exporter(large.path, *flags) as running:
        figures = becomes_as_fresh(running, large.path)
        assert figures.sum("layers", use="image") == _IMAGES
        assert figures("scan_entries", collector="images") < _IMAGES * _FILES_OF_AN_IMAGE


def test_the_scanning_process_is_killed(large: GraphRoot) -> None:
    expected = fresh(large.path)
    with exporter(large.path, *_FLAGS) as running:
        worker = _walker(running, _data(large))
        _early(running, expected)
        os.kill(scanning(running.process.pid)[0], signal.SIGKILL)
        running.log_line("scanner.died")
        worker = _walker(running, _data(large), gone=worker)
        _early(running, expected)
        os.kill(worker, signal.SIGCONT)
        _becomes_whole(running, expected)


def test_a_worker_is_killed(large: GraphRoot) -> None:
    expected = fresh(large.path)
    with exporter(large.path, *_FLAGS) as running:
        worker = _walker(running, _data(large))
        _early(running, expected)
        os.kill(worker, signal.SIGKILL)
        other = _walker(running, _data(large), gone=worker)
        _early(running, expected)
        os.kill(other, signal.SIGCONT)
        _becomes_whole(running, expected)
        assert running.figures().sum("scan_errors_total") == 0
