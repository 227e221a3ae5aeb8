"""What lies on which filesystem, worked out by hand for snapshots without a root."""

import pytest

from exporter.core.measured import Measured, Tree
from exporter.core.model import Filesystem, FurtherRoot, Inventory, Snapshot, Volume
from exporter.figures.figures import Figures
from exporter.figures.filesystems import of_directories, of_volumes, reclaimable
from tests.support.snapshots import ELSEWHERE, HERE, container, layer, shared, tree

ROOT = Filesystem("/var/lib/docker", "/dev/sda1", "/", "ext4")
DISK = Filesystem("/var/lib/docker/volumes/db/_data", "/dev/sdb1", "/var/lib/docker/volumes/db/_data", "xfs", "db")
STORE = Filesystem("/var/lib/containerd", "/dev/sdc1", "/var/lib/containerd", "ext4")

DB: Tree = ("volumes", "db", "_data")
PLAIN: Tree = ("volumes", "plain", "_data")
FURTHER: Tree = ("/var/lib/containerd",)


def _snapshot(**fields: object) -> Snapshot:
    volumes = (
        Volume("db", tree=DB, home=DB[:2]),
        Volume("plain", tree=PLAIN, home=PLAIN[:2]),
        Volume("nfs", device=":/export", mount_type="nfs", home=("volumes", "nfs")),
    )
    inventory = Inventory(
        containers=(container("c1", layer="l1"),),
        layers=(layer("l1"),),
        volumes=volumes,
        directories=("overlay2", "containers", "volumes"),
        drivers=("overlay2",),
    )
    measured: dict[Tree, Measured] = {
        (): tree(1),
        ("containers",): tree(10),
        ("overlay2",): tree(100),
        ("volumes",): tree(1000),
        DB: tree(50_000, {7: shared(500)}, device=ELSEWHERE),
        PLAIN: tree(10_000),
    }
    made = {"device": HERE, "mounts": frozenset({DB}), "places": {(): ROOT, DB: DISK}, "filesystems": (ROOT, DISK)}
    return Snapshot("/var/lib/docker", 0, inventory=inventory, measured=measured, **(made | fields))  # type: ignore[arg-type]


def test_a_directory_lies_where_the_root_lies_unless_it_is_a_mount() -> None:
    snapshot = _snapshot()
    assert of_directories(snapshot) == {
        (): ROOT,
        ("overlay2",): ROOT,
        ("containers",): ROOT,
        ("volumes",): ROOT,
    }
    mounted = _snapshot(mounts=frozenset({("volumes",)}), places={(): ROOT, ("volumes",): DISK})
    assert of_directories(mounted)["volumes",] == DISK


def test_only_volumes_that_do_not_lie_with_the_others_are_named() -> None:
    assert of_volumes(_snapshot()) == {"db": DISK}
    together = _snapshot(mounts=frozenset({("volumes",)}), places={(): ROOT, ("volumes",): DISK})
    assert of_volumes(together) == {}


def test_a_mount_of_which_nothing_is_known_has_no_filesystem() -> None:
    snapshot = _snapshot(places={(): ROOT})
    assert of_volumes(snapshot) == {}
    assert Figures(snapshot).allocated == {ROOT: 2 * 11_111}


def test_what_is_allocated_adds_up_by_filesystem() -> None:
    assert Figures(_snapshot()).allocated == {ROOT: 2 * 11_111, DISK: 2 * 50_000}


@pytest.mark.parametrize(("lost", "known"), [(PLAIN, {DISK}), (DB, {ROOT})])
def test_a_filesystem_of_which_a_part_was_not_read_has_no_sum(lost: Tree, known: set[Filesystem]) -> None:
    assert Figures(_snapshot(incomplete=frozenset({lost}))).allocated.keys() == known


def test_a_further_root_has_a_filesystem_of_its_own() -> None:
    snapshot = _snapshot(
        further=(FurtherRoot(FURTHER[0], 3),), places={(): ROOT, DB: DISK, FURTHER: STORE}, mounts=frozenset({DB})
    )
    snapshot.measured[FURTHER] = tree(3, device=3)  # type: ignore[index]
    assert of_directories(snapshot)[FURTHER] == STORE
    assert Figures(snapshot).allocated == {ROOT: 2 * 11_111, DISK: 2 * 50_000, STORE: 6}


def test_what_a_prune_frees_is_split_by_filesystem() -> None:
    freed = [70_000, 40_000, 0]
    assert reclaimable(_snapshot(), freed, {DISK: 50_000}) == {ROOT: 60_000, DISK: 50_000}
    assert reclaimable(_snapshot(), [*freed, None], {DISK: 50_000}) == {}
    assert Figures(_snapshot(places={(): ROOT}, mounts=frozenset())).reclaimable.keys() <= {ROOT}
