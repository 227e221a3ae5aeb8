"""A root that changes while it is walked: no figure is ever negative or counts twice, and in the end all are right."""

import contextlib
import itertools
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.product import Samples
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.usage import allocated
from tests.support.waiting import often

#: So many times is each collector's part scanned while everything changes.
_SCANS = 12
_BIG = 8 * 1024 * 1024
#: What comes and goes, all of it at once, has less than this.
_MOST = 4 * 1024 * 1024
_LAYERS = 3


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    """Overlay of Docker 1.x links every file of a parent into its children: so inodes are shared between trees."""
    made = graph_root(tmp_path, "overlay").image("base", size=_BIG, files={"big": b"x" * _BIG}, tag="base:1")
    data = made.path / "volumes" / "data" / "_data"
    for number in range(60):
        (data / f"d{number}").mkdir(parents=True)
        for file in range(40):
            (data / f"d{number}" / f"f{file}").write_bytes(b"y" * 100)
    return made


@contextlib.contextmanager
def _changing(built: GraphRoot, *, with_files: bool = True) -> Iterator[None]:
    """Change whole layers, and files of a volume, until the end of the `with` block, in a thread each."""
    stop = threading.Event()
    data = built.path / "volumes" / "data" / "_data"

    def files() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            at = data / f"d{number % 60}"
            (at / "comes").mkdir()
            (at / "comes" / "new").write_bytes(b"z" * 9000)
            os.link(at / "f1", at / "link")
            (at / "f2").rename(at / "f2-moved")
            (at / "f2-moved").rename(at / "f2")
            (at / "link").unlink()
            shutil.rmtree(at / "comes")

    def layers() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            built.image(f"layer{number}", parent="base", size=3, files={"own": 3000}, tag=f"layer{number}:1")
            if number >= _LAYERS:
                built.writer.untag(f"layer{number - _LAYERS}", "1")
                built.writer.remove_image(hex_id(f"layer{number - _LAYERS}"))

    threads = [threading.Thread(target=target) for target in (layers, *([files] if with_files else []))]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for one in threads:
            one.join()


def test_figures_of_what_changes_under_the_walk(built: GraphRoot) -> None:
    fixed = allocated(built.path)
    with exporter(built.path, "--scan.duty-cycle", "1") as running:
        running.until(lambda figures: bool(figures.all("scan_success")))  # before, some directories are not there
        seen: set[str] = set()
        with _changing(built):
            scans = -1.0
            while scans < _SCANS:
                figures = running.figures()
                # Everything is walked again. During the first scan the signal has no effect, so it is sent again.
                if scans != (scans := figures.sum("scans_total", trigger="manual")) or not scans:
                    running.process.send_signal(signal.SIGHUP)
                _sane(figures, fixed)
                seen.add(figures.text)
        running.process.send_signal(signal.SIGHUP)  # a volume that nobody uses is audited once an hour
        figures = becomes_as_fresh(running, built.path)
        assert figures.sum("directory_allocated_bytes") == allocated(built.path)
        assert figures("up") == 1
    assert len(seen) > 3
    assert not [line for line in running.lines if "Traceback" in line]


def test_layers_that_come_and_go_are_never_counted_twice(built: GraphRoot) -> None:
    """By what events tell alone: nothing is scanned as a whole."""
    fixed = allocated(built.path)
    with exporter(built.path, "--scan.duty-cycle", "1") as running:
        becomes_as_fresh(running, built.path)  # the base is measured before anything is linked to it
        with _changing(built, with_files=False):

            def sane() -> bool:
                figures = running.figures()
                _sane(figures, fixed)
                return figures.sum("scans_total", trigger="event") >= _SCANS

            often(sane)
        figures = becomes_as_fresh(running, built.path)
        assert figures.sum("directory_allocated_bytes") == allocated(built.path)
        assert not figures.sum("scans_total", trigger="manual")
        assert figures.sum("scans_total", trigger="event") >= 1


def _sane(figures: Samples, fixed: int) -> None:
    negative = [sample for sample in figures.samples if sample[2] < 0]
    assert not negative
    assert figures("up") == 1
    if not figures.all("directory_allocated_bytes"):
        return  # not measured yet
    assert fixed - _MOST <= figures.sum("directory_allocated_bytes") < fixed + _MOST
    assert figures.sum("layers_allocated_bytes") < _BIG + _MOST
    assert figures("volume_size_bytes") >= 60 * 39 * 100
