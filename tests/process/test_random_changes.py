"""After random changes of a root of each layout, a running exporter says what a fresh process says.

A short form of `benchmarks.changes`.
"""

from pathlib import Path

import pytest

from tests.support.changing import HOSTS, Host
from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh

_TIMES, _CHANGES = 2, 60


@pytest.mark.parametrize("kind", HOSTS)
def test_after_random_changes_the_figures_are_those_of_a_fresh_process(kind: type[Host], tmp_path: Path) -> None:
    host = kind(tmp_path / "root", 4)
    host.change()
    with exporter(host.path, "--scan.duty-cycle", "1") as running:
        for _ in range(_TIMES):
            for _ in range(_CHANGES):
                host.change()
            host.settle()
            becomes_as_fresh(running, host.path)
        assert not [line for line in running.lines if "Traceback" in line]
