"""Hosts whose exporter is down or late, or whose job Prometheus has lost; and what their runbooks do there."""

from pathlib import Path

from tests.support.exporter import exporter
from tests.support.hanging import hanging
from tests.support.runbooks.host import Followed, Host


def exporter_down(host: Host) -> None:
    host.start("other", "sleep", "1000")
    asked, looked = host.follow({"HOST:9588": "127.0.0.1:1"})
    assert "Failed to connect" in asked.said
    assert asked.status == 7
    assert "400M" in looked.said
    assert "overlay2" in looked.said
    assert "other" in host.said("docker ps -a").said


def stale(host: Host) -> None:
    """A mount below the root that does not answer; the root is no mount point itself. It is tried for a second."""
    below = host.engine.root / "volumes" / "dead"
    below.mkdir()
    with hanging(below):
        (found,) = host.follow({"DIRECTORY": str(below), "timeout 5": "timeout 1"})
    assert f"{below} fuse dead" in found.said
    assert found.status == 124
    below.rmdir()
    assert host.said("rules --textfile 1h", within="docker-storage-exporter {}").status == 0


def figures_missing(host: Host) -> None:
    """The filesystem of the root is one that does not answer, and is unmounted."""
    dead = host.elsewhere / "dead"
    dead.mkdir()
    (found,) = _asked(host, host.engine.root, "filesystem_size_bytes")
    assert str(host.disk) in found
    with hanging(dead):
        (found,) = _asked(host, dead, "up")
        assert found == ""
        assert host.said("umount -l MOUNTPOINT", {"MOUNTPOINT": str(dead)}).status == 0
        assert not list(dead.iterdir())


def _asked(host: Host, root: Path, first: str) -> list[str]:
    with exporter(root) as running:
        running.until(lambda figures: bool(figures.all(first)))
        return [one.said for one in host.follow({"HOST:9588": f"127.0.0.1:{running.port}"})]


def watches(host: Host) -> None:
    """The limit is of the whole machine: it is set to what it is."""
    (found,) = host.follow()
    assert "fs.inotify.max_user_watches = " in found.said
    limit = Path("/proc/sys/fs/inotify/max_user_watches").read_text().strip()
    assert limit in host.said("sysctl fs.inotify.max_user_watches=524288", {"524288": limit}).said


def rules(host: Host) -> None:
    """The commands write rules that promtool takes."""
    for command in host.inline:
        whole = command if command.startswith("docker-") else f"docker-storage-exporter {command}"
        file = host.elsewhere / "rules.yml"
        within = f"{whole.removesuffix(command)}{{}} > {file} && promtool check rules {file}"
        said = host.said(command, {"NAME": "another"}, within=within).said
        assert "SUCCESS" in said, said


FOLLOWED: Followed = {
    ("DockerStorageExporterDown",): exporter_down,
    ("DockerStorageFiguresMissing",): figures_missing,
    ("DockerStorageNoExporters", "DockerStorageScrapedSeldom"): rules,
    ("DockerStorageScanStale",): stale,
    ("DockerStorageWatchDegraded",): watches,
}
