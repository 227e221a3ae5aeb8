"""The line that names the data root of a remapped user below the root that was asked for."""

import os.path

from exporter.core.log import printable
from exporter.core.shell import quote


def remapped_line(root: str, name: str) -> str:
    """Say which `--root` to pass for the data root of a remapped user (dockerd --userns-remap)."""
    return printable(
        f"{root}: {name} is the root of a remapped user, and its objects are not listed: "
        f"pass --root {quote(os.path.join(root, name))} for them"
    )
