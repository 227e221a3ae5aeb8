"""What Docker 1.10 to 18.09 makes of a graph when it moves it to `image/<driver>` (migrate/v1/migratev1.go)."""

import json
from collections.abc import Collection
from pathlib import Path

from tests.support.roots import GraphRoot, hex_id


class Migrated:
    """A graph root whose images, containers and names are moved step by step, as the engine does."""

    def __init__(self, built: GraphRoot) -> None:
        self.path = built.path
        self.driver = built.writer.driver
        self.base = self.path / "image" / self.driver
        #: The new id and the diff ids of each image that was moved, by its old id.
        self.images: dict[str, str] = {}
        self._diffs: dict[str, list[str]] = {}
        for store in ("imagedb/content/sha256", "imagedb/metadata/sha256", "layerdb/sha256", "layerdb/mounts"):
            (self.base / store).mkdir(parents=True, exist_ok=True)

    def chain(self, old: str) -> str:
        """The chain id of an image that was moved."""
        *below, own = self._diffs[old]
        chain = below[0] if below else own
        for diff in (*below[1:], *([own] if below else [])):
            chain = hex_id(f"sha256:{chain} sha256:{diff}")
        return chain

    def checksums(self) -> "Migrated":
        """The first step: the digest of each layer."""
        for entry in self._graph():
            (entry / ".migration-diffid").write_text(f"sha256:{hex_id('diff' + entry.name)}")
            (entry / ".migration-size").write_text("10")
        return self

    def move_images(self, only: Collection[str] | None = None) -> "Migrated":
        """The second step: all images of the graph, or those with these old ids."""
        for entry in self._graph():
            if only is None or entry.name in only:
                self._move(entry.name)
        return self

    def save_list(self) -> "Migrated":
        """The third step: which images were moved."""
        moved = {old: f"sha256:{new}" for old, new in self.images.items()}
        (self.path / ".migration-v1-images.json").write_text(json.dumps(moved))
        return self

    def move_containers(self) -> "Migrated":
        """The fourth step."""
        for home in (self.path / "containers").iterdir():
            config = json.loads((home / "config.json").read_text())
            old = config["Image"]
            if old not in self.images:
                continue
            (home / "config.v2.json").write_text(json.dumps({**config, "Image": f"sha256:{self.images[old]}"}))
            mount = self.base / "layerdb/mounts" / home.name
            mount.mkdir()
            (mount / "mount-id").write_text(home.name)
            (mount / "init-id").write_text(f"{home.name}-init")
            (mount / "parent").write_text(f"sha256:{self.chain(old)}")
        return self

    def move_names(self) -> "Migrated":
        """The last step."""
        old = json.loads((self.path / f"repositories-{self.driver}").read_text())["Repositories"]
        new = {
            name: {f"{name}:{tag}": f"sha256:{self.images[at]}" for tag, at in tags.items() if at in self.images}
            for name, tags in old.items()
        }
        (self.base / "repositories.json").write_text(json.dumps({"Repositories": new}))
        (self.path / ".migration-v1-tags").write_text("")
        return self

    def whole(self) -> "Migrated":
        """All steps."""
        return self.checksums().move_images().save_list().move_containers().move_names()

    def prune(self, old: str) -> None:
        """Remove an image without children as a newer engine does: its names, itself, its layer."""
        listing = self.base / "repositories.json"
        kept = {
            name: {key: at for key, at in tags.items() if at != f"sha256:{self.images[old]}"}
            for name, tags in json.loads(listing.read_text())["Repositories"].items()
        }
        listing.write_text(json.dumps({"Repositories": kept}))
        (self.base / "imagedb/content/sha256" / self.images[old]).unlink()
        _remove(self.base / "layerdb/sha256" / self.chain(old))
        for store in ("aufs/diff", "aufs/mnt", "overlay", "vfs/dir"):
            _remove(self.path / store / old)
        (self.path / "aufs/layers" / old).unlink(missing_ok=True)

    def _graph(self) -> list[Path]:
        return sorted(one for one in (self.path / "graph").iterdir() if one.name != "_tmp")

    def _move(self, old: str) -> None:
        if old in self.images:
            return
        about = json.loads((self.path / "graph" / old / "json").read_text())
        parent = about.get("parent", "")
        if parent:
            self._move(parent)
        self._diffs[old] = [*self._diffs.get(parent, []), hex_id("diff" + old)]
        entry = self.base / "layerdb/sha256" / self.chain(old)
        entry.mkdir()
        files = {"diff": f"sha256:{self._diffs[old][-1]}", "cache-id": old, "size": "10"}
        files |= {"parent": f"sha256:{self.chain(parent)}"} if parent else {}
        for name, text in files.items():
            (entry / name).write_text(text)
        diffs = [f"sha256:{one}" for one in self._diffs[old]]
        raw = json.dumps({"os": "linux", "v1": old, "rootfs": {"type": "layers", "diff_ids": diffs}})
        self.images[old] = hex_id(raw)
        (self.base / "imagedb/content/sha256" / hex_id(raw)).write_text(raw)
        if parent:
            home = self.base / "imagedb/metadata/sha256" / hex_id(raw)
            home.mkdir()
            (home / "parent").write_text(f"sha256:{self.images[parent]}")


def _remove(directory: Path) -> None:
    if directory.is_dir():
        for path in sorted(directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        directory.rmdir()
