"""The first scan with a cold cache compared with `du`: each is timed after the kernel has forgotten all inodes.

Only root can have it forget. The disk decides much: a row names its filesystem.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import Row, ratio
from benchmarks.timing import du_seconds, scan_seconds

_TURNS = 3
_BUDGET = 0.9


def cold(roots: dict[str, Path], empty: Path) -> Iterator[Row]:
    """Compare the first scan of each root, by what it is. `empty` is a root without objects."""
    for shape, root in roots.items():
        what = f"first scan / `du -s`, cold cache, {shape}, {_filesystem(root)}"
        if os.geteuid():
            yield Row(what, "only root can empty the cache")
            continue
        yield ratio(what, [(_cold_scan(root, empty), _cold_du(root)) for _ in range(_TURNS)], _BUDGET)


def _cold_scan(root: Path, empty: Path) -> float:
    _forget()
    scan_seconds(empty)  # the exporter's own files are read
    return scan_seconds(root)[0]


def _cold_du(root: Path) -> float:
    _forget()
    return du_seconds(root)


def _forget() -> None:
    """Drop pages, dentries and inodes (Documentation/admin-guide/sysctl/vm.rst of Linux, drop_caches)."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def _filesystem(root: Path) -> str:
    found = subprocess.run(["df", "--output=fstype", str(root)], capture_output=True, text=True, check=True)
    return found.stdout.split()[-1]
