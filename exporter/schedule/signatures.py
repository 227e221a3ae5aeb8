"""Numbers of a directory or file, and of files in it, that tell whether it has changed.

They are packed: there are ten for each container and each image, and as objects they take four times as much memory.
"""

from array import array
from collections.abc import Sequence
from typing import TypeAlias

Packed: TypeAlias = bytes

_WIDTH = 8
_LARGEST = (1 << 8 * _WIDTH) - 1
#: How many numbers an entry has itself, and each file in it.
_EACH = 3


def pack(numbers: Sequence[int]) -> Packed:
    """Pack numbers. A filesystem may say anything: of one that is too large, the lower part counts."""
    return array("Q", [number & _LARGEST for number in numbers]).tobytes()


def is_same_directory(one: Packed, other: Packed) -> bool:
    """Whether two begin with the same two numbers, the device and the inode."""
    return one[: 2 * _WIDTH] == other[: 2 * _WIDTH]


def of_file(signature: Packed, place: int) -> Packed:
    """The numbers of the file in this place, from 1 on, in the signature of an entry."""
    return signature[place * _EACH * _WIDTH : (place + 1) * _EACH * _WIDTH]


def newest(signature: Packed) -> int:
    """The largest number behind device and inode: a time where one is there."""
    return max(memoryview(signature)[2 * _WIDTH :].cast("q"))
