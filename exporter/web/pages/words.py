"""The words of the tables, explained on the pages that have them."""

from exporter.web.pages.escaping import escape
from exporter.web.pages.html import section

_WORDS = {
    "?": "The figure is not known: something that it needs was not read or measured. It is never shown as 0. The page "
    "status says what was not read, and why.",
    "≥": "At least so much: a part of it is not known.",
    "anonymous": "The volume has no name of its own: docker run -v /path or an image's VOLUME made it. From Docker 23 "
    "on, docker volume prune takes only such volumes unless it is told --all.",
    "dangling": "The image has no name any more, mostly because a newer build or pull took it, and no container uses "
    "it. docker image prune removes it.",
    "intermediate": "The image is a step of a build. docker images shows it only with --all; other images stand on it.",
    "layout": "How Docker keeps its images below the data root: graph (Docker 1.0 to 1.9), layerdb (1.10 and newer) or "
    "containerd (the image store of containerd, the default of new installations of Docker 29).",
    "layer": "The files that one step of a build, or one container, has added or changed. Images share layers, so "
    "each is on the disk only once.",
    "log limit": "The size at which the engine begins the log anew (max-size times max-file). A log without one grows "
    "until the disk is full.",
    "not loaded": "The engine works with another driver, or what describes the image is damaged: no command of docker "
    "lists or removes it.",
    "on disk": "The disk blocks that are taken, as du counts them; a file with several names counts once.",
    "orphaned": "Nothing refers to the layer: no image, no container, no build cache. No prune of Docker removes it.",
    "pending": "The layer has no owner yet, and is new or being changed: a pull or a build may be under way.",
    "private": "No image has the layer of the record. Pruning the build cache frees it.",
    "reclaimable": "What the prunes of Docker would free, one after the other, each after those above it.",
    "share": "The part of the disk that the image stands for, where each layer is divided by the number of images that "
    "have it. The shares of all images together are what their layers take.",
    "shared": "An image has the layer of the record, too. Pruning the build cache does not free it.",
    "stale": "The container is written down as running, and no such process runs: the engine or the host ended without "
    "writing that down. The next start of the engine puts it right.",
    "unique": "What no other image has. Removing the image frees so much, if no container or build needs its layers.",
    "unused": "No container was made from the image.",
    "unused volume": "No container mounts the volume, running or not.",
    "used": "A container was made from the image. It need not run.",
    "used volume": "A container mounts the volume. It need not run.",
    "virtual": "All layers of the image together, as docker images shows them. What images share counts for each.",
    "writable layer": "What the container itself has written, without its image, its volumes and its log.",
}


def words(*names: str) -> str:
    """A section that explains these words."""
    entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(_WORDS[name])}</dd>" for name in names)
    return section("Words", f"<dl>{entries}</dl>", wide=True, at="words")
