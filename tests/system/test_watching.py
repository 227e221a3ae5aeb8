"""A running exporter beside a real engine: whatever that does to its root is served as a fresh exporter sees it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.engine import Engine, engine
from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.waiting import with_growing_timeout


@pytest.mark.parametrize("driver", ["overlay2", "vfs"])
def test_the_first_container_of_an_image_is_followed(tmp_path: Path, driver: str) -> None:
    """overlay2 writes a file beside the files of the image's layer when a layer is made on it."""
    with TemporaryDirectory(prefix="e-") as short, engine(tmp_path, Path(short), driver) as one:
        # An event that comes after the next look counts as missed: where events are slow, the looks are rarer.
        with_growing_timeout(lambda seconds: _followed(one, seconds), first=1)


def _followed(one: Engine, look_interval: float) -> None:
    one.base()
    with exporter(one.root, "--watch.look-interval", str(look_interval)) as running:
        becomes_as_fresh(running, one.root)
        one.run("create", "--network", "none", "--name", "first", "base:1", "sh")
        figures = becomes_as_fresh(running, one.root)
        one.run("rm", "first")
        one.run("rmi", "base:1")
        assert figures("watch_missed_changes_total") == 0
        assert becomes_as_fresh(running, one.root)("watch_missed_changes_total") == 0
