from pathlib import Path

from exporter.demo import Busy, BusyHost, ContainerdHost
from tests.support.product import figures_of
from tests.support.usage import allocated


def test_a_busy_root_grows_gets_orphans_and_is_pruned(tmp_path: Path) -> None:
    busy = Busy(tmp_path / "docker")
    busy.step()
    before = figures_of(busy.root, orphaned_after=0)
    for _ in range(30):
        busy.step()
    torn = figures_of(busy.root, orphaned_after=0)
    assert torn.sum("scan_errors_total") == torn("scan_errors_total", collector="volumes", reason="decode") == 1
    assert torn("known", input="volumes") == 0
    for _ in range(88):
        busy.step()
    grown = figures_of(busy.root, orphaned_after=0)
    assert grown.sum("container_log_size_bytes") > before.sum("container_log_size_bytes") + 3e9
    assert grown.sum("volume_size_bytes") > before.sum("volume_size_bytes")
    assert grown("layers", driver="aufs", use="image") > before("layers", driver="aufs", use="image")
    assert grown("layers", driver="aufs", use="orphaned") == 3
    assert grown.sum("missing_layers") == 0
    assert grown.sum("scan_errors_total") == 0
    assert allocated(busy.root) < 100_000_000
    busy.step()
    pruned = figures_of(busy.root, orphaned_after=0)
    assert pruned("layers", driver="aufs", use="image") < grown("layers", driver="aufs", use="image")
    assert pruned("layers", driver="aufs", use="orphaned") == 3
    assert pruned.sum("containers") < grown.sum("containers")
    assert pruned.sum("missing_layers") == 0


def test_a_build_host_builds_and_is_pruned(tmp_path: Path) -> None:
    busy = BusyHost(tmp_path / "docker")
    first = figures_of(busy.root, orphaned_after=0)
    assert first.sum("missing_layers") == first.sum("scan_errors_total") == first.sum("layers", use="orphaned") == 0
    assert first("images", driver="overlay2", state="used") == 4
    assert first("layers", driver="vfs", use="image") == 1
    assert first("build_cache_records") == 6
    for _ in range(119):
        busy.step()
    grown = figures_of(busy.root, orphaned_after=0)
    assert grown("build_cache_records") == 26
    assert grown("missing_layers", driver="overlay2") == 1
    assert grown("reclaimable_objects", category="images_unused") > first(
        "reclaimable_objects", category="images_unused"
    )
    for family in ("volume_size_bytes", "container_writable_size_bytes", "container_log_size_bytes"):
        assert grown.sum(family) > first.sum(family)
    busy.step()
    pruned = figures_of(busy.root, orphaned_after=0)
    assert pruned("build_cache_records") == 6
    assert pruned.sum("containers") == first.sum("containers")
    assert pruned.sum("layers", use="orphaned") == 3
    assert pruned.sum("scan_errors_total") == 0
    assert allocated(busy.root) < 100_000_000


def test_a_host_with_containerd_builds_and_is_pruned(tmp_path: Path) -> None:
    busy = ContainerdHost(tmp_path / "docker")
    snapshots = busy.writer.moby.bucket("snapshots", "overlayfs")
    first = len(snapshots)
    for _ in range(119):
        busy.step()
    assert len(snapshots) > first + 60
    assert allocated(busy.root) < 180_000_000
    busy.step()
    assert len(snapshots) < first + 40
    listed = {digest for one in busy.writer.store.namespaces.values() for digest in one.bucket("content", "blob")}
    assert {f"sha256:{path.name}" for path in busy.writer.store.blobs.iterdir()} == listed
    assert len(list((busy.writer.moby.snapshotter.path / "snapshots").iterdir())) == sum(
        len(one.bucket("snapshots", "overlayfs")) for one in busy.writer.store.namespaces.values()
    )
