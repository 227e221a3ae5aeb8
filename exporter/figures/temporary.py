"""How the engine's old temporary files are freed."""

import posixpath

from exporter.core.engine_version import Version
from exporter.core.model import Inventory
from exporter.core.shell import arguments

#: From this version on the engine empties `tmp` when it starts (daemon/daemon.go, prepareTempDir).
_EMPTIES: Version = (17, 6)
#: Entries of the root that only newer engines make: `runtimes` from 17.11 on, `buildkit` from 18.06 on.
_NEWER = frozenset(("runtimes", "buildkit"))
_RESTART = "restart the daemon: it empties tmp when it starts"


def how_to_free(inventory: Inventory, root: str, name: str) -> str:
    """Say how old files in `tmp` or `tmp-old` of a root are freed by the engine that wrote it."""
    by_hand = _by_hand(root, name)
    if name != "tmp":
        return by_hand
    empties = True if _NEWER & {*inventory.directories} else inventory.engine.has(_EMPTIES)
    if empties is None:
        return _either(by_hand)
    return _RESTART if empties else by_hand


def ways_to_free(root: str, name: str) -> tuple[str, ...]:
    """All that `how_to_free` may say of this directory."""
    by_hand = _by_hand(root, name)
    return (by_hand, _RESTART, _either(by_hand)) if name == "tmp" else (by_hand,)


def _by_hand(root: str, name: str) -> str:
    return f"with the daemon stopped: rm -r {arguments(posixpath.join(root, name))}"


def _either(by_hand: str) -> str:
    return f"{_RESTART} (Docker 17.06 and newer); older ones, {by_hand}"
