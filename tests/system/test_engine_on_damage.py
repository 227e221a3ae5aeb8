"""What a real engine makes of damaged entries of `layerdb`, and whether the exporter knows it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.inventory.layouts.layerdb_images import chain_ids
from tests.support.engine import Engine, engine
from tests.support.product import document_of, scan

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="an engine needs root"),
    pytest.mark.xdist_group("engine overlay2"),
]


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda entry: (entry / name).write_text(text)


_KINDS: dict[str, Callable[[Path], object]] = {
    "diff-empty": _write("diff", ""),
    "diff-other": _write("diff", f"sha256:{'a' * 64}"),
    "parent-gone": lambda entry: (entry / "parent").unlink(),
    "parent-empty": _write("parent", ""),
    "parent-other": _write("parent", f"sha256:{'b' * 64}"),
    "size-garbage": _write("size", "12 MB"),
    "size-newline": _write("size", "7\n"),
    "cache-empty": _write("cache-id", ""),
    "cache-nowhere": _write("cache-id", "c" * 64),
}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that was started on a root with an image and a container on each kind of damage."""
    with (
        TemporaryDirectory(prefix="e-") as short,
        engine(tmp_path_factory.mktemp("damage"), Path(short), "overlay2") as one,
    ):
        one.base()
        for kind in _KINDS:
            one.build(f"{kind}:1", f"FROM base:1\nRUN echo {kind} > /{kind}\n")
            one.run("create", "--name", kind, f"{kind}:1", "sh")
        layers = {kind: one.ask(f"/images/{kind}:1/json")["RootFS"]["Layers"] for kind in _KINDS}
        one.stop()
        for kind, damage in _KINDS.items():
            damage(one.root / "image/overlay2/layerdb/sha256" / chain_ids(layers[kind])[0])
        one.start()
        yield one


def test_the_exporter_knows_what_the_engine_has_loaded(damaged: Engine) -> None:
    inventory = scan(damaged.root).inventory
    listed = {tag for one in damaged.ask("/images/json") for tag in one["RepoTags"]}
    assert {f"{name}:{tag}" for one in inventory.images if not one.unloaded for name, tag in one.references} == listed
    loaded = {one["Names"][0].removeprefix("/") for one in damaged.ask("/containers/json?all=1")}
    assert {one.name for one in inventory.containers if not one.unloaded} == loaded
    assert loaded == {"diff-other", "parent-gone", "cache-nowhere"}


def test_every_kind_is_an_error_or_a_missing_layer_and_no_size_is_said(damaged: Engine) -> None:
    document = document_of(damaged.root)
    assert len(document.missing) == len(_KINDS)
    assert len(document.problems) == len(_KINDS) - 1, "a directory that is not there is a missing layer alone"
    sizes = {one.references[0]: one.virtual for one in document.images}
    assert {name for name, size in sizes.items() if size is not None} == {"base:1"}
