"""Roots of Docker 1.10 and newer, built as Docker writes them."""

import json
import os
import time
from pathlib import Path

import pytest

from exporter.core.dirty import Dirty
from exporter.core.knowledge import Input
from exporter.core.model import Trigger
from exporter.demo.bolt import write_bolt
from exporter.inventory.layouts.layerdb_images import chain_ids
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from tests.support.proc import FakeProc
from tests.support.product import document_of, figures_of, scan
from tests.support.roots.layerdb import DbRoot, digest
from tests.support.usage import allocated


def _age(root: Path, seconds: float) -> None:
    """Date everything back, as if nothing had happened for a while (the ctimes stay: see `orphaned_after`)."""
    then = time.time() - seconds
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            os.utime(Path(directory) / name, (then, then), follow_symlinks=False)


def test_chain_ids_are_those_of_docker() -> None:
    # From a root that Docker 20.10 wrote: the first is the diff id itself.
    one, two = digest("1"), digest("2")
    assert chain_ids([f"sha256:{one}"]) == (one,)
    assert chain_ids([f"sha256:{one}", f"sha256:{two}"]) == (digest(f"sha256:{one} sha256:{two}"), one)
    assert chain_ids([]) == ()


@pytest.mark.parametrize("driver", ["overlay2", "vfs"])
def test_images_containers_and_volumes_are_read(tmp_path: Path, driver: str) -> None:
    built = DbRoot(tmp_path, driver).layer("base", 1000).layer("app", 50, "base").layer("other", 7, "base")
    built.image("base", "base", ["base:1"]).image("app", "app", ["shop/app:2", "shop/app@sha256:" + digest("d")])
    built.image("old", "other").container("web", "app", "app", writable={"w": 30}).volume("data", 5)
    figures = figures_of(built.path, each_layer=True)
    name = built.images["app"][:12]
    assert figures("image_virtual_size_bytes", image_id=name) == 1050
    assert figures("image_unique_size_bytes", image_id=name) == 50
    assert figures("image_proportional_size_bytes", image_id=name) == pytest.approx(50 + 1000 / 3)
    assert figures.all("image_info", image="shop/app:2", digest=f"sha256:{built.images['app']}")
    assert figures.all("image_tag_info", repository="shop/app", tag="2")
    assert {labels["state"]: count for labels, count in figures.all("images") if count} == {
        "used": 1,
        "unused": 1,
        "dangling": 1,
    }
    assert figures("layers", use="image") == 3
    assert figures("layers", use="container") == 2
    assert figures("container_virtual_size_bytes") - figures("container_writable_size_bytes") == 1050
    assert figures("container_writable_size_bytes") == 30
    assert figures("volume_size_bytes", volume="data") == 5
    assert figures.sum("directory_allocated_bytes") == allocated(built.path)
    cache = built.cache("app")[:12]
    assert figures("layer_size_bytes", layer_id=cache) == 50
    assert figures.all("layer_info", layer_id=cache, parent=built.cache("base")[:12], chain=built.chains["app"])
    assert figures.sum("scan_errors_total") == figures.sum("missing_layers") == 0


def test_a_container_keeps_its_layers_when_its_image_is_removed(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).layer("app", 5, "base").image("app", "app", ["app:1"])
    built.container("web", "app", "app", writable={"w": 1})
    (built.base / "imagedb/content/sha256" / built.images["app"]).unlink()
    (built.base / "repositories.json").write_text('{"Repositories":{}}')
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("layers", use="container") == 4
    assert figures("layers", use="orphaned") == figures("missing_layers") == 0
    assert figures("container_virtual_size_bytes") == 16


def test_what_is_on_its_way_is_pending_and_leftovers_are_orphaned_after_the_grace_time(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"])
    built.layer("left", 20)
    built.directory(digest("nobody"), {"f": 30})
    assert figures_of(built.path, orphaned_after=600)("layers", use="pending") == 2
    assert figures_of(built.path, orphaned_after=0)("layers", use="orphaned") == 2
    writing = built.base / "layerdb/tmp/write-set-123"
    writing.mkdir()
    (writing / "tar-split.json.gz").write_bytes(b"x")
    assert figures_of(built.path, orphaned_after=0)("layers", use="pending") == 2
    _age(writing.parent, 2 * 86400)
    (writing / "cache-id").write_text(digest("nobody"))
    os.utime(writing / "cache-id", (1, 1))
    os.utime(writing, (1, 1))
    figures = figures_of(built.path, orphaned_after=0)
    assert (figures("layers", use="pending"), figures("layers", use="orphaned")) == (1, 1)


def test_a_layer_that_is_being_removed_is_pending(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"]).layer("going", 20)
    entry = built.base / "layerdb/sha256" / built.chains["going"]
    entry.rename(f"{entry}-8473294-removing")
    figures = figures_of(built.path, orphaned_after=0)
    assert (figures("layers", use="pending"), figures("layers", use="orphaned")) == (1, 0)


def test_a_missing_layer_is_counted_and_the_image_has_no_size_that_would_be_guessed(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).layer("app", 5, "base").image("app", "app", ["app:1"])
    (built.base / "layerdb/sha256" / built.chains["base"] / "cache-id").write_text(digest("elsewhere"))
    figures = figures_of(built.path)
    assert figures("missing_layers") == 1
    assert not figures.all("image_virtual_size_bytes")
    assert figures("images", state="unused") == 1


@pytest.mark.parametrize("damage", ["{", "[]", '{"rootfs": {"diff_ids": ["sha256:../../etc"]}}', "x" * 100])
def test_a_damaged_image_is_counted_hides_nothing_and_lets_nothing_be_called_orphaned(
    tmp_path: Path, damage: str
) -> None:
    built = DbRoot(tmp_path).layer("base", 10).layer("lost", 5).image("base", "base", ["base:1"])
    built.image("lost", "lost", ["lost:1"])
    (built.base / "imagedb/content/sha256" / built.images["lost"]).write_text(damage)
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("scan_errors_total", collector="images", reason="decode") == 1
    assert figures.all("image_tag_info", repository="lost")
    assert figures("known", input="image_configs") == 0
    assert not figures.all("layers", use="orphaned") + figures.all("layers", use="pending")


def test_the_build_cache_is_told_by_its_records_and_by_its_names(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).layer("stage", 20, "base", cache="a" * 25)
    built.image("base", "base", ["base:1"]).build("a" * 25, chain="stage", size=20).build("b" * 25, size=30)
    built.build("c" * 25, chain="base", size=0).build("d" * 25, size=4, kind="source.local")
    built.directory("e" * 25, {"f": 5})
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("layers", use="build_cache") == 4
    assert figures("layers", use="orphaned") == 0
    assert figures("build_cache_records") == 4
    assert figures("build_cache_size_bytes") == 54
    assert figures("build_cache_record_size_bytes", record_id="b" * 12) == 30
    assert figures.all("build_cache_record_info", record_id="c" * 12, shared="true", type="regular")
    assert figures.all("build_cache_record_info", record_id="d" * 12, shared="false", type="source.local")
    snapshots = sum(allocated(built.layers / (letter * 25)) for letter in "abde")
    assert figures("build_cache_allocated_bytes", component="snapshots") == snapshots
    # The image goes before the build cache, which then is the last to need the image's layer.
    promised = built.blocks("a" * 25, "b" * 25, "d" * 25, built.cache("base"))
    entries = [built.base / "layerdb/sha256" / built.chains[name] for name in ("base", "stage")]
    promised += sum(allocated(entry) for entry in entries)
    assert figures("reclaimable_bytes", category="build_cache") == promised


@pytest.mark.parametrize("lost", ["snapshot", "directory", "directory of what was committed"])
def test_what_the_build_cache_frees_is_not_known_where_the_engine_cannot_prune_it(tmp_path: Path, lost: str) -> None:
    """A kill removes the snapshot of a record whose size was not written down. Engines before 23.0 fail there."""
    built = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"]).build("a" * 25, size=1)
    (built.path / "trust").mkdir()
    promised = figures_of(built.path)("reclaimable_bytes", category="build_cache")
    name, committed, created = "b" * 25, "c" * 25, json.dumps({"value": 10**18}).encode()
    records = {
        name: {"cache.createdAt": created},
        "a" * 25: {"snapshot.size": b'{"value":1}', "cache.createdAt": created},
    }
    snapshots: dict[str, dict[str, bytes]] = {"a" * 25: {}}
    if lost == "directory":
        snapshots[name] = {"committed": committed.encode()}
        snapshots[committed] = {"iscommitted": b""}
    elif lost != "snapshot":
        snapshots[name] = {"committed": committed.encode()}
        built.directory(committed, {})
    write_bolt(built.path / "buildkit/metadata_v2.db", {"_main": records})
    write_bolt(built.path / "buildkit/snapshots.db", snapshots)
    document = document_of(built.path)
    (row,) = (one for one in document.reclaimable if one.category == "build_cache")
    assert (row.bytes, row.objects, row.commands) == (None, None, ())
    assert f"the snapshot of the build record {name} is gone" in row.why
    assert figures_of(built.path)("build_cache_records") == 2
    (built.path / "trust").rmdir()
    (built.path / "engine-id").write_text("an engine from 23.0 on")
    assert figures_of(built.path)("reclaimable_bytes", category="build_cache") >= promised


def test_a_record_that_is_newer_than_the_snapshots_that_were_read_has_not_lost_its_own(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"]).build("a" * 25, size=1)
    newer = json.dumps({"value": int((time.time() + 60) * 1e9)}).encode()
    write_bolt(built.path / "buildkit/metadata_v2.db", {"_main": {"b" * 25: {"cache.createdAt": newer}}})
    (row,) = (one for one in document_of(built.path).reclaimable if one.category == "build_cache")
    assert row.bytes is not None


def test_a_build_cache_that_cannot_be_read_lets_nothing_be_called_orphaned(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"]).layer("left", 20)
    built.build("a" * 25, size=3)
    (built.path / "buildkit/snapshots.db").write_bytes(b"x" * 9000)
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("scan_errors_total", collector="build_cache", reason="decode") == 1
    assert figures("known", input="build_cache") == 0
    assert not figures.all("layers", use="pending") + figures.all("layers", use="orphaned")


def test_the_labels_of_volumes_come_from_the_database(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("base", "base").volume("data", 5).volume("plain", 5)
    labels = b'{"Name":"data","Driver":"local","Labels":{"com.docker.compose.project":"shop"}}'
    anonymous = b'{"Name":"plain","Driver":"local","Labels":{"com.docker.volume.anonymous":""}}'
    away = b'{"Name":"away","Driver":"nfs","Labels":null}'
    gone = b'{"Name":"gone","Driver":"local"}'
    table = {"data": labels, "plain": anonymous, "away": away, "gone": gone}
    write_bolt(built.path / "volumes/metadata.db", {"volumes": table})
    figures = figures_of(built.path)
    assert figures.all("volume_info", volume="data", compose_project="shop", anonymous="false")
    assert figures.all("volume_info", volume="plain", anonymous="true")
    assert figures.all("volume_info", volume="away", volume_driver="nfs")
    assert not figures.all("volume_info", volume="gone")
    assert not figures.all("volume_size_bytes", volume="away")


def test_layers_that_were_taken_over_from_the_graph_count_once(tmp_path: Path) -> None:
    built = DbRoot(tmp_path, "aufs")
    (built.path / "aufs/diff").mkdir()
    built.layers = built.path / "aufs/diff"
    built.layer("base", 10, cache=digest("v1")).image("base", "base", ["base:1"])
    home = built.path / "graph" / digest("v1")
    home.mkdir(parents=True)
    (home / "json").write_text(json.dumps({"id": digest("v1")}))
    moved = {digest("v1"): f"sha256:{built.images['base']}"}
    (built.path / ".migration-v1-images.json").write_text(json.dumps(moved))
    (built.path / ".migration-v1-tags").write_text("")
    (built.path / "repositories-aufs").write_text(json.dumps({"Repositories": {"base": {"1": digest("v1")}}}))
    figures = figures_of(built.path)
    assert {labels["layout"] for labels, _ in figures.all("root_info")} == {"graph", "layerdb"}
    assert figures("layers", driver="aufs", use="image") == 1
    assert figures.sum("images") == 1
    assert figures.sum("missing_layers") == figures.sum("scan_errors_total") == 0


def test_the_containerd_store_is_named_and_never_no_images_and_all_well(tmp_path: Path) -> None:
    root = tmp_path / "docker"
    for name in ("containers", "volumes", "buildkit", "containerd/daemon/io.containerd.content.v1.content"):
        (root / name).mkdir(parents=True)
    figures = figures_of(root)
    assert figures("root_info", layout="containerd") == 1
    assert not figures.all("images")
    assert figures.sum("directory_allocated_bytes") == allocated(root)
    built = DbRoot(tmp_path / "other").layer("base", 10).image("base", "base", ["base:1"])
    (built.path / "containerd/daemon/io.containerd.snapshotter.v1.overlayfs").mkdir(parents=True)
    assert scan(built.path).inventory.unmeasured == ()
    (built.path / "rootfs/overlayfs/abc").mkdir(parents=True)
    assert scan(built.path).inventory.unmeasured == ("containerd",)


def test_roots_of_remapped_users_are_named(tmp_path: Path) -> None:
    nested = tmp_path / "100000.100000"
    nested.mkdir()
    DbRoot(nested).path.rename(tmp_path / "inner")
    (tmp_path / "inner").rename(nested / "x")
    for entry in (nested / "x").iterdir():
        entry.rename(nested / entry.name)
    assert f"--root {tmp_path}/100000.100000" in scan(tmp_path).error
    DbRoot(tmp_path / "own").path.rename(tmp_path / "own/d")
    for entry in (tmp_path / "own/d").iterdir():
        entry.rename(tmp_path / entry.name)
    assert scan(tmp_path).inventory.nested == ("100000.100000",)


def test_a_running_container_is_one_whose_process_is_there(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"])
    proc = FakeProc(tmp_path / "proc")
    proc.container(7, digest("containerweb"))
    built.container("web", "base", "base", state={"Running": True, "Pid": 7})
    built.container("gone", "base", "base", state={"Running": True, "Pid": 8})
    figures = figures_of(built.path, proc=str(proc.path))
    assert {labels["state"]: count for labels, count in figures.all("containers") if count} == {
        "running": 1,
        "stale": 1,
    }
    assert figures("container_running", container_id=digest("containerweb")[:12]) == 1
    assert figures("container_running", container_id=digest("containergone")[:12]) == 0
    assert figures("reclaimable_objects", category="containers_stopped") == 0


def test_containers_that_cannot_be_listed_let_nothing_be_called_orphaned(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"]).layer("left", 20)
    assert figures_of(built.path, orphaned_after=0)("layers", use="orphaned") == 1
    (built.path / "containers").rmdir()
    (built.path / "containers").symlink_to("/")
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("known", input="containers") == 0
    assert not figures.all("layers", use="pending") + figures.all("layers", use="orphaned")
    assert figures("layers", use="image") == 1


def test_an_image_whose_name_was_read_before_both_went_is_not_missing(tmp_path: Path, pool: Pool) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"]).image("gone", "base", ["gone:1"])
    names = built.base / "repositories.json"
    old = names.read_text()
    scanner = Scanner(str(built.path), 600, pool)
    scanner.scan()
    image = built.base / "imagedb/content/sha256" / built.images["gone"]
    image.unlink()
    names.write_text(json.dumps({"Repositories": {}}))
    # The event that tells of the names is still to come.
    scanner.begin(Trigger.EVENT, Dirty(frozenset({image.relative_to(built.path).parts})))
    assert not scanner.inventory.knowledge.gaps
    names.write_text(old)
    scanner.begin(Trigger.EVENT, Dirty(everything=True))
    (gap,) = scanner.inventory.knowledge.gaps
    assert (gap.input, gap.object_id) == (Input.IMAGE_CONFIGS, built.images["gone"])
