"""Hosts in the trouble of the alerts on containers, and what their runbooks do there."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.support.runbooks.host import MB, Host
from tests.support.waiting import eventually


def log_runaway(host: Host) -> None:
    log = host.loud()
    listed = host.inline("docker-storage-exporter containers")
    found, saved, emptied, stopped = host.follow({"NAME": "loud"})
    for one in (listed, found):
        assert re.search(r"^loud .* none ", one.said, re.MULTILINE)
    assert "1199998,1199999,1200000" in found.said
    assert saved.status == 0
    assert (host.elsewhere / "loud.log").stat().st_size > 8 * MB
    assert emptied.freed > 8 * MB
    assert stopped.said.strip() == "loud"
    _deleted(host, log)
    recreate = "docker run -d --network none --stop-signal KILL {} --name limited base:1 sleep 1000"
    host.inline("--log-opt max-size=50m --log-opt max-file=3", within=recreate)
    assert re.search(r"^limited .* 150 MB ", host.run("docker-storage-exporter containers", {}).said, re.MULTILINE)


def _deleted(host: Host, log: Path) -> None:
    """Why the log must not be deleted: its space is free once the engine has closed it."""
    host.engine.run("start", "loud")
    eventually(lambda: log.stat().st_size > 8 * MB)
    host.run("touch \"/proc/$(docker inspect -f '{{.State.Pid}}' loud)/root/quiet\"", {})
    assert host.run(f"rm {log}", {}).freed < MB
    assert host.inline("docker restart NAME", {"NAME": "loud"}).freed > 8 * MB


def log_unbounded(host: Host) -> None:
    host.loud()
    found, emptied = host.follow({"NAME": "loud"})
    assert re.search(r"^loud .* none ", found.said, re.MULTILINE)
    assert "{json-file map[]}" in found.said
    containers = re.search(r"^Containers .*", host.inline("docker system df").said, re.MULTILINE)
    assert containers is not None
    assert "MB" not in containers[0], "the log is not in it"
    assert emptied.freed > 8 * MB


def writable_large(host: Host) -> None:
    host.writes()
    found, saved, deleted = host.follow({"NAME": "fat", "PATH": "srv/cache"})
    _found_and_saved(host, found.said)
    assert saved.status == 0
    assert deleted.freed > 8 * MB
    host.stopped("over", 9000)
    assert host.inline("docker rm NAME", {"NAME": "over"}).freed > 8 * MB


def writable_limit(host: Host) -> None:
    """On btrfs, where the limit holds."""
    host.writes("fat", "--storage-opt", "size=12M")
    full = ("exec", "fat", "dd", "if=/dev/zero", "of=/more", "bs=1k", "count=2000")
    with_sync = "btrfs filesystem sync /var/lib/docker >/dev/null; docker-storage-exporter containers"
    assert re.search(r"^fat .* 9\d%$", host.run(with_sync, {}).said, re.MULTILINE)
    assert "2000+0 records out" not in host.run(f"docker {' '.join(full)}", {}).said
    found, saved, _ = host.follow({"NAME": "fat", "PATH": "srv/cache"})
    assert found.said.startswith("map[size:12M]")
    _found_and_saved(host, found.said)
    assert saved.status == 0
    host.run("btrfs filesystem sync /var/lib/docker", {})
    host.engine.run(*full)  # there is room again
    larger = {"size=20G ...": "size=20M -d --network none --stop-signal KILL --name larger base:1 sleep 1000"}
    assert host.inline("docker run --storage-opt size=20G ...", larger).status == 0
    made = "docker create {} --network none base:1 true"
    assert host.inline("--storage-opt size=...", {"size=...": "size=20M"}, within=made).status == 0
    assert re.search(r"^larger .* 20.97 MB ", host.run("docker-storage-exporter containers", {}).said, re.MULTILINE)


def _found_and_saved(host: Host, said: str) -> None:
    assert "A /srv/cache/f" in said
    assert re.search(r"^8.8M\s\S+/srv/cache$", said, re.MULTILINE)
    assert (host.elsewhere / "cache/f").stat().st_size == 9000 * 1024


FOLLOWED: dict[str, Callable[[Host], None]] = {
    "DockerContainerLogRunaway": log_runaway,
    "DockerContainerLogUnbounded": log_unbounded,
    "DockerContainerWritableLayerLarge": writable_large,
}
