"""The used space of the root's filesystem that its files do not explain, where the filesystem has no others."""

from exporter.cli.commands.tables import Lines
from exporter.core.units import human
from exporter.expose.snapshot_api.rows import Document

#: What a filesystem uses for itself besides files: up to 29 MB of a new XFS of 512 MB, 2.2 % of one of 10 GB.
_LEAST_BYTES, _SHARE = 32 * 1024 * 1024, 40


def unexplained(document: Document) -> int | None:
    """How many bytes more of the root's filesystem are used than its files add up to; below 0: so many less.

    0 if the filesystem itself explains the difference. None where it is not known: there are other files on it, or some
    could not be measured.
    """
    own = next((one for one in document.filesystems if one.own), None)
    incomplete = document.taken is None or any(one.reason != "vanished" for one in document.problems)
    files = [row.allocated for row in document.directories if not row.root]
    if own is None or own.size is None or own.free is None or incomplete or not files or None in files:
        return None
    difference = own.size - own.free - sum(size for size in files if size is not None)
    return difference if abs(difference) > _LEAST_BYTES + own.size // _SHARE else 0


def said_of(difference: int | None) -> list[Lines]:
    """Say what explains a difference."""
    if not difference:
        return []
    if difference > 0:
        said = (
            f"{human(difference)} of the used space belong to no file. Most often that is a file that was deleted and "
            "is still open, such as the log of a container: lsof +L1 names it, and the space is free once the program "
            "that has it open closes it. Files that share extents (reflinks) may hide more of it."
        )
    else:
        said = (
            f"{human(-difference)} less are used than the files add up to: files that share extents (reflinks) count "
            "again for each, as with du."
        )
    return [Lines("", [said])]
