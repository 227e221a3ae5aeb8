"""Tests of packed signatures."""

from exporter.schedule.signatures import is_same_directory, newest, of_file, pack


def test_equal_numbers_are_packed_equally_and_others_are_not() -> None:
    assert pack((1, 2, 3)) == pack([1, 2, 3])
    assert pack((1, 2, 3)) != pack((1, 2, 4))


def test_a_filesystem_may_say_numbers_of_any_size() -> None:
    assert pack((1, 1 << 70, -5)) == pack((1, 0, -5))
    assert newest(pack((1, 2, -5))) == -5


def test_the_newest_time_is_found_behind_device_and_inode() -> None:
    assert newest(pack((1 << 60, 1 << 61, 1_795_741_076_274_912_423, 7))) == 1_795_741_076_274_912_423


def test_the_numbers_of_a_file_are_found_by_its_place() -> None:
    signature = pack((1, 2, 3, 4, 5, 6, 7, 8, 9))
    assert of_file(signature, 1) == pack((4, 5, 6))
    assert of_file(signature, 2) == pack((7, 8, 9))


def test_a_directory_is_the_same_whatever_its_time_is() -> None:
    assert is_same_directory(pack((1, 2, 3)), pack((1, 2, 4)))
    assert not is_same_directory(pack((1, 2, 3)), pack((1, 3, 3)))
    assert not is_same_directory(b"", pack((1, 3, 3)))
    assert is_same_directory(b"", b"")
