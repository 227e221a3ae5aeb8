"""Records and snapshots of BuildKit: what they are worth, and which layers they need."""

import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.core.knowledge import Input
from exporter.core.measured import Changes
from exporter.core.model import BuildRecord, Inventory
from exporter.demo.bolt import BoltFile, write_bolt
from exporter.demo.bolt import Tree as Buckets
from tests.support.inventories import Reads, read
from tests.support.product import scan
from tests.support.roots.layerdb import DbRoot, digest

_A, _B, _C = (letter * 25 for letter in "abc")


def _written(
    built: DbRoot,
    records: Mapping[str, Mapping[str, Any]],
    snapshots: Mapping[str, Mapping[str, str]],
    file: str = "metadata_v2.db",
) -> Inventory:
    """Write BuildKit's databases and read the root."""
    home = built.path / "buildkit"
    write_bolt(home / file, {"_main": _rows(records)})
    write_bolt(home / "snapshots.db", _buckets(snapshots))
    return scan(built.path, orphaned_after=0).inventory


def _rows(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Buckets]:
    """Records as a database has them, with their values wrapped."""
    return {
        name: {key: json.dumps({"value": value}).encode() for key, value in values.items()}
        for name, values in records.items()
    }


def _buckets(snapshots: Mapping[str, Mapping[str, str]]) -> dict[str, Buckets]:
    return {name: {key: value.encode() for key, value in values.items()} for name, values in snapshots.items()}


def _record(built: DbRoot, values: Mapping[str, Any], snapshot: Mapping[str, str] | None = None) -> BuildRecord:
    (record,) = _written(built, {_A: values}, {} if snapshot is None else {_A: snapshot}).build_cache.records
    return record


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    return DbRoot(tmp_path).layer("base", 10).layer("app", 5, "base").image("base", "base", ["base:1"])


def test_a_record_tells_its_size_kind_times_and_uses(built: DbRoot) -> None:
    values = {"snapshot.size": 7, "cache.recordType": "source.local", "cache.usageCount": 0}
    values |= {"cache.createdAt": 1_500_000_000, "cache.lastUsedAt": 2_000_000_000}
    assert _record(built, values) == BuildRecord(_A, "source.local", 7, None, 1.5, 2.0, 0)
    assert _record(built, {}) == BuildRecord(_A, "regular", None, None, None, None, None)


@pytest.mark.parametrize("value", [-1, True, 1.0, "7", None, [], 2**63])
def test_a_number_that_is_none_is_not_known(built: DbRoot, value: object) -> None:
    keys = ("snapshot.size", "cache.usageCount", "cache.createdAt", "cache.lastUsedAt")
    record = _record(built, dict.fromkeys(keys, value) | {"cache.recordType": 5})
    assert record == BuildRecord(_A, "regular", None, None, None, None, None)


@pytest.mark.parametrize("key", ["cache.equalMutable", "cache.createdAt"])
def test_a_value_that_cannot_be_decoded_is_a_problem(built: DbRoot, key: str) -> None:
    rows: Buckets = {_A: {key: b"{"}, _B: {"snapshot.size": b'{"value": 5}'}}
    write_bolt(built.path / "buildkit/metadata_v2.db", {"_main": rows})
    write_bolt(built.path / "buildkit/snapshots.db", {})
    snapshot = scan(built.path)
    assert [(one.id, one.size) for one in snapshot.inventory.build_cache.records] == [(_A, None), (_B, 5)]
    (problem,) = snapshot.problems
    assert problem.detail == f"1 of its records, one is {_A}"
    assert Input.BUILD_CACHE in [gap.input for gap in snapshot.inventory.knowledge.gaps]


def test_a_value_that_was_taken_back_is_none(built: DbRoot) -> None:
    """An engine leaves the key without a value, as in the records of every build of Docker 20.10."""
    write_bolt(built.path / "buildkit/metadata_v2.db", {"_main": {_A: {"cache.equalMutable": b""}}})
    write_bolt(built.path / "buildkit/snapshots.db", {})
    snapshot = scan(built.path)
    assert [one.id for one in snapshot.inventory.build_cache.records] == [_A]
    assert snapshot.problems == ()


def test_the_largest_number_and_zero_are_numbers(built: DbRoot) -> None:
    assert _record(built, {"snapshot.size": 2**63 - 1}).size == 2**63 - 1
    assert _record(built, {"snapshot.size": 0}, {"size": "9"}).size == 0


@pytest.mark.parametrize(
    ("written", "size"), [("9", 9), ("", None), ("-9", None), ("9" * 18, int("9" * 18)), ("9" * 19, None), ("²", None)]
)
def test_without_a_size_of_its_own_a_record_has_its_snapshots(built: DbRoot, written: str, size: int | None) -> None:
    assert _record(built, {}, {"size": written}).size == size
    assert _record(built, {"snapshot.size": 3}, {"size": written}).size == 3


def test_a_record_names_the_snapshot_that_it_is_of(built: DbRoot) -> None:
    records = {_A: {"cache.snapshot": _B}, _C: {"cache.snapshot": ""}}
    found = _written(built, records, {_A: {"size": "1"}, _B: {"size": "20"}, _C: {"size": "300"}})
    assert {one.id: one.size for one in found.build_cache.records} == {_A: 20, _C: 300}


def test_a_record_that_is_the_same_data_as_another_is_left_out(built: DbRoot) -> None:
    found = _written(built, {_A: {"cache.equalMutable": _B}, _B: {"cache.equalMutable": ""}}, {})
    assert [one.id for one in found.build_cache.records] == [_B]


def test_the_records_of_older_engines_are_read_where_there_are_no_newer_ones(built: DbRoot) -> None:
    assert [one.id for one in _written(built, {_A: {}}, {}, "metadata.db").build_cache.records] == [_A]
    assert [one.id for one in _written(built, {_B: {}}, {}).build_cache.records] == [_B]


def test_a_record_is_shared_where_its_layer_is_one_of_an_image(built: DbRoot) -> None:
    assert _record(built, {}, {"chainid": f"sha256:{built.chains['base']}"}).shared
    assert not _record(built, {}, {"chainid": f"sha256:{built.chains['app']}"}).shared
    assert not _record(built, {}, {}).shared
    pulled = _written(built, {_A: {"cache.snapshot": f"sha256:{built.chains['base']}"}}, _pulled(built, "base"))
    assert pulled.build_cache.records[0].shared, "what was pulled goes by the chain id alone"


def _pulled(built: DbRoot, layer: str) -> dict[str, dict[str, str]]:
    return {f"sha256:{built.chains[layer]}": {}}


def test_the_files_of_a_record_are_those_of_its_directory(built: DbRoot) -> None:
    for name in (_A, _B):
        built.directory(name, {"built": 30})
    assert _record(built, {}, {}).content == ("overlay2", _A, "diff")
    assert _record(built, {}, {"committed": _B}).content == ("overlay2", _B, "diff")
    assert _record(built, {}, {"committed": _C}).content is None


def test_where_a_driver_compares_the_files_of_a_record_are_not_its_size(tmp_path: Path) -> None:
    built = DbRoot(tmp_path, "vfs").layer("base", 10)
    built.directory(_A, {"built": 30})
    assert _record(built, {}, {}).content is None


@pytest.mark.parametrize("by", ["chainid", "parent", "name"])
def test_a_snapshot_needs_the_layers_that_it_stands_on(built: DbRoot, by: str) -> None:
    chain = f"sha256:{built.chains['app']}"
    snapshots: dict[str, dict[str, str]] = {chain: {}} if by == "name" else {_A: {by: chain}}
    found = _written(built, {}, snapshots)
    assert found.build_cache.needs == {"overlay2": {built.cache("app"), built.cache("base")}}
    assert {one.id: one.use.value for one in found.layers} == {
        built.cache("base"): "image",
        built.cache("app"): "build_cache",
    }


def test_only_the_snapshots_of_records_hold_layers(built: DbRoot) -> None:
    """A prune removes the record of an image's layer and leaves its snapshot behind."""
    base, app = (f"sha256:{built.chains[name]}" for name in ("base", "app"))
    built.directory(_B, {})
    snapshots = {_A: {"chainid": app}, _B: {"parent": _C}, _C: {"chainid": base}}
    assert _written(built, {}, snapshots).build_cache.holds == {"overlay2": frozenset()}
    for record, named in ((_A, app), (_C, base), ("any", app)):
        holds = _written(built, {record: {"cache.snapshot": named} if record == "any" else {}}, snapshots)
        expected = {built.cache("base")} | ({built.cache("app")} if named == app else set())
        assert holds.build_cache.holds == {"overlay2": expected}
    below = _written(built, {_B: {}}, snapshots).build_cache.holds
    assert below == {"overlay2": {_B, built.cache("base")}}, "what it stands on, too"


def test_a_snapshot_needs_its_own_directories(built: DbRoot) -> None:
    names = (_A, f"{_A}-init", "committed", "committed-init")
    for name in (*names, "stranger"):
        built.directory(name, {})
    found = _written(built, {}, {_A: {"committed": "committed"}})
    assert found.build_cache.needs == {"overlay2": {*names}}
    assert {one.id: one.use.value for one in found.layers if one.id in ("committed", "stranger")} == {
        "committed": "build_cache",
        "stranger": "orphaned",
    }


def test_each_driver_has_needs_of_its_own(built: DbRoot, tmp_path: Path) -> None:
    other = DbRoot(tmp_path, "vfs").layer("base", 10)
    built.directory(_A, {})
    found = _written(built, {}, {_A: {"parent": f"sha256:{other.chains['base']}"}})
    assert found.build_cache.needs == {"overlay2": {_A, built.cache("base")}, "vfs": {other.cache("base")}}


def test_a_snapshots_directory_is_compared_with_what_it_is_based_on(tmp_path: Path) -> None:
    built = DbRoot(tmp_path, "vfs").layer("base", 10).layer("app", 5, "base")
    for name in (_A, _B, _C, "d" * 25, "committed"):
        built.directory(name, {})
    snapshots = {
        _A: {"parent": f"sha256:{built.chains['app']}"},
        _B: {"parent": _A},
        _C: {"parent": "chained"},
        "d" * 25: {},
        "chained": {"chainid": f"sha256:{built.chains['base']}"},
        "e" * 25: {"parent": _A},
        "f" * 25: {"committed": "committed"},
    }
    layers: dict[str, Changes | None] = {one.id: one.changes for one in _written(built, {}, snapshots).layers}

    def against(name: str, below: str) -> Changes:
        return Changes(("vfs", "dir", name), (("vfs", "dir", below),))

    assert layers[_A] == against(_A, built.cache("app"))
    assert layers[_B] == against(_B, _A)
    assert layers[_C] == against(_C, built.cache("base"))
    assert layers["d" * 25] is None
    on_committed = _written(built, {}, snapshots | {_B: {"parent": "f" * 25}})
    assert {str(one.id): one.changes for one in on_committed.layers}[_B] == against(_B, "committed")


def test_without_buildkit_there_is_no_build_cache(built: DbRoot) -> None:
    cache = scan(built.path).inventory.build_cache
    assert (cache.records, cache.content, cache.files) == ((), (), ())
    there = _written(built, {}, {}).build_cache
    assert (there.content, there.files) == ((("buildkit", "content"),), (("buildkit",),))


@pytest.mark.parametrize("file", ["snapshots.db", "metadata_v2.db"])
def test_a_database_that_cannot_be_read_may_need_any_layer(built: DbRoot, file: str) -> None:
    built.layer("left", 1)
    uses: dict[str, str] = {one.id: one.use.value for one in _written(built, {}, {}).layers}
    assert uses[built.cache("left")] == "orphaned"
    (built.path / "buildkit" / file).write_bytes(b"x" * 9000)
    uses = {one.id: one.use.value for one in scan(built.path, orphaned_after=0).inventory.layers}
    assert uses[built.cache("left")] == "pending"


@pytest.mark.parametrize("file", ["snapshots.db", "metadata_v2.db", "containerdmeta.db", "cache.db", "history.db"])
def test_a_database_of_0_bytes_holds_nothing(built: DbRoot, file: str) -> None:
    _written(built, {}, {})
    (built.path / "buildkit" / file).write_bytes(b"")
    built.layer("left", 1)
    found = scan(built.path, orphaned_after=0)
    assert found.problems == ()
    uses: dict[str, str] = {one.id: one.use.value for one in found.inventory.layers}
    assert uses[built.cache("left")] == "orphaned"


def test_only_names_as_buildkit_gives_them_are_its_own(built: DbRoot) -> None:
    for name in (_A, f"{_A}-init", "a" * 24, "a" * 26, "A" * 25, digest("x")):
        built.directory(name, {})
    uses = {one.id: one.use.value for one in scan(built.path, orphaned_after=0).inventory.layers}
    assert {name for name, use in uses.items() if use == "build_cache"} == {_A, f"{_A}-init"}


def test_a_history_of_builds_is_noted_and_not_read(built: DbRoot) -> None:
    _written(built, {}, {})
    assert not scan(built.path).inventory.build_cache.history
    (built.path / "buildkit/history.db").write_bytes(b"x")
    found = scan(built.path)
    assert found.inventory.build_cache.history
    assert found.problems == ()


@pytest.mark.parametrize("seed", range(6))
def test_after_changes_the_build_cache_is_that_of_a_fresh_reading(built: DbRoot, seed: int) -> None:
    chance, again = random.Random(seed), Reads(built.path)
    records: dict[str, dict[str, Any]] = {}
    snapshots: dict[str, dict[str, str]] = {}
    databases = [BoltFile(built.path / "buildkit" / name) for name in ("metadata_v2.db", "snapshots.db")]
    names, home = [letter * 25 for letter in "abcdef"], built.path / "overlay2"
    for _ in range(30):
        name, dirty = chance.choice(names), {("buildkit", "metadata_v2.db"), ("buildkit", "snapshots.db")}
        values = {"snapshot.size": chance.choice([None, 7]), "cache.snapshot": chance.choice([None, *names])}
        match chance.randrange(6):
            case 0:
                records.pop(name, None)
            case 1:
                snapshots.pop(name, None)
            case 2:
                records[name] = values
            case 3:
                parent = chance.choice(["", *names, digest("base")])
                snapshots[name] = {"parent": parent, "committed": chance.choice(["", *names])}
                snapshots[name]["chainid"] = chance.choice(["", digest("app")])
            case _:
                entry = name + chance.choice(["", "-init"])
                if chance.randrange(3):
                    (home / entry / "diff").mkdir(parents=True, exist_ok=True)
                else:
                    shutil.rmtree(home / entry, ignore_errors=True)
                dirty.add(("overlay2", entry))
        databases[0].write({"_main": _rows(records)})
        databases[1].write(_buckets(snapshots))
        found, fresh = again.again(*dirty), read(built.path)
        assert found.build_cache == fresh.build_cache
        assert found.layers == fresh.layers
