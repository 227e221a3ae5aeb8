"""The version of the engine, from what engines of each age leave in a root."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.core.engine_version import EngineVersion
from exporter.inventory.engine_version import written_by
from tests.support.product import scan
from tests.support.recorded import unpack
from tests.support.roots import graph_root
from tests.support.roots.layerdb import DbRoot, digest


def _engine(root: Path) -> EngineVersion:
    return scan(root).inventory.engine


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], EngineVersion((1, 10))),
        (["engine-id"], EngineVersion((23, 0))),
        (["engine-id", "plugins"], EngineVersion((23, 0))),
        (["engine-id", "plugins", "trust"], EngineVersion((23, 0))),
        (["plugins"], EngineVersion((1, 13))),
        (["plugins", "trust"], EngineVersion((1, 13), (18, 9))),
        (["buildkit", "plugins", "trust"], EngineVersion((18, 6), (23, 0))),
        (["buildkit", "plugins"], EngineVersion((18, 6))),
        (["trust"], EngineVersion((1, 10), (1, 13))),
    ],
)
def test_the_entries_of_a_root_with_layerdb_bound_it(
    tmp_path: Path, entries: list[str], expected: EngineVersion
) -> None:
    built = DbRoot(tmp_path)
    for name in entries:
        (built.path / name).mkdir()
    assert _engine(built.path) == expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], EngineVersion(None, (1, 10))),
        (["trust"], EngineVersion(None, (1, 9))),
        (["network", "trust"], EngineVersion((1, 9), (1, 10))),
    ],
)
def test_a_root_with_a_graph_alone_is_of_docker_1_9_or_older(
    tmp_path: Path, entries: list[str], expected: EngineVersion
) -> None:
    built = graph_root(tmp_path).image("app", size=5)
    (built.path / "trust").rmdir()
    for name in entries:
        (built.path / name).mkdir()
    assert _engine(built.path) == expected


@pytest.mark.parametrize(
    ("config", "host", "expected"),
    [
        ({}, {}, EngineVersion()),
        ({"SecretReferences": None}, {}, EngineVersion((1, 13))),
        ({"SecretReferences": None}, {"KernelMemory": 0}, EngineVersion((1, 13), (23, 0))),
        ({"SecretReferences": None}, {"KernelMemory": 4194304}, EngineVersion((1, 13))),
        ({}, {"KernelMemory": 0}, EngineVersion((1, 9), (23, 0))),
    ],
)
def test_the_files_of_a_container_tell_who_wrote_them(
    config: Mapping[str, Any], host: Mapping[str, Any], expected: EngineVersion
) -> None:
    assert written_by(config, host) == expected


def test_a_container_that_an_older_engine_has_written_since_makes_the_version_unknown(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 1).image("a", "a", ["a:1"])
    (built.path / "engine-id").touch()
    built.container("web", "a", "a", config={"SecretReferences": None}, host={"KernelMemory": 0})
    assert _engine(built.path) == EngineVersion((1, 13))
    file = built.path / "containers" / digest("containerweb") / "config.v2.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ID": "another"}))
    assert _engine(built.path) == EngineVersion((23, 0)), "the engine does not load it, nor write it"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("docker-1.5.0-vfs.tgz", EngineVersion(None, (1, 9))),
        ("overlay2.v2.tgz", EngineVersion((1, 13), (18, 9))),
        ("upgraded-1.9.1-to-1.10.3-overlay.tgz", EngineVersion((18, 6), (23, 0))),
    ],
)
def test_recorded_roots(tmp_path: Path, name: str, expected: EngineVersion) -> None:
    assert _engine(unpack(name, tmp_path)) == expected
