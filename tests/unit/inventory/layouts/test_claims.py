"""When a layer that nothing needs is called orphaned, on a clock that the test moves."""

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree
from exporter.core.model import Collector, Layer, LayerId, LayerKey, Use
from exporter.inventory.drivers import driver_named
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.problems import Problems
from exporter.inventory.files.reader import Reader
from exporter.inventory.layouts.claims import Claims, Grace, changed, classify
from tests.support.clock import FakeClock

_GRACE_SECONDS = 600.0
_REFERENCES: Tree = ("image", "overlay2", "layerdb", "sha256")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(uptime=100.0, date=time.time())  # the kernel dates the files


class _Host:
    """A root with layers of two drivers, and one grace for both."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.path = path
        self.grace = Grace(_GRACE_SECONDS, clock.clock)
        self.path.joinpath(*_REFERENCES).mkdir(parents=True)

    def layer(self, name: str, driver: str = "overlay2") -> Path:
        home = self.path / driver / name / "diff"
        home.mkdir(parents=True)
        return home

    def uses(
        self,
        driver: str = "overlay2",
        *,
        claimed: Iterable[str] = (),
        pending: Iterable[str] = (),
        doubt: bool = False,
        others: Iterable[str] = (),
    ) -> dict[str, str]:
        """What each layer of a driver's is found to be used for."""
        with DataRoot(str(self.path)) as root:
            store = LayerStore(driver_named(driver), Reader(root, Collector.IMAGES, Problems(), Memo()))
            layers = {LayerId(name): _layer(LayerId(name), Use.IMAGE) for name in claimed}
            doubts = [lambda: False, lambda: doubt]
            claims = Claims(layers, [lambda: pending], [_REFERENCES], doubts, _layer)
            found = classify(root, store, claims, self.grace, [LayerId(name) for name in others])
        assert [layer.id for layer in found] == sorted(layer.id for layer in found)
        return {layer.id: layer.use.value for layer in found}


def _layer(name: LayerId, use: Use) -> Layer:
    return Layer("", name, use)


@pytest.fixture
def host(tmp_path: Path, clock: FakeClock) -> _Host:
    return _Host(tmp_path / "docker", clock)


def test_a_layer_that_nothing_needs_is_orphaned_after_the_whole_grace_time(host: _Host, clock: FakeClock) -> None:
    host.layer("left")
    host.layer("used")
    assert host.uses(claimed=["used"]) == {"left": "pending", "used": "image"}
    clock.advance(_GRACE_SECONDS - 1)
    assert host.uses(claimed=["used"]) == {"left": "pending", "used": "image"}
    clock.advance(1)
    assert host.uses(claimed=["used"]) == {"left": "orphaned", "used": "image"}


def test_each_layer_has_a_grace_time_of_its_own(host: _Host, clock: FakeClock) -> None:
    host.layer("early")
    host.uses()
    clock.advance(400)
    host.layer("late")
    host.uses()
    clock.advance(200)
    assert host.uses() == {"early": "orphaned", "late": "pending"}
    clock.advance(400)
    assert host.uses() == {"early": "orphaned", "late": "orphaned"}


def test_when_the_next_grace_time_ends(host: _Host, clock: FakeClock) -> None:
    assert host.grace.next_end() == math.inf
    host.layer("early")
    host.uses()
    begun = clock.uptime
    clock.advance(400)
    host.layer("late")
    host.layer("used")
    host.uses(claimed=["used"])
    assert host.grace.next_end() == begun + _GRACE_SECONDS
    clock.advance(200)
    assert host.grace.next_end() == begun + 400 + _GRACE_SECONDS
    assert host.uses(claimed=["used", "late"]) == {"early": "orphaned", "late": "image", "used": "image"}
    assert host.grace.next_end() == math.inf


def test_dates_on_the_disk_that_are_old_enough_make_the_wait_unnecessary(host: _Host, clock: FakeClock) -> None:
    host.layer("left")
    clock.date += _GRACE_SECONDS + 100
    assert host.uses() == {"left": "orphaned"}


@pytest.mark.parametrize("where", ["layer", "files", "work", "store", "references"])
def test_a_layer_is_as_young_as_itself_and_as_the_last_change_where_a_reference_could_be(
    host: _Host, clock: FakeClock, where: str
) -> None:
    """Each of these directories alone was written to lately, the others long ago."""
    files = host.layer("left")
    (files.parent / "work").mkdir()
    place = {
        "layer": files.parent,
        "files": files,
        "work": files.parent / "work",
        "store": host.path / "overlay2",
        "references": host.path.joinpath(*_REFERENCES),
    }[where]
    written = clock.date + 5000
    os.utime(place, (written, written))
    clock.date = written + _GRACE_SECONDS - 1
    assert host.uses() == {"left": "pending"}
    host.grace = Grace(_GRACE_SECONDS, clock.clock)
    clock.date = written + _GRACE_SECONDS
    assert host.uses() == {"left": "orphaned"}


def test_the_clock_that_people_set_is_asked_once_only(host: _Host, clock: FakeClock) -> None:
    host.layer("left")
    assert host.uses() == {"left": "pending"}
    clock.date += 10 * _GRACE_SECONDS
    assert host.uses() == {"left": "pending"}
    clock.uptime += _GRACE_SECONDS
    clock.date = 0
    assert host.uses() == {"left": "orphaned"}


@pytest.mark.parametrize("need", [{"claimed": ["left"]}, {"pending": ["left"]}, {"doubt": True}])
def test_a_layer_that_was_needed_meanwhile_has_the_whole_grace_time_again(
    host: _Host, clock: FakeClock, need: dict[str, Any]
) -> None:
    host.layer("left")
    host.uses()
    clock.advance(500)
    assert host.uses(**need) == {"left": "image" if "claimed" in need else "pending"}
    clock.advance(50)
    assert host.uses() == {"left": "pending"}
    clock.advance(_GRACE_SECONDS - 50)
    assert host.uses() == {"left": "pending"}, "it is unneeded for 550 seconds, and was not for 600"
    clock.advance(50)
    assert host.uses() == {"left": "orphaned"}


def test_the_grace_of_one_driver_goes_on_while_another_is_looked_at(host: _Host, clock: FakeClock) -> None:
    host.layer("left")
    host.layer("left", "fuse-overlayfs")
    for _ in range(4):
        assert host.uses("overlay2") == {"left": "pending"}
        assert host.uses("fuse-overlayfs") == {"left": "pending"}
        clock.uptime += _GRACE_SECONDS / 4  # not the date: by that, too, nothing has referred to them for as long
    assert host.uses("overlay2") == {"left": "orphaned"}
    assert host.uses("fuse-overlayfs") == {"left": "orphaned"}


def test_a_layer_that_went_and_came_again_has_the_whole_grace_time(host: _Host, clock: FakeClock) -> None:
    home = host.layer("left")
    host.uses()
    home.rmdir()
    home.parent.rmdir()
    clock.advance(500)
    assert host.uses() == {}
    host.layer("left")
    clock.advance(50)
    assert host.uses() == {"left": "pending"}
    clock.advance(500)
    assert host.uses() == {"left": "pending"}


def test_a_doubt_keeps_every_layer_from_being_called_orphaned(host: _Host, clock: FakeClock) -> None:
    host.layer("left")
    clock.date += 10 * _GRACE_SECONDS
    assert host.uses(doubt=True) == {"left": "pending"}
    assert host.uses(pending=["left"]) == {"left": "pending"}
    assert host.uses(pending=["another"]) == {"left": "orphaned"}


def test_what_is_no_layer_is_left_out(host: _Host, clock: FakeClock) -> None:
    host.layer("left")
    host.layer("volume")
    clock.date += 10 * _GRACE_SECONDS
    assert host.uses(claimed=["gone"], others=["volume"]) == {"left": "orphaned"}


def test_a_driver_that_is_not_known_has_the_layers_that_are_claimed(host: _Host, clock: FakeClock) -> None:
    clock.date += 10 * _GRACE_SECONDS
    assert host.uses("windowsfilter", claimed=["somewhere"]) == {"somewhere": "image"}


def test_the_first_claim_on_a_layer_stands() -> None:
    first, second = (_layer(LayerId("a"), use) for use in (Use.IMAGE, Use.CONTAINER))
    claims = Claims({LayerId("a"): first})
    claims.join(Claims({LayerId("a"): second, LayerId("b"): second}))
    assert claims.layers == {"a": first, "b": second}


def test_an_entry_has_changed_when_it_was_last_written_to_or_renamed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with DataRoot(str(tmp_path)) as root:
        status = (tmp_path / "a").stat()
        assert changed(root, ("a",)) == max(status.st_mtime, status.st_ctime)
        os.utime(tmp_path / "a", (1, 1))
        assert changed(root, ("a",)) == (tmp_path / "a").stat().st_ctime
        os.utime(tmp_path / "a", (1, 9e9))
        assert changed(root, ("a",)) == 9e9
        assert changed(root, ("none",)) == 0


@given(st.lists(st.tuples(st.floats(0, 1000), st.booleans()), max_size=20), st.floats(1, 2000))
def test_the_grace_is_over_exactly_when_a_layer_was_unneeded_for_all_of_it(
    looks: list[tuple[float, bool]], seconds: float
) -> None:
    """Each look comes after a pause; at each the layer is needed or not."""
    clock = FakeClock(date=1000.0)
    grace, since = Grace(seconds, clock.clock), None
    for pause, needed in looks:
        clock.uptime += pause
        if needed:
            grace.keep(set())
            since = None
            continue
        since = clock.uptime if since is None else since
        assert grace.over(LayerKey("overlay2", LayerId("a")), 1000.0) == (clock.uptime - since >= seconds)
