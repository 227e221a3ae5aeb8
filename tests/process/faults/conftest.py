"""What goes wrong on a host, done to a real exporter: afterwards it says what a fresh one says."""

from pathlib import Path

import pytest

from tests.support.roots import GraphRoot, graph_root


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    made = graph_root(tmp_path).image("base", size=3, files={"a": 3}, tag="base:1")
    return made.container("web", image="base", writable={"w": 4})
