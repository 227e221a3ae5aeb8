"""The sources of bind mounts, measured by the processes of `run` with all their limits."""

import signal
from http import HTTPStatus
from pathlib import Path

from tests.support.exporter import exporter
from tests.support.roots.layerdb import DbRoot
from tests.support.usage import allocated
from tests.support.waiting import eventually


def test_what_containers_mount_is_measured_behind_the_sandbox(tmp_path: Path) -> None:
    source, secret = tmp_path / "srv/shop", tmp_path / "home/secret"
    for one in (source, secret):
        one.mkdir(parents=True)
        (one / "file").write_bytes(b"x" * 5000)
    (tmp_path / "srv/link").symlink_to(secret)
    built = DbRoot(tmp_path).layer("base", 1000).image("base", "base", ["base:1"])
    mounted = (source, secret, tmp_path / "srv/link")
    points = {f"/{at}": {"Type": "bind", "Source": str(one), "RW": True} for at, one in enumerate(mounted)}
    built.container("web", "base", "base", config={"MountPoints": points})
    name = "bind_size_bytes"
    with exporter(built.path, "--collector.binds.include", "/srv/", "--sandbox", "required") as running:
        eventually(lambda: running.get("/-/ready")[0] == HTTPStatus.OK)
        figures = running.wait_for(name, 5000)
        assert figures.all(name) == [({"source": str(source)}, 5000)]
        assert figures("bind_allocated_bytes") == allocated(source)
        assert figures("scan_errors_total", collector="volumes", reason="not_regular") == 1
        (source / "more").write_bytes(b"x" * 7)
        running.process.send_signal(signal.SIGHUP)
        running.wait_for(name, 5007)
