"""What grew: worked out by hand from sizes at two times."""

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from exporter.core.knowledge import Gap, Input, Knowledge
from exporter.core.measured import Measured, Tree
from exporter.core.model import Counters, Log, Snapshot, Use, ViewKind
from exporter.expose.growing import Grown, Growth
from exporter.expose.growth import PAUSE_SECONDS, TotalsRing
from exporter.expose.publication import Publisher
from exporter.expose.totals import IMAGES, KINDS, LOGS, ROOT, VOLUMES, WRITABLE
from exporter.figures.figures import Figures
from tests.support.product import scan
from tests.support.roots import graph_root
from tests.support.snapshots import container, layer, snapshot, tree, volume

_HOUR = 3600.0


def _root(
    written: Mapping[str, int] | None = None,
    logs: Mapping[str, int] | None = None,
    volumes: Mapping[str, int | None] | None = None,
    image: int = 100,
    **inventory: object,
) -> Snapshot:
    """A root with these containers, by what each has written, these logs and these volumes."""
    written, volumes = written or {}, volumes or {}
    measured: dict[Tree, Measured] = {("overlay2", f"of-{name}"): tree(size) for name, size in written.items()}
    measured |= {("volumes", name, "_data"): tree(size) for name, size in volumes.items() if size is not None}
    measured[("overlay2", "base")] = tree(image)
    found = snapshot(
        measured,
        layers=(layer("base"), *(layer(f"of-{name}", Use.CONTAINER) for name in written)),
        containers=tuple(container(name, layer=f"of-{name}", log=Log("json-file")) for name in written),
        volumes=tuple(map(volume, volumes)),
        **inventory,
    )
    return replace(found, logs=dict.fromkeys(written, 0) | dict(logs or {}))


def _grown(*at: tuple[float, Snapshot]) -> Growth:
    """What has grown at the last of these times, by totals noted at the others."""
    ring = TotalsRing()
    for now, found in at[:-1]:
        ring.note(now, Figures(found))
    now, found = at[-1]
    return ring.growth(now, Figures(found))


def _by(growth: Growth) -> dict[str, int | None]:
    return {one.name: one.by for one in (*growth.kinds, *growth.objects)}


def test_what_grew_is_the_difference_by_kind_and_by_object() -> None:
    before = _root({"web": 10, "db": 20}, {"web": 1000}, {"data": 50, "cold": 7}, image=100)
    after = _root({"web": 15, "db": 20}, {"web": 4000}, {"data": 80, "cold": 7}, image=130)
    growth = _grown((0, before), (600, after))
    assert growth.seconds == growth.begun == 600
    # On this disk each tree takes twice its size; logs are their lengths.
    found = _by(growth)
    assert (found[IMAGES], found[WRITABLE], found[LOGS], found[VOLUMES]) == (60, 10, 3000, 60)
    assert growth.objects == (
        Grown("web", 1010, 4015, kind="container"),
        Grown("data", 100, 160, kind="volume"),
    )
    assert {one.name for one in growth.kinds} <= set(KINDS)


def test_what_is_new_grew_from_nothing_and_what_shrank_is_not_among_those_that_grew() -> None:
    growth = _grown((0, _root({"a": 50}, volumes={"v": 90})), (60, _root({"a": 5, "b": 30}, volumes={"v": 10, "w": 3})))
    assert [(one.name, one.before, one.now) for one in growth.objects] == [("b", 0, 30), ("w", 0, 6)]
    assert _by(growth)[VOLUMES] == -154


def test_an_object_that_may_have_been_there_unseen_did_not_grow_from_nothing() -> None:
    unread = Knowledge((Gap(Input.CONTAINERS, "containers", "Permission denied"),))
    growth = _grown((0, _root({"a": 5}, knowledge=unread)), (60, _root({"a": 5, "b": 30})))
    assert growth.objects == ()


def test_what_is_not_known_has_no_growth() -> None:
    growth = _grown((0, _root(volumes={"v": None, "w": 1})), (60, _root(volumes={"v": 9, "w": 2})))
    assert [one.name for one in growth.objects] == ["w"], "v may have been as large before"
    volumes = next(one for one in growth.kinds if one.name == VOLUMES)
    assert (volumes.by, volumes.now, volumes.parts) == (None, 22, 0)
    growth = _grown((0, _root(volumes={"v": None, "w": 1})), (60, _root(volumes={"v": None, "w": 2})))
    volumes = next(one for one in growth.kinds if one.name == VOLUMES)
    assert (volumes.by, volumes.now, volumes.parts) == (2, 4, 1), "the same ones are left out at both times"


def test_other_objects_without_a_size_make_growth_unknown() -> None:
    growth = _grown((0, _root(volumes={"v": None, "w": 9})), (60, _root(volumes={"v": 900, "w": None})))
    volumes = next(one for one in growth.kinds if one.name == VOLUMES)
    assert (volumes.by, volumes.now, volumes.parts) == (None, 1800, 1), (
        "one is not known at each time, but not the same"
    )


def test_containers_of_a_store_that_was_not_read_did_not_come_now() -> None:
    for source in (Input.IMAGE_STORE, Input.CONTAINER_CONFIGS):
        unread = Knowledge((Gap(source, "containerd/daemon/meta.db", "Permission denied"),))
        assert _grown((0, _root(knowledge=unread)), (60, _root({"pod": 30}))).objects == ()


def test_it_is_compared_with_an_hour_ago_and_not_with_the_start() -> None:
    ring = TotalsRing()
    for step in range(40):
        now = step * PAUSE_SECONDS
        assert ring.is_due(now)
        assert not ring.is_due(now - 1) or step == 0
        ring.note(now, Figures(_root({"web": step})))
    growth = ring.growth(39 * PAUSE_SECONDS + 10, Figures(_root({"web": 39})))
    assert growth.seconds == _HOUR + 10
    assert growth.begun == 39 * PAUSE_SECONDS + 10
    assert growth.objects == (Grown("web", 27, 39, kind="container"),)


def test_memory_is_bounded_while_containers_come_and_go() -> None:
    ring = TotalsRing()
    for step in range(400):
        ring.note(step * PAUSE_SECONDS, Figures(_root({f"c{step}-{number}": 1 for number in range(20)})))
    assert len(ring._containers) < 20 * 13 + 257
    growth = ring.growth(400 * PAUSE_SECONDS, Figures(_root({"c399-0": 5})))
    assert growth.objects == (Grown("c399-0", 0, 5, kind="container"),), "an hour ago it was not there"


def test_where_nothing_changes_the_totals_are_kept_once() -> None:
    ring, figures = TotalsRing(), Figures(_root({"web": 1}))
    for step in range(13):
        ring.note(step * PAUSE_SECONDS, figures)
    assert len({id(one) for _, one in ring._kept}) == 1


def test_a_first_scan_has_no_totals_and_nothing_is_said_to_have_grown() -> None:
    publisher, counters = Publisher(), Counters()
    publisher.note_totals(counters)
    for unfinished in (True, False):
        publisher.publish(replace(_root({"web": 1}), unfinished=unfinished), counters)
        publisher.note_totals(counters)
        view = publisher.view(ViewKind.GROWTH, counters)
        assert view is not None
        assert view.growth is not None
        assert (view.growth.seconds is None) == unfinished
    assert counters.errors == {}


def test_sums_of_what_cannot_be_listed_or_followed_are_not_known(tmp_path: Path) -> None:
    unread = Knowledge((Gap(Input.CONTAINERS, "containers", "x"), Gap(Input.VOLUMES, "volumes", "x")))
    found = {one.name: one for one in _grown((0, _root(knowledge=unread)), (9, _root(knowledge=unread))).kinds}
    assert (found[LOGS].now, found[VOLUMES].now, found[LOGS].by) == (None, None, None)
    assert found[IMAGES].by == 0
    built = graph_root(tmp_path / "root").image("app")
    (tmp_path / "elsewhere").mkdir()
    (built.path / "containers").rmdir()
    (built.path / "containers").symlink_to("../elsewhere")
    whole = scan(built.path)
    assert whole.problems
    found = {one.name: one for one in _grown((0, whole), (9, whole)).kinds}
    assert (found[ROOT].now, found[ROOT].by) == (None, None)
