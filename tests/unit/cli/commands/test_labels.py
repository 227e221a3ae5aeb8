"""Listings are filtered by any label, which is read from the disk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.cli.commands.containers import containers
from exporter.cli.commands.habits import Habits
from exporter.cli.commands.images import images
from exporter.cli.commands.index import Index
from exporter.cli.commands.source import parse
from exporter.cli.commands.volumes import volumes
from exporter.config.settings import Config
from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.demo.layerdb import LayerdbWriter, digest
from exporter.demo.writer import GraphWriter
from exporter.expose.snapshot_api.encode import describe
from exporter.expose.snapshot_api.pieces import ending
from exporter.expose.snapshot_api.rows import Document
from exporter.figures.figures import Figures
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool

_LABELS = {"env": "prod", "a": "b=c"}


def _document(path: Path) -> Document:
    with LocalPool() as pool:
        snapshot = Scanner(str(path), 600.0, pool, containerd="none").scan()
    return parse(describe(Figures(snapshot)).finish(ending(snapshot.taken, ())))


def _found(path: Path, label: str) -> dict[str, list[str]]:
    config = Config(root=str(path), containerd_root="none")
    index = Index(_document(path))
    habits = Habits(filters=(("label", label),), disk=config)
    answers = containers(index, habits), images(index, intermediate=False, habits=habits), volumes(index, habits)
    kinds = ("containers", "images", "volumes")
    made = zip(kinds, answers, strict=True)
    return {
        kind: sorted({one["name" if kind != "images" else "id"] for one in answer.data[kind]}) for kind, answer in made
    }


def _graph(path: Path) -> dict[str, list[str]]:
    writer = GraphWriter(path, "aufs")
    for name, labels in (("one", _LABELS), ("two", {"env": "test"})):
        writer.image(digest(name), files={"f": b"x"}, layersize=1)
        about = path / "graph" / digest(name) / "json"
        about.write_text(json.dumps({**json.loads(about.read_text()), "config": {"Labels": labels}}))
        writer.tag(name, "1", digest(name))
        writer.container(digest(f"c {name}"), digest(name), name=name, labels=labels)
    return {"containers": ["one"], "images": [digest("one")], "volumes": []}


def _containerd(path: Path) -> dict[str, list[str]]:
    writer = ContainerdWriter(path, "overlayfs")
    layers = [oci.layer({"f": b"x"})]
    one = oci.manifest(layers, config={"Labels": _LABELS})
    target = writer.image("docker.io/library/one:1", oci.index([one, oci.attestation(one)]))
    writer.image("docker.io/library/two:1", oci.manifest(layers, config={"Labels": {"env": "test"}}))
    writer.container("one", "one:1", target, config={"Labels": _LABELS})
    writer.container("two", "one:1", target)
    writer.write()
    return {"containers": ["one"], "images": [target.digest.removeprefix("sha256:")], "volumes": []}


def _layerdb(path: Path) -> dict[str, list[str]]:
    host = LayerdbWriter(path).layer("l", 1)
    for name, labels in (("one", _LABELS), ("two", {})):
        host.image(name, "l", [f"{name}:1"])
        host.container(name, name, "l")
        host.volume(name, 1)
        config = next(one for one in (path / "containers").glob("*/config.v2.json") if f'/{name}"' in one.read_text())
        about = json.loads(config.read_text())
        config.write_text(json.dumps(about | {"Config": about["Config"] | {"Labels": labels}}))
    host.volume_labels({"one": _LABELS})
    return {"containers": ["one"], "images": [], "volumes": ["one"]}


@pytest.mark.parametrize("write", [_graph, _containerd, _layerdb])
def test_a_label_is_found_with_its_value_and_without(
    write: Callable[[Path], dict[str, list[str]]], tmp_path: Path
) -> None:
    wanted = write(tmp_path / "root")
    found = {label: _found(tmp_path / "root", label) for label in ("env=prod", "a", "a=b=c", "env=dev", "prod")}
    nothing: dict[str, list[str]] = {"containers": [], "images": [], "volumes": []}
    assert found == {"env=prod": wanted, "a": wanted, "a=b=c": wanted, "env=dev": nothing, "prod": nothing}


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    _graph(tmp_path / "root")
    document = _document(tmp_path / "root")
    (tmp_path / "root/containers" / digest("c one") / "config.json").write_text("{")
    habits = Habits(filters=(("label", "env=prod"),), disk=Config(root=str(tmp_path / "root"), containerd_root="none"))
    answer = containers(Index(document), habits)
    assert answer.data["containers"] == []
    assert "1 container is left out" in str(answer.parts)
