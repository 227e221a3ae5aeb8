"""An inode that is linked from several trees counts once: which of them it counts for, and what is no such inode."""

from exporter.core.measured import Usage
from exporter.core.model import Use
from exporter.figures.figures import Figures
from exporter.figures.tally import disjoint
from tests.support.snapshots import ELSEWHERE, HERE, layer, shared, snapshot, tree


def test_files_of_two_filesystems_with_one_inode_number_are_two_files() -> None:
    here, there = tree(10, {7: shared(10)}), tree(30, {7: shared(30)}, device=ELSEWHERE)
    assert disjoint([[here, there]])[0] == Usage(40, 80, 2)


def test_a_shared_file_counts_in_full_for_the_first_tree_and_not_at_all_for_the_second() -> None:
    first, second = tree(15, {7: shared(10)}, inodes=2), tree(110, {7: shared(10), 8: shared(60)}, inodes=3)
    found = disjoint([[first], [second], [second]])
    assert found[:2] == [Usage(15, 30, 2), Usage(100, 200, 2)]
    assert found[2] == Usage(40, 80, 1), "all that was shared has been counted by now"


def test_a_tree_without_shared_files_counts_in_full_each_time() -> None:
    assert disjoint([[tree(10), tree(20)], [tree(10)]]) == [Usage(30, 60, 2), Usage(10, 20, 1)]


def test_what_layers_of_several_uses_share_counts_for_the_use_that_comes_first() -> None:
    """In the order image, container, build cache, pending, orphaned, whatever order the layers are listed in."""
    layers = [layer(use.value, use) for use in reversed(Use)]
    measured = {one.trees[0]: tree(1000 + at, {7: shared(1000)}, inodes=2) for at, one in enumerate(layers)}
    found = Figures(snapshot(measured, layers=tuple(layers))).layers
    assert {use: found["overlay2", "", use].usage for use in Use} == {
        Use.IMAGE: Usage(1004, 2008, 2),
        Use.CONTAINER: Usage(3, 6, 1),
        Use.BUILD_CACHE: Usage(2, 4, 1),
        Use.PENDING: Usage(1, 2, 1),
        Use.ORPHANED: Usage(0, 0, 1),
    }


def test_drivers_share_nothing_that_is_attributed() -> None:
    """Each driver's layers are summed on their own: a file that both have links to counts for both."""
    layers = (layer("a"), layer("b", driver="vfs"))
    measured = {one.trees[0]: tree(10, {7: shared(10)}) for one in layers}
    found = Figures(snapshot(measured, layers=layers, drivers=("overlay2", "vfs"))).layers
    assert found["overlay2", "", Use.IMAGE].usage == found["vfs", "", Use.IMAGE].usage == Usage(10, 20, 1)


def test_a_top_level_directory_does_not_hold_what_lies_on_other_filesystems() -> None:
    measured = {
        ("volumes",): tree(5),
        ("volumes", "local"): tree(70),
        ("volumes", "mounted"): tree(9000, device=ELSEWHERE),
        ("nfs",): tree(800, device=ELSEWHERE),
    }
    found = Figures(snapshot(measured, directories=("nfs", "volumes"))).directories
    assert found == {".": Usage(0, 0, 1), "volumes": Usage(75, 150, 2)}
    assert measured["nfs",].device != HERE


def test_an_entry_that_was_not_measured_is_no_directory_of_size_zero() -> None:
    measured = {("volumes",): tree(5), ("hidden", "inner"): tree(7)}
    assert Figures(snapshot(measured, directories=("hidden", "volumes"))).directories.keys() == {".", "volumes"}


def test_what_directories_share_counts_for_the_first_by_name() -> None:
    measured = {("b",): tree(10, {7: shared(10)}), ("a", "x"): tree(10, {7: shared(10)}), ("a",): tree(1)}
    found = Figures(snapshot(measured, directories=("b", "a"))).directories
    assert [(name, usage.size) for name, usage in found.items() if usage] == [(".", 0), ("a", 11), ("b", 0)]
