"""The sources of bind mounts. The host's / is a directory of the test (`--path.rootfs`)."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.config.settings import BindSettings
from exporter.core.dirty import Dirty
from exporter.core.measured import Measured, Reason, Usage
from exporter.core.model import Collector, Container, ContainerState, Inventory, Mount, Trigger
from exporter.core.mountinfo import MountPoint
from exporter.expose.metrics.families import families
from exporter.figures.figures import Figures
from exporter.measure.pool.task import Result, Task
from exporter.scan.binds import Binds
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.roots.layerdb import DbRoot
from tests.support.snapshots import container
from tests.support.usage import allocated


@pytest.fixture
def host(tmp_path: Path) -> Path:
    made = tmp_path / "host"
    (made / "srv/shop/sub").mkdir(parents=True)
    (made / "srv/shop/a").write_bytes(b"x" * 5000)
    (made / "srv/shop/sub/b").write_bytes(b"x" * 7)
    os.link(made / "srv/shop/a", made / "srv/shop/sub/again")
    (made / "home/secret").mkdir(parents=True)
    (made / "home/secret/c").write_bytes(b"x" * 100)
    (made / "etc").mkdir()
    (made / "etc/localtime").write_bytes(b"x" * 11)
    return made


def _mounting(*sources: str, state: ContainerState = ContainerState.EXITED) -> Container:
    mounts = tuple(Mount("bind", one, f"/{at}", "rw") for at, one in enumerate(sources))
    return replace(container("web", state=state), mounts=mounts)


def _settings(host: Path, include: str = "^/", *, network: bool = False) -> BindSettings:
    return BindSettings(include, str(host), network)


def _measure(binds: Binds, host: Path, sources: Iterable[str], mounts: Iterable[MountPoint] = ()) -> dict[str, int]:
    """The sizes of these sources, which one container mounts."""
    found = binds.find(Inventory(containers=(_mounting(*sources),)), [*mounts])
    _run(binds, host, binds.tasks(found, 1.0))
    return {source: usage.size for source, usage in binds.usages.items()}


def _run(binds: Binds, host: Path, tasks: list[Task]) -> None:
    with LocalPool() as pool:
        pool.use(str(host), {(): (os.stat(host).st_dev, os.stat(host).st_ino), **binds.identify()})
        pool.submit(tasks)
        while pool.busy:
            for result in pool.results():
                binds.note(result)


def test_what_is_named_is_measured_as_du_says(host: Path) -> None:
    binds = Binds(_settings(host, "^/srv/|localtime$"))
    sizes = _measure(binds, host, ["/srv/shop", "/home/secret", "/etc/localtime", "/srv/shop/sub", "relative", "/srv"])
    assert sizes == {"/srv/shop": 5007, "/srv/shop/sub": 5007, "/etc/localtime": 11}
    assert binds.usages["/srv/shop"].allocated == allocated(host / "srv/shop")
    assert not binds.problems


def test_without_a_name_nothing_is_looked_at(host: Path) -> None:
    binds = Binds(BindSettings("", str(host)))
    assert not _measure(binds, host, ["/srv/shop"])
    assert not binds.identities
    assert not binds.trees


def test_a_link_is_followed_only_where_what_it_leads_to_is_named(host: Path) -> None:
    (host / "var").symlink_to("/srv")  # absolute on the host, not on this machine
    (host / "srv/out").symlink_to("../home/secret")
    (host / "srv/round").symlink_to("round")
    (host / "srv/machine").symlink_to("/../../../../../../etc")
    (host / "srv/absolute").symlink_to("/srv/shop")
    sources = ["/var/shop", "/srv/out", "/srv/round", "/srv/machine", "/srv/out/../shop", "/srv/absolute/sub"]
    binds = Binds(_settings(host, "^/(srv|var)/"))
    assert _measure(binds, host, sources) == {"/var/shop": 5007, "/srv/absolute/sub": 5007}
    said = {one.path: (one.reason, one.detail) for one in binds.problems}
    assert said["/srv/out"][0] is Reason.NOT_REGULAR
    assert "/home/secret" in said["/srv/out"][1]
    assert said["/srv/round"][0] is Reason.LOOP
    assert "/etc," in said["/srv/machine"][1]
    assert "/srv/out/../shop" in said, "the kernel goes through the link: /home/shop"
    everything = Binds(_settings(host, "^/"))
    assert _measure(everything, host, sources)["/srv/out"] == 100
    assert everything.usages["/srv/machine"].size == 11, "the host's /etc, not this machine's"


def test_a_directory_that_becomes_a_link_is_not_followed(host: Path) -> None:
    binds = Binds(_settings(host))
    found = binds.find(Inventory(containers=(_mounting("/srv/shop"),)), [])
    (host / "srv").rename(host / "old")
    (host / "srv").symlink_to("home")
    (host / "home/shop").mkdir()
    _run(binds, host, binds.tasks(found, 1.0))
    assert not binds.usages
    assert [one.reason for one in binds.problems] == [Reason.NOT_REGULAR]


def test_what_is_gone_or_cannot_be_read_as_a_whole_has_no_figure(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binds = Binds(_settings(host))
    assert _measure(binds, host, ["/srv/shop", "/srv/nothing"]) == {"/srv/shop": 5007}
    assert [(one.path, one.reason) for one in binds.problems] == [("/srv/nothing", Reason.VANISHED)]
    tasks = binds.tasks(binds.trees, 1.0)
    tasks[0].fail(Reason.PERMISSION, (*tasks[0].tree, "sub"), "may not be read")
    changes = binds.changes
    _run(binds, host, tasks)
    assert not binds.usages
    assert binds.changes > changes
    assert {one.path for one in binds.problems} == {"/srv/nothing", f"{host}/srv/shop/sub"}
    _run(binds, host, binds.tasks(binds.trees, 1.0))
    assert binds.usages, "another time"
    assert not binds.find(Inventory(), []), "no container mounts it any more"
    assert not binds.usages
    assert not binds.measured


def _mount(host: Path, path: str, fstype: str, inside: str = "/") -> MountPoint:
    return MountPoint("2", "1", f"{host}{path}", inside, "0:99", "dev", fstype)


@pytest.mark.parametrize(("fstype", "network", "there"), [("ext4", False, 1), ("nfs4", False, 0), ("nfs4", True, 1)])
def test_a_source_on_another_machine_is_asked_for_only_with_the_flag_of_volumes(
    host: Path, fstype: str, network: bool, there: int
) -> None:
    binds = Binds(_settings(host, network=network))
    for path in ("/srv", "/srv/shop"):
        assert len(_measure(binds, host, ["/srv/shop"], [_mount(host, path, fstype)])) == there
        assert not binds.problems


def test_a_mount_below_a_source_is_not_entered(host: Path) -> None:
    binds = Binds(_settings(host))
    assert _measure(binds, host, ["/srv"], [_mount(host, "/srv/shop/sub", "nfs")]) == {"/srv": 5000}
    ((_, known),) = binds.measured.items()
    assert known.skipped_mounts == 1


@pytest.mark.parametrize(("skipped", "fstype", "known"), [(1, "ext4", True), (2, "ext4", False), (2, "btrfs", True)])
def test_where_files_have_devices_of_their_own_nothing_is_known(
    host: Path, skipped: int, fstype: str, known: bool
) -> None:
    """As on an overlay of two filesystems: a walk leaves such files out, as if they were mounts."""
    binds = Binds(_settings(host))
    mounts = [
        _mount(host, "/srv", fstype),
        _mount(host, "/srv/shop/sub", "ext4"),
        _mount(host, "/srv/shop/sub/x", "ext4"),
    ]
    found = binds.find(Inventory(containers=(_mounting("/srv/shop"),)), mounts)
    (task,) = binds.tasks(found, 1.0)
    binds.note(Result(task, Measured(Usage(1, 512, 1), skipped_mounts=skipped)))
    assert bool(binds.usages) is known
    assert bool(binds.problems) is not known


@pytest.mark.parametrize("inside", ["/systemd/inaccessible/dir", "/tmp/systemd-private-1-x.service-2/tmp"])
def test_what_the_unit_hides_is_not_known(host: Path, inside: str) -> None:
    binds = Binds(_settings(host))
    assert not _measure(binds, host, ["/srv/shop", "/srv"], [_mount(host, "/srv", "tmpfs", inside)])
    assert {one.reason for one in binds.problems} == {Reason.PERMISSION}


def test_in_a_container_its_own_root_is_not_taken_for_the_host_s(host: Path) -> None:
    own = MountPoint("1", "0", "/", "/", "0:50", "overlay", "overlay")
    binds = Binds(BindSettings("^/etc$"))
    assert not binds.find(Inventory(containers=(_mounting("/etc"),)), [own])
    assert "--path.rootfs" in binds.problems[0].detail
    assert Binds(BindSettings("^/etc$", "/")).find(Inventory(containers=(_mounting("/etc"),)), [own]), "it was told so"


def test_two_names_of_one_directory_are_measured_once(host: Path) -> None:
    (host / "var").symlink_to("srv")
    binds = Binds(_settings(host))
    found = binds.find(Inventory(containers=(_mounting("/srv/shop", "/var/shop"),)), [])
    assert len(binds.tasks(found, 1.0)) == 1
    _run(binds, host, binds.tasks(found, 1.0))
    assert {*binds.usages} == {"/srv/shop", "/var/shop"}
    assert binds.growing == {next(iter(found)): False}
    binds.find(Inventory(containers=(_mounting("/var/shop", state=ContainerState.RUNNING),)), [])
    assert binds.growing == {next(iter(found)): True}
    both = (_mounting("/var/shop", state=ContainerState.RUNNING), _mounting("/var/shop"))
    for containers in (both, both[::-1]):
        binds.find(Inventory(containers=containers), [])
        assert binds.growing == {next(iter(found)): True}, "one of them runs"


def test_scanner_serves_them_and_no_sum_has_them(host: Path, tmp_path: Path, pool: LocalPool) -> None:
    built = DbRoot(tmp_path).layer("base", 1000).image("base", "base", ["base:1"])
    point = {"Type": "bind", "Source": "/srv/shop", "RW": True}
    built.container("web", "base", "base", config={"MountPoints": {"/data": point}})
    plain = Figures(Scanner(str(built.path), 600, pool).scan())
    scanner = Scanner(str(built.path), 600, pool, binds=_settings(host, "shop"))
    figures = Figures(scanner.scan())
    served = {one.metric.name: dict(one.series) for one in families(figures)}
    assert served["docker_storage_bind_size_bytes"] == {("/srv/shop",): 5007}
    assert served["docker_storage_bind_allocated_bytes"] == {("/srv/shop",): allocated(host / "srv/shop")}
    assert figures.directories == plain.directories
    assert figures.snapshot.skipped_mounts == plain.snapshot.skipped_mounts
    assert scanner.counters.scans[Collector.VOLUMES, Trigger.STARTUP] == 1
    (host / "srv/shop/new").write_bytes(b"x" * 1000)
    changes = scanner.changes
    scanner.remeasure(scanner.growing_binds, 1.0)
    while scanner.runs:
        scanner.collect(0.0)
    assert scanner.changes > changes
    assert scanner.snapshot().binds["/srv/shop"].size == 6007
    scanner.begin(Trigger.EVENT, Dirty())
    assert not scanner.runs or not [task for one in scanner.runs for task in one.pending if task.tree[0] == str(host)]


def test_no_sum_waits_for_a_source(host: Path, tmp_path: Path, pool: LocalPool) -> None:
    """It may be all of the host."""
    built = DbRoot(tmp_path).layer("base", 1000).image("base", "base", ["base:1"])
    point = {"Type": "bind", "Source": "/srv", "RW": True}
    built.container("web", "base", "base", config={"MountPoints": {"/data": point}})
    scanner = Scanner(str(built.path), 600, pool, binds=_settings(host))
    scanner.begin(Trigger.STARTUP, Dirty(everything=True))
    while not scanner.snapshot().complete:
        assert scanner.progress.trees_done <= scanner.progress.trees
        scanner.collect(0.0)
    assert not scanner.snapshot().binds
    assert scanner.progress.trees_done == scanner.progress.trees
    while scanner.runs:
        scanner.collect(0.0)
    assert {*scanner.snapshot().binds} == {"/srv"}
