import gzip
import json
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace

from exporter.cli.commands.diff import diff, signed
from exporter.cli.commands.diff_ends import DiffEnd, of_document, read_document
from exporter.cli.commands.habits import PLAIN
from exporter.cli.commands.tables import AtLeast, Lines, Table
from exporter.core.units import Units, written_in
from exporter.expose.snapshot_api.rows import Document, GapRow, VolumeRow
from tests.support.product import document_of
from tests.support.roots.layerdb import DbRoot


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path).layer("base", 5000).image("app", "base", ["app:1"])
    built.container("web", "app", "base", writable={"w": 9000}, log=20_000)
    return built.volume("data", 9000).volume("going", 50_000)


def grown(built: DbRoot) -> tuple[Document, Document]:
    """A root before and after: a volume and a log grew, a volume went, another one came."""
    before = document_of(built.path)
    (built.path / "volumes/data/_data/more").write_bytes(b"x" * 70_000)
    built.log("web").write_bytes(b"x" * 30_000)
    built.volume("coming", 400_000)
    (built.path / "volumes/going/_data/f").unlink()
    (built.path / "volumes/going/_data").rmdir()
    (built.path / "volumes/going").rmdir()
    return before, document_of(built.path)


def compared(before: Document, after: Document, limit: int | None = None) -> dict[str, Any]:
    return {**diff(of_document(before), of_document(after), replace(PLAIN, limit=limit)).data}


def rows(data: dict[str, Any]) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {(one["kind"], one["name"]): (one["state"], one["old"], one["new"]) for one in data["changes"]}


def test_what_grew_came_and_went(built: DbRoot) -> None:
    before, after = grown(built)
    old, new = ({one.name: one.allocated for one in document.volumes} for document in (before, after))
    data = compared(before, after)
    found = rows(data)
    assert found["volume", "data"] == ("grew", old["data"], new["data"])
    assert found["volume", "coming"] == ("came", None, new["coming"])
    assert found["volume", "going"] == ("went", old["going"], None)
    assert found["log", "web"] == ("grew", 20_000, 30_000)
    assert ("container", "web") not in found
    changes = [one["change"] for one in data["changes"]]
    assert changes == sorted(changes, reverse=True)
    totals = {one["kind"]: one for one in data["totals"]}
    of_volumes = [one["change"] for one in data["changes"] if one["kind"] == "volume"]
    assert totals["volume"]["change"] == sum(of_volumes)
    parts = [sum(one.allocated or 0 for one in document.directories) for document in (before, after)]
    assert [totals["part"]["old"], totals["part"]["new"]] == parts
    assert len(compared(before, after, 2)["changes"]) == 2


def test_changes_are_sorted_and_chosen(built: DbRoot) -> None:
    before, after = (of_document(one) for one in grown(built))

    def asked(**habits: Any) -> list[str]:
        return [one["name"] for one in diff(before, after, replace(PLAIN, **habits)).data["changes"]]

    assert asked(filters=(("kind", "volume"),)) == ["coming", "data", "going"]
    assert asked(filters=(("kind", "volume"),), sort=("old",)) == ["going", "data", "coming"], "what was not is last"
    assert asked(filters=(("state", "went"),)) == ["going"]
    assert asked(filters=(("name", "g"), ("kind", "volume")), reverse=True) == ["going", "coming"]
    everything = diff(before, after)
    few = diff(before, after, replace(PLAIN, limit=1))
    assert few.data["totals"] == everything.data["totals"]
    assert len(few.data["changes"]) == 1


def test_the_same_twice_says_that_nothing_grew(built: DbRoot) -> None:
    document = document_of(built.path)
    answer = diff(of_document(document), of_document(document))
    assert answer.data["changes"] == []
    first = answer.parts[0]
    assert isinstance(first, Lines)
    assert first.lines == ["Nothing that is known grew or shrank."]


def test_what_is_not_known_at_one_end_is_no_zero(built: DbRoot) -> None:
    before, after = grown(built)
    volumes = tuple(replace(one, allocated=None) if one.name == "data" else one for one in before.volumes)
    gap = GapRow("volumes", "volumes/x", "Permission denied", "", "")
    unread = replace(before, volumes=volumes, gaps=(gap,))
    answer = diff(of_document(unread), of_document(after))
    found = rows({**answer.data})
    assert found["volume", "data"][:2] == ("unknown", None)
    assert found["volume", "coming"][:2] == ("unknown", None)  # it may have been there
    assert found["volume", "going"][0] == "went"
    assert [one["change"] for one in answer.data["changes"]][-2:] == [None, None]
    (volumes_in_all,) = (one for one in answer.data["totals"] if one["kind"] == "volume")
    assert (volumes_in_all["old"], volumes_in_all["change"]) == (None, None)
    tables = [part for part in answer.parts if isinstance(part, Table)]
    assert all(isinstance(row[1], AtLeast) for row in tables[-1].rows if row[0] == "volumes")
    (one,) = (row for row in tables[0].rows if row[-1] == "coming")
    assert (one[0], one[2]) == (None, None)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.none() | st.integers(0, 100)),
    st.dictionaries(st.sampled_from("abcdef"), st.none() | st.integers(0, 100)),
)
def test_the_changes_add_up_to_that_of_the_total(old: dict[str, int | None], new: dict[str, int | None]) -> None:
    ends = [DiffEnd(1.0), DiffEnd(2.0)]
    for end, sizes in zip(ends, (old, new), strict=True):
        for name, size in sizes.items():
            end.add("volume", name, name, size)
    data = diff(ends[0], ends[1]).data
    (total,) = (one for one in data["totals"] if one["kind"] == "volume")
    changes = [one["change"] for one in data["changes"]]
    if None in (*old.values(), *new.values()):
        assert total["change"] is None
    else:
        assert sum(changes) == total["change"] == sum(new.values()) - sum(old.values())  # type: ignore[arg-type]
    known = [change for change in changes if change is not None]
    assert changes == [*sorted(known, reverse=True), *[None] * (len(changes) - len(known))]


def test_a_change_has_a_sign() -> None:
    assert [signed(one) for one in (None, 0, 1500, -1500)] == [None, "+0 B", "+1.5 kB", "-1.5 kB"]
    with written_in(Units.BYTES):
        assert [signed(one) for one in (0, 1500, -1500)] == ["+0", "+1500", "-1500"]


def test_files_with_a_document(built: DbRoot, tmp_path: Path) -> None:
    document = document_of(built.path)
    raw = json.dumps(to_builtins(document)).encode()
    file = tmp_path / "saved"
    for content in (raw, gzip.compress(raw), gzip.compress(raw[:100]) + gzip.compress(raw[100:])):
        file.write_bytes(content)
        assert read_document(str(file)) == document


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no snapshot"),
        (b"{}", "no snapshot"),
        (b"[" * 100_000, "no snapshot"),
        (b'{"schema": 999}', "schema 999"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], "cut off"),
        (b"\x1f\x8bnothing", "Error"),
    ],
    ids=["empty", "other", "nested", "schema", "cut off", "gzip"],
)
def test_files_with_none(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "saved"
    file.write_bytes(content)
    with pytest.raises(click.ClickException) as raised:
        read_document(str(file))
    assert said.lower() in raised.value.message.lower()
    assert raised.value.message.startswith(str(file))


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.cli.commands.diff_ends.LARGEST_BYTES", 10_000)
    file = tmp_path / "saved"
    file.write_bytes(gzip.compress(b" " * 1_000_000))
    with pytest.raises(click.ClickException, match="too large"):
        read_document(str(file))


def test_a_document_of_a_root_that_could_not_be_read_is_refused(built: DbRoot, tmp_path: Path) -> None:
    file = tmp_path / "saved"
    document = document_of(built.path)
    for changed, said in (
        (replace(document, error="is gone"), "is gone"),
        (replace(document, taken=None), "not finished"),
    ):
        file.write_text(json.dumps(to_builtins(changed)))
        with pytest.raises(click.ClickException, match=said):
            read_document(str(file))


def test_names_of_a_file_are_shown_as_they_are_safe(built: DbRoot) -> None:
    document = document_of(built.path)
    volume = VolumeRow("\x1b[2J", False, "local", 0, 5, 5, 1, "volumes/x/_data")
    assert rows(compared(document, replace(document, volumes=(volume,))))["volume", "\x1b[2J"][0] == "came"
