"""The bytes of all trees, which are added up as trees are measured and forgotten."""

import shutil
from pathlib import Path

from exporter.core.dirty import Dirty
from exporter.core.model import Trigger
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.roots import change, graph_root


def _check(scanner: Scanner) -> int:
    """The bytes, which must be those of the trees that are known."""
    total = sum(one.usage.allocated for one in scanner.measured.values())
    assert scanner.allocated == {scanner.snapshot().device: total}
    return total


def test_what_all_trees_take_is_known_whatever_is_measured_and_goes(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=3, files={"a": 1}, tag="base:1")
    scanner = Scanner(str(built.path), 600, LocalPool())
    assert not scanner.allocated
    scanner.scan()
    first = _check(scanner)
    change(built)
    scanner.begin(Trigger.MANUAL, Dirty(everything=True))
    while scanner.runs:
        _check(scanner)
        scanner.collect(1.0)
    assert _check(scanner) > first
    shutil.rmtree(built.path / "containers")
    (built.path / "containers").mkdir()
    scanner.scan(Trigger.MANUAL)
    _check(scanner)
    scanner.lose("it is gone")
    assert not scanner.allocated
