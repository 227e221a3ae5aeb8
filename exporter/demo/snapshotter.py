"""Writes what one snapshotter of containerd keeps: its directories, and `metadata.db` with what it records of them.

Facts: containerd 2.1 core/snapshots/storage/bolt.go (buckets, kinds, sizes), plugins/snapshots/overlay/overlay.go
(`fs`, `work`, modes), plugins/snapshots/native/native.go (whole copies), continuity fs/du_unix.go (usage).
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from exporter.demo.bolt import BoltFile
from exporter.demo.writer import Content, put

Kind = Literal["view", "active", "committed"]
_KINDS: dict[Kind, int] = {"view": 1, "active": 2, "committed": 3}
_OVERLAY = ("overlayfs", "fuse-overlayfs")
_BLOCK = 512


def uvarint(value: int) -> bytes:
    """An unsigned number as Go's encoding/binary writes it."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def varint(value: int) -> bytes:
    """A signed number as Go's encoding/binary writes it."""
    return uvarint(value << 1 if value >= 0 else (-value << 1) - 1)


def go_time(nanoseconds: int) -> bytes:
    """A time in UTC as Go's time.MarshalBinary writes it, from nanoseconds since 1970."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return b"\1" + (seconds + 62_135_596_800).to_bytes(8, "big") + rest.to_bytes(4, "big") + b"\xff\xff"


def usage(top: Path) -> tuple[int, int]:
    """The disk blocks in bytes of a directory with itself and all below it, and how many inodes these are."""
    inodes: dict[tuple[int, int], int] = {}
    waiting = [top]
    while waiting:
        path = waiting.pop()
        about = path.lstat()
        inodes[(about.st_dev, about.st_ino)] = about.st_blocks * _BLOCK
        if path.is_dir() and not path.is_symlink():
            waiting.extend(Path(entry.path) for entry in os.scandir(path))
    return sum(inodes.values()), len(inodes)


def fill(top: Path, files: Mapping[str, Content]) -> None:
    """Write files below a directory; those of which only the size is given get disk blocks, and no content.

    A name that ends with a slash is that of an empty directory.
    """
    for name in files:
        if name.endswith("/"):
            (top / name).mkdir(parents=True, exist_ok=True)
    put(top, {name: content for name, content in files.items() if not name.endswith("/")})
    for name, content in files.items():
        if isinstance(content, int) and content:
            with (top / name).open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, content)


class Snapshotter:
    """One snapshotter below containerd's root: overlayfs, native, or one without directories of files.

    One without keeps its records only, with the sizes that the caller gives. `name` is also the driver of a container.
    """

    def __init__(self, home: Path, name: str) -> None:
        self.name = name
        self.path = home / f"io.containerd.snapshotter.v1.{name}"
        self.rows: dict[str, dict[str, Any]] = {}
        self._ids: dict[str, int] = {}
        self._next = 0
        self._database = BoltFile(self.path / "metadata.db")

    def add(  # noqa: PLR0913 - a snapshot has that many sides
        self,
        name: str,
        kind: Kind,
        parent: str,
        files: Mapping[str, Content],
        *,
        time: bytes,
        size: int | None = None,
    ) -> Path:
        """Write a snapshot; return the directory of its files. A committed one gets its size, or the given one."""
        self._next += 1
        self._ids[name] = self._next
        row = {"id": uvarint(self._next), "kind": bytes([_KINDS[kind]]), "createdat": time, "updatedat": time}
        self.rows[name] = row | ({"parent": parent.encode()} if parent else {})
        content = self._directory(name, kind, parent)
        if content is not None:
            fill(content, {} if kind == "view" else files)
        if kind == "committed":
            blocks, inodes = usage(content) if content is not None else (0, 0)
            self.rows[name] |= {"size": varint(blocks if size is None else size), "inodes": varint(inodes)}
        return content or self.path

    def number(self, name: str) -> int:
        """The number of a snapshot, which is the name of its directory."""
        return self._ids[name]

    def directory(self, name: str) -> Path:
        """The directory of a snapshot."""
        return self.path / "snapshots" / str(self._ids[name])

    def content(self, name: str) -> Path:
        """The directory of a snapshot's files."""
        return self.directory(name) / "fs" if self.name in _OVERLAY else self.directory(name)

    def remove(self, name: str) -> None:
        """Remove a snapshot with its directory."""
        if self.directory(name).exists():
            shutil.rmtree(self.directory(name))
        del self.rows[name], self._ids[name]

    def write(self) -> None:
        """Write `metadata.db`."""
        parents = {
            uvarint(self._ids[row["parent"].decode()]) + b"\0" + row["id"]: name.encode()
            for name, row in self.rows.items()
            if "parent" in row
        }
        self._database.write({"v1": {"snapshots": self.rows, "parents": parents}})

    def _directory(self, name: str, kind: Kind, parent: str) -> Path | None:
        if self.name not in (*_OVERLAY, "native"):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            return None
        home = self.directory(name)
        home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.name == "native" and parent:
            shutil.copytree(self.directory(parent), home, symlinks=True)
            return home
        home.mkdir(mode=0o700)
        if self.name == "native":
            return home
        (home / "fs").mkdir(mode=0o755)
        if kind != "view":
            (home / "work").mkdir(mode=0o711)
        return home / "fs"
