"""Whatever one input of a root is damaged: no figure is wrong, and nothing is called what it is not."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.core.knowledge import Input
from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from tests.support.damage import DAMAGES, Said, inputs, is_exception
from tests.support.product import figures_of, scan
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot, digest
from tests.support.roots.migrated import Migrated

_MOUNT = {"/v": {"Type": "volume", "Name": "data", "Destination": "/v", "RW": True}}
_RUNNING = {"Running": True, "Pid": 2**30, "StartedAt": "2020-01-01T00:00:00Z"}
_EXITED = {"StartedAt": "2020-01-01T00:00:00Z", "FinishedAt": "2020-01-02T00:00:00Z"}


def _layerdb(top: Path) -> Path:
    built = DbRoot(top).layer("base", 100).layer("app", 50, "base").layer("other", 7, "base").layer("left", 20)
    built.image("base", "base", ["base:1"]).image("app", "app", ["app:1"], parent="base")
    built.image("other", "other").image("tool", "other", ["tool:1"])
    built.container("web", "app", "app", writable={"w": 5}, state=_RUNNING, config={"MountPoints": _MOUNT})
    built.container("done", "other", "other", writable={"w": 5}, state=_EXITED)
    built.volume("data", 9000).volume("spare", 800)
    built.volume_labels({"data": {"com.docker.compose.project": "shop"}, "spare": {"com.docker.volume.anonymous": ""}})
    built.build("a" * 25, size=3).build("b" * 25, chain="app", size=4)
    return built.path


def _graph(top: Path) -> Path:
    built = graph_root(top).image("base", size=100, tag="base:1").image("app", parent="base", size=5, tag="app:1")
    built.image("loose", parent="base", size=3)
    built.container("web", image="app", log=b"123", writable={"a": 4}).container(
        "done", image="base", writable={"b": 4}
    )
    built.writer.volume("ff" * 32, {"f": 5})
    return built.path


def _old_volumes(top: Path) -> Path:
    """Docker 1.0 to 1.2 with vfs: volumes are in the directory of the layers."""
    built = graph_root(top, "vfs").image("base", size=100, files={"b": 100}, tag="base:1")
    built.image("app", parent="base", size=5, tag="app:1")
    used, spare = (built.writer.volume(name * 32, {"f": 5}, form="1.0") for name in ("ff", "ee"))
    built.container("web", image="app", volumes={"/v": used}).container("done", image="base", volumes={"/v": used})
    assert spare
    host = built.path / "containers" / hex_id("done") / "hostconfig.json"
    host.write_text(json.dumps({"VolumesFrom": ["web"], "Binds": None}))
    return built.path


def _migrated(top: Path) -> Path:
    built = graph_root(top).image("base", size=100, tag="base:1").image("app", parent="base", size=5, tag="app:1")
    built.container("web", image="app", writable={"a": 4}).container("done", image="base")
    built.writer.volume("named", {"f": 5}, form="1.9")
    return Migrated(built).whole().path


def _containerd(top: Path) -> Path:
    writer = ContainerdWriter(top / "docker")
    base, above = oci.layer({"bin/sh": b"#" * 900}), oci.layer({"srv/app": b"x" * 500})
    app = writer.image("docker.io/library/app:1", oci.index([oci.manifest([base, above])]))
    writer.image("docker.io/library/base:1", [base])
    writer.image("docker.io/library/loose:1", [oci.layer({"loose": b"l" * 70})])
    writer.moby.dangling(writer.target("docker.io/library/loose:1"))
    writer.moby.remove_image("docker.io/library/loose:1")
    state = {"Running": True, "Pid": 2**22 - 5}
    writer.container("web", "app:1", app, writable={"w": b"5"}, state=state, mounts={"/v": "data"})
    writer.container("done", "app:1", app, writable={"w": b"5"})
    writer.volume("data", {"f": b"9" * 900}).volume("spare", {"f": b"8" * 80})
    writer.build_record("base", layer=base, chain=base.diff_id)
    writer.build_record("step", files={"s": b"4" * 40}, parent="base", layer=oci.layer({"s": b"4" * 40}))
    writer.history("one", {"log": b"5" * 50})
    writer.moby.ingest("layer", b"3" * 30, 90)
    node = writer.store.namespace("k8s.io")
    node.pull(app)
    node.name_image("docker.io/library/app:1", app)
    writer.write()
    return writer.root


ROOTS: dict[str, Callable[[Path], Path]] = {
    "layerdb": _layerdb,
    "graph": _graph,
    "old volumes": _old_volumes,
    "migrated": _migrated,
    "containerd": _containerd,
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    """Each input of each root."""
    return [(name, path) for name, make in ROOTS.items() for path in inputs(make(tmp_path_factory.mktemp(name)))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_input_makes_no_figure_wrong(
    cases: list[tuple[str, Path]], tmp_path: Path, data: st.DataObject
) -> None:
    name, path = data.draw(st.sampled_from(cases))
    damage = data.draw(st.sampled_from(sorted(DAMAGES)))
    top = Path(tempfile.mkdtemp(dir=tmp_path))
    root = ROOTS[name](top)
    sound = Said(scan(root, orphaned_after=0))
    assert not sound.wrong(sound)
    DAMAGES[damage](root / path)
    found = Said(scan(root, orphaned_after=0))
    shutil.rmtree(top)
    if not is_exception(damage, path):
        assert found.wrong(sound) == [], f"{path}: {damage}"


_WEB = digest("containerweb")
_FOUND: list[tuple[str, str, str]] = [
    ("layerdb", f"containers/{_WEB}/config.v2.json", "other types"),
    ("layerdb", f"containers/{_WEB}/config.v2.json", "some other types"),
    ("layerdb", f"containers/{_WEB}/hostconfig.json", "other types"),
    ("layerdb", f"image/overlay2/layerdb/mounts/{_WEB}/mount-id", "cut"),
    ("layerdb", f"image/overlay2/layerdb/mounts/{_WEB}/init-id", "cut"),
    ("old volumes", f"volumes/{'ff' * 32}", "removed"),
    ("old volumes", "volumes", "moved"),
    ("migrated", "image", "removed"),
    ("migrated", "image/aufs", "swapped"),
]


@pytest.mark.parametrize(("root", "path", "damage"), _FOUND, ids=[" ".join(one) for one in _FOUND])
def test_what_was_once_taken_for_whole(tmp_path: Path, root: str, path: str, damage: str) -> None:
    at = ROOTS[root](tmp_path)
    sound = Said(scan(at, orphaned_after=0))
    DAMAGES[damage](at / path)
    found = Said(scan(at, orphaned_after=0))
    assert found.called <= sound.called
    assert is_exception(damage, Path(path)) or found.wrong(sound) == []


_TWO: list[tuple[str, dict[str, str]]] = [
    ("graph", {"aufs/layers": "other JSON", f"graph/{hex_id('loose')}/json": "moved"}),
    ("graph", {"vfs/dir": "moved", "aufs/diff": "removed"}),
]


@pytest.mark.parametrize(("root", "damages"), _TWO, ids=[" and ".join(two) for _, two in _TWO])
def test_two_damaged_inputs_make_no_figure_wrong(tmp_path: Path, root: str, damages: dict[str, str]) -> None:
    at = ROOTS[root](tmp_path)
    sound = Said(scan(at, orphaned_after=0))
    for path, damage in damages.items():
        DAMAGES[damage](at / path)
    wrong = Said(scan(at, orphaned_after=0)).wrong(sound)
    # An image whose layer no driver has is shown with one that may have it.
    assert [one for one in wrong if "'driver': 'vfs'" not in one] == []


@pytest.mark.parametrize("layer", ["base", "app"])
def test_a_layer_is_not_orphaned_because_its_entry_was_cut(tmp_path: Path, layer: str) -> None:
    root = _layerdb(tmp_path)
    sound = Said(scan(root, orphaned_after=0))
    (entry,) = (
        one for one in root.glob("image/*/layerdb/sha256/*/cache-id") if one.read_text() == digest("cache" + layer)
    )
    DAMAGES["cut"](entry)
    called = Said(scan(root, orphaned_after=0)).called
    assert not [one for one in called - sound.called if one[0] == "layer orphaned"]


def test_the_list_of_containers_is_not_empty_where_the_layers_of_several_are_there(tmp_path: Path) -> None:
    root = _layerdb(tmp_path)
    sound = Said(scan(root, orphaned_after=0))
    shutil.rmtree(root / "containers")
    (root / "containers").mkdir()
    found = scan(root, orphaned_after=0)
    assert Said(found).wrong(sound) == []
    assert not found.inventory.knowledge.whole((Input.CONTAINERS,))


def test_an_empty_directory_of_the_build_cache_has_no_layers(tmp_path: Path) -> None:
    root = _layerdb(tmp_path)
    shutil.rmtree(root / "buildkit")
    (root / "buildkit").mkdir()
    assert not {"build_cache_records", "build_cache_size_bytes"} & {
        name for name, _ in Said(scan(root, orphaned_after=0)).samples
    }


@pytest.mark.parametrize(("name", "layers"), [("layerdb", "overlay2"), ("graph", "aufs/diff")])
def test_an_empty_directory_in_the_place_of_the_layers_makes_none_missing(
    tmp_path: Path, name: str, layers: str
) -> None:
    """As where the disk of the layers is not mounted."""
    root = ROOTS[name](tmp_path)
    (root / layers).rename(tmp_path / "elsewhere")
    (root / layers).mkdir()
    snapshot = scan(root, orphaned_after=0)
    assert not snapshot.inventory.knowledge.whole((Input.LAYER_STORES,))
    assert not [one for kind, one in Said(snapshot).called if kind == "layer missing"]


def test_where_volumes_are_among_the_layers_no_layer_is_freed_without_their_list(tmp_path: Path) -> None:
    built = graph_root(tmp_path, "vfs").image("base", size=3)
    built.writer.volume("ff" * 32, {"f": 5})
    shutil.rmtree(built.path / "volumes")
    (built.path / "volumes").write_bytes(b"")
    figures = figures_of(built.path, orphaned_after=0)
    for name in ("reclaimable_bytes", "reclaimable_objects"):
        assert not figures.all(name, category="layers_orphaned")
    assert not figures.all("layers", use="orphaned")
