"""What `free` plans: how many steps it takes, on which filesystem, what is in no plan."""

from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace

from exporter.cli.commands.free import free
from exporter.cli.commands.tables import Answer, AtLeast, Lines, Table
from exporter.expose.snapshot_api.rows import Document, FilesystemRow, PlanRow
from tests.support.product import document_of
from tests.support.roots import GraphRoot, graph_root, hex_id

_DISK = FilesystemRow("/", "8:1", "/", "ext4", size=1000, free=300, available=200)
_OTHER = FilesystemRow("/o", "8:2", "/o", "ext4", size=1000, free=300, available=200, directory="volumes")


def _built(path: Path) -> GraphRoot:
    built = graph_root(path).image("base").image("old", parent="base", tag="old:1", files={"f": b"x" * 9000})
    built.image("young", parent="base", tag="young:1", files={"f": b"x" * 5000})
    return built.container("gone", image="young", log=b"123")


def _document(path: Path, **changes: Any) -> Document:
    return replace(document_of(_built(path).path), filesystems=(_DISK,), **changes)


def _lines(answer: Answer) -> list[str]:
    return [line for part in answer.parts if isinstance(part, Lines) for line in part.lines]


def _table(answer: Answer) -> Table:
    (table,) = (part for part in answer.parts if isinstance(part, Table))
    return table


def test_it_takes_as_many_steps_as_are_needed(tmp_path: Path) -> None:
    document = _document(tmp_path)
    container, *images = (row.allocated or 0 for row in document.plan or () if row.kind in ("container", "image"))
    little = free(document, 1, None)
    assert [one["kind"] for one in little.data["steps"]] == ["container"]
    assert (little.data["freed"], little.data["enough"], little.failed) == (container, True, False)
    more = free(document, container + 1, None)
    assert [one["what"] for one in more.data["steps"]] == ["container gone", "image old:1"]
    assert [row[1] for row in _table(more).rows] == [container, container + images[0]]
    assert _lines(more)[:2] == ["docker rm gone", "docker rmi old:1"]
    assert any("Nothing was removed" in line for line in _lines(more))


def test_it_says_when_all_of_it_is_not_enough(tmp_path: Path) -> None:
    document = _document(tmp_path)
    answer = free(document, 10**9, None)
    assert answer.failed
    assert answer.data["freed"] == sum(row.allocated or 0 for row in document.plan or ())
    assert any(line.startswith("That is not enough") for line in _lines(answer))


def test_a_share_of_the_filesystem_is_reckoned_as_df_does_it(tmp_path: Path) -> None:
    document = _document(tmp_path)
    assert free(document, None, 0.5).data["target"] == 250  # 700 of 900 are used
    nothing = free(document, None, 0.9)
    assert (nothing.data["target"], nothing.data["steps"], nothing.failed) == (0, [], False)
    unknown = replace(document, filesystems=(replace(_DISK, size=None, free=None, available=None),))
    with pytest.raises(click.ClickException, match="not known"):
        free(unknown, None, 0.5)


def test_the_plan_ends_where_it_is_not_known_what_a_step_frees(tmp_path: Path) -> None:
    """Else every object of a driver whose layers have no size would be in it."""
    document = _document(tmp_path)
    plan = tuple(replace(row, allocated=None) if row.kind == "container" else row for row in document.plan or ())
    answer = free(replace(document, plan=plan), 1, None)
    (only,) = _table(answer).rows
    assert only[0] is None
    assert isinstance(only[1], AtLeast)
    assert answer.failed
    assert "What ? frees is not known, so the plan ends there. Do that, and ask again." in _lines(answer)


def test_another_filesystem_has_other_steps(tmp_path: Path) -> None:
    places: dict[str, int | None] = {"/o": 7}
    document = _document(tmp_path)
    plan = tuple(replace(row, elsewhere=places if row.kind == "image" else {"/": 9}) for row in document.plan or ())
    document = replace(document, plan=plan, filesystems=(_DISK, _OTHER))
    assert free(document, 14, None, "/o").data["freed"] == 14
    assert free(document, 9, None).data["freed"] == 9
    with pytest.raises(click.ClickException, match="but on: /, /o"):
        free(document, 1, None, "/else")


def test_logs_without_a_limit_come_after_images_and_volumes_never(tmp_path: Path) -> None:
    document = _document(tmp_path)
    (gone,) = document.containers
    about: dict[str, Any] = {"log_driver": "json-file", "log_bounded": False, "log_files": 1}
    about |= {"state": "running", "name": "talks"}
    talks = replace(gone, id=hex_id("talks"), log=5_000_000, **about)
    bounded = replace(gone, id=hex_id("bounded"), log=9_000_000, log_driver="json-file", log_bounded=True)
    small = replace(talks, id=hex_id("small"), log=999_999)
    volumes = next(row for row in document.reclaimable if row.category == "volumes_unused")
    rows = [row for row in document.reclaimable if row is not volumes]
    document = replace(
        document,
        containers=(gone, talks, bounded, small),
        reclaimable=(*rows, replace(volumes, objects=3, bytes=10**12, what="volumes without a container")),
    )
    answer = free(document, 10**9, None)
    last = answer.data["steps"][-1]
    path = f"{document.root}/containers/{talks.id}/{talks.id}-json.log"
    assert (last["kind"], last["freed"], last["commands"]) == ("log", 5_000_000, [f"truncate -s 0 {path}"])
    assert any(line.startswith("Not in this plan: 3 volumes without a container, 1 TB") for line in _lines(answer))


def test_why_a_prune_is_in_no_plan_is_said(tmp_path: Path) -> None:
    document = _document(tmp_path)
    rows = tuple(replace(row, bytes=None, objects=None, why="why") for row in document.reclaimable)
    answer = free(replace(document, plan=(), reclaimable=rows), 1, None)
    assert sum(line.endswith(", why.") for line in _lines(answer)) == len(rows)


def test_an_older_exporter_has_no_plan(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="older"):
        free(_document(tmp_path, plan=None), 1, None)


def test_a_step_of_an_object_that_is_not_in_the_document_is_none(tmp_path: Path) -> None:
    """A document of a stranger may say anything."""
    rows = (PlanRow("image", 5, "aufs", "", "x"), PlanRow("container", 5), PlanRow("more", 5))
    assert free(_document(tmp_path, plan=rows), 1, None).data["steps"] == []


def test_an_image_loses_all_its_names(tmp_path: Path) -> None:
    """With the last tag of a repository go its digests and no others. The beginning of an id may be a tag."""
    document = _document(tmp_path)
    (old,) = (one for one in document.images if one.references == ("old:1",))
    here, there = (f"{name}@sha256:{'ab' * 32}" for name in ("old", "reg.example:5000/old"))
    for names, digests, expected in (
        (("old:1", "old:2"), (here, there), f"docker rmi old:1 old:2 {there}"),
        ((), (here, there), f"docker rmi {here} {there}"),
        (("reg.example:5000/old:1",), (there,), "docker rmi reg.example:5000/old:1"),
        ((), (), f"docker rmi {old.id}"),
    ):
        one = replace(old, references=names, digests=digests)
        rows = tuple(row for row in document.plan or () if row.id == old.id)
        assert _lines(free(replace(document, images=(one,), plan=rows), 1, None))[0] == expected


def test_a_name_of_a_container_that_is_the_id_of_another_one_is_not_used(tmp_path: Path) -> None:
    document = _document(tmp_path)
    (gone,) = document.containers
    named = replace(gone, name=hex_id("other"))
    assert _lines(free(replace(document, containers=(named,)), 1, None))[0] == f"docker rm {gone.id}"


def test_as_long_as_the_first_scan_goes_on_there_is_no_plan(tmp_path: Path) -> None:
    """What is not measured frees nothing, so all images would be in it."""
    document = _document(tmp_path)
    for unfinished in (replace(document, taken=None), replace(document, error="is gone", plan=None)):
        answer = free(unfinished, 1, None)
        assert (answer.data, answer.parts, answer.failed) == ({}, [], True)


def test_what_a_log_frees_is_not_known_where_some_of_it_was_put_aside(tmp_path: Path) -> None:
    built = _built(tmp_path)
    home = built.path / "containers" / hex_id("gone")
    for name in ("-json.log", "-json.log.1"):
        (home / (hex_id("gone") + name)).write_bytes(b"x" * 2_000_000)
    document = document_of(built.path)
    (gone,) = document.containers
    running = replace(gone, state="running", log_driver="json-file", log_bounded=False)
    document = replace(document, containers=(running,), plan=(), filesystems=(_DISK,))
    assert [one["freed"] for one in free(document, 1, None).data["steps"]] == [None]
    (home / f"{hex_id('gone')}-json.log.1").unlink()
    (gone,) = document_of(built.path).containers
    document = replace(document, containers=(replace(running, log=gone.log, log_files=gone.log_files),))
    assert [one["freed"] for one in free(document, 1, None).data["steps"]] == [2_000_000]


def test_no_step_is_there_for_what_comes_after_it_on_another_filesystem(tmp_path: Path) -> None:
    document = _document(tmp_path)
    (gone,) = document.containers
    talks = replace(gone, id=hex_id("talks"), log=5_000_000, log_driver="json-file", log_bounded=False, log_files=1)
    plan = tuple(replace(row, elsewhere={"/": 9}) for row in document.plan or ())
    logs = replace(_OTHER, directory="containers")
    document = replace(document, plan=plan, containers=(gone, talks), filesystems=(_DISK, logs))
    assert [one["kind"] for one in free(document, 1, None, "/o").data["steps"]] == ["log"]


def test_it_says_for_which_engine_the_commands_are(tmp_path: Path) -> None:
    """On a disk that is mounted elsewhere: the engine that runs here may have containers of the same names."""
    document = _document(tmp_path)
    said = "The engine of this root calls it /var/lib/docker."
    moved = free(replace(document, origins=("/var/lib/docker",)), 1, None)
    assert any(line.startswith(said) for line in _lines(moved))
    same = free(replace(document, origins=(document.root, "/var/lib/docker")), 1, None)
    assert not any(line.startswith(said) for line in _lines(same))
