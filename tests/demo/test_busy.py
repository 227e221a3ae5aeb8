from pathlib import Path

from exporter.demo import Busy
from tests.conftest import du, figures_of


def test_a_busy_root_grows_gets_orphans_and_is_pruned(tmp_path: Path) -> None:
    busy = Busy(tmp_path / "docker")
    busy.step()
    before = figures_of(busy.root, orphaned_after=0)
    for _ in range(118):
        busy.step()
    grown = figures_of(busy.root, orphaned_after=0)
    assert grown.sum("container_log_size_bytes") > before.sum("container_log_size_bytes") + 3e9
    assert grown.sum("volume_size_bytes") > before.sum("volume_size_bytes")
    assert grown("layers", driver="aufs", use="image") > before("layers", driver="aufs", use="image")
    assert grown("layers", driver="aufs", use="orphaned") == 3
    assert grown.sum("missing_layers") == grown.sum("scan_errors_total") == 0
    assert du(busy.root, "--block-size=1") < 100_000_000
    busy.step()
    pruned = figures_of(busy.root, orphaned_after=0)
    assert pruned("layers", driver="aufs", use="image") < grown("layers", driver="aufs", use="image")
    assert pruned("layers", driver="aufs", use="orphaned") == 3
    assert pruned.sum("containers") < grown.sum("containers")
    assert pruned.sum("missing_layers") == 0
