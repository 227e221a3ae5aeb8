"""What prunes free, on roots that tests build: disjoint, and to the byte what `du` would lose."""

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.core.model import Snapshot
from exporter.figures.difference import Difference, blank
from exporter.figures.figures import Figures
from exporter.figures.layer_sizes import LayerSizes
from exporter.figures.prunes import Category
from exporter.figures.reclaim import Reclaim, Reclaimer
from tests.support.product import figures_of, scan
from tests.support.roots.layerdb import DbRoot
from tests.support.usage import allocated


def _blocks(*paths: Path) -> int:
    return sum(allocated(path) for path in paths)


def test_an_image_is_freed_with_the_layers_that_nothing_else_needs(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 5000).layer("app", 9000, "base").layer("new", 100, "base")
    built.image("old", "app").image("new", "new", ["app:1"])
    built.container("web", "new", "new", state={"Running": True, "Pid": 2**30})
    figures = figures_of(built.path)
    image = built.base / "imagedb/content/sha256" / built.images["old"]
    layer = built.blocks(built.cache("app")) + _blocks(_entry(built, "app"))
    assert figures("reclaimable_bytes", category="images_dangling") == _blocks(image) + layer
    assert figures("reclaimable_objects", category="images_dangling") == 1
    assert figures("reclaimable_bytes", category="images_unused") == 0


def test_nameless_parents_go_with_their_child_and_named_ones_stay(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 10).layer("b", 20, "a").layer("c", 30, "b")
    built.image("a", "a", ["a:1"]).image("b", "b", parent="a").image("c", "c", parent="b")
    found = Figures(scan(built.path)).reclaim
    parts = ("content", "metadata")
    files = [built.base / "imagedb" / part / "sha256" / built.images[one] for one in "bc" for part in parts]
    layers = built.blocks(built.cache("b"), built.cache("c")) + _blocks(_entry(built, "b"), _entry(built, "c"))
    assert found.freed[Category.IMAGES_DANGLING].allocated == _blocks(*files) + layers
    last = built.base / "imagedb/content/sha256" / built.images["a"]
    layer = built.blocks(built.cache("a")) + _blocks(_entry(built, "a"))
    assert found.freed[Category.IMAGES_UNUSED].allocated == _blocks(last) + layer


def _entry(built: DbRoot, name: str) -> Path:
    return built.base / "layerdb/sha256" / built.chains[name]


def test_a_volume_is_unused_when_the_containers_that_are_pruned_before_it_are_gone(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"]).volume("data", 9000).volume("held", 9000)
    mount = {"/v": {"Type": "volume", "Name": "data", "Destination": "/v", "RW": True}}
    built.container("done", "a", "a", writable={"w": 5}, config={"MountPoints": mount})
    held = {"/v": {"Type": "volume", "Name": "held", "Destination": "/v", "RW": True}}
    built.container("odd", "a", "a", state={"Running": True, "Pid": 2**30}, config={"MountPoints": held})
    figures = figures_of(built.path)
    assert figures("reclaimable_bytes", category="volumes_unused") == _blocks(built.path / "volumes/data")
    assert figures("volume_containers", volume="data") == 1
    assert figures("reclaimable_objects", category="containers_stopped") == 1


def test_an_inode_is_freed_with_the_last_of_its_links(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"]).volume("one", 50_000).volume("two", 1)
    mount = {"/v": {"Type": "volume", "Name": "two", "Destination": "/v", "RW": True}}
    built.container("web", "a", "a", state={"Running": True, "Pid": 2**30}, config={"MountPoints": mount})
    alone = Figures(scan(built.path)).reclaim.freed[Category.VOLUMES_UNUSED].allocated
    assert alone == _blocks(built.path / "volumes/one")
    os.link(built.path / "volumes/one/_data/f", built.path / "volumes/two/_data/same")
    shared = Figures(scan(built.path)).reclaim.freed[Category.VOLUMES_UNUSED].allocated
    assert shared == alone - (built.path / "volumes/one/_data/f").stat().st_blocks * 512


def _reckoned(snapshot: Snapshot) -> Reclaim:
    """What the prunes free, also where it is not known of everything."""
    since, sizes, reclaimer = Difference(blank(snapshot), snapshot), LayerSizes(), Reclaimer()
    sizes.advance(since)
    reclaimer.advance(since, sizes)
    return reclaimer.reclaim(snapshot)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_everything_is_attributed_once(tmp_path: Path, data: st.DataObject) -> None:
    """Freed, kept and unattributed bytes add up to the root, whatever is in it."""
    built = DbRoot(Path(tempfile.mkdtemp(dir=tmp_path)))
    names: list[str] = []
    for number in range(data.draw(st.integers(1, 6))):
        parent = data.draw(st.sampled_from(["", *names]))
        names.append(f"l{number}")
        built.layer(names[-1], data.draw(st.integers(0, 20_000)), parent)
    for number in range(data.draw(st.integers(0, 5))):
        tags = [f"i:{number}"] if data.draw(st.booleans()) else []
        built.image(f"i{number}", data.draw(st.sampled_from(names)), tags)
    for number in range(data.draw(st.integers(0, 3))):
        state = {"Running": data.draw(st.booleans()), "Pid": 2**30}
        image = data.draw(st.sampled_from([*built.images, "none"]))
        built.container(f"c{number}", image, data.draw(st.sampled_from(names)), writable={"w": number}, state=state)
    snapshot = scan(built.path, orphaned_after=0)
    found = _reckoned(snapshot)
    freed = sum(one.allocated or 0 for one in found.freed.values())
    assert all(one.allocated is not None and one.allocated >= 0 for one in found.freed.values())
    assert found.unattributed is not None
    assert 0 <= freed <= allocated(built.path) - found.unattributed
    figures = figures_of(built.path, orphaned_after=0)
    shares, whole = figures.sum("image_proportional_size_bytes"), figures.sum("layers_size_bytes", use="image")
    assert abs(shares - whole) < 0.01
