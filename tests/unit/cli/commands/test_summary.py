"""The summary by type: what is not known whole is `?` or at least so much, and never 0."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cli.commands.summary import TypeRow, as_data, summary
from exporter.cli.commands.tables import AtLeast
from exporter.expose.snapshot_api.rows import Document
from tests.support.product import document_of
from tests.support.roots.containerd import store_root
from tests.support.roots.layerdb import DbRoot, digest
from tests.support.roots.linked import put_behind_link


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path).layer("a", 10).layer("b", 99999).image("a", "a", ["a:1"]).image("b", "b", ["b:1"])
    return built.volume("data", 9000).container("web", "a", "a").container("done", "a", "a")


def _by_type(document: Document) -> dict[str, TypeRow]:
    return {row.type: row for row in summary(document)}


def test_types_have_the_counts_of_docker_and_what_prunes_free(built: DbRoot) -> None:
    document = document_of(built.path)
    rows = _by_type(document)
    assert [*rows] == ["Images", "Containers", "Local Volumes", "Build Cache"]
    assert [(row.total, row.active) for row in rows.values()] == [(2, 1), (2, 0), (1, 0), (0, 0)]
    freed = {row.category: row.bytes or 0 for row in document.reclaimable}
    assert rows["Images"].reclaimable == freed["images_dangling"] + freed["images_unused"]
    assert rows["Containers"].reclaimable == freed["containers_stopped"]
    assert rows["Local Volumes"].reclaimable == freed["volumes_unused"]
    assert all(row.share is not None and 0 <= row.share <= 1 for row in rows.values())


def test_docker_s_own_objects_are_counted_and_the_history_has_a_row(tmp_path: Path) -> None:
    rows = _by_type(document_of(store_root(tmp_path / "docker").root))
    assert (rows["Images"].total, rows["Containers"].total) == (2, 1), "not those of Kubernetes"
    assert (rows["Build Cache"].total, rows["Build Cache"].active) == (2, None)
    assert rows["Build History"].total == 1


def test_without_the_database_of_the_snapshots_sizes_are_at_least_what_is_known(tmp_path: Path) -> None:
    root = store_root(tmp_path / "docker").root
    (database,) = root.glob("containerd/daemon/io.containerd.snapshotter.v1.*/metadata.db")
    database.write_bytes(b"")
    rows = _by_type(document_of(root))
    assert all(rows[kind].size is None or isinstance(rows[kind].size, AtLeast) for kind in ("Images", "Containers"))
    assert rows["Build Cache"].size is None or isinstance(rows["Build Cache"].size, AtLeast)


def test_what_was_not_read_is_not_0(built: DbRoot) -> None:
    put_behind_link(built.path, "volumes")
    row = _by_type(document_of(built.path))["Local Volumes"]
    assert (row.total, row.active, row.size, row.reclaimable) == (None, None, None, None)
    shutil.rmtree(built.path / "containers")
    rows = _by_type(document_of(built.path))
    assert (rows["Containers"].total, rows["Containers"].active, rows["Images"].active) == (None, None, None)
    assert isinstance(rows["Containers"].size, AtLeast)
    assert as_data([rows["Containers"]])[0]["size"] is None


def test_a_damaged_container_is_counted_and_leaves_open_what_runs(built: DbRoot) -> None:
    (built.path / "containers" / digest("containerweb") / "config.v2.json").write_text("{")
    row = _by_type(document_of(built.path))["Containers"]
    assert (row.total, row.active, row.reclaimable) == (2, None, None)


_NUMBERS = st.none() | st.integers(0, 10**15) | st.integers(0, 10**15).map(AtLeast)


@given(_NUMBERS, _NUMBERS)
def test_a_share_is_of_what_is_known_whole(size: int | None, reclaimable: int | None) -> None:
    share = TypeRow("x", 1, 1, size, reclaimable).share
    known = not {None}.intersection((size, reclaimable)) and not isinstance(size, AtLeast)
    assert (share is not None) == (known and not isinstance(reclaimable, AtLeast))
