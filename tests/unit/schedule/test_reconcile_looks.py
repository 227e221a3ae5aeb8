"""What a look at a root finds of what no event has told, and what it leaves to others."""

import itertools
import os
import shutil
import stat
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.core.clock import Clock
from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.listings import Names
from exporter.core.measured import Measured, Tree, Usage
from exporter.inventory.areas import find_areas
from exporter.schedule.findings import Findings, filled_later, without_events
from exporter.schedule.reconcile import Reconciler, _plain_signature
from tests.support.clock import FakeClock

_ID = "a" * 64
_LOOKS_UNTIL_THOROUGH = 8


class _Host:
    """A root that is looked at again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reconciler = Reconciler()

    def write(self, path: str, content: str = "{}") -> Path:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def look(
        self,
        *,
        measured: Mapping[Tree, Measured] | None = None,
        immutable: Collection[Tree] = (),
        watching: bool = False,
        mounts: Collection[Tree] = (),
        local: bool = True,
    ) -> Findings:
        with DataRoot(str(self.path)) as root:
            root.mounts = frozenset(mounts)
            return self.reconciler.compare_signatures(
                root, find_areas(root), measured or {}, immutable=immutable, watching=watching, local=local
            )

    def mark_seen(self, *entries: Tree, everything: bool = False, listings: Collection[Tree] = ()) -> None:
        with DataRoot(str(self.path)) as root:
            self.reconciler.mark_seen(root, find_areas(root), Dirty(frozenset(entries), everything), listings)

    def measured(self, *tree: str) -> dict[Tree, Measured]:
        status = self.path.joinpath(*tree).lstat()
        return {tuple(tree): Measured(Usage(), (status.st_dev, status.st_ino, status.st_ctime_ns))}


@pytest.fixture
def host(tmp_path: Path) -> _Host:
    host = _Host(tmp_path / "docker")
    host.write(f"containers/{_ID}/config.v2.json")
    host.write(f"graph/{_ID}/json")
    host.write("volumes/data/opts.json")
    return host


def test_the_first_look_finds_nothing(host: _Host) -> None:
    assert not host.look()
    findings = host.look()
    assert not findings.stores
    assert not findings.entries


@pytest.mark.parametrize(
    "path",
    [
        *(f"containers/{_ID}/{name}" for name in ("config.v2.json", "hostconfig.json", "config.json")),
        *(f"graph/{_ID}/{name}" for name in ("json", "layersize")),
        *(f"volumes/data/{name}" for name in ("opts.json", "config.json", "json")),
    ],
)
def test_each_file_that_docker_rewrites_in_place_is_looked_at(host: _Host, path: str) -> None:
    host.write(path)
    host.look()
    assert not host.look().entries
    host.write(path, "{ }")
    findings = host.look()
    assert findings.entries == {tuple(path.split("/")[:2])}
    assert not findings.stores
    assert not host.look().entries, "it is told once"


def test_a_volumes_data_that_appears_in_its_directory_is_found(host: _Host) -> None:
    host.look()
    (host.path / "volumes/data/_data").mkdir()
    assert host.look().entries == {("volumes", "data")}


def test_a_file_that_becomes_no_file_is_found(host: _Host) -> None:
    file = host.write(f"containers/{_ID}/hostconfig.json")
    host.look()
    file.unlink()
    file.mkdir()
    assert host.look().entries == {("containers", _ID)}


def test_with_events_what_is_rewritten_is_looked_at_every_eighth_time_only(host: _Host) -> None:
    assert not host.look(watching=True)
    assert host.reconciler.thorough
    host.write(f"containers/{_ID}/config.v2.json", "{ }")
    host.write("volumes/data/opts.json", "{ }")
    for _ in range(_LOOKS_UNTIL_THOROUGH - 1):
        assert not host.look(watching=True).entries
        assert not host.reconciler.thorough
    assert host.look(watching=True).entries == {("containers", _ID), ("volumes", "data")}
    assert host.reconciler.thorough


def test_with_many_entries_what_has_events_is_confirmed_less_often(host: _Host) -> None:
    for number in range(600):
        (host.path / f"containers/{number:064x}").mkdir()
    whole = []
    for _ in range(4 * _LOOKS_UNTIL_THOROUGH):
        host.look(watching=True)
        whole.append(host.reconciler.whole)
        assert host.reconciler.thorough is (len(whole) % _LOOKS_UNTIL_THOROUGH == 1)
    # The first look had nothing to count yet.
    assert [number for number, one in enumerate(whole) if one] == [0, 8, 24]


@pytest.mark.parametrize("watching", [True, False], ids=["events were lost", "there were no watches"])
@pytest.mark.parametrize("before", range(1, _LOOKS_UNTIL_THOROUGH))
def test_after_a_look_at_everything_out_of_turn_the_next_one_is_not_later_than_else(
    host: _Host, before: int, watching: bool
) -> None:
    for _ in range(before):
        host.look(watching=True)
    if watching:
        host.reconciler.doubt()
    host.look(watching=watching)
    assert host.reconciler.whole
    for _ in range(2):
        for _ in range(_LOOKS_UNTIL_THOROUGH - 1):
            host.look(watching=True)
            assert not host.reconciler.thorough
        host.look(watching=True)
        assert host.reconciler.whole


def test_on_a_network_filesystem_it_is_confirmed_as_often_as_with_few(host: _Host) -> None:
    for number in range(600):
        (host.path / f"containers/{number:064x}").mkdir()
    whole = []
    for _ in range(3 * _LOOKS_UNTIL_THOROUGH):
        host.look(watching=True, local=False)
        whole.append(host.reconciler.whole)
    assert [number for number, one in enumerate(whole) if one] == [0, 8, 16]


def test_where_events_may_have_been_lost_the_next_look_is_at_everything(host: _Host) -> None:
    host.look(watching=True)
    host.look(watching=True)
    assert not host.reconciler.whole
    host.write(f"containers/{_ID}/config.v2.json", "{ }")
    host.reconciler.doubt()
    assert host.look(watching=True).entries == {("containers", _ID)}
    host.look(watching=True)
    assert not host.reconciler.whole


def test_what_was_read_after_an_event_is_not_listed_for_the_next_look(
    host: _Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.look(watching=True)
    host.look(watching=True)
    listed: list[Tree] = []
    real = DataRoot.names

    def names(root: DataRoot, tree: Tree) -> Names:
        listed.append(tree)
        return real(root, tree)

    host.write(f"containers/{'d' * 64}/config.v2.json")
    host.mark_seen(("containers", "d" * 64))
    monkeypatch.setattr(DataRoot, "names", names)
    assert not host.look(watching=True).entries
    assert ("containers",) not in listed
    host.write(f"containers/{'e' * 64}/config.v2.json")
    assert ("containers",) in host.look(watching=True).stores
    assert ("containers",) in listed


def test_an_entry_without_events_that_came_with_one_is_looked_at_from_then_on(host: _Host) -> None:
    """Events tell of directories with an id."""
    host.look(watching=True)
    host.look(watching=True)
    host.write("containers/odd/config.v2.json")
    host.mark_seen(("containers", "odd"))
    assert not host.look(watching=True).entries
    odd = host.path / "containers/odd"
    before = odd.stat().st_ctime_ns
    for number in itertools.count():
        (odd / f"file{number}").touch()
        if odd.stat().st_ctime_ns != before:  # the kernel's clock goes in steps
            break
    assert host.look(watching=True).entries == {("containers", "odd")}


def _age(host: _Host) -> None:
    """Let the clock of the looks be so late that nothing has changed just before."""
    host.reconciler = Reconciler(Clock(now=lambda: time.time() + 3600))


@pytest.mark.parametrize("aged", [True, False])
@pytest.mark.parametrize("path", [f"containers/{_ID}/config.json", "volumes/data/config.json", "volumes/data/_data/x"])
def test_a_file_that_was_not_there_is_found_when_it_comes_and_when_it_goes(host: _Host, path: str, aged: bool) -> None:
    if aged:
        _age(host)
    for _ in range(3):
        assert not host.look().entries
    entry = tuple(path.split("/")[:2])
    file = host.write(path)
    assert host.look().entries == {entry}
    assert not host.look().entries
    shutil.rmtree(file.parent) if file.name == "x" else file.unlink()
    assert host.look().entries == {entry}
    assert not host.look().entries


def test_what_was_not_there_is_not_asked_for_again_until_its_directory_changes(
    host: _Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = os.stat

    def stat(path: str | int, **options: Any) -> os.stat_result:
        asked.append(str(path))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    absent = f"{_ID}/config.json"
    host.look()
    host.look()
    assert asked.count(absent) == 2, "the directory has only just been made"
    _age(host)
    host.look()
    asked.clear()
    host.look()
    assert absent not in asked
    assert f"{_ID}/config.v2.json" in asked
    host.write(f"containers/{_ID}/hostconfig.json")
    host.look()
    assert absent in asked


def test_of_a_link_in_the_place_of_a_directory_each_file_is_asked_for_again(host: _Host) -> None:
    (host.path / "elsewhere").mkdir()
    (host.path / "volumes/link").symlink_to("../elsewhere")
    _age(host)
    host.look()
    host.look()
    host.write("elsewhere/opts.json")
    assert host.look().entries == {("volumes", "link")}


def test_a_file_that_something_was_mounted_on_is_seen_when_that_is_gone(host: _Host) -> None:
    _age(host)
    mounts = [("volumes", "data", "opts.json")]
    for _ in range(2):
        host.look(mounts=mounts)
    host.look()
    host.write("volumes/data/opts.json", "{ }")
    assert host.look().entries == {("volumes", "data")}


def test_without_events_every_look_is_at_everything(host: _Host) -> None:
    for _ in range(3):
        host.look()
        assert host.reconciler.thorough


def test_of_a_store_that_was_replaced_every_entry_is_looked_at_also_with_events(host: _Host) -> None:
    """Something was mounted over it, or a backup was moved into its place: nothing that was known of it holds."""
    host.look(watching=True)
    shutil.copytree(host.path / "containers", host.path / "copy")
    shutil.rmtree(host.path / "containers")
    (host.path / "copy").rename(host.path / "containers")
    findings = host.look(watching=True)
    assert ("containers",) in findings.stores
    assert ("containers", _ID) in findings.entries


def test_with_events_an_entry_that_is_another_directory_is_found_where_no_event_tells(host: _Host) -> None:
    host.look(watching=True)
    home = host.path / "volumes/data"
    shutil.copytree(home, host.path / "copy")
    shutil.rmtree(home)
    (host.path / "copy").rename(home)
    assert ("volumes", "data") in host.look(watching=True).entries


@pytest.mark.parametrize("name", ["overlay2/l", "vfs/dir", "image/overlay2/layerdb/sha256", "fuse-overlayfs"])
def test_what_comes_goes_or_is_seen_again_changes_the_listing_of_its_store(host: _Host, name: str) -> None:
    store = tuple(name.split("/"))
    (host.path / name).mkdir(parents=True)
    host.look()
    (host.path / name / "new").mkdir()
    findings = host.look()
    assert (findings.stores, findings.entries, findings.new) == ({store}, set(), set())
    (host.path / name / "new").rmdir()
    assert host.look().stores == {store}
    assert not host.look().stores
    (host.path / name).chmod(0o711)
    assert host.look().stores == {store}


def test_a_store_that_comes_is_new_and_one_that_goes_is_none(host: _Host) -> None:
    host.look()
    (host.path / "vfs/dir").mkdir(parents=True)
    findings = host.look()
    assert (findings.stores, findings.new) == ({(), ("vfs", "dir")}, {("vfs", "dir")})
    shutil.rmtree(host.path / "vfs")
    findings = host.look()
    assert (findings.stores, findings.new) == ({(), ("vfs", "dir")}, set())


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        (("image", "overlay2", "imagedb", "metadata", "sha256"), True),
        (("image", "overlay2", "layerdb", "mounts"), True),
        (("image", "overlay2", "layerdb", "sha256"), True),
        (("layers", "overlay2", "layerdb", "mounts"), False),
        (("containers",), False),
        ((), False),
    ],
)
def test_stores_whose_entries_are_filled_after_they_were_made(host: _Host, store: Tree, expected: bool) -> None:
    assert filled_later(store) == expected
    if store[:1] == ("image",):
        host.path.joinpath(*store, _ID).mkdir(parents=True)
        host.look()
        host.path.joinpath(*store, _ID, "added").write_text("x")
        assert host.look().entries == ({(*store, _ID)} if expected else set())


def test_what_is_written_into_a_driver_or_a_top_level_directory_is_no_finding(host: _Host) -> None:
    for path in ("tmp", "overlay2/x/diff", "buildkit/content", "image/overlay2/distribution"):
        (host.path / path).mkdir(parents=True)
    host.look()
    for path in ("tmp", "overlay2/x/diff", "buildkit/content"):
        (host.path / path / "file").write_text("x")
    findings = host.look()
    assert not findings.stores
    assert not findings.entries


@pytest.mark.parametrize("path", ["buildkit/metadata_v2.db", "image/overlay2/repositories.json", "repositories-aufs"])
def test_a_file_beside_stores_that_is_written_to_or_replaced_is_found(host: _Host, path: str) -> None:
    file = host.write(path)
    host.look()
    file.write_text("{ }")
    assert host.look().entries == {tuple(path.split("/"))}
    status = file.stat()
    file.write_text("[ ]")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert host.look().entries == {tuple(path.split("/"))}
    other = host.write("other", "{ }")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    other.rename(file)
    assert tuple(path.split("/")) in host.look().entries


def test_what_something_is_mounted_on_is_not_looked_at(host: _Host) -> None:
    mounts = [("containers", _ID), ("volumes", "data", "opts.json")]
    host.look(mounts=mounts)
    host.write(f"containers/{_ID}/config.v2.json", "{ }")
    host.write("volumes/data/opts.json", "{ }")
    findings = host.look(mounts=mounts)
    assert not findings.entries
    assert not findings.stores


def test_where_a_listing_changed_what_was_measured_is_compared_with_what_is_there(host: _Host) -> None:
    """A layer's directory must be the same one; an image layer's must not have been changed either."""
    for name in ("fixed", "grows", "new", "mounted"):
        (host.path / "overlay2" / name).mkdir(parents=True)
    trees = [("overlay2", name) for name in ("fixed", "grows", "mounted")]
    measured = {tree: one for each in trees for tree, one in host.measured(*each).items()}
    host.look()
    for name in ("fixed", "grows", "mounted"):
        (host.path / "overlay2" / name / "file").write_text("x")
    fixed, mounts = [("overlay2", "fixed")], [("overlay2", "mounted")]
    assert not host.look(measured=measured, immutable=fixed, mounts=mounts).entries, "no listing has changed"
    (host.path / "overlay2/another").mkdir()
    assert host.look(measured=measured, immutable=fixed, mounts=mounts).entries == {("overlay2", "fixed")}


def test_a_directory_that_took_the_place_of_one_that_was_measured_is_found(host: _Host) -> None:
    (host.path / "overlay2/layer").mkdir(parents=True)
    measured = host.measured("overlay2", "layer")
    host.look()
    (host.path / "overlay2/layer").rename(host.path / "elsewhere")
    (host.path / "overlay2/layer").mkdir()
    assert host.look(measured=measured).entries == {("overlay2", "layer")}


@pytest.mark.parametrize("link", [True, False])
def test_a_link_or_file_in_the_place_of_what_was_measured_is_found_also_where_it_has_its_inode_number(
    host: _Host, link: bool
) -> None:
    layers = host.path / "aufs/layers"
    layers.mkdir(parents=True)
    host.look()
    (layers / "other").symlink_to("nowhere") if link else (layers / "other").touch()
    status = (layers / "other").lstat()
    before = Measured(Usage(), (status.st_dev, status.st_ino, status.st_ctime_ns - 1))
    assert host.look(measured={("aufs", "layers", "other"): before}).entries == {("aufs", "layers", "other")}


def test_of_the_same_inode_number_the_signature_of_a_directory_a_file_and_a_link_differs() -> None:
    def one(mode: int, size: int, time: int) -> bytes:
        return _plain_signature(os.stat_result((mode, 2, 1, 1, 0, 0, size, 0, time, 0), {"st_mtime_ns": time}))

    different = [one(stat.S_IFDIR, 8, 1), one(stat.S_IFLNK, 8, 1), one(stat.S_IFREG, 8, 2), one(stat.S_IFLNK, 9, 1)]
    assert len({*different}) == len(different)
    assert one(stat.S_IFDIR, 8, 1) == one(stat.S_IFDIR, 16, 2), "its content is audited"


@pytest.mark.parametrize("store", ["containers", "graph"])
def test_without_watches_what_a_scan_has_met_first_is_compared_with_what_it_was_then(host: _Host, store: str) -> None:
    """It came after the last look, another change was scanned, and it was written to before the next look."""
    host.look()
    file = host.write(f"{store}/{'b' * 64}/{'json' if store == 'graph' else 'config.json'}")
    host.mark_seen(("volumes", "data"))
    file.write_text("{ }")
    findings = host.look(measured=host.measured(store, "b" * 64))
    assert findings.entries == {(store, "b" * 64)}


def test_what_is_scanned_is_no_finding_of_the_next_look(host: _Host) -> None:
    host.look()
    (host.path / "graph/new").mkdir()
    host.write(f"graph/{_ID}/json", "{ }")
    host.write(f"containers/{_ID}/config.v2.json", "{ }")
    host.mark_seen(("graph", "new"), ("graph", _ID))
    findings = host.look()
    assert findings.stores == set()
    assert findings.entries == {("containers", _ID)}


def test_a_listing_alone_can_be_taken_as_seen(host: _Host) -> None:
    host.look()
    (host.path / "graph/new").mkdir()
    (host.path / "volumes/new").mkdir()
    host.write(f"graph/{_ID}/json", "{ }")
    host.mark_seen(listings=[("graph",)])
    findings = host.look()
    assert findings.stores == {("volumes",)}
    assert ("graph", _ID) in findings.entries


def test_where_everything_is_scanned_nothing_is_found(host: _Host) -> None:
    host.look()
    (host.path / "graph/new").mkdir()
    host.write(f"containers/{_ID}/config.v2.json", "{ }")
    host.mark_seen(everything=True)
    findings = host.look()
    assert not findings.stores
    assert not findings.entries


def test_what_was_measured_is_compared_after_a_scan_of_its_store_as_well(host: _Host) -> None:
    """The scan took the listing as seen; what is in the store may have been replaced before that."""
    (host.path / "overlay2/layer").mkdir(parents=True)
    measured = host.measured("overlay2", "layer")
    host.look()
    (host.path / "overlay2/layer").rename(host.path / "overlay2/old")
    (host.path / "overlay2/layer").mkdir()
    host.mark_seen(("overlay2", "old"))
    findings = host.look(measured=measured)
    assert not findings.stores
    assert findings.entries == {("overlay2", "layer")}
    assert not host.look(measured=measured).entries


def test_before_the_first_look_a_scan_is_no_matter(host: _Host) -> None:
    host.mark_seen(everything=True)
    assert not host.look()


def test_a_scan_of_an_entry_reads_the_listing_that_it_is_in() -> None:
    assert Dirty(frozenset({("a",), ("b", "c")})).read_again() == {("a",), (), ("b", "c"), ("b",)}


def test_a_mount_on_a_volume_is_found_and_no_event_was_missed(host: _Host) -> None:
    host.write("volumes/data/_data/f")
    host.reconciler = Reconciler(FakeClock().clock)  # all was written long before
    host.look()
    mounts = [("volumes", "data", "_data"), ("overlay2", "x", "merged")]
    found = host.look(mounts=mounts)
    assert found.again == {("volumes", "data")}
    assert not found.entries
    assert not host.look(mounts=mounts).again
    assert host.look().again == {("volumes", "data")}


def test_with_events_the_entries_of_a_store_that_never_change_are_only_read_where_no_event_tells(host: _Host) -> None:
    """A scan after events reads what has changed: while one is to come, nothing more is looked at."""
    (host.path / "vfs/dir/layer").mkdir(parents=True)
    measured = host.measured("vfs", "dir", "layer")
    host.look(watching=True)
    (host.path / "vfs/dir/layer").rename(host.path / "elsewhere")
    (host.path / "vfs/dir/layer").mkdir()
    findings = host.look(measured=measured, watching=True)
    assert (findings.entries, findings.unread) == (set(), {("vfs", "dir")})
    with DataRoot(str(host.path)) as root:
        assert host.reconciler.replaced(root, findings.unread, measured, ()) == {("vfs", "dir", "layer")}


def test_of_entries_with_a_signature_only_new_ones_are_compared_with_what_was_measured(host: _Host) -> None:
    host.look()
    (host.path / "volumes/new").mkdir()
    measured = host.measured("volumes", "new")
    (host.path / "volumes/new").rename(host.path / "elsewhere")
    (host.path / "volumes/new").mkdir()
    assert host.look(measured=measured).entries == {("volumes", "new")}


def test_of_listings_that_change_with_others_a_scan_that_is_to_come_takes_care() -> None:
    left = {("aufs", "mnt"), ("aufs", "diff"), ("overlay2", "l"), ("overlay2", "l", "x"), ("volumes",)}
    assert without_events(left) == left - {("aufs", "mnt"), ("overlay2", "l")}
