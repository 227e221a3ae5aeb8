"""The layout of containerd's image store: images, snapshots, containers and build records, whole and damaged."""

import json
import os
import shutil
from pathlib import Path

import pytest

from exporter.core.content import StoreNode
from exporter.core.knowledge import Input
from exporter.core.model import Container, Image, LayerKey, Use
from exporter.demo import oci
from exporter.demo.bolt import write_bolt
from exporter.demo.containerd import ContainerdStore
from exporter.demo.containerd_docker import ContainerdWriter, record_id
from exporter.inventory.layouts import containerd_content
from exporter.inventory.layouts.claims import Grace
from tests.support.clock import FakeClock
from tests.support.inventories import Reads, read
from tests.support.paths import SHARED
from tests.support.product import figures_of
from tests.support.recorded import unpack_containerd

_BASE, _TOP = oci.layer({"bin/sh": b"#" * 9000}), oci.layer({"srv/app": b"x" * 5000})
_OTHER = oci.layer({"bin/sh": b"!" * 7000})
_META = ("io.containerd.metadata.v1.bolt", "meta.db")


def _image(inventory_images: tuple[Image, ...], name: str) -> Image:
    (found,) = (one for one in inventory_images if f"{name}:1" in [":".join(ref) for ref in one.references])
    return found


def _container(containers: tuple[Container, ...], name: str) -> Container:
    (found,) = (one for one in containers if one.name == name)
    return found


@pytest.fixture
def writer(tmp_path: Path) -> ContainerdWriter:
    made = ContainerdWriter(tmp_path / "docker")
    app = made.image("docker.io/library/app:1", oci.index([oci.manifest([_BASE, _TOP]), _arm()]))
    made.image("docker.io/library/base:1", [_BASE])
    made.container("web", "app:1", app, writable={"tmp/x": 3000})
    return made


def _arm() -> oci.OciManifest:
    return oci.manifest([_OTHER], "linux/arm64")


def test_an_image_is_its_blobs_and_its_snapshots(writer: ContainerdWriter) -> None:
    writer.write()
    inventory = read(writer.root)
    image = _image(inventory.images, "app")
    target = writer.target("docker.io/library/app:1")
    host, arm = target.manifests
    assert (image.namespace, image.driver, image.digest) == ("moby", "overlayfs", target.digest)
    assert image.platforms == ("linux/amd64", "linux/arm64")
    assert host.config is not None
    assert arm.config is not None
    listed = [host.blob, host.config, _BASE.blob, _TOP.blob, arm.blob, arm.config, _OTHER.blob]
    assert image.content_size == sum(blob.size for blob in listed), "the index does not count"
    assert {*image.blobs} == {target.digest, *(blob.digest for blob in listed)}
    layers = {one.id: one for one in inventory.layers}
    chain = [layers[name] for name in image.layers]
    assert [f"sha256:{one.chain}" for one in chain] == host.chains[::-1]
    assert image.unpacked_size == sum(one.recorded_size or 0 for one in chain)
    assert (image.broken, image.missing, image.further, image.dangling) == (False, (), (), False)
    assert not inventory.knowledge.gaps


def test_a_container_stands_on_its_init_layer_and_the_image(writer: ContainerdWriter) -> None:
    writer.write()
    inventory = read(writer.root)
    web, image = _container(inventory.containers, "web"), _image(inventory.images, "app")
    layers = {one.id: one for one in inventory.layers}
    assert web.layer is not None
    assert web.init is not None
    own, init = layers[web.layer], layers[web.init]
    assert (own.name, own.use, own.recorded_size, own.by_blocks, own.committed) == (
        *(web.id, Use.CONTAINER, None),
        *(True, False),
    )
    assert (init.name, init.use, own.parent) == (f"{web.id}-init", Use.CONTAINER, init.id)
    assert init.recorded_size
    assert (web.chain, web.missing, web.namespace) == (image.layers, (), "moby")
    assert web.image_key == image.key


def test_a_container_whose_image_is_gone_is_normal(writer: ContainerdWriter) -> None:
    writer.moby.remove_image("docker.io/library/app:1")
    writer.write()
    inventory = read(writer.root)
    web = _container(inventory.containers, "web")
    layers = {one.id: one.use for one in inventory.layers}
    assert (web.missing, web.unloaded, len(web.chain)) == ((), "", 2)
    assert [layers[name] for name in web.chain] == [Use.CONTAINER, Use.IMAGE], "another image has the lower one"
    assert not inventory.knowledge.gaps
    assert not inventory.missing["overlayfs"]


def test_names_are_grouped_by_target_and_shown_as_docker_shows_them(writer: ContainerdWriter) -> None:
    target = writer.target("docker.io/library/app:1")
    for name in ("registry.example:5000/team/app:9", f"docker.io/library/app@{target.digest}"):
        writer.moby.name_image(name, target)
    writer.moby.dangling(target)
    writer.moby.dangling(writer.target("docker.io/library/base:1"))
    writer.moby.remove_image("docker.io/library/base:1")
    writer.write()
    named, dangling = sorted(read(writer.root).images, key=lambda one: one.dangling)
    assert named.references == (("app", "1"), ("registry.example:5000/team/app", "9"))
    assert named.digests == (f"app@{target.digest}",)
    assert not named.dangling, "it has other names"
    assert (dangling.references, dangling.digests, dangling.dangling) == ((), (), True)


def test_an_image_that_others_were_built_on_without_a_name_is_not_listed(writer: ContainerdWriter) -> None:
    base, app = (writer.target(f"docker.io/library/{name}:1") for name in ("base", "app"))
    writer.moby.name_image("docker.io/library/app:1", app, {"org.mobyproject.image.parent": base.digest})
    writer.write()
    assert _image(read(writer.root).images, "base").listed
    writer.moby.dangling(base)
    writer.moby.remove_image("docker.io/library/base:1")
    writer.write()
    images = {one.digest: one for one in read(writer.root).images}
    assert (images[base.digest].listed, images[app.digest].parent) == (False, images[base.digest].id)


def test_content_without_snapshots_and_snapshots_without_content(writer: ContainerdWriter) -> None:
    packed = writer.image("docker.io/library/packed:1", [_OTHER], unpack=False)
    writer.moby.image("docker.io/library/lazy:1", [oci.layer({"lazy": 6000})], content=False)
    writer.write()
    images = read(writer.root).images
    one, other = _image(images, "packed"), _image(images, "lazy")
    assert packed.config is not None
    assert one.content_size == packed.blob.size + packed.config.size + _OTHER.blob.size
    assert (one.unpacked_size, one.layers, one.broken) == (0, (), False)
    assert (other.unpacked_size or 0) > 6000
    assert not other.broken
    assert len(other.blobs) == 2, "the manifest and its configuration"


def test_a_namespace_of_kubernetes_has_images_snapshots_and_pods_of_its_own(writer: ContainerdWriter) -> None:
    node = writer.store.namespace("k8s.io", "native")
    target = writer.target("docker.io/library/app:1")
    node.pull(target)
    node.name_image("docker.io/library/app:1", target)
    assert target.manifests[0].config is not None
    node.name_image(target.manifests[0].config.digest, target)
    top = target.manifests[0].chains[-1]
    node.snapshot("c1", top, {"tmp/y": 2000}, "active")
    labels = {
        "io.cri-containerd.kind": "container",
        "io.kubernetes.pod.name": "web-0",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.container.name": "nginx",
    }
    node.container("c1", "docker.io/library/app:1", key="c1", labels=labels)
    writer.write()
    inventory = read(writer.root)
    mine, theirs = sorted(
        (one for one in inventory.images if one.digest == target.digest), key=lambda one: one.namespace
    )
    assert (mine.namespace, theirs.namespace) == ("k8s.io", "moby")
    assert (mine.driver, theirs.driver) == ("native", "overlayfs")
    assert mine.references == (("docker.io/library/app", "1"),)
    assert mine.content_size == theirs.content_size
    assert (mine.unpacked_size or 0) > (theirs.unpacked_size or 0), "each native snapshot is a full copy"
    pod = _container(inventory.containers, "nginx")
    assert (pod.namespace, pod.foreign, pod.pod, pod.pod_namespace, pod.pod_container) == (
        *("k8s.io", True, "web-0"),
        *("shop", "nginx"),
    )
    assert (pod.image_key, pod.chain, pod.driver, pod.runs) == (mine.key, mine.layers, "native", None)
    content = inventory.content
    assert content is not None
    assert (content.engine, content.namespaces) == ("moby", ("k8s.io", "moby"))
    assert content.blobs[target.digest].namespaces == ("k8s.io", "moby")
    assert {(one.namespace, one.driver) for one in inventory.layers} == {("moby", "overlayfs"), ("k8s.io", "native")}
    assert not inventory.knowledge.gaps
    assert not any(one.unloaded for one in inventory.images)
    assert not any(one.unloaded for one in inventory.containers)


def test_an_image_that_two_snapshotters_have_is_one_image(writer: ContainerdWriter) -> None:
    writer.store.namespace("moby", "native").unpack(writer.target("docker.io/library/base:1"))
    writer.store.namespace("moby", "overlayfs")
    writer.write()
    inventory = read(writer.root)
    base = _image(inventory.images, "base")
    assert (base.driver, len(base.layers), [one.driver for one in base.further]) == ("overlayfs", 1, ["native"])
    uses = {one.key: one.use for one in inventory.layers}
    assert uses[base.further[0]] is Use.IMAGE
    sizes = {one.key: one.recorded_size for one in inventory.layers}
    own = sum(sizes[LayerKey("overlayfs", name)] or 0 for name in base.layers)
    assert base.unpacked_size == own, "Docker counts the snapshots of its own snapshotter"


def test_the_root_of_containerd_alone_is_read(tmp_path: Path) -> None:
    store = ContainerdStore(tmp_path / "containerd")
    node = store.namespace("k8s.io")
    target = node.image("registry.example/pause:3", [_BASE])
    node.snapshot("p", target.chains[-1], {}, "active")
    node.container("p", "registry.example/pause:3", key="p")
    store.write()
    inventory = read(store.home)
    assert inventory.layouts == ("containerd",)
    assert [one.namespace for one in inventory.images] == ["k8s.io"]
    assert inventory.content is not None
    assert (inventory.content.engine, inventory.content.history) == ("", "")
    assert [one.foreign for one in inventory.containers] == [True]
    assert not inventory.knowledge.gaps


def test_a_store_in_a_further_root_is_read(tmp_path: Path) -> None:
    made = ContainerdWriter(tmp_path / "docker", home=tmp_path / "containerd")
    app = made.image("docker.io/library/app:1", [_BASE])
    made.container("web", "app:1", app)
    made.write()
    inventory = read(made.root, made.store.home)
    assert [one.references for one in inventory.images] == [(("app", "1"),)]
    assert {one.content[0] for one in inventory.layers if one.content} == {str(made.store.home)}
    assert not inventory.knowledge.gaps
    alone = read(made.root)
    assert alone.unmeasured == ("containerd",)
    assert not alone.images
    assert not alone.knowledge.whole([Input.IMAGE_STORE])


def test_records_of_the_build_cache_have_their_size_and_snapshot(writer: ContainerdWriter) -> None:
    base = writer.build_record("base", layer=_BASE, chain=_BASE.diff_id)
    top = writer.build_record("top", files=_TOP.files, parent="base", layer=_TOP)
    step = writer.build_record("step", files={"s": 4000}, parent="base", layer=oci.layer({"s": 4000}))
    mount = writer.build_record("mount", files={"w": 9000}, mutable=True, kind="exec.cachemount")
    writer.twin("mount, read only", "mount")
    writer.history("one", {"log": 5000})
    writer.write()
    inventory = read(writer.root)
    records = {one.id: one for one in inventory.build_cache.records}
    assert records.keys() == {base, top, step, mount}
    assert {name: one.shared for name, one in records.items()} == {base: True, top: True, step: False, mount: False}
    layers = {one.key: one for one in inventory.layers}
    own = layers[records[step].layer]  # type: ignore[index]
    assert own.use is Use.BUILD_CACHE
    assert records[step].size == (own.recorded_size or 0) + oci.layer({"s": 4000}).blob.size
    assert records[base].size == _BASE.blob.size, "it counts its blob only"
    assert (records[mount].kind, records[mount].size) == ("exec.cachemount", _blocks(writer, mount))
    assert inventory.content is not None
    assert inventory.content.entries is not None
    assert len(inventory.content.entries) == 1


def test_what_a_lease_without_a_record_keeps_is_freed_by_no_prune(writer: ContainerdWriter) -> None:
    """A kill leaves one where BuildKit has made the lease and its snapshot, and not yet the record."""
    writer.build_record("step", files={"s": 4000})
    writer.write()
    promised = figures_of(writer.root)("reclaimable_bytes", category="build_cache")
    assert promised > 0
    _lease_record(writer, "lost")
    writer.write()
    inventory = read(writer.root)
    lost = record_id("lost")
    assert inventory.build_cache.unlisted == {lost, f"{lost}-variants"}, "one that is temporary goes at the next start"
    figures = figures_of(writer.root)
    assert figures("reclaimable_bytes", category="build_cache") == promised
    assert figures("reclaimable_objects", category="build_cache") == 1
    assert figures("layers", use="build_cache") == 2


def test_leases_of_records_are_followed_as_they_and_the_records_come_and_go(writer: ContainerdWriter) -> None:
    reads = Reads(writer.root)
    first, second = (record_id(name) for name in ("first", "second"))
    for change, left in (
        (lambda: writer.build_record("first", files={"s": 4000}), set[str]()),
        (lambda: _lease_record(writer, "second"), {second, f"{second}-variants"}),
        (lambda: writer.build_record("second", files={"s": 4000}), set[str]()),
        (lambda: writer.remove_record("first"), set[str]()),
        (lambda: _lease_record(writer, "first"), {first, f"{first}-variants"}),
        (lambda: writer.moby.remove_lease(first), {f"{first}-variants"}),
    ):
        change()
        writer.write()
        assert reads.again(everything=True).build_cache.unlisted == left == read(writer.root).build_cache.unlisted


def _lease_record(writer: ContainerdWriter, name: str) -> None:
    """The leases and the snapshot of a record, without the record."""
    identity = record_id(name)
    writer.moby.snapshot(identity, "", {"file": 5000}, "active")
    labels = {"containerd.io/gc.flat": "x"}
    writer.moby.lease(identity, snapshots=[identity], labels=labels)
    writer.moby.lease(f"{identity}-variants", snapshots=[identity])
    writer.moby.lease(f"{identity}-view", snapshots=[identity], labels={"buildkit/lease.temporary": "x"})


def test_builds_are_those_of_the_history_and_not_those_of_its_leases(writer: ContainerdWriter) -> None:
    ids = [writer.history(name, {"log": 5000}) for name in ("one", "two")]
    writer.builds.remove_lease(f"ref_{ids[0]}")
    writer.builds.lease("ref_gone", content=())
    writer.write()
    content = read(writer.root).content
    assert content is not None
    assert content.entries is not None
    assert {one.id: one.created is None for one in content.entries} == {ids[0]: True, ids[1]: False}
    assert content.unlisted == {"ref_gone"}


def test_the_history_of_engines_before_28_is_that_of_both_image_stores(writer: ContainerdWriter) -> None:
    name = writer.history("one", {"log": 5000})
    writer.builds.lease("ref_gone", content=())
    writer.write()
    file = writer.root / "buildkit/history_c8d.db"
    file.rename(file.with_name("history.db"))
    content = read(writer.root).content
    assert content is not None
    assert content.entries is not None
    assert [one.id for one in content.entries] == [name]
    assert content.unlisted == {"ref_gone"}
    write_bolt(file, {"_version": {"version": b"2"}})
    inventory = read(writer.root)
    content = inventory.content
    assert content is not None
    assert not inventory.knowledge.gaps
    assert content.entries == (), "an upgrade begins another one"
    assert content.unlisted == {f"ref_{name}", "ref_gone"}


@pytest.mark.parametrize("damage", ["lost", "empty", "torn"])
def test_without_its_database_the_builds_of_the_history_are_not_known(writer: ContainerdWriter, damage: str) -> None:
    writer.history("one", {"log": 5000})
    writer.write()
    file = writer.root / "buildkit/history_c8d.db"
    file.unlink() if damage == "lost" else file.write_bytes(b"" if damage == "empty" else b"torn")
    inventory = read(writer.root)
    assert inventory.knowledge.whole([Input.BUILD_CACHE]) is (damage != "torn"), "the cache has other databases"
    found = figures_of(writer.root)
    assert not found.all("build_history_records")
    assert not found.all("reclaimable_bytes", category="build_history")


def _age(writer: ContainerdWriter) -> None:
    """Make the main database an hour old: what is missing is not looked for again then."""
    file = writer.store.home.joinpath(*_META)
    os.utime(file, (file.stat().st_mtime - 3600,) * 2)


def _blocks(writer: ContainerdWriter, key: str) -> int:
    top = writer.moby.snapshot_directory(key) / "fs"
    found = [top, *(Path(at) / name for at, names, files in os.walk(top) for name in (*names, *files))]
    return sum(512 * path.lstat().st_blocks for path in found)


def test_a_record_without_a_size_counts_all_compressions_of_its_layer_once(writer: ContainerdWriter) -> None:
    layer, blobs = oci.layer({"s": 4000}), [oci.layer({"s": size}).blob for size in (5000, 6000)]
    writer.build_record("step", layer=layer, sized=False)
    ring = [layer.blob, *blobs]
    for blob in blobs:
        writer.moby.blob(blob)
    for blob, other in zip(ring, [*ring[1:], ring[0]], strict=True):
        for one in (blob, other):
            writer.moby.label_blob(blob.digest, {f"containerd.io/gc.ref.content.blob-{one.digest}": one.digest})
    writer.write()
    (record,) = read(writer.root).build_cache.records
    assert record.size == 4096 + sum(blob.size for blob in ring)


def test_a_record_that_was_merged_of_others_has_the_size_without_their_files(writer: ContainerdWriter) -> None:
    name = writer.build_record("merged", files={"linked": 9000}, sized=False)
    entry = writer.moby.bucket("snapshots", "overlayfs", name, "labels")
    entry |= {"buildkit.mergeUsageSize": b"4096", "buildkit.mergeUsageInodes": b"1"}
    writer.write()
    inventory = read(writer.root)
    assert [one.size for one in inventory.build_cache.records] == [4096]
    assert [one.recorded_size for one in inventory.layers if one.name == name] == [16384], "as containerd says"


def test_a_manifest_that_an_index_names_several_times_counts_as_often(writer: ContainerdWriter) -> None:
    once = oci.manifest([_BASE, _TOP])
    again = oci.index([once, once, oci.index([once]), oci.index([once])])
    writer.image("docker.io/library/again:1", again)
    writer.write()
    images = read(writer.root).images
    image, single = _image(images, "again"), _image(images, "app")
    assert image.unpacked_size == 4 * (single.unpacked_size or 0)
    assert image.content_size == 4 * sum(blob.size for blob in (once.blob, once.config, _BASE.blob, _TOP.blob) if blob)
    assert len(image.layers) == 2


def test_an_index_that_leads_to_too_many_is_not_followed_without_end(writer: ContainerdWriter) -> None:
    target = oci.manifest([_BASE])
    writer.moby.pull(target, unpack=False)
    for _ in range(6):
        target = oci.index([target] * 30)
        writer.moby.blob(target.blob)
    writer.moby.name_image("docker.io/library/many:1", target)
    writer.write()
    image = _image(read(writer.root).images, "many")
    assert (image.broken, image.content_size) == (True, None)


def test_what_nothing_keeps_is_orphaned_after_the_grace_time_and_what_work_keeps_never(
    writer: ContainerdWriter,
) -> None:
    stray = oci.layer({"stray": 800}).blob
    writer.moby.blob(stray)
    writer.moby.snapshot("sha256:" + "0" * 64, "", {"left": 500})
    writer.moby.snapshot("extract-1-abcd sha256:" + "1" * 64, "", {"new": 500}, "active")
    expires = {"containerd.io/gc.expire": "2100-01-01T00:00:00Z"}
    writer.moby.lease("1-abcd", snapshots=["extract-1-abcd sha256:" + "1" * 64], labels=expires)
    directory = writer.moby.snapshotter.path / "snapshots"
    (directory / "new-5").mkdir()
    (directory / "999").mkdir()
    (writer.store.blobs / ("f" * 64)).write_bytes(b"left")
    writer.write()
    clock = FakeClock()
    reads = Reads(writer.root, grace=Grace(600, clock.clock))
    uses = {one.name or one.id: one.use for one in reads.again(everything=True).layers}
    assert uses["sha256:" + "0" * 64] is uses["new-5"] is uses["999"] is Use.PENDING
    content = reads.inventory.content
    assert content is not None
    assert not content.orphaned
    clock.advance(601)
    inventory = reads.again(everything=True)
    uses = {one.name or one.id: one.use for one in inventory.layers}
    assert uses["sha256:" + "0" * 64] is uses["new-5"] is uses["999"] is Use.ORPHANED
    assert uses["extract-1-abcd sha256:" + "1" * 64] is Use.PENDING
    assert inventory.content is not None
    assert inventory.content.orphaned == {stray.digest, "sha256:" + "f" * 64}


@pytest.mark.parametrize("label", ["moby/prune.images", "buildkit/lease.temporary", "anything"])
def test_a_snapshot_that_any_lease_keeps_is_never_orphaned(writer: ContainerdWriter, label: str) -> None:
    key = "extract-1-abcd sha256:" + "1" * 64
    writer.moby.snapshot(key, "", {"new": 500}, "active")
    writer.moby.lease("1-abcd", snapshots=[key], labels={label: "x"})
    writer.write()
    clock = FakeClock()
    reads = Reads(writer.root, grace=Grace(600, clock.clock))
    reads.again(everything=True)
    clock.advance(601)
    assert {one.use for one in reads.again(everything=True).layers if one.name == key} == {Use.PENDING}


def test_a_row_without_an_entry_in_the_main_database_is_a_layer(writer: ContainerdWriter) -> None:
    writer.moby.snapshot("extract-1-abcd sha256:" + "1" * 64, "", {"new": 500}, "active")
    del writer.moby.bucket("snapshots", "overlayfs")["extract-1-abcd sha256:" + "1" * 64]
    writer.write()
    layers = [one for one in read(writer.root).layers if one.name.startswith("extract-1-abcd ")]
    assert [(one.namespace, one.use, one.size_known, one.recorded_size) for one in layers] == [
        ("moby", Use.PENDING, True, None)
    ]


def test_a_snapshot_that_the_snapshotter_has_not_is_missing(writer: ContainerdWriter) -> None:
    key = writer.target("docker.io/library/app:1").manifests[0].chains[0]
    name = writer.moby.snapshot_name(key)
    for row in writer.moby.snapshotter.rows.values():
        if row.get("parent") == name.encode():
            del row["parent"]
    writer.moby.snapshotter.remove(name)
    writer.write()
    _age(writer)
    inventory = read(writer.root)
    image, web = _image(inventory.images, "app"), _container(inventory.containers, "web")
    assert (image.broken, image.unpacked_size, image.missing) == (True, None, (key,))
    assert web.missing == (key,)
    assert inventory.missing["overlayfs"] == {key}


@pytest.mark.parametrize("content", [b"", b"garbage" * 900, None])
def test_without_the_main_database_nothing_is_known_of_images(writer: ContainerdWriter, content: bytes | None) -> None:
    writer.write()
    file = writer.store.home.joinpath(*_META)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    inventory = read(writer.root)
    assert not inventory.images
    assert not inventory.knowledge.whole([Input.IMAGE_STORE])
    assert Use.ORPHANED not in {one.use for one in inventory.layers}


def test_without_the_snapshotters_database_nothing_is_known_of_its_sizes(writer: ContainerdWriter) -> None:
    writer.write()
    (writer.moby.snapshotter.path / "metadata.db").write_bytes(b"garbage" * 900)
    inventory = read(writer.root)
    image = _image(inventory.images, "app")
    assert (image.unpacked_size, image.content_size is not None) == (None, True)
    assert not inventory.knowledge.whole([Input.LAYER_STORES], "overlayfs")


def _overwrite(writer: ContainerdWriter, digest: str, content: bytes) -> None:
    path = writer.store.blob_path(digest)
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("content", [b"{", b"", b"[]", json.dumps({"layers": [{}] * 5000}).encode()])
def test_a_manifest_that_is_none_is_counted_and_only_its_image_is_not_known(
    writer: ContainerdWriter, content: bytes
) -> None:
    """Images come from anywhere. What such a one keeps is known by its labels, as to the engine."""
    writer.write()
    whole = _image(read(writer.root).images, "app")
    _overwrite(writer, writer.target("docker.io/library/app:1").manifests[0].digest, content)
    reads = Reads(writer.root)
    inventory = reads.again(everything=True)
    image = _image(inventory.images, "app")
    assert (image.content_size, image.unpacked_size, image.broken) == (None, None, True)
    assert {*image.blobs} == {*whole.blobs}
    assert {*image.layers} == {*whole.layers}
    assert _image(inventory.images, "base").content_size is not None
    assert sum(reads.problems.counts.values()) == 1
    assert not inventory.knowledge.gaps


def test_a_configuration_that_is_none_says_nothing(writer: ContainerdWriter) -> None:
    writer.write()
    whole = _image(read(writer.root).images, "app")
    config = writer.target("docker.io/library/app:1").manifests[0].config
    assert config is not None
    _overwrite(writer, config.digest, b"no JSON")
    inventory = read(writer.root)
    image = _image(inventory.images, "app")
    assert (image.content_size, image.unpacked_size) == (whole.content_size, whole.unpacked_size)
    assert not inventory.knowledge.gaps


def test_a_blob_that_is_named_and_not_there_is_no_crash(writer: ContainerdWriter) -> None:
    writer.write()
    writer.store.blob_path(writer.target("docker.io/library/app:1").digest).unlink()
    _age(writer)
    inventory = read(writer.root)
    image = _image(inventory.images, "app")
    assert (image.broken, image.content_size, image.unpacked_size) == (True, None, None)


@pytest.mark.parametrize("name", ["devmapper", "zfs", "btrfs", "erofs", "blockfile", "stargz"])
def test_a_snapshotter_without_directories_has_what_is_recorded(tmp_path: Path, name: str) -> None:
    made = ContainerdWriter(tmp_path / "docker", name)
    made.moby.snapshot("sha256:" + "1" * 64, "", {}, size=70_000)
    made.moby.snapshot("c" * 64, "sha256:" + "1" * 64, {}, "active")
    made.moby.lease("c" * 64, snapshots=["c" * 64, "sha256:" + "1" * 64])
    made.write()
    layers = {one.name: one for one in read(made.root).layers}
    base, own = layers["sha256:" + "1" * 64], layers["c" * 64]
    assert (base.recorded_size, base.size_known, base.trees) == (70_000, True, ())
    assert (own.recorded_size, own.size_known, own.trees) == (None, False, ())
    assert (own.parent, own.use) == (base.id, Use.CONTAINER)


def test_a_snapshotter_whose_files_are_elsewhere_has_names_only(writer: ContainerdWriter) -> None:
    """A proxy plugin has its own root: of its snapshots the store has the names, and no size."""
    writer.moby.bucket("snapshots", "stargz", "sha256:" + "5" * 64)["name"] = b"moby/5/x"
    config = writer.target("docker.io/library/base:1").config
    assert config is not None
    writer.moby.label_blob(config.digest, {"containerd.io/gc.ref.snapshot.stargz": "sha256:" + "5" * 64})
    writer.write()
    inventory = read(writer.root)
    layer = next(one for one in inventory.layers if one.driver == "stargz")
    assert (layer.id, layer.use, layer.size_known, layer.trees) == ("moby/5/x", Use.IMAGE, False, ())


def test_a_snapshotter_whose_last_snapshot_was_removed_hides_nothing(writer: ContainerdWriter) -> None:
    """containerd leaves the bucket of a proxy plugin's snapshots there, and nothing else names the plugin."""
    writer.moby.bucket("snapshots", "stargz")
    writer.write()
    reads = Reads(writer.root)
    inventory = reads.again(everything=True)
    assert (len(inventory.images), inventory.unmeasured, reads.problems.counts) == (2, (), {})


def test_snapshots_whose_namespaces_and_snapshotters_are_one_text_together_are_all_there(
    writer: ContainerdWriter,
) -> None:
    for namespace, name in (("a\0b", "c"), ("a", "b\0c")):
        writer.store.namespace(namespace).bucket("snapshots", name)["k"] = {"name": b"n", "parent": b""}
    writer.write()
    content = read(writer.root).content
    assert content is not None
    assert {StoreNode("a\0b", "c", "k"), StoreNode("a", "b\0c", "k")} <= content.layers.keys()


def test_layers_are_those_of_a_first_reading_when_their_directory_can_be_listed_again(writer: ContainerdWriter) -> None:
    writer.write()
    shutil.rmtree(writer.moby.snapshot_directory(writer.target("docker.io/library/app:1").manifests[0].chains[0]))
    place = writer.moby.snapshotter.path / "snapshots"
    reads = Reads(writer.root)
    there = reads.again(everything=True).layers
    place.rename(place.with_name("aside"))
    place.write_text("")
    unlisted = reads.again().layers
    assert {*unlisted} == {*read(writer.root).layers}
    place.unlink()
    place.with_name("aside").rename(place)
    assert {*reads.again().layers} == {*there} != {*unlisted}


def test_blobs_that_came_with_a_reading_that_failed_are_there_after_it(
    writer: ContainerdWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write()
    reads = Reads(writer.root)
    reads.again(everything=True)
    writer.image("docker.io/library/new:1", [_OTHER])
    writer.write()

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(containerd_content, "with_changes", fail)
    assert reads.again().content is None
    monkeypatch.undo()
    found, first = reads.again().content, read(writer.root).content
    assert found is not None
    assert first is not None
    assert (found.blobs, found.trees) == (first.blobs, first.trees)


def test_an_image_whose_configuration_is_lost_and_comes_back_is_shown_so(writer: ContainerdWriter) -> None:
    writer.write()
    _age(writer)
    config = writer.target("docker.io/library/base:1").config
    assert config is not None
    file = writer.store.blob_path(config.digest)
    reads = Reads(writer.root)
    first = reads.again(everything=True).images
    file.rename(file.with_name("aside"))
    assert {*reads.again().images} == {*read(writer.root).images} != {*first}
    file.with_name("aside").rename(file)
    assert reads.again().images == first


def test_a_configuration_that_cannot_be_read_is_a_problem_of_each_reading(writer: ContainerdWriter) -> None:
    writer.write()
    config = writer.target("docker.io/library/base:1").config
    assert config is not None
    file = writer.store.blob_path(config.digest)
    file.rename(writer.root / "aside")
    file.mkdir()
    reads = Reads(writer.root)
    reads.again(everything=True)
    counts = reads.problems.counts
    assert counts
    reads.again()
    assert reads.problems.counts == counts
    file.rmdir()
    (writer.root / "aside").rename(file)
    assert {*reads.again().images} == {*read(writer.root).images}
    assert not reads.problems.counts


def test_an_image_of_two_snapshotters_is_in_the_one_with_more_snapshots_whenever_it_is_read(tmp_path: Path) -> None:
    made = ContainerdStore(tmp_path / "containerd")
    for name in ("overlayfs", "native"):
        made.namespace("k8s.io", name).image("registry.example/pods/one:1", [_BASE, _TOP])
    made.namespace("k8s.io", "native").snapshot("more", "", {"a": b"a"})
    made.write()
    reads = Reads(made.home)
    assert [one.driver for one in reads.again(everything=True).images] == ["native"]
    for key in ("b", "c"):
        made.namespace("k8s.io", "overlayfs").snapshot(key, "", {"a": b"a"})
    made.write()
    assert [one.driver for one in reads.again().images] == [one.driver for one in read(made.home).images]


def test_what_has_not_changed_is_read_the_same_again(writer: ContainerdWriter) -> None:
    writer.write()
    reads = Reads(writer.root)
    first = reads.again(everything=True)
    assert reads.again() == first
    writer.image("docker.io/library/new:1", [_OTHER])
    writer.moby.remove_image("docker.io/library/base:1")
    writer.write()
    assert reads.again() == read(writer.root)
    shutil.rmtree(writer.moby.snapshotter.path)
    assert reads.again(everything=True) == read(writer.root)


def test_the_recorded_root_is_as_its_engine_said(tmp_path: Path) -> None:
    root = unpack_containerd(tmp_path)
    answers = SHARED / "containerd" / "answers"
    inventory = read(root)
    said = {one["Id"].removeprefix("sha256:"): one for one in json.loads((answers / "images.json").read_text())}
    assert {one.id for one in inventory.images} == said.keys()
    for image in inventory.images:
        told = said[image.id]
        assert (image.content_size or 0) + (image.unpacked_size or 0) == told["Size"]
        assert sorted(":".join(one) for one in image.references) == sorted(told["RepoTags"])
        assert image.created is not None
        assert int(image.created) == told["Created"]
        assert (f"sha256:{image.parent}" if image.parent else "") == told["ParentId"]
    records = {one["ID"]: one for one in json.loads((answers / "system-df.json").read_text())["BuildCache"]}
    assert {one.id: (one.kind, one.size, one.shared) for one in inventory.build_cache.records} == {
        name: (one["Type"], one["Size"], one["Shared"]) for name, one in records.items()
    }
    content = inventory.content
    assert content is not None
    assert {*content.blobs} <= {node.name for node in content.marked(content.holds) if not node.snapshotter}
    assert content.layers.keys() <= content.marked(content.holds)
    assert StoreNode("moby", "overlayfs", inventory.containers[0].id) in content.layers
    assert not inventory.knowledge.gaps


def test_an_engine_that_works_with_another_snapshotter_has_all_images_and_only_the_containers_of_that(
    tmp_path: Path,
) -> None:
    writer = ContainerdWriter(tmp_path / "docker")
    base = writer.image("docker.io/library/base:1", [_BASE])
    for name in ("one", "two"):
        writer.container(name, "base:1", base, log=b"")
    writer.snapshotter, writer.moby = "native", writer.store.namespace("moby", "native")
    writer.container("three", "base:1", writer.image("docker.io/library/base:1", [_BASE]), log=b"")
    writer.write()
    (writer.root / "rootfs/native").mkdir(parents=True, exist_ok=True)  # where its containers are mounted
    os.utime(writer.root / "rootfs/native")
    inventory = read(writer.root)
    assert {one.name: bool(one.unloaded) for one in inventory.containers} == {"one": True, "two": True, "three": False}
    assert [one.unloaded for one in inventory.images] == [False]
