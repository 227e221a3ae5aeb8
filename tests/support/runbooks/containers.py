"""Hosts in the trouble of the alerts on containers, and what their runbooks do there."""

import re
from pathlib import Path

from tests.support.runbooks.host import MB, Followed, Host
from tests.support.runbooks.pages import fences
from tests.support.waiting import eventually

_LISTED = "docker-storage-exporter containers"
_RUNAWAY, _UNBOUNDED = "DockerContainerLogRunaway", "DockerContainerLogUnbounded"


def logs(host: Host) -> None:
    """A log that runs away is one that has no limit."""
    log = host.loud()
    about = {"NAME": "loud"}
    unbounded, emptied = fences(_UNBOUNDED)
    said = host.block(unbounded, about).said
    assert re.search(r"^loud\s.*\snone\s", said, re.MULTILINE)
    assert "{json-file map[]}" in said
    containers = re.search(r"^Containers .*", host.said("docker system df").said, re.MULTILINE)
    assert containers is not None
    assert "MB" not in containers[0], "the log is not in it"
    found, saved, again, stopped = fences(_RUNAWAY)
    assert again == emptied.replace(" \n", "\n")
    assert "1199998,1199999,1200000" in host.block(found, about).said
    assert host.block(saved, about).status == 0
    assert (host.elsewhere / "loud.log").stat().st_size > 8 * MB
    assert host.block(emptied, about).freed > 8 * MB
    assert host.block(stopped, about).said.strip() == "loud"
    _deleted(host, log)
    recreate = "docker run -d --network none --stop-signal KILL {} --name limited base:1 sleep 1000"
    host.said("--log-opt max-size=50m --log-opt max-file=3", within=recreate)
    assert re.search(r"^limited\s.*\s150 MB\s", host.run(_LISTED, {}).said, re.MULTILINE)


def _deleted(host: Host, log: Path) -> None:
    """Why the log must not be deleted: its space is free once the engine has closed it."""
    host.engine.run("start", "loud")
    eventually(lambda: b",1200000" in log.read_bytes()[-300:])
    host.run("touch \"/proc/$(docker inspect -f '{{.State.Pid}}' loud)/root/quiet\"", {})
    assert host.run(f"rm {log}", {}).freed < MB
    assert host.said("docker restart NAME", {"NAME": "loud"}).freed > 8 * MB


def writable_large(host: Host) -> None:
    host.writes()
    found, saved, deleted = host.follow({"NAME": "fat", "PATH": "srv/cache"})
    _found_and_saved(host, found.said)
    assert saved.status == 0
    assert deleted.freed > 8 * MB
    host.stopped("over", 9000)
    assert host.said("docker rm NAME", {"NAME": "over"}).freed > 8 * MB


def writable_limit(host: Host) -> None:
    """On btrfs, where the limit holds."""
    host.writes("fat", "--storage-opt", "size=12M")
    full = ("exec", "fat", "dd", "if=/dev/zero", "of=/more", "bs=1k", "count=2000")
    with_sync = "btrfs filesystem sync /var/lib/docker >/dev/null; docker-storage-exporter containers"
    assert re.search(r"^fat\s.*\s9\d%$", host.run(with_sync, {}).said, re.MULTILINE)
    assert "2000+0 records out" not in host.run(f"docker {' '.join(full)}", {}).said
    found, saved, _ = host.follow({"NAME": "fat", "PATH": "srv/cache"})
    assert found.said.startswith("map[size:12M]")
    _found_and_saved(host, found.said)
    assert saved.status == 0
    host.run("btrfs filesystem sync /var/lib/docker", {})
    host.engine.run(*full)  # there is room again
    larger = {"size=20G ...": "size=20M -d --network none --stop-signal KILL --name larger base:1 sleep 1000"}
    assert host.said("docker run --storage-opt size=20G ...", larger).status == 0
    made = "docker create {} --network none base:1 true"
    assert host.said("--storage-opt size=...", {"size=...": "size=20M"}, within=made).status == 0
    assert re.search(r"^larger\s.*\s20.97 MB\s", host.run(_LISTED, {}).said, re.MULTILINE)


def _found_and_saved(host: Host, said: str) -> None:
    assert "A /srv/cache/f" in said
    assert re.search(r"^8.8M\s\S+/srv/cache$", said, re.MULTILINE)
    assert (host.elsewhere / "cache/f").stat().st_size == 9000 * 1024


FOLLOWED: Followed = {
    (_RUNAWAY, _UNBOUNDED): logs,
    ("DockerContainerWritableLayerLarge",): writable_large,
}
#: The same with today's engine: the directory of a layer is another one there.
TODAY: Followed = FOLLOWED
LIMITED: Followed = {("DockerContainerWritableLayerNearLimit",): writable_limit}
