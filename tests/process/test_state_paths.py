from pathlib import Path

import pytest

from exporter.config.settings import SettingsError
from exporter.config.state_paths import cache_file_for, is_below
from tests.support.mounts import mounted


def test_a_root_under_another_name_is_the_root(tmp_path: Path) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    (root / "volumes").mkdir(parents=True)
    other.mkdir()
    with mounted(other, "--bind", str(root)):
        assert is_below(str(root / "volumes/none/x"), str(other))
        assert is_below(str(other / "x"), str(root))
        with pytest.raises(SettingsError):
            cache_file_for(str(root / "cache"), str(other))
