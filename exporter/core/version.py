"""The version of the exporter, and the commit that it was built from."""

import contextlib
import os
import re
import sys
from collections.abc import Iterable

_PACKAGE = os.path.dirname(os.path.dirname(__file__))
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGITS = 12
_INSTALLED = re.compile(r"docker_storage_exporter-(.+)\.dist-info")


def installed_version(places: Iterable[str]) -> str:
    """Return the version that is installed, by the directory that says so; "0.0.0" for a source tree alone.

    Of several it is the first. One without METADATA is what an older version has left behind.
    importlib.metadata says the same. It takes 3 MB of each process with the parser of messages that it imports.
    """
    for place in places:
        with contextlib.suppress(OSError):
            for name in os.listdir(place):
                found = _INSTALLED.fullmatch(name)
                if found is not None and os.path.exists(f"{place}/{name}/METADATA"):
                    return found[1]
    return "0.0.0"


VERSION = installed_version(sys.path)


def read_revision(package: str = _PACKAGE) -> str:
    """Return the commit of a package's directory in 12 digits, "" if it is unknown.

    A wheel has it in core/revision.txt (packaging/revision.py writes it, with "-dirty" for a tree with changes). Run
    from a checkout, the package has no such file: there it is the commit that git has checked out now.
    """
    return _read(f"{package}/core/revision.txt") or _checked_out(f"{os.path.dirname(package)}/.git")


def _checked_out(git: str) -> str:
    """Read HEAD of a git directory, without git: gitrepository-layout(5)."""
    if (link := _read(git)).startswith("gitdir: "):  # a worktree
        git = os.path.join(os.path.dirname(git), link.removeprefix("gitdir: "))
    head = _read(f"{git}/HEAD")
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        common = os.path.join(git, _read(f"{git}/commondir"))
        head = _read(f"{git}/{name}") or _read(f"{common}/{name}") or _packed(f"{common}/packed-refs", name)
    return head[:_DIGITS] if _COMMIT.fullmatch(head) else ""


def _packed(file: str, name: str) -> str:
    return next((line.split()[0] for line in _read(file).splitlines() if line.endswith(f" {name}")), "")


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.read().strip()
    except OSError:
        return ""


REVISION = read_revision()
