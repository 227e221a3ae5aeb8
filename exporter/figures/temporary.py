"""How the engine's old temporary files are freed."""

import posixpath
import shlex

from exporter.core.engine_version import Version
from exporter.core.model import Inventory

#: From this version on the engine empties `tmp` when it starts (daemon/daemon.go, prepareTempDir).
_EMPTIES: Version = (17, 6)
#: Entries of the root that only newer engines make: `runtimes` from 17.11 on, `buildkit` from 18.06 on.
_NEWER = frozenset(("runtimes", "buildkit"))
_RESTART = "restart the daemon: it empties tmp when it starts"


def how_to_free(inventory: Inventory, root: str, name: str) -> str:
    """Say how old files in `tmp` or `tmp-old` of a root are freed by the engine that wrote it."""
    by_hand = f"with the daemon stopped: rm -r {shlex.quote(posixpath.join(root, name))}"
    if name != "tmp":
        return by_hand
    empties = True if _NEWER & {*inventory.directories} else inventory.engine.has(_EMPTIES)
    if empties is None:
        return f"{_RESTART} (Docker 17.06 and newer); older ones, {by_hand}"
    return _RESTART if empties else by_hand
