"""The writer of containerd's root: what it records is what lies there, and its collection leaves what is kept."""

from pathlib import Path

import pytest

from exporter.demo import oci, pods
from exporter.demo.collect import collect
from exporter.demo.containerd import ContainerdStore
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.demo.snapshotter import usage
from exporter.inventory.files.bolt import Bucket, read_bolt
from tests.support.recorded import unpack_containerd
from tests.support.usage import allocated

_BASE, _TOP = oci.layer({"bin/sh": b"#" * 9000}), oci.layer({"srv/app": b"x" * 5000})
_META = "io.containerd.metadata.v1.bolt/meta.db"


def _database(path: Path) -> Bucket:
    content = path.read_bytes()
    return read_bolt(lambda length, offset: content[offset : offset + length])


def _blobs(store: ContainerdStore) -> set[str]:
    return {f"sha256:{path.name}" for path in store.blobs.iterdir()}


def _signed(raw: bytes) -> int:
    value = sum((byte & 0x7F) << (7 * at) for at, byte in enumerate(raw))
    return value >> 1 if value % 2 == 0 else -(value >> 1) - 1


@pytest.fixture
def writer(tmp_path: Path) -> ContainerdWriter:
    return ContainerdWriter(tmp_path / "docker")


def test_the_size_of_a_committed_snapshot_is_recorded_as_it_is(writer: ContainerdWriter) -> None:
    writer.image("docker.io/library/app:1", [_BASE, _TOP])
    writer.write()
    rows = _database(writer.store.home / "io.containerd.snapshotter.v1.overlayfs/metadata.db")
    sizes = {
        row.values[b"id"][0]: _signed(row.values[b"size"])
        for row in rows.buckets[b"v1"].buckets[b"snapshots"].buckets.values()
    }
    home = writer.moby.snapshotter.path / "snapshots"
    assert sizes == {number: allocated(home / str(number) / "fs") for number in (1, 2)}


def test_native_keeps_whole_copies(tmp_path: Path) -> None:
    writer = ContainerdWriter(tmp_path / "docker", "native")
    target = writer.image("docker.io/library/app:1", [_BASE, _TOP])
    assert (writer.moby.snapshot_directory(target.chains[-1]) / "bin/sh").is_file()


def test_the_store_may_lie_elsewhere(tmp_path: Path) -> None:
    writer = ContainerdWriter(tmp_path / "docker", home=tmp_path / "containerd")
    writer.image("docker.io/library/app:1", [_BASE])
    writer.write()
    assert (tmp_path / "containerd" / _META).is_file()
    assert not (tmp_path / "docker/containerd").exists()


def test_an_image_without_a_name_goes_with_all_that_it_alone_has(writer: ContainerdWriter) -> None:
    base = writer.image("docker.io/library/base:1", [_BASE])
    app = writer.image("docker.io/library/app:1", [_BASE, _TOP])
    collect(writer.store)
    assert _blobs(writer.store) > {app.digest, base.digest}
    writer.moby.remove_image("docker.io/library/app:1")
    collect(writer.store)
    assert base.config is not None
    assert _blobs(writer.store) == {base.digest, base.config.digest, _BASE.blob.digest}
    assert set(writer.moby.bucket("snapshots", "overlayfs")) == {base.chains[0]}


def test_a_container_keeps_the_chain_of_an_image_that_is_gone(writer: ContainerdWriter) -> None:
    target = writer.image("docker.io/library/app:1", [_BASE, _TOP])
    identity = writer.container("web", "app:1", target)
    writer.moby.remove_image("docker.io/library/app:1")
    collect(writer.store)
    assert set(writer.moby.bucket("snapshots", "overlayfs")) == {*target.chains, identity, f"{identity}-init"}
    assert _blobs(writer.store) == set()
    writer.remove_container(identity)
    collect(writer.store)
    assert not list((writer.moby.snapshotter.path / "snapshots").iterdir())


def test_a_committed_image_keeps_the_init_layer(writer: ContainerdWriter) -> None:
    target = writer.image("docker.io/library/app:1", [_BASE])
    identity = writer.container("web", "app:1", target)
    made = writer.commit(identity, "docker.io/library/made:1", target, {"etc/motd": b"hello"})
    writer.remove_container(identity)
    collect(writer.store)
    assert set(writer.moby.bucket("snapshots", "overlayfs")) == {*made.chains, f"{identity}-init"}


def test_a_blob_of_two_namespaces_stays_with_one(writer: ContainerdWriter) -> None:
    writer.image("docker.io/library/app:1", [_BASE])
    cri = writer.store.namespace("k8s.io")
    pods.image(cri, "docker.io/library/app:1", oci.manifest([_BASE]))
    writer.moby.remove_image("docker.io/library/app:1")
    collect(writer.store)
    assert _BASE.blob.digest in _blobs(writer.store)
    assert not writer.moby.bucket("content", "blob")


def test_build_records_and_history_are_kept_by_leases(writer: ContainerdWriter) -> None:
    base = writer.image("docker.io/library/base:1", [_BASE])
    writer.build_record("base", chain=base.chains[0], layer=_BASE)
    step = writer.build_record("step", parent="base", files={"srv/app": b"x" * 5000}, layer=_TOP, view=True)
    writer.history("first", {"log": b"step 1", "trace": b"{}"}, base)
    collect(writer.store)
    assert {step, f"{step}-view"} < set(writer.moby.bucket("snapshots", "overlayfs"))
    writer.remove_record("step")
    collect(writer.store)
    assert set(writer.moby.bucket("snapshots", "overlayfs")) == {base.chains[0]}
    assert len(writer.builds.bucket("content", "blob")) == 4


def test_a_flat_lease_keeps_no_more_than_it_names(writer: ContainerdWriter) -> None:
    target = oci.manifest([_BASE])
    writer.moby.pull(target)
    writer.moby.lease("held", content=[target.digest], labels={"containerd.io/gc.flat": "now"})
    collect(writer.store)
    assert _blobs(writer.store) == {target.digest}


def test_usage_counts_an_inode_once_and_the_directory_itself(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 5000)
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert usage(tmp_path) == (allocated(tmp_path), 2)


def test_fields_are_those_that_an_engine_writes(writer: ContainerdWriter, tmp_path: Path) -> None:
    engine = unpack_containerd(tmp_path / "recorded") / "containerd/daemon"
    target = writer.image("docker.io/library/app:1", [_BASE, _TOP])
    writer.container("web", "app:1", target, state={"Running": True})
    writer.moby.ingest("layer", b"part", 1000)
    writer.write()
    made, recorded = (_fields(_database(home / _META)) for home in (writer.store.home, engine))
    assert made <= recorded
    snapshots = "io.containerd.snapshotter.v1.overlayfs/metadata.db"
    assert _fields(_database(writer.store.home / snapshots)) <= _fields(_database(engine / snapshots))


def _fields(bucket: Bucket, depth: int = 0, above: str = "") -> set[str]:
    """The names of what is in the buckets, without those that are chosen by a user or made from a content."""
    found = set()
    for name in (*bucket.values, *bucket.buckets):
        text = name.decode(errors="replace")
        chosen = (":" in text or "/" in text or len(text) > 20 or "parents" in above) and "containerd.io" not in text
        below = bucket.buckets.get(name)
        path = f"{above}/{'*' if chosen or text in ('held-back-layer', 'layer') else text}"
        found |= {path} if below is None else {path} | _fields(below, depth + 1, path)
    return found
