"""Which data root is read where none is named: that of Docker's packages, of its snap, or of a rootless engine.

Sources: docker-snap, bin/dockerd-wrapper, for the snap; Docker 20.10, homedir.GetDataHome, for rootless engines.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

from exporter.config.settings import DEFAULT_ROOT

SNAP = "/var/snap/docker/common/var-lib-docker"
ROOTLESS = ".local/share/docker"
#: Every engine makes it when it starts for the first time.
_ALWAYS_THERE = "containers"


class ChosenRoot(NamedTuple):
    """The root, and for people why it is this one; "" where there is no other one."""

    root: str
    why: str = ""


def choose_root(
    default: str = DEFAULT_ROOT, snap: str = SNAP, environment: Mapping[str, str] = os.environ
) -> ChosenRoot:
    """Choose by what is there: the usual place first, then the snap's, then this user's own.

    Where only the usual place is there, or none, nothing is looked at: it may hang.
    """
    places = {
        default: "the place of Docker's packages",
        snap: "the place of Docker's snap",
        **({own: "the place of this user's rootless engine"} if (own := _of_this_user(environment)) else {}),
    }
    if not any(map(os.path.lexists, [*places][1:])):
        return ChosenRoot(default)
    states = {path: _state(path) for path in places}
    roots = [path for path, state in states.items() if state is True]
    if not roots:
        return ChosenRoot(default)
    others = roots[1:]
    also = f"; {' and '.join(others)} {'is' if len(others) == 1 else 'are'} there, too" if others else ""
    if roots[0] == default:
        return ChosenRoot(default, f"{places[default]} comes first{also}") if others else ChosenRoot(default)
    missing = "may not be read by this user" if states[default] is None else "is no data root"
    return ChosenRoot(roots[0], f"{default} {missing}, and this is {places[roots[0]]}{also}")


def _of_this_user(environment: Mapping[str, str]) -> str:
    """Where a rootless engine of this user keeps its root; "" for a user without a home."""
    data = environment.get("XDG_DATA_HOME", "")
    if os.path.isabs(data):
        return os.path.join(data, "docker")
    home = environment.get("HOME", "")
    return os.path.join(home, ROOTLESS) if os.path.isabs(home) else ""


def _state(path: str) -> bool | None:
    """Whether a data root is there; None where that may not be seen."""
    try:
        return _ALWAYS_THERE in os.listdir(path)
    except PermissionError:
        return None
    except OSError:
        return False
