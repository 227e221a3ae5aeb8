"""Of a large root, `once` renders in two processes at once: it prints the same as in one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.roots import graph_root
from tests.support.waiting import DEADLINE

#: Its arguments: of how many trees there is a copy, what fails there, and the root.
_PROGRAM = """
import os, sys
from exporter.cli.main import main
from exporter.expose.metrics import rendered
from exporter.figures.reclaim import Reclaimer

many, fails, *words = sys.argv[1:]
process, advance, encoded = os.getpid(), Reclaimer.advance, rendered._encoded
rendered._MANY_TREES, rendered.pays = int(many), lambda: True

def in_copy(work, real=rendered.in_copy):
    print("a copy", file=sys.stderr)
    return real(work)

def fail(*_):
    raise ZeroDivisionError("what nobody has foreseen")

def die(*_):
    os.kill(os.getpid(), 9)

rendered.in_copy = in_copy
if fails == "figures":
    Reclaimer.advance = fail
if fails == "copy":
    rendered._encoded = die
main(["once", *words])
"""
_NO_COPY = 10**9


def _once(root: Path, many: int, *words: str, fails: str = "") -> tuple[str, list[str]]:
    """What is printed, without times, and what is said beside it."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(many), fails, "--root", str(root), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    lines = [line for line in done.stdout.splitlines() if "_seconds" not in line and "filesystem_" not in line]
    assert any("container_writable_size_bytes" in line for line in lines)
    return "\n".join(lines), done.stderr.splitlines()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = graph_root(tmp_path_factory.mktemp("two")).image("base", files={"f": 10}, tag="base:1")
    for number in range(5):
        built.container(f"c{number}", image="base")
    return built.path


@pytest.mark.parametrize(
    "words", [(), ("--format", "openmetrics"), ("--collector.directories.max-series", "3"), ("--no-collector.volumes",)]
)
def test_the_output_is_the_same(root: Path, words: tuple[str, ...]) -> None:
    alone, said = _once(root, _NO_COPY, *words)
    assert said == []
    assert _once(root, 0, *words) == (alone, ["a copy"])


def test_a_copy_that_is_ended_hides_nothing(root: Path) -> None:
    assert _once(root, 0, fails="copy") == (_once(root, _NO_COPY)[0], ["a copy"])


def test_an_error_in_figures_counts_once(root: Path) -> None:
    alone, said = _once(root, _NO_COPY, fails="figures")
    both, said_by_both = _once(root, 0, fails="figures")
    assert alone == both
    assert sum("internal.error" in line for line in said) == 1
    assert sum("internal.error" in line for line in said_by_both) == 1
