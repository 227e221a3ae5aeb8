"""A root of Docker 1.5.0 with that engine's own answers: images, their tree, histories, containers and volumes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporter.cli.commands.image_tree import tree
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Lines
from exporter.expose.snapshot_api.rows import ContainerRow, Document, ImageRow
from tests.support.product import document_of
from tests.support.recorded import unpack

Answers = Mapping[str, Any]


@dataclass(frozen=True)
class Recorded:
    """The exporter's document, and what the engine answered."""

    root: Path
    document: Document
    answers: Answers

    @property
    def images(self) -> dict[str, ImageRow]:
        return {one.id: one for one in self.document.images}

    @property
    def containers(self) -> dict[str, ContainerRow]:
        return {one.id: one for one in self.document.containers}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    root = unpack("docker-1.5.0-vfs.tgz", tmp_path_factory.mktemp("recorded"))
    return Recorded(root, document_of(root), json.loads((root.parent / "answers.json").read_text()))


def test_the_tree_is_drawn_as_the_engine_drew_it(recorded: Recorded) -> None:
    parts = tree(Index(recorded.document), full=False).parts
    drawn = [line for part in parts if isinstance(part, Lines) for line in part.lines]
    assert drawn == (recorded.root.parent / "images-tree.txt").read_text().splitlines()


def test_images_are_those_of_the_engine_with_their_names_times_and_sizes(recorded: Recorded) -> None:
    answered = {one["Id"]: one for one in recorded.answers["images"]}
    assert recorded.images.keys() == answered.keys()
    for image, said in answered.items():
        row = recorded.images[image]
        assert list(row.references or ("<none>:<none>",)) == sorted(said["RepoTags"])
        assert (int(row.created or 0), row.virtual, row.parent) == (
            said["Created"],
            said["VirtualSize"],
            said["ParentId"],
        )


def test_chains_and_layer_sizes_are_those_of_the_engines_history(recorded: Recorded) -> None:
    index = Index(recorded.document)
    assert recorded.answers["history"]
    for image, said in recorded.answers["history"].items():
        chain = index.chain(recorded.images[image])
        assert [(one.id, one.size) for one in chain] == [(one["Id"], one["Size"]) for one in said]


def test_containers_are_those_of_the_engine_with_name_image_and_time(recorded: Recorded) -> None:
    answered = recorded.answers["container_inspect"]
    assert recorded.containers.keys() == answered.keys()
    listed = {one["Id"]: one for one in recorded.answers["containers"]}
    for container, said in answered.items():
        row = recorded.containers[container]
        assert (row.driver, f"/{row.name}", row.image_id) == (said["Driver"], said["Name"], said["Image"])
        assert (row.image, int(row.created or 0)) == (listed[container]["Image"], listed[container]["Created"])


def test_mounts_are_those_of_the_engine(recorded: Recorded) -> None:
    for container, said in recorded.answers["container_inspect"].items():
        mounts = {one.destination: one for one in recorded.containers[container].mounts}
        assert {place: one.host_path or one.source for place, one in mounts.items()} == said["Volumes"]
        assert {place: one.mode == "rw" for place, one in mounts.items()} == said["VolumesRW"]


def test_the_engine_counted_a_file_for_each_of_its_links_and_the_exporter_counts_it_once(recorded: Recorded) -> None:
    linked = 0
    for said in recorded.answers["containers"]:
        home = recorded.root / "vfs/dir" / said["Id"]
        own = [path.stat() for path in home.glob("w*") if path.stat().st_nlink > 1]  # what the containers wrote
        further = sum(one.st_size for one in own) - sum({one.st_ino: one.st_size for one in own}.values())
        linked += further
        assert recorded.containers[said["Id"]].writable == said["SizeRw"] - further
    assert linked


def test_the_engine_gave_no_virtual_size_of_containers(recorded: Recorded) -> None:
    assert {one["SizeRootFs"] for one in recorded.answers["containers"]} == {0}
    for row in recorded.containers.values():
        assert row.virtual == (recorded.images[row.image_id].virtual or 0) + (row.writable or 0)
