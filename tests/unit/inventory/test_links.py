"""Parts of a data root, and objects in them, behind symbolic links: not followed, and never taken for empty or gone."""

import os
from pathlib import Path

import pytest

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places
from exporter.cli.commands.df import df
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Answer, AtLeast, Lines, Table
from exporter.cli.commands.whose import whose
from exporter.core.model import RemarkKind, Snapshot, Use
from exporter.core.mountinfo import MountPoint
from exporter.expose.page_summary import summarize
from exporter.expose.snapshot_api.rows import DirectoryRow
from exporter.figures.figures import Figures
from exporter.inventory.links import Way
from tests.support.product import document_of, figures_of, scan
from tests.support.recorded import unpack_case
from tests.support.roots import graph_root
from tests.support.roots.layerdb import DbRoot, digest
from tests.support.roots.linked import put_behind_link, root_with_volume

_WEB = digest("containerweb")


def _graph(path: Path) -> Path:
    built = graph_root(path).image("base", size=10, files={"b": 10}, tag="base:1")
    return built.container("web", image="base", writable={"w": 3}).path


def _said(answer: Answer) -> str:
    return "\n".join(line for part in answer.parts if isinstance(part, Lines) for line in part.lines)


def _uses(snapshot: Snapshot) -> set[Use]:
    return {one.use for one in snapshot.inventory.layers}


_PARTS = (
    *("volumes", "containers", "image", "image/overlay2", "image/overlay2/layerdb", "image/overlay2/layerdb/mounts"),
    *("image/overlay2/layerdb/sha256", "image/overlay2/imagedb", "overlay2", "buildkit"),
)
_GRAPH_PARTS = ("graph", "aufs", "aufs/diff", "aufs/layers", "containers", "volumes")


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("part", _PARTS)
def test_a_part_behind_a_link_is_named_and_nothing_is_called_gone(tmp_path: Path, part: str, absolute: bool) -> None:
    root = root_with_volume(tmp_path)
    before = scan(root, orphaned_after=0).inventory
    to = put_behind_link(root, part, absolute=absolute)
    snapshot = scan(root, orphaned_after=0)
    assert not snapshot.error
    assert snapshot.inventory.layouts == before.layouts == ("layerdb",)
    (remark,) = [one for one in snapshot.inventory.remarks if one.kind is RemarkKind.LINK]
    assert "/".join(remark.path) == part
    assert remark.where == str(to)
    assert remark.target == os.readlink(root / part)
    assert part in {one.path for one in snapshot.problems}
    assert Use.ORPHANED not in _uses(snapshot)
    figures = figures_of(root, orphaned_after=0)
    assert figures.sum("missing_layers") == 0
    assert figures.sum("known") < 8
    for state in ("unused", "dangling"):
        assert figures.sum("images", state=state) == 0
    assert figures.sum("volumes", state="unused") in (0, 1)


@pytest.mark.parametrize("part", _GRAPH_PARTS)
def test_the_same_with_the_old_layout(tmp_path: Path, part: str) -> None:
    root = _graph(tmp_path)
    to = put_behind_link(root, part)
    snapshot = scan(root, orphaned_after=0)
    assert not snapshot.error
    assert snapshot.inventory.layouts == ("graph",)
    (remark,) = [one for one in snapshot.inventory.remarks if one.kind is RemarkKind.LINK]
    assert ("/".join(remark.path), remark.where) == (part, str(to))
    assert Use.ORPHANED not in _uses(snapshot)
    assert figures_of(root).sum("missing_layers") == 0


def test_a_link_that_leads_nowhere_is_a_link_all_the_same(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    (root / "image").rename(tmp_path / "away")
    (root / "image").symlink_to("/nowhere/image")
    snapshot = scan(root)
    assert snapshot.inventory.layouts == ("layerdb",)
    (remark,) = snapshot.inventory.remarks
    assert (remark.target, remark.where) == ("/nowhere/image", "")


def test_a_container_is_not_called_unloaded_because_layers_are_behind_a_link(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    put_behind_link(root, "image/overlay2/layerdb/sha256")
    (web,) = scan(root).inventory.containers
    assert web.unloaded == ""


def test_nothing_is_read_through_a_link(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    put_behind_link(root, "volumes")
    assert not scan(root).inventory.volumes
    assert not figures_of(root).all("volume_size_bytes")


def test_a_link_is_one_error_however_much_is_behind_it(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    put_behind_link(root, "containers")
    put_behind_link(root, "volumes")
    assert sorted(one.path for one in scan(root).problems) == ["containers", "volumes"]


@pytest.mark.parametrize("below", ["data", "data/_data"])
def test_a_volume_behind_a_link_is_there_without_a_size(tmp_path: Path, below: str) -> None:
    root = root_with_volume(tmp_path)
    to = put_behind_link(root, f"volumes/{below}")
    snapshot = scan(root)
    assert {one.name for one in snapshot.inventory.volumes} == {"data", "plain"}
    figures = figures_of(root)
    assert not figures.all("volume_size_bytes", volume="data")
    assert figures("volume_size_bytes", volume="plain") == 7
    assert [one.where for one in snapshot.inventory.remarks] == [str(to)]
    assert [one.path for one in snapshot.problems] == [f"volumes/{below}"]


def test_where_containers_are_not_known_no_volume_is_called_unmounted(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    put_behind_link(root, "containers")
    index = Index(document_of(root))
    answer = backup(index, Places(), {}, docker=False)
    assert {one["note"] for one in answer.data["unused_volumes"]} == {"mounted by no known container"}
    assert "Which containers there are is not known" in _said(answer)
    (owner,) = whose(index, "volumes/data/_data/f").data["owners"]
    assert owner["text"].endswith("mounted by no known container")
    assert not [one for one in index.document.layers if one.held], "nobody knows that the container is gone"


def test_a_container_behind_a_link_is_one_of_which_nothing_is_known(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    put_behind_link(root, f"containers/{_WEB}")
    document = document_of(root, orphaned_after=0)
    (web,) = document.containers
    assert (web.id, web.name, web.state, web.writable) == (_WEB, "", "unknown", 30)
    assert {one.state for one in document.images} == {None}
    assert [one.path for one in document.problems] == [f"containers/{_WEB}"]
    assert not document.missing


def test_a_layer_behind_a_link_is_not_missing_and_has_the_size_that_was_written_down(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    built = DbRoot(tmp_path / "other").layer("base", 1000)
    put_behind_link(root, f"overlay2/{built.cache('base')}")
    document = document_of(root)
    assert not document.missing
    assert [one.virtual for one in document.images] == [1050]
    (behind,) = [one for one in document.layers if one.id == built.cache("base")]
    assert (behind.size, behind.allocated) == (1000, None)


def test_the_files_of_a_layer_behind_a_link_have_no_size(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    put_behind_link(root, f"overlay2/{digest('mountweb')}/diff")
    (web,) = document_of(root).containers
    assert web.writable is None


def test_the_terminal_says_where_a_link_leads_and_what_to_do(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    to = put_behind_link(root, "volumes")
    index = Index(document_of(root))
    answer = df(index.document)
    said, table = _said(answer), answer.parts[1]
    assert isinstance(table, Table)
    assert (None, None, None, f"volumes -> {to}") in table.rows, "not 0 B"
    assert isinstance(table.footer[0], AtLeast)
    assert f"volumes is a link to {to}, which is not followed" in said
    assert f"rm {root}/volumes && mkdir {root}/volumes && mount --bind {to} {root}/volumes" in said
    kinds = [(one["kind"], one["id"]) for one in whose(index, "volumes/data/_data/f").data["owners"]]
    assert kinds == [("volume", "data"), ("part", "volumes")]
    owners = whose(index, f"{to}/data/_data/f").data["owners"]
    assert (owners[0]["kind"], owners[0]["id"]) == ("volume", "data")


def test_the_page_shows_a_part_behind_a_link_as_unknown(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    put_behind_link(root, "volumes", absolute=False)
    summary = summarize(Figures(scan(root)))
    (row,) = [one for one in summary.directories if one.name.startswith("volumes")]
    assert row == DirectoryRow("volumes -> ../disk/volumes", None, None, None)
    assert summary.used is None


def test_a_link_in_the_place_of_what_belongs_to_no_object_is_named_and_no_error(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    (root / "tmp").mkdir()
    (root / "tmp/f").write_bytes(b"x" * 9000)
    put_behind_link(root, "tmp", absolute=False)
    document = document_of(root)
    assert not document.problems
    assert [(one.path, one.target) for one in document.remarks] == [("tmp", "../disk/tmp")]
    table = df(document).parts[1]
    assert isinstance(table, Table)
    (row,) = [one for one in table.rows if one[3] == "tmp -> ../disk/tmp"]
    assert row[:3] == (0, len("../disk/tmp"), 1), "as du counts the link"


def test_when_the_link_is_replaced_by_a_mount_all_is_known_again(tmp_path: Path) -> None:
    root = root_with_volume(tmp_path)
    to = put_behind_link(root, "volumes")
    assert figures_of(root)("known", input="volumes") == 0
    (root / "volumes").unlink()
    to.rename(root / "volumes")
    figures = figures_of(root)
    assert figures("known", input="volumes") == 1
    assert figures("volume_size_bytes", volume="data") == 5000


def test_a_way_through_links_ends_at_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "real/dir").mkdir(parents=True)
    (tmp_path / "a").symlink_to("real")
    (tmp_path / "b").symlink_to(tmp_path / "a/../a/dir")
    (tmp_path / "ring").symlink_to("ring")
    way = Way([], lambda _: True)
    assert way.end(f"{tmp_path}/b") == f"{tmp_path}/real/dir"
    assert way.end(f"{tmp_path}/ring") == ""
    assert way.end(f"{tmp_path}/real/../none") == ""
    assert way.end("/") == "/"


def test_a_filesystem_on_the_way_is_asked_first_whether_it_answers(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    mount = MountPoint("2", "1", str(tmp_path / "disk"), "/", "0:99", "server:/export", "nfs")
    asked: list[str] = []

    def silent(path: str) -> bool:
        asked.append(path)
        return False

    way = Way([mount], silent)
    assert way.end(f"{tmp_path}/disk/volumes") == ""
    assert way.end(f"{tmp_path}/disk/other") == ""
    assert asked == [str(tmp_path / "disk")]


def test_the_reported_case_of_volumes(tmp_path: Path) -> None:
    root = unpack_case(5, tmp_path)
    answer = backup(Index(document_of(root)), Places(), {}, docker=True)
    (mount,) = answer.data["containers"][0]["mounts"]
    assert mount["command"].endswith(f"-C {root}/volumes/data ./_data")
    assert answer.data["totals"]["volumes"] is None
    figures = figures_of(root)
    assert figures("known", input="volumes") == 0
    assert not figures.all("reclaimable_bytes", category="volumes_unused")
    assert not figures.all("volumes")


def test_the_reported_case_of_containers(tmp_path: Path) -> None:
    root = unpack_case(3, tmp_path)
    figures = figures_of(root, orphaned_after=0)
    assert figures("known", input="containers") == 0
    assert not figures.all("volumes")
    assert not figures.all("images", state="used")
    assert not figures.all("images", state="unused")
    for name in ("image_containers", "volume_containers"):
        assert not figures.all(name)
    for category in ("images_unused", "containers_stopped", "volumes_unused"):
        assert not figures.all("reclaimable_bytes", category=category)
    assert figures.sum("layers", use="orphaned") == 0
    (volume,) = backup(Index(document_of(root)), Places(), {}, docker=True).data["unused_volumes"]
    assert volume["note"] == "mounted by no known container"
