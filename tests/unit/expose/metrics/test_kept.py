"""How much is rendered again where little has changed."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.config.limits import EVERYTHING
from exporter.core.model import Container, Snapshot
from exporter.expose.metrics import kept
from exporter.expose.metrics.families import families
from exporter.expose.metrics.kept import Expositions, KeptExposition
from exporter.expose.metrics.render import render
from exporter.figures.figures import Figures
from tests.support.snapshots import container, image, layer, snapshot, tree

_MANY = 400
_IMAGES = tuple(image(f"i{at}", "base", listed=True) for at in range(_MANY))
_CONTAINERS = tuple(container(f"c{at}") for at in range(_MANY))


def _snapshot(containers: tuple[Container, ...]) -> Snapshot:
    layers = (layer("base", recorded_size=5),)
    return snapshot({("overlay2", "base"): tree(5)}, layers=layers, images=_IMAGES, containers=containers)


def _rendered(exposition: KeptExposition, containers: tuple[Container, ...]) -> tuple[Expositions, bytes]:
    told = _snapshot(containers)
    return exposition.render(Figures(told)), render(families(Figures(told)), "text")


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many objects were rendered in each block and family."""
    done: list[int] = []
    lines = kept._lines

    def counted(table: Any, at: int, entries: Any, labelled: Any, before: Any) -> Any:
        done.append(len(entries))
        return lines(table, at, entries, labelled, before)

    monkeypatch.setattr(kept, "_lines", counted)
    return done


@pytest.mark.parametrize(
    "change",
    [
        lambda all_: (*all_, container("new")),
        lambda all_: (*all_[:200], container("new"), *all_[200:]),
        lambda all_: (*all_[:77], *all_[78:]),
        lambda all_: (*all_[:5], replace(all_[5], created=2.0), *all_[6:]),
    ],
    ids=["one more at the end", "one more in the middle", "one less", "another time"],
)
def test_a_container_that_changes_has_its_block_rendered_and_no_other(change: Any, blocks: list[int]) -> None:
    exposition = KeptExposition(EVERYTHING)
    _rendered(exposition, _CONTAINERS)
    whole = sum(blocks)
    blocks.clear()
    pages, expected = _rendered(exposition, change(_CONTAINERS))
    assert pages.text.finish() == expected
    assert 0 < sum(blocks) < whole / 3


def test_what_is_the_same_is_not_rendered_at_all(blocks: list[int]) -> None:
    exposition = KeptExposition(EVERYTHING)
    before, _ = _rendered(exposition, _CONTAINERS)
    blocks.clear()
    now, expected = _rendered(exposition, tuple(replace(one) for one in _CONTAINERS))
    assert blocks == []
    assert now.text.finish() == expected
    assert now == before


def test_lines_that_stay_the_same_are_not_compressed_again() -> None:
    exposition = KeptExposition(EVERYTHING)
    before, _ = _rendered(exposition, _CONTAINERS)
    now, _ = _rendered(exposition, (replace(_CONTAINERS[0], created=2.0), *_CONTAINERS[1:]))
    same = {id(piece) for piece in before.text.deflated}
    assert sum(id(piece) not in same for piece in now.text.deflated) == 1, "the family of the times of creation"
