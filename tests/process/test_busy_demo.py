from pathlib import Path

import pytest

from exporter.demo import Busy, BusyHost, running
from tests.support.product import figures_of


@pytest.mark.parametrize("kind", [Busy, BusyHost])
def test_what_is_written_down_as_running_runs(tmp_path: Path, kind: type[Busy | BusyHost]) -> None:
    busy = kind(tmp_path / "docker")
    assert figures_of(busy.root).sum("containers", state="running") == 0
    with running(busy.root):
        figures = figures_of(busy.root)
    assert figures.sum("containers", state="running") >= 2
    assert figures.sum("containers", state="stale") == 0
    assert figures_of(busy.root).sum("containers", state="running") == 0
