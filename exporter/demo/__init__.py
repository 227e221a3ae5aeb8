"""Example data roots: a wiki's host of 2015, a build host, one with containerd. All can change all the time.

Nothing here imports the rest of the exporter, so an error in what it expects on the disk cannot hide in the examples.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from exporter.demo.blocks import fill
from exporter.demo.buildhost import BusyHost, build_host
from exporter.demo.busy import Busy
from exporter.demo.containerdhost import ContainerdHost, build_containerd_host
from exporter.demo.host import build_demo
from exporter.demo.processes import running

__all__ = [
    "Busy",
    "BusyHost",
    "ContainerdHost",
    "Host",
    "build",
    "build_containerd_host",
    "build_demo",
    "build_host",
    "fill",
    "keep_busy",
    "running",
]

Host = Literal["wiki", "build", "containerd"]


def build(root: Path, host: Host) -> None:
    """Build an example root; raises OSError when it cannot be written."""
    builders: dict[Host, Callable[[Path], object]] = {
        "wiki": build_demo,
        "build": build_host,
        "containerd": build_containerd_host,
    }
    builders[host](root)


def keep_busy(root: Path, host: Host, pause: float = 1.0) -> None:
    """Build an example root and change it until interrupted; raises OSError when it cannot be written."""
    kinds: dict[Host, Callable[[Path], Busy | BusyHost | ContainerdHost]] = {
        "wiki": Busy,
        "build": BusyHost,
        "containerd": ContainerdHost,
    }
    busy = kinds[host](root)
    with running(root):
        while True:
            busy.step()
            time.sleep(pause)
