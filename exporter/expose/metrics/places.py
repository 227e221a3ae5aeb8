"""Families of what lies on which filesystem. Each is made for a snapshot as a whole."""

from collections.abc import Iterator

from exporter.config.limits import EVERYTHING, Shown
from exporter.core.model import Collector, Filesystem
from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.family import MetricFamily, family
from exporter.figures.directory_sums import place_of
from exporter.figures.figures import Figures
from exporter.figures.filesystems import of_directories, of_volumes


def _place(where: Filesystem) -> tuple[str, str, str]:
    return where.device, where.mountpoint, where.fstype


def sums_of_filesystems(figures: Figures) -> Iterator[MetricFamily]:
    """What Docker has on each filesystem, and what prunes free there."""
    yield family(c.FILESYSTEM_ALLOCATED, ((_place(where), blocks) for where, blocks in figures.allocated.items()))
    yield family(c.FILESYSTEM_RECLAIMABLE, ((_place(where), blocks) for where, blocks in figures.reclaimable.items()))


def places_of_directories(figures: Figures) -> Iterator[MetricFamily]:
    """Which directories and logs lie on which filesystem. Objects have no label of it: few are on another one."""
    snapshot = figures.snapshot
    directories = of_directories(snapshot).items()
    rows = ((place_of(snapshot, "/".join(tree) or "."), where) for tree, where in directories)
    named = (((root or (snapshot.root if snapshot.further else ""), name), where) for (root, name), where in rows)
    yield family(c.DIRECTORY_FILESYSTEM, (((*key, *_place(where)), 1) for key, where in named))


def places_of_volumes(figures: Figures, shown: Shown = EVERYTHING) -> Iterator[MetricFamily]:
    """Which volumes lie on another filesystem than the rest."""
    volumes = shown.named(Collector.VOLUMES, [*of_volumes(figures.snapshot).items()], lambda one: (one[0],))
    yield family(c.VOLUME_FILESYSTEM, (((name, *_place(where)), 1) for name, where in volumes))
