"""Roots in which a link stands in the place of a part."""

import os
from pathlib import Path

from tests.support.roots.layerdb import DbRoot


def root_with_volume(path: Path) -> Path:
    """A root with an image, a container, the volume that it mounts and one that nothing mounts."""
    built = DbRoot(path).layer("base", 1000).layer("app", 50, "base").image("app", "app", ["app:1"])
    config = {"MountPoints": {"/data": {"Type": "volume", "Name": "data", "Source": "", "Driver": "local", "RW": True}}}
    built.container("web", "app", "app", writable={"w": 30}, config=config).volume("data", 5000).volume("plain", 7)
    built.build("a" * 25, size=3)
    return built.path


def put_behind_link(root: Path, part: str, *, absolute: bool = True) -> Path:
    """Put a link in the place of a part; return where it leads."""
    to = root.parent / "disk" / part
    to.parent.mkdir(parents=True, exist_ok=True)
    (root / part).rename(to)
    (root / part).symlink_to(to if absolute else os.path.relpath(to, (root / part).parent))
    return to
