"""The model: frozen values without I/O that every other package uses. Defined in `objects`, `snapshot` and `states`."""

from exporter.core.objects import (
    BuildCache,
    BuildRecord,
    Container,
    Image,
    Inventory,
    Layer,
    Log,
    Mount,
    Problem,
    Volume,
)
from exporter.core.snapshot import CollectorScan, Counters, Filesystem, Progress, Snapshot, Watching
from exporter.core.states import (
    Collector,
    ContainerId,
    ContainerState,
    ImageId,
    ImageState,
    LayerId,
    LayerKey,
    Trigger,
    Use,
)

__all__ = [
    "BuildCache",
    "BuildRecord",
    "Collector",
    "CollectorScan",
    "Container",
    "ContainerId",
    "ContainerState",
    "Counters",
    "Filesystem",
    "Image",
    "ImageId",
    "ImageState",
    "Inventory",
    "Layer",
    "LayerId",
    "LayerKey",
    "Log",
    "Mount",
    "Problem",
    "Progress",
    "Snapshot",
    "Trigger",
    "Use",
    "Volume",
    "Watching",
]
