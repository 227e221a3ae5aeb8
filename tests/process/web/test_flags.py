"""The flags that other exporters have, too, on a running exporter."""

import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.support.exporter import Exporter, exporter
from tests.support.roots import graph_root
from tests.support.waiting import eventually


def test_the_path_of_the_metrics_and_what_is_left_out_of_them(tmp_path: Path) -> None:
    built = graph_root(tmp_path / "root").image("app", tag="app:1").container("web", image="app")
    flags = ("--web.telemetry-path", "/m", "--web.disable-exporter-metrics", "--no-collector.containers")
    with exporter(built.path, *flags, "--scan.interval", "1m", "--scan.duty-cycle", "5%") as running:
        eventually(lambda: running.get("/-/ready")[0] == HTTPStatus.OK)
        assert running.get("/metrics")[0] == HTTPStatus.NOT_FOUND
        names = {line.partition("{")[0].partition(" ")[0] for line in _text(running, "/m").splitlines()}
        assert "docker_storage_image_virtual_size_bytes" in names
        assert not [name for name in names if name.startswith(("process_", "docker_storage_container"))]
        assert 'href="/m"' in _text(running, "/")
        some = _text(running, "/m?collect[]=images&name[]=docker_storage_up")
        assert "\ndocker_storage_up 1.0\n" in some
        assert "docker_storage_image_virtual_size_bytes{" in some
        assert "docker_storage_directory" not in some
        zstd = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
        for path in ("/m", "/m?collect[]=images", "/api/v1/snapshot"):
            assert zstd.decompress(running.get(path, **{"accept-encoding": "zstd"})[2])[:2] in (b"# ", b'{"')
        assert running.get("/m?collect[]=cpu")[0] == HTTPStatus.BAD_REQUEST


def _text(running: Exporter, path: str) -> str:
    return running.get(path)[2].decode()
