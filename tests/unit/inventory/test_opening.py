"""Data roots that cannot be opened, and whose fault that is."""

import errno
import os
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.inventory import opening
from exporter.inventory.opening import RootError, for_shortage, open_root
from tests.support.roots.layerdb import DbRoot


@pytest.mark.parametrize(
    ("number", "shortage"),
    [(errno.EMFILE, True), (errno.ENFILE, True), (errno.ENOMEM, True), (errno.EACCES, False), (errno.EIO, False)],
)
@pytest.mark.parametrize("listing", [False, True])
def test_a_lack_of_descriptors_or_memory_says_nothing_of_the_root(
    tmp_path: Path, number: int, shortage: bool, listing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"])

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    if listing:
        monkeypatch.setattr(DataRoot, "names", fail)
    else:
        monkeypatch.setattr(opening, "open_mounted", fail)
    with pytest.raises(RootError, match=os.strerror(number)) as raised:
        open_root(str(root.path))
    assert raised.value.shortage == for_shortage(raised.value) == shortage


def test_a_root_that_is_not_there_is_no_shortage(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="does not exist") as raised:
        open_root(str(tmp_path / "none"))
    assert not for_shortage(raised.value)
    assert not for_shortage(ValueError())
