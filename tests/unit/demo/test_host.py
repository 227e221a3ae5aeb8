from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.cli.commands.images import images
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Lines, Table
from exporter.core.units import human
from exporter.demo import build_demo
from exporter.demo.buildhost import build_host
from tests.support.product import document_of, figures_of
from tests.support.usage import allocated

_TREE = """511136ea3c5a 0
36669626e49c 84.98 d5570ef1464a 84.98 170ff2cfa64a 85.3 ef7c16d26957 116.7 3749ee37c2a6 116.8 5431d6b9bc80 116.8
0dc7d8240120 116.8 a37379b8d1ce 116.8 cad6baf3ee5b 322.8 facdf8305638 322.8 a10cdfaf13cf 322.8 444b88bd8367 322.8
83dfd5776ff8 322.8 7d0b9c0b29d2 322.8 c171a2256c3b 322.8
8dbd9e392a96 128 be647841828f 128 7f06ad8f23b1 272.5 9fc1b767f7ff 383.1 46af893ffb5f 439.2 00a79ad7ea4a 439.2
69f7b013792e 439.2 854a5bd5be72 439.2 c219ca4d0d53 439.2 42c69a7e8ad3 439.2 09652ed5f7ef 459.6 814a97e8dc1c 539.6
a7bc400b42c2 539.6 68013db1eb6d 619.5 ca839611a34f 619.5 63e9d31943ea 619.5 1b95e1c4efd9 619.5 9df1e07fdf78 619.5
3e8e8966dcfb 619.5 3e0c3340e16e 619.5 d32d732341b0 619.5"""


def test_the_example_is_the_administrators_host(tmp_path: Path) -> None:
    root = tmp_path / "docker"
    build_demo(root)
    figures = figures_of(root, intermediate=True)
    words = _TREE.split()
    expected = dict(zip(words[::2], words[1::2], strict=True))
    shown = {has["image_id"]: human(size).split()[0] for has, size in figures.all("image_virtual_size_bytes")}
    assert shown == expected
    assert figures("image_info", image="mysql:5.7.5", image_id="c171a2256c3b") == 1
    wiki = figures.all("image_info", image="nickstenning/mediawiki:latest")[0][0]
    assert wiki["digest"] == "d32d732341b07cfc87006d09ea75514d8c10774dfbc83c74034ac28b1491557b"
    assert figures("store_entries", driver="aufs", store="graph") == 38
    assert figures("layers", driver="aufs", use="image") == 37
    assert {has["kind"] for has, _ in figures.all("container_mount_info")} == {"bind", "volume"}
    assert figures.sum("scan_errors_total") == figures.sum("missing_layers") == 0
    for directory, size in {"aufs": 1.8e9, "vfs": 203e6, "tmp": 240e6}.items():
        assert figures("directory_size_bytes", directory=directory) == pytest.approx(size, rel=0.01)
    assert allocated(root) < 5_000_000


def test_it_builds_only_into_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(FileExistsError):
        build_demo(tmp_path)
    assert (tmp_path / "mine").read_text() == "keep"


def _lines(parts: Sequence[Table | Lines]) -> list[str]:
    return [line for one in parts if isinstance(one, Lines) for line in one.lines]


def test_images_of_a_driver_that_the_engine_has_left_have_shares_as_well(tmp_path: Path) -> None:
    build_host(tmp_path / "docker")
    figures = figures_of(tmp_path / "docker")
    assert figures.sum("image_unique_size_bytes", driver="vfs") == 118e6
    document = document_of(tmp_path / "docker")
    assert [one.references for one in document.images if not one.loaded] == [("debian:11",)]
    listed = images(Index(document), intermediate=False).parts
    assert any("Not loaded by the engine: debian:11." in line for line in _lines(listed))
    shares, layers = (figures.sum(name) for name in ("image_proportional_size_bytes", "layers_size_bytes"))
    of_others = sum(figures.sum("layers_size_bytes", use=use) for use in ("container", "build_cache"))
    assert shares == pytest.approx(layers - of_others)
